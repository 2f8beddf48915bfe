"""The pages on errors and statistics and the glossary say what the code says, and all of it."""

from __future__ import annotations

import ast
import importlib
import inspect
import queue
import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

import lnmailbox
from lnmailbox import MailBoxError, MailBoxStatistics, MailOrchestratorStatistics, OutboxStatistics
from pages import exists, quoted, rows

PACKAGE = Path(lnmailbox.__file__).parent


@pytest.fixture
def page(project) -> Callable[[str], str]:
    """Reads a page of the documentation."""
    return lambda name: (project / "docs" / name).read_text(encoding="utf-8")


def sections(text: str, level: str) -> dict[str, str]:
    """Return the sections of a page by their headings, without backticks."""
    parts = re.split(rf"(?m)^{level} ", text)[1:]
    return {part.partition("\n")[0].replace("`", ""): part.partition("\n")[2] for part in parts}


# Errors

JOURNAL_METHODS = ["transaction", "backup", "close"]
"""Those of a journal that the reference has and that say what they raise."""

RAISES_AS = {
    "Outbox.get_nowait": ["Outbox.get"],
    "Outbox.get_batch": ["Outbox.get"],
    "Outbox.async_get_batch": ["Outbox.async_get"],
}
"""Methods whose docstrings say that they raise as another one does."""

OWN = sorted(
    (
        thing
        for name in lnmailbox.__all__
        if inspect.isclass(thing := getattr(lnmailbox, name)) and issubclass(thing, MailBoxError)
    ),
    key=lambda error: error.__name__,
)


def raised_in(docstring: str | None) -> set[str]:
    """Return the names of the errors in the section `Raises`."""
    lines = inspect.cleandoc(docstring or "").partition("\nRaises:\n")[2].splitlines()
    found = [re.match(r"    (\S[\w., ]*): ", line) for line in lines]
    return {name for match in found if match for name in match[1].split(", ")}


def said_by_the_code() -> set[tuple[str, str]]:
    """Return each error with each public callable whose docstring says that it raises it."""
    docstrings = {}
    for owner in lnmailbox.__all__:
        thing = getattr(lnmailbox, owner)
        docstrings[owner] = thing.__doc__
        for name, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not name.startswith("_"):
                docstrings[f"{owner}.{name}"] = member.__doc__
    for name in JOURNAL_METHODS:
        docstrings[f"SQLiteJournal.{name}"] = getattr(lnmailbox.SQLiteJournal, name).__doc__
    pairs = {
        (error, name) for name, docstring in docstrings.items() for error in raised_in(docstring)
    }
    return pairs | {
        (error, name)
        for name, others in RAISES_AS.items()
        for error, other in pairs
        if other in others
    }


def said_by_the_page(text: str) -> set[tuple[str, str]]:
    """Return each error with each callable that the tables name."""
    pairs = set()
    for error, section in sections(text, "##").items():
        for first, *others in rows(section):
            if error == "Errors of the standard library":
                pairs |= {(quoted(first)[0], name) for name in quoted(others[0])}
            elif error != "Never raised by a mailbox":
                pairs |= {(error, name) for name in quoted(first)}
    return pairs


def test_the_page_on_errors_has_all_that_docstrings_say(page):
    """`TypeError` and `ValueError` are mistakes of the caller, and are explained as one."""
    code = {
        (error, name)
        for error, name in said_by_the_code()
        if error not in {"TypeError", "ValueError"}
    }
    shown = said_by_the_page(page("errors.md"))

    assert len(code) > 35
    assert set() == code ^ shown


def test_an_error_that_nobody_documents_would_be_noticed():
    docstring = (
        "Do it.\n\n    Raises:\n        KeyError, queue.Empty: if not.\n            Or so: no.\n"
    )

    assert {"KeyError", "queue.Empty"} == raised_in(docstring)
    assert set() == raised_in("Do it.")
    assert ("ParkedFull", "MailOrchestrator.deliver") in said_by_the_code()


