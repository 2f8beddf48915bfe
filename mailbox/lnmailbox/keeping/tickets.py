"""Rows that are to be written together, and what follows. No locks, no disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..bell import Bell
from .entry import Entry
from .schema import Rows

__all__ = ["Batch", "Gathering", "Ticket", "merged"]


class Ticket:
    """Rows to be written together, and what follows.

    Attributes:
        rows: as in `JournalFile.write`.
        keeps: whether the rows stay queued if nobody waits for them, or they could not be
            written: what they say has happened in memory already.
        is_over: whether it is decided.
        is_written: whether the rows are in the file.
        error: why they are not.
    """

    __slots__ = ("bell", "error", "is_over", "is_written", "keeps", "rows")

    def __init__(self, rows: Rows | None = None, *, keeps: bool = False) -> None:
        self.rows: Rows = {} if rows is None else rows
        self.keeps = keeps
        self.bell: Bell | None = None  # of the thread that waits
        self.is_over = False
        self.is_written = False
        self.error: Exception | None = None

    def written(self) -> None:
        """Do what follows. Called in any thread; after an interrupt, called again."""

    def undone(self) -> None:
        """Let go of what was prepared. Called in any thread; perhaps again."""


class Batch:
    """Tickets that are written together.

    Attributes:
        rows: theirs; empty until they are about to be written.
        is_decided: whether it is known if they are in the file.
    """

    __slots__ = ("error", "is_decided", "rows", "tickets")

    def __init__(self, tickets: list[Ticket]) -> None:
        self.tickets = tickets
        self.rows: Rows = {}
        self.is_decided = False
        self.error: Exception | None = None


class Gathering:
    """What a thread does inside a transaction.

    Attributes:
        thread: which one.
        tickets: what is written at its end.
        acked: what is acked then.
        block: what the `with` statement has.
    """

    def __init__(self) -> None:
        self.thread = 0
        self.block: Callable[[], object] = lambda: None
        self.tickets: list[Ticket] = []
        self.acked: set[Entry] = set()

    def end(self, *, commits: bool) -> None:
        """Write what was done, or undo it."""


def merged(tickets: list[Ticket]) -> Rows:
    if len(tickets) == 1:
        return tickets[0].rows
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for ticket in tickets:
        for name, values in ticket.rows.items():
            rows.setdefault(name, []).extend(values)
    return rows
