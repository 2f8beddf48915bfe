"""An open journal: the file, the codec, the date; reading, copying, closing it."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

from ..clock import Clock, WallClock
from ..errors import JournalError
from ..packet import HTLCPacket, require_packet
from ..wire.shown import shown
from .codec import JournalCodec, PacketCodec
from .commits import Commits
from .sqlite import JournalFile
from .tickets import Ticket
from .transaction import Transaction

__all__ = ["Journal"]

_Self = TypeVar("_Self", bound="Journal")
_T = TypeVar("_T")

_WALL_CLOCK = WallClock()


def _require_path(path: object) -> None:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a string or a path, got {shown(path)}")


class Journal(Commits):
    """A file, and how its packets become bytes and its deadlines dates."""

    _all: ClassVar[weakref.WeakSet[Journal]] = weakref.WeakSet()
    _leaked: ClassVar[list[sqlite3.Connection]] = []

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: str = "full",
        lazy_acks: bool = False,
        codec: JournalCodec | None = None,
        wall_clock: Clock = _WALL_CLOCK,
    ) -> None:
        codec = PacketCodec() if codec is None else codec
        for name, value, methods in (
            ("codec", codec, ("encode", "decode")),
            ("wall_clock", wall_clock, ("now_ns",)),
        ):
            if not all(callable(getattr(value, method, None)) for method in methods):
                raise TypeError(f"{name} must have {' and '.join(methods)}, got {shown(value)}")
        self.codec: JournalCodec = codec
        self.lazy_acks = lazy_acks
        self.today_ns = wall_clock.now_ns
        _require_path(path)
        super().__init__(JournalFile(path, sync=sync))
        self._next_id = 1 + self._read_first()
        Journal._all.add(self)

    def _read_first(self) -> int:
        """Read what has to be known; return the highest id there is."""
        return self._file.last_id()

    def __repr__(self) -> str:
        state = f", {self._trouble}" if self._trouble else ""
        return f"<{type(self).__name__} in {str(self._file.path)!r}{state}>"

    # For mailboxes

    def next_ids(self, count: int) -> range:
        """Return ids for so many new rows."""
        with self._lock:
            first = self._next_id
            self._next_id = first + count
        return range(first, first + count)

    def encode(self, packet: HTLCPacket) -> bytes:
        """Return what the codec makes of a packet. SQLite would refuse all but bytes too late."""
        data = self.codec.encode(packet)
        if not isinstance(data, bytes):
            raise TypeError(f"encode of the codec must return bytes, got {shown(data)}")
        return data

    def decode(self, data: bytes) -> HTLCPacket:
        """Return the packet that the codec makes of `data`."""
        packet = self.codec.decode(data)
        require_packet(packet)
        return packet

    def submit_ack(self, ticket: Ticket) -> bool:
        """Queue a ticket of acks; return whether to wait for it."""
        if self.lazy_acks:
            return self._queue_lazily(ticket)
        self.submit(ticket)
        return True

    def load(self, ids: Sequence[int]) -> list[tuple[int, int, int, int, bytes]]:
        """Return `id, is_add, chan_id, htlc_id, data` of packets.

        Raises:
            JournalError: it can't be read.
        """
        return self._read(lambda: self._file.load(ids))

    def _read(self, read: Callable[[], _T]) -> _T:
        """Call `read` with the connection at hand."""
        me = object()
        try:
            self.require_open()
            if self.my_transaction() is None:
                self._has_turn(me)
                self.require_open()
            found = read()
            self._end_turn(me)
        except BaseException as error:
            self._end_turn(me)  # again, if an interrupt came when it began
            if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
                raise JournalError(f"can't read {self._file.path}: {error}") from error
            raise
        return found

    # For users

    def transaction(self) -> Transaction:
        """Return a context manager for rows of your own, and changes of mail, in one commit.

        Enters with the `sqlite3.Connection` of this journal, in a transaction. What this thread
        does to mailboxes of this journal inside, `add_packet`, `add_packets`, `ack_packet` and
        `ack_packets`, is written with it and takes effect when it ends: all of it, or nothing if
        the block raises. Other threads that change mail wait meanwhile. `fail_add`, `stop`,
        another transaction, and what makes, binds or removes a mailbox raise `JournalError`
        inside.

        The tables of the journal begin with `lnmailbox_`; leave them alone. Don't commit, and
        don't keep the connection.

        Raises:
            JournalError: on entering, the journal is closed or broken, or this thread is in a
                transaction; at the end, the commit failed, or somebody else ended it.
        """
        return Transaction(self)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a copy of the file while mailboxes go on. Blocks until it is there.

        The copy is readable by its owner only.

        Raises:
            JournalError: there is a file of this name, or it can't be written. What was written
                is removed.
        """
        _require_path(path)
        self.require_no_transaction("backup")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise JournalError(f"can't write the backup {path}: {error.strerror}") from error
        me = object()

        def let_others(*_: object) -> None:
            self._release(me)
            self._has_turn(me)
            self.require_open()

        copy = sqlite3.connect(path)
        try:
            self._has_turn(me)
            self.require_open()
            self._file.connection.backup(copy, pages=1000, progress=let_others, sleep=0.01)
            self._end_turn(me)
        except BaseException as error:
            self._end_turn(me)
            copy.close()
            with suppress(OSError):
                Path(path).unlink()
            if isinstance(error, sqlite3.Error):
                raise JournalError(f"can't write the backup {path}: {error}") from error
            raise
        finally:
            copy.close()

    def close(self) -> None:
        """Write what is queued, and close the file. Idempotent.

        Mailboxes of this journal raise `JournalError` from then on when they should change or
        read the file. Stop them first. A transaction that this thread is in is undone, and raises
        `JournalError` at its end.
        """
        mine = self.my_transaction()
        if mine is not None:
            mine.end(commits=False)
        me = object()
        try:
            self._has_turn(me)
            if self._trouble is None:
                self._work()
            self._trouble = self._trouble or "is closed"
            self._work()  # what came meanwhile
            self._file.close()
            self._end_turn(me)
        except BaseException:
            self._end_turn(me)
            raise

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Forks

    def _is_forked(self) -> None:
        """Let go of the file in a forked child, whose parent has it. It must not be closed."""
        self._begin()
        self._trouble = "was opened by the parent of this process"
        _leak(self._file.connection)


def _leak(connection: sqlite3.Connection) -> None:
    """Keep a connection from being closed at the end of the process, too.

    Closing it would write the log into the file, and remove the log, under the parent's hands.
    """
    import ctypes

    Journal._leaked.append(connection)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _forget_all() -> None:
    for journal in list(Journal._all):
        journal._is_forked()


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_forget_all)  # no fork, no need