def test_every_own_error_has_a_section_with_what_to_do(page):
    """And with the exceptions of the standard library that it also is."""
    shown = sections(page("errors.md"), "##")

    assert [error.__name__ for error in OWN if error is not MailBoxError] == sorted(
        name for name in shown if " " not in name
    )
    for error in OWN:
        if error is not MailBoxError:
            section = shown[error.__name__]
            head = section.partition("\n| raised by")[0]
            also = {"queue.Full", "TypeError"} & {
                name for name, base in STANDARD.items() if issubclass(error, base)
            }

            assert "*What to do:*" in section
            assert also == {"queue.Full", "TypeError"} & set(quoted(head))


STANDARD = {"queue.Full": queue.Full, "TypeError": TypeError}


def exceptions_of_the_package() -> set[str]:
    """Return the names of all public ones; those of the commands end as messages."""
    return {
        node.name
        for path in PACKAGE.rglob("*.py")
        if not {"replay", "inspecting"} & set(path.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    }


def test_every_exception_of_the_package_is_on_the_page_and_no_other(page):
    """Those that a mailbox raises, those that it never raises, and their base."""
    headings = sections(page("errors.md"), "##")
    raised = {name for name in headings if " " not in name}
    never = {quoted(row[0])[0] for row in rows(headings["Never raised by a mailbox"])}

    assert len(never) > 3
    assert exceptions_of_the_package() == {"MailBoxError"} | raised | {
        name.rpartition(".")[2] for name in never
    }


# Statistics


@pytest.mark.parametrize(
    "record", [MailBoxStatistics, OutboxStatistics, MailOrchestratorStatistics]
)
def test_every_field_of_a_record_has_a_row_with_its_unit(page, record):
    """In the order of the fields."""
    table = rows(sections(page("statistics.md"), "##")[record.__name__])
    fields = {field.name: field.type for field in attrs.fields(record)}

    assert list(fields) == [quoted(row[0])[0] for row in table]
    for field, unit, meaning in table:
        kind = fields[quoted(field)[0]]
        assert (kind == "float") is (unit.strip() == "s, level")
        assert kind != "int" or unit.endswith((", level ", ", total "))
        assert meaning.strip().endswith((".", ".**"))


def test_totals_are_those_that_are_kept_of_removed_mailboxes(page):
    totals = {
        quoted(row[0])[0]
        for row in rows(sections(page("statistics.md"), "##")["MailBoxStatistics"])
        if "total" in row[1]
    }

    assert set(importlib.import_module("lnmailbox.routing.adding_up")._TOTALS) == totals


# The glossary


def test_the_terms_are_in_order_and_each_links_to_others_that_exist(page):
    terms = sections(page("glossary.md"), "##")
    anchors = {re.sub(r"[^\w\- ]", "", term.lower()).replace(" ", "-") for term in terms}

    assert len(terms) > 30
    assert sorted(terms, key=str.lower) == list(terms)
    assert set() == set(re.findall(r"\]\(#([\w-]+)\)", page("glossary.md"))) - anchors


def test_every_word_that_the_pages_need_is_a_term(page):
    terms = sections(page("glossary.md"), "##")
    needed = (
        "HTLC, Add, Settle, Fail, Reply, Circuit, Keystone, Commitment, Link, Switch, "
        "Short channel id, msat, Onion"
    )

    assert [] == [word for word in needed.split(", ") if word not in terms]


LNDS = {"ChannelLink", "htlcswitch.Switch", "commitment_signed"}
"""Names in the glossary that are not this package's."""


def test_every_name_in_the_glossary_exists(page):
    """Here, in a message, in a packet or in a mailbox."""
    owners = "", "wire.", "HTLCPacket.", "MailBox."
    names = [name for name in quoted(page("glossary.md")) if not re.match(r"\d", name)]

    assert LNDS < set(names)
    assert LNDS == {name for name in names if not any(exists(owner + name) for owner in owners)}
