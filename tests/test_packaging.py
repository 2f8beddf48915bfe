"""What a plain `pip install lnmailbox` gives: the names, the version, and nothing besides."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import mailbox
import os
import re
import subprocess
import sys

import pytest

import lnmailbox

NAMES = """
    AddRef ChannelParty ChannelType CircuitKey Clock DurableMailBox EncrypterKind ErrorEncrypter
    FailureDetail HTLCPacket JournalCodec JournalError Keystone LinkError MailBox MailBoxConfig
    MailBoxError MailBoxShuttingDown MailBoxStatistics MailOrchestrator MailOrchestratorConfig
    MailOrchestratorStatistics MailSelector ManualClock MemoryMailBox Outbox OutboxStatistics
    PacketAlreadyExists PacketCodec ParkedFull PaymentCircuit SQLiteJournal SettleFailRef
    SystemClock UnknownHTLCType WallClock WireQueueFull dust_closure select
""".split()


def modules_after(statement: str) -> set[str]:
    """The top-level modules in a fresh interpreter after the statement, without `site`'s.

    And without coverage, which has modules of its own.
    """
    script = f"import sys; old = {{*sys.modules}}; {statement}; print(*{{*sys.modules}} - old)"
    unmeasured = {k: text for k, text in os.environ.items() if not k.startswith("COVERAGE_")}
    output = subprocess.run(
        [sys.executable, "-I", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=unmeasured,
    ).stdout
    return {name.partition(".")[0] for name in output.split()}


def test_the_standard_library_keeps_its_mailbox(project):
    assert mailbox.Maildir.__module__ == "mailbox"
    assert not (project / "mailbox" / "__init__.py").exists()


def test_the_public_names_are_those_promised_in_order():
    assert NAMES == lnmailbox.__all__
    assert all(hasattr(lnmailbox, name) for name in NAMES)


def test_the_package_says_that_it_is_typed():
    assert importlib.resources.files("lnmailbox").joinpath("py.typed").is_file()


def test_the_version_is_the_latest_of_the_changelog(project):
    changelog = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## \[(\d[^]]*)]", changelog, re.MULTILINE)

    assert latest is not None
    assert importlib.metadata.version("lnmailbox") == latest[1]


def test_importing_it_imports_attrs_and_the_standard_library_only():
    allowed = {"lnmailbox", "attr", "attrs", *sys.stdlib_module_names}

    assert set() == modules_after("import lnmailbox") - allowed


def test_importing_it_spares_the_slow_modules_of_the_standard_library():
    slow = {"argparse", "asyncio", "email", "importlib.metadata", "json", "selectors", "socket"}
    slow |= {"sqlite3", "pathlib"}

    assert set() == slow & (modules_after("import lnmailbox") - modules_after("import attrs"))


def test_what_needs_sqlite_is_imported_when_it_is_wanted():
    assert "sqlite3" in modules_after("from lnmailbox import SQLiteJournal")
    assert "sqlite3" not in modules_after("import lnmailbox.reference, lnmailbox.testing")


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lnmailbox' has no attribute 'SQLJournal'"):
        lnmailbox.SQLJournal  # noqa: B018
