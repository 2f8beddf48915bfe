"""Journals for tests: with an obfuscator that is kept, and mailboxes that are killed."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lnmailbox import MailBoxConfig, ManualClock, SQLiteJournal
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.encrypters import EncrypterKind
from lnmailbox.testing import Call, Switch
from lnmailbox.testing.conformance.base import CHANNEL
from lnmailbox.testing.conformance.callbacks import WrongEncrypter
from node import Node

CODEC = PacketCodec(
    [
        EncrypterKind(encrypter.__name__, encrypter, pickle.dumps, pickle.loads)
        for encrypter in (Switch, WrongEncrypter)
    ]
)


def open_journal(path: Path, **options: Any) -> SQLiteJournal:
    """Open a journal whose packets may have a `Switch` as their obfuscator."""
    options = {"sync": "normal", "codec": CODEC, "wall_clock": ManualClock(1.7e9), **options}
    return SQLiteJournal(path, **options)


def kill(journal: SQLiteJournal, path: Path) -> Path:
    """Return a copy of the file as it is on disk now, as the end of the process would leave it."""
    copy = path.with_name(f"{path.stem}+{path.suffix}")
    for end in ("", "-wal"):
        source = path.with_name(path.name + end)
        if source.exists():
            shutil.copyfile(source, copy.with_name(copy.name + end))
    return copy


class Connection:
    """Stands for the connection of a journal; calls `before` before each statement."""

    def __init__(self, journal: SQLiteJournal, before: Callable[[str], object]) -> None:
        self._real = journal._file.connection
        self._before = before
        journal._file.connection = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *values: Any) -> Any:
        self._before(sql)
        return self._real.execute(sql, *values)

    def executemany(self, sql: str, values: Any) -> Any:
        self._before(sql)
        return self._real.executemany(sql, values)


def sqlite_error(name: str, text: str) -> sqlite3.Error:
    """Return an error as SQLite would raise it; Python 3.10 has no names."""
    error = sqlite3.OperationalError(text)
    if sys.version_info >= (3, 11):
        error.sqlite_errorname = name
    return error


FULL = sqlite_error("SQLITE_FULL", "database or disk is full")
FSYNC = sqlite_error("SQLITE_IOERR_FSYNC", "disk I/O error")


@contextmanager
def closing_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file that no journal has open, and commit at the end."""
    connection = sqlite3.connect(path)
    with connection:
        yield connection
    connection.close()


class Boxes:
    """A journal, and mailboxes in it by number."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.options = options
        self.clock = ManualClock(1000.0)
        self.switch = Switch()
        self.journal = open_journal(path, **options)
        self.boxes: dict[int, Any] = {}

    def box(self, number: int = 1, **options: Any) -> Any:
        if number not in self.boxes:
            config = {
                "short_chan_id": CHANNEL,
                "chan_id": number.to_bytes(32, "big"),
                "fetch_update": self.switch.fetch_update,
                "forward_packets": self.switch.forward_packets,
                "clock": self.clock,
            }
            self.boxes[number] = self.journal.mailbox(MailBoxConfig(**{**config, **options}))
            self.boxes[number].start()
        return self.boxes[number]

    def close(self) -> None:
        for box in self.boxes.values():
            Call(box.stop).result()
        Call(self.journal.close).result()

    def after(self, *, killed: bool = False, **options: Any) -> Boxes:
        """Return the next process's."""
        path = kill(self.journal, self.path) if killed else self.path
        self.close()
        return Boxes(path, **{**self.options, **options})


class Fault:
    """Raises an error at each statement that begins so, while it is `on`."""

    def __init__(self, node: Boxes, error: sqlite3.Error, start: str = "") -> None:
        self.on = True
        self.error = error
        self.start = start
        Connection(node.journal, self.strike)

    def strike(self, sql: str) -> None:
        if self.on and sql.startswith(self.start) and not sql.startswith("ROLLBACK"):
            raise self.error


class Life:
    """A node in a journal, process after process."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.options = options
        self.wall_clock = ManualClock(1.7e9)
        self.begin()

    def begin(self) -> None:
        options = dict(self.options)
        self.journal = open_journal(self.path, wall_clock=self.wall_clock)
        factory = options.pop("factory", None) or self.journal.mailbox
        self.node = Node(factory, journal=self.journal, **options)
        self.switch = self.node.switch
        self.orchestrator = self.node.orchestrator

    def end(self) -> None:
        Call(self.orchestrator.stop).result()
        Call(self.journal.close).result()

    def restart(self, *, killed: bool = True) -> Node:
        path = kill(self.journal, self.path) if killed else self.path
        self.end()
        self.path = path
        self.begin()
        return self.node
