"""What is due besides the log, and its virtual times."""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from .outages import Change

__all__ = ["NEVER", "Agenda", "Rank"]

NEVER = 1 << 1024

_C = TypeVar("_C")
_E = TypeVar("_E")


class Rank(enum.IntEnum):
    """The order of what is due at the same instant. The events of the log come last."""

    EXPIRY = 0
    COMMITMENT = 1
    OUTAGE = 2


class Agenda(Generic[_C, _E]):
    """Commitments, expiries and changes of outages, each sorted by time.

    Commitments are noted in the order of their times, so that a queue keeps them, and changes
    come sorted; only expiries, of which there are few, need a heap.

    Args:
        changes: the outages, in order of time; asked for one at a time.

    Attributes:
        next_ns: when something is due at the earliest; `NEVER` if nothing is.
    """

    def __init__(self, changes: Iterator[Change]) -> None:
        self._changes = changes
        self._change = next(changes, None)
        self._commitments: deque[tuple[int, _C]] = deque()
        self._expiries: list[tuple[int, int, _E]] = []
        self._noted = 0
        self.next_ns = NEVER
        self._look()

    def note_commitment(self, at_ns: int, commitment: _C) -> None:
        """Note a commitment. None that was noted before is due later."""
        self._commitments.append((at_ns, commitment))
        if at_ns < self.next_ns:
            self.next_ns = at_ns

    def note_expiry(self, at_ns: int, expiry: _E) -> None:
        """Note that something expires."""
        self._noted += 1
        heapq.heappush(self._expiries, (at_ns, self._noted, expiry))
        if at_ns < self.next_ns:
            self.next_ns = at_ns

    def rank(self) -> Rank:
        """Return what is to be taken next."""
        if self._expiries and self._expiries[0][0] == self.next_ns:
            return Rank.EXPIRY
        if self._commitments and self._commitments[0][0] == self.next_ns:
            return Rank.COMMITMENT
        return Rank.OUTAGE

    def take_expiries(self) -> list[_E]:
        """Take all that expires at `next_ns`, in the order in which it was noted."""
        now_ns = self.next_ns
        due = []
        while self._expiries and self._expiries[0][0] == now_ns:
            due.append(heapq.heappop(self._expiries)[2])
        self._look()
        return due

    def take_commitment(self) -> _C:
        """Take the next commitment, whenever it is due."""
        commitment = self._commitments.popleft()[1]
        self._look()
        return commitment

    def take_changes(self) -> list[Change]:
        """Take all changes of outages at `next_ns`."""
        now_ns = self.next_ns
        due = []
        while self._change is not None and self._change.at_ns == now_ns:
            due.append(self._change)
            self._change = next(self._changes, None)
        self._look()
        return due

    @property
    def has_commitments(self) -> bool:
        """Whether there is a commitment to take."""
        return bool(self._commitments)

    def _look(self) -> None:
        next_ns = NEVER if self._change is None else self._change.at_ns
        if self._commitments and self._commitments[0][0] < next_ns:
            next_ns = self._commitments[0][0]
        if self._expiries and self._expiries[0][0] < next_ns:
            next_ns = self._expiries[0][0]
        self.next_ns = next_ns
