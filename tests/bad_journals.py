"""Bad arguments for journals, their mailboxes and their codecs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

from bad_values import BUFFERS, FOREIGN, Row, World
from lnmailbox import (
    DurableMailBox,
    EncrypterKind,
    MailOrchestrator,
    MailOrchestratorConfig,
    PacketCodec,
    SQLiteJournal,
)

NO_PATHS = [None, 5, 1.5, b"name", []]


def with_journal(call: Callable[[SQLiteJournal, Any], object]) -> Callable[[World, Any], object]:
    """Return what makes the call on a journal in a folder of its own."""

    def make_and_call(_: World, bad: Any) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            SQLiteJournal(f"{folder}/journal") as journal,
        ):
            call(journal, bad)

    return make_and_call


def keeper(journal: SQLiteJournal) -> MailOrchestrator:
    return MailOrchestrator(
        MailOrchestratorConfig(fetch_update=print, forward_packets=print, journal=journal)
    )


JOURNALS: dict[str, Row] = {
    # Journals
    "SQLiteJournal(path)": Row(lambda w, bad: SQLiteJournal(bad), TypeError, NO_PATHS),
    "SQLiteJournal(sync)": Row(
        lambda w, bad: SQLiteJournal("never made", sync=bad),
        ValueError,
        [None, 5, "FULL", b"full", []],
    ),
    "SQLiteJournal(codec)": Row(
        lambda w, bad: SQLiteJournal("never made", codec=bad), TypeError, [5, "codec", FOREIGN]
    ),
    "SQLiteJournal(wall_clock)": Row(
        lambda w, bad: SQLiteJournal("never made", wall_clock=bad), TypeError, [None, 5, FOREIGN]
    ),
    "SQLiteJournal.mailbox(config)": Row(
        with_journal(lambda journal, bad: journal.mailbox(bad)), TypeError, [None, 5, FOREIGN]
    ),
    "Journal.backup(path)": Row(
        with_journal(lambda journal, bad: journal.backup(bad)), TypeError, NO_PATHS
    ),
    "DurableMailBox(config)": Row(
        with_journal(lambda journal, bad: DurableMailBox(bad, journal)),
        TypeError,
        [None, 5, FOREIGN],
    ),
    "DurableMailBox(journal)": Row(
        lambda w, bad: DurableMailBox(w.box._config, bad), TypeError, [None, 5, "journal", FOREIGN]
    ),
    "MailOrchestratorConfig(journal)": Row(
        lambda w, bad: MailOrchestratorConfig(
            fetch_update=print, forward_packets=print, journal=bad
        ),
        TypeError,
        [5, "journal", FOREIGN],
    ),
    "MailOrchestrator.recover(adds)": Row(
        with_journal(lambda journal, bad: keeper(journal).recover(adds=bad)),
        ValueError,
        [None, 5, "Fail", True],
    ),
    "MailOrchestrator.recover(committed)": Row(
        with_journal(lambda journal, bad: keeper(journal).recover(committed=bad)),
        TypeError,
        [5, "x", FOREIGN, lambda key: True],
    ),
    "PacketCodec(encrypters)": Row(lambda w, bad: PacketCodec(bad), TypeError, [None, 5]),
    "PacketCodec(encrypters), one of them": Row(
        lambda w, bad: PacketCodec([bad]), TypeError, [None, 5, "sphinx", EncrypterKind, FOREIGN]
    ),
    "PacketCodec.encode(packet)": Row(
        lambda w, bad: PacketCodec().encode(bad), TypeError, [None, 5, b"", FOREIGN]
    ),
    "PacketCodec.decode(data)": Row(lambda w, bad: PacketCodec().decode(bad), TypeError, BUFFERS),
    "EncrypterKind(name)": Row(
        lambda w, bad: EncrypterKind(bad, dict, repr, repr), TypeError, [None, 5, b"x", FOREIGN]
    ),
    "EncrypterKind(name), a string": Row(
        lambda w, bad: EncrypterKind(bad, dict, repr, repr), ValueError, ["", "x" * 256]
    ),
    "EncrypterKind(type)": Row(
        lambda w, bad: EncrypterKind("a", bad, repr, repr), TypeError, [None, 5, "dict", FOREIGN]
    ),
    "EncrypterKind(encode)": Row(
        lambda w, bad: EncrypterKind("a", dict, bad, repr), TypeError, [None, 5, "repr", FOREIGN]
    ),
    "EncrypterKind(decode)": Row(
        lambda w, bad: EncrypterKind("a", dict, repr, bad), TypeError, [None, 5, "repr", FOREIGN]
    ),
}
