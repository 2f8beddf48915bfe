"""A transaction of the application's, with the changes of mail that one thread makes inside."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from ..errors import JournalError
from .commits import Commits, passes
from .sqlite import JournalFile
from .tickets import Batch, Gathering, Ticket, merged

__all__ = ["Transaction"]


class Transaction:
    """See `Journal.transaction`."""

    __slots__ = ("__weakref__", "_inside")

    def __init__(self, journal: Commits) -> None:
        self._inside = _Inside(journal)

    def __enter__(self) -> sqlite3.Connection:
        return self._inside.begin(weakref.ref(self))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inside.end(commits=exc_type is None)


class _Inside(Gathering):
    """What is done in the block of a `Transaction`.

    An interrupt may come when `__exit__` begins, and then nobody ends it. So this is not the
    object that the `with` statement has: when that is gone, and this is not over, the next call
    of the thread ends it.
    """

    def __init__(self, journal: Commits) -> None:
        super().__init__()
        self._journal = journal

    def begin(self, block: weakref.ref[Transaction]) -> sqlite3.Connection:
        self.block = block
        journal = self._journal
        journal.require_open()
        journal.require_no_transaction("transaction")
        connection = journal._file.connection
        try:
            journal._has_turn(self)
            journal.require_open()
            journal._finish()
            connection.execute("BEGIN IMMEDIATE")
            self.thread = threading.get_ident()
            journal._transaction = self
        except BaseException as error:
            self._end()
            if isinstance(error, sqlite3.Error):
                raise JournalError(f"no transaction in {journal._file.path}: {error}") from error
            raise
        return connection

    def end(self, *, commits: bool) -> None:
        if not commits:
            self._end()
            return
        journal = self._journal
        try:
            self._commit(journal._file)
        except BaseException as error:
            self._end()
            if isinstance(error, sqlite3.Error):
                if not passes(error):
                    journal._trouble = f"has to be opened again: {error}"
                raise JournalError(f"not kept in {journal._file.path}: {error}") from error
            raise

    def _commit(self, file: JournalFile) -> None:
        journal = self._journal
        journal.require_open()
        if not file.connection.in_transaction:
            raise JournalError("the transaction was ended inside, by whoever had its connection")
        # What was acked before goes with it, so that no two rows have the same key.
        batch = Batch([*journal._kept(), *self.tickets])
        batch.rows = merged(batch.tickets)
        file.write_into(batch.rows)
        journal._batch = batch
        file.connection.execute("COMMIT")
        batch.is_decided = True
        journal._transaction = None
        journal._finish()
        journal._drop_done()
        journal._release(self)

    def _end(self) -> None:
        try:
            self._give_up()
        except BaseException:  # nobody else could have the turn
            self._give_up()
            raise

    def _give_up(self) -> None:
        """End it without its changes, unless they are in the file."""
        journal = self._journal
        if journal._turn is not self:
            journal._release(self)
            return
        journal._transaction = None
        batch = journal._batch
        if batch is not None and not batch.is_decided:
            if not journal._file.connection.in_transaction and batch.rows:
                with suppress(sqlite3.Error):
                    batch.is_decided = journal._file.has(batch.rows)
            if not batch.is_decided:
                journal._batch = None
        journal._file.undo()
        if journal._batch is None:
            _undo(self.tickets)
        journal._finish()
        journal._drop_done()
        journal._release(self)


def _undo(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        ticket.undone()
        ticket.is_over = True
