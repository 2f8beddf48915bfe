"""Commits that many threads share, without a thread of their own.

Whoever has to wait for the disk takes the *turn*, and writes what everybody has queued in one
transaction. The others wait; one of them has the next turn. The connection belongs to whoever has
the turn.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from typing import Any

from ..bell import FOREVER, Bell, ring_first
from ..errors import JournalError
from .sqlite import JournalFile
from .tickets import Batch, Gathering, Ticket, merged

__all__ = ["Commits", "passes"]

_MANY = 1000  # changes that nobody waits for, after which somebody has to

_PASSING = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_READONLY", "SQLITE_TOOBIG", "SQLITE_NOMEM")
# As Python 3.10, which has no names of errors, and SQLite tell them.
_PASSING_TEXTS = ("full", "locked", "readonly", "too big")


class Commits:
    """The turn and the queue of a file."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._trouble: str | None = None  # why nothing can be changed any more
        self._begin()

    def _begin(self) -> None:
        # Guards everything below. Taken under the locks of mailboxes. Reentrant: see `Life`.
        self._lock: Any = threading.RLock()
        # Who has the connection: a ticket, a transaction, or an object that nobody else has.
        self._turn: object | None = None
        self._queue: list[Ticket] = []
        self._lazy = 0  # how many rows of it nobody waits for
        self._batch: Batch | None = None  # what is being written by whoever has the turn
        self._transaction: Gathering | None = None
        # Of those who wait for the turn without a ticket. Those with one have `Ticket.bell`.
        self._bells: list[Bell] = []

    def require_open(self) -> None:
        """Raise `JournalError` if nothing can be changed any more."""
        if self._trouble is not None:
            raise JournalError(f"the journal {self._file.path} {self._trouble}")

    def require_no_transaction(self, what: str) -> None:
        """Raise `JournalError` if this thread is in a `transaction` of this journal."""
        self.end_abandoned()
        if self.my_transaction() is not None:
            raise JournalError(f"{what} can't be called inside a transaction of its journal")

    def my_transaction(self) -> Gathering | None:
        """Return the transaction that this thread is in; None if it is in none."""
        mine = self._transaction
        return mine if mine is not None and mine.thread == threading.get_ident() else None

    def end_abandoned(self) -> None:
        """Undo the transaction of this thread if an interrupt has ended its block only.

        Called with no lock held.
        """
        mine = self.my_transaction()
        if mine is not None and mine.block() is None:
            mine.end(commits=False)

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket, or have the transaction of this thread write it.

        Raises:
            JournalError: nothing can be changed any more.
        """
        with self._lock:
            self.require_open()
            mine = self.my_transaction()
            (self._queue if mine is None else mine.tickets).append(ticket)

    def submit_lazily(self, ticket: Ticket) -> None:
        """Queue a ticket that nobody waits for, until there are many."""
        if self._queue_lazily(ticket):
            try:
                self.wait(ticket)
            except BaseException:
                self.settle(ticket)
                raise

    def _queue_lazily(self, ticket: Ticket) -> bool:
        """Queue a ticket that nobody waits for; return whether there are so many that one must."""
        with self._lock:
            self.submit(ticket)
            self._lazy += sum(map(len, ticket.rows.values()))
            return self._lazy > _MANY

    def wait(self, ticket: Ticket) -> None:
        """Block until the ticket is written; return at once inside a transaction of this thread.

        Whatever this raises, `settle` must follow.

        Raises:
            JournalError: it could not be written.
        """
        if self.my_transaction() is not None:
            return
        if self._has_turn(ticket, ticket):
            self._work()
            self._release(ticket)
        if ticket.error is not None:
            raise JournalError(f"not kept in {self._file.path}: {ticket.error}") from ticket.error

    def commit(self, ticket: Ticket) -> None:
        """Submit a ticket and wait for it.

        Raises:
            JournalError: it could not be written.
        """
        self.end_abandoned()
        try:
            self.submit(ticket)
            self.wait(ticket)
        except BaseException:
            self.settle(ticket)
            raise

    def settle(self, ticket: Ticket) -> None:
        """Decide what becomes of a ticket, if it is not decided, after an error or interrupt."""
        self._clear_up(ticket)
        if ticket.is_over or self._withdraw(ticket) or ticket.keeps:
            return
        if self._has_turn(ticket, ticket):
            self._work()
            self._release(ticket)

    def flush(self) -> None:
        """Block until all that was queued is decided. Raises nothing but interrupts."""
        with suppress(JournalError):
            self.commit(Ticket())

    # The turn

    def _has_turn(self, who: object, ticket: Ticket | None = None) -> bool:
        """Block until it is the turn of `who`; False if the ticket is over before that."""
        while True:
            with self._lock:
                if ticket is not None and ticket.is_over:
                    return False
                if self._turn is None:
                    self._turn = who
                    return True
                bell = Bell()
                if ticket is None:
                    self._bells.append(bell)
                else:
                    ticket.bell = bell
            try:
                bell.wait(FOREVER)
            except BaseException:
                self._take_down(bell)
                raise

    def _take_down(self, bell: Bell) -> None:
        """Remove the bell of a thread that waits no more, so that it is not rung in vain."""
        with self._lock:
            if bell in self._bells:
                self._bells.remove(bell)

    def _release(self, who: object) -> None:
        """End the turn of `who`, if it is theirs, and tell whoever waits for it."""
        with self._lock:
            if (self._bells or self._queue) and (self._turn is who or self._turn is None):
                self._ring_next_locked()
            if self._turn is who:
                self._turn = None

    def _end_turn(self, who: object) -> None:
        """Do as `_release`, whatever is or was interrupted."""
        try:
            self._clear_up(who)
        except BaseException:
            self._clear_up(who)
            raise

    def _ring_next_locked(self) -> None:
        if self._bells:
            ring_first(self._bells, 1)
            return
        ticket = next((ticket for ticket in self._queue if ticket.bell is not None), None)
        if ticket is not None:
            _ring(ticket)

    def _withdraw(self, ticket: Ticket) -> bool:
        """Take a ticket back that is not being written; False if it is too late."""
        with self._lock:
            mine = self.my_transaction()
            if mine is not None and ticket in mine.tickets:
                mine.tickets.remove(ticket)
            elif ticket in self._queue:
                ticket.bell = None
                if not ticket.keeps:
                    self._queue.remove(ticket)
            elif self._batch is not None and ticket in self._batch.tickets:
                return False
            if self._turn is None:  # perhaps this thread was told to take it
                self._ring_next_locked()
        if not ticket.keeps and not ticket.is_over:
            ticket.undone()
        return True

    # Writing, for whoever has the turn

    def _work(self) -> None:
        """Write what is queued, and do what follows."""
        if self._batch is not None:
            self._finish()
        self._take_batch()
        batch = self._batch
        if batch is not None:
            self._write(batch)
            self._finish()

    def _take_batch(self) -> None:
        with self._lock:
            if not self._queue:
                return
            batch = Batch(self._queue)
            empty: list[Ticket] = []
            self._batch = batch
            self._queue = empty
            self._lazy = 0

    def _kept(self) -> list[Ticket]:
        """Return what is queued and has happened in memory already."""
        with self._lock:
            return _keeping(self._queue)

    def _drop_done(self) -> None:
        """Take out of the queue what a transaction has written."""
        with self._lock:
            queue = _not_over(self._queue)
            if len(queue) < len(self._queue):
                lazy = _count_rows(_keeping(queue))
                self._queue = queue
                self._lazy = lazy

    def _write(self, batch: Batch) -> None:
        try:
            self.require_open()
            batch.rows = merged(batch.tickets)
            if batch.rows:
                self._file.write(batch.rows)
        except (sqlite3.Error, JournalError) as error:
            self._has_failed(batch, error)
        batch.is_decided = True

    def _has_failed(self, batch: Batch, error: Exception) -> None:
        self._file.undo()
        if isinstance(error, sqlite3.Error) and not passes(error):
            self._trouble = f"has to be opened again: {error}"
        batch.error = error

    def _finish(self) -> None:
        """Tell everybody of the batch what has become of it."""
        batch = self._batch
        if batch is None:
            return
        while batch.tickets:
            self._finish_one(batch, batch.tickets[0])
        self._batch = None

    def _finish_one(self, batch: Batch, ticket: Ticket) -> None:
        if batch.error is None:
            ticket.is_written = True
            ticket.written()
        else:
            ticket.error = batch.error
            ticket.undone()
        with self._lock:
            if ticket.bell is not None:
                _ring(ticket)
            if ticket.keeps and batch.error is not None and self._trouble is None:
                again = Ticket(ticket.rows, keeps=True)
                self._queue.append(again)
            ticket.is_over = True
            del batch.tickets[0]

    def _clear_up(self, who: object) -> None:
        """Finish the turn of `who`, if it is theirs: an error or an interrupt has ended it."""
        if self._turn is who:
            batch = self._batch
            if batch is not None and not batch.is_decided:
                self._find_out(batch, who)
            self._finish()
        self._release(who)

    def _find_out(self, batch: Batch, who: object) -> None:
        """Find out whether a batch was written. If not, only `who` gives up."""
        try:
            self._file.undo()
            is_written = bool(batch.rows) and self._file.has(batch.rows)
        except sqlite3.Error as error:
            self._has_failed(batch, error)
            batch.is_decided = True
            return
        if is_written:
            batch.is_decided = True
            return
        others = [ticket for ticket in batch.tickets if ticket is not who or ticket.keeps]
        with self._lock:
            queue = others + self._queue
            self._queue = queue
            self._batch = None
        if isinstance(who, Ticket) and who not in others:
            who.undone()
            who.is_over = True


# Not inside `with lock`: there, Python 3.13.0 may take an interrupt of such a loop for elsewhere.


def _keeping(tickets: list[Ticket]) -> list[Ticket]:
    return [ticket for ticket in tickets if ticket.keeps]


def _not_over(tickets: list[Ticket]) -> list[Ticket]:
    return [ticket for ticket in tickets if not ticket.is_over]


def _count_rows(tickets: list[Ticket]) -> int:
    return sum(len(values) for ticket in tickets for values in ticket.rows.values())


def _ring(ticket: Ticket) -> None:
    """Wake the thread that waits. Nothing is called between the two lines."""
    bell = ticket.bell
    assert bell is not None
    ticket.bell = None
    bell.ring()


def passes(error: sqlite3.Error) -> bool:
    """Whether the next commit may succeed, as when the disk was full."""
    name = getattr(error, "sqlite_errorname", None)
    if name is not None:
        return bool(name.startswith(_PASSING))
    return any(text in str(error) for text in _PASSING_TEXTS)
