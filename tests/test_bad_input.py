"""Whatever is passed where: the error names the value, and nothing has changed."""

from __future__ import annotations

import importlib

import attrs
import pytest

import lnmailbox.wire
from bad_input import MODULES, ROWS, UNCHECKED, World, public_parameters
from durable import open_journal
from lnmailbox.wire.shown import shown

WIRE = [getattr(lnmailbox.wire, name) for name in lnmailbox.wire.__all__]

CASES = [
    pytest.param(name, bad, id=f"{name}: {shown(bad)}"[:100])
    for name, row in ROWS.items()
    for bad in row.bad
]

FIELDS = [
    pytest.param(kind, field.name, id=f"{kind.__name__}.{field.name}")
    for kind in WIRE
    if attrs.has(kind) and kind is not lnmailbox.wire.KnownFailure
    for field in attrs.fields(kind)
]

NEEDS = {"Sphinx": "lnmailbox.sphinx", "MailColl": "lnmailbox.metrics"}


def checked(name: str) -> str:
    """Return the parameter that a row is about: its name may go on after a comma."""
    return name.split(", ")[0]


def test_every_parameter_of_every_public_callable_is_in_the_table():
    """Found in the package itself: whoever adds one adds a row, or says why it takes anything."""
    found = public_parameters()
    tried = {checked(name) for name in ROWS}
    missing = {
        name for name in found - tried if name not in UNCHECKED and whole(name) not in UNCHECKED
    }

    assert len(found) > 100
    assert set() == missing
    assert set() == {name for name in tried & found if name in UNCHECKED}


def test_no_row_is_about_what_there_is_not():
    names = public_parameters()
    known = names | {whole(name) for name in names}
    listed = {checked(name) for name in ROWS} | set(UNCHECKED)

    assert set() == {name for name in listed - known if is_there(name)}


def whole(parameter: str) -> str:
    return parameter.partition("(")[0]


def is_there(name: str) -> bool:
    """Whether what the callable needs is installed."""
    prefixes = {**NEEDS, "Decrypted": "lnmailbox.sphinx"}
    return all(module in MODULES for prefix, module in prefixes.items() if name.startswith(prefix))


@pytest.mark.parametrize("name, bad", CASES)
def test_a_bad_argument_is_named_and_changes_nothing(name, bad):
    for prefix, module in NEEDS.items():
        if name.startswith(prefix) and module not in MODULES:
            pytest.skip(f"{module} needs more than is installed")
    row = ROWS[name]
    with World() as world:
        before = world.state()

        with pytest.raises(row.error) as caught:
            row.call(world, bad)

        text = str(caught.value)
        if row.is_secret:
            assert shown(bad) not in text
        elif name.endswith("htlc"):
            assert text == f"unknown htlc type: {type(bad).__name__}"
        else:
            assert shown(bad) in text or (len(text) < 1_000 and repr(bad) in text)
        assert before == world.state()


@pytest.mark.parametrize(
    "name, bad", [case for case in CASES if case.values[0].startswith(("MailBox.", "MailOrch"))]
)
def test_a_bad_argument_changes_nothing_on_disk_either(tmp_path, name, bad):
    """All packets of this world are in a journal."""
    with open_journal(tmp_path / "journal") as journal, World(journal) as world:
        before = world.state()

        with pytest.raises(ROWS[name].error):
            ROWS[name].call(world, bad)

        assert len(before["file"]) > 5
        assert before == world.state()


def test_what_is_refused_by_a_mailbox_is_a_mistake_that_a_handler_can_tell():
    """A packet that carries no HTLC is an error of this package, besides a TypeError."""
    with World() as world, pytest.raises(lnmailbox.UnknownHTLCType) as caught:
        world.box.add_packet(lnmailbox.HTLCPacket())

    assert isinstance(caught.value, lnmailbox.MailBoxError)


@pytest.mark.parametrize("kind, field", FIELDS)
@pytest.mark.parametrize("bad", [object(), "text", -1, 2**64, bytes(70_000)], ids=shown)
def test_a_field_of_a_message_is_named_with_its_class_and_its_value(kind, field, bad):
    """At once, and when it is set later if it can be."""
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{field} must be .*, got ") as caught:
        kind(**{field: bad})
    assert shown(bad) in str(caught.value)

    value = kind()
    before = attrs.asdict(value)
    with pytest.raises((ValueError, attrs.exceptions.FrozenInstanceError)):
        setattr(value, field, bad)
    assert before == attrs.asdict(value)


def test_the_modules_that_are_installed_can_be_imported():
    for name in MODULES:
        assert importlib.import_module(name).__all__
