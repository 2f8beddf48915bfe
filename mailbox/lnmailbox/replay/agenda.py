"""Actions and their virtual times."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Iterator

__all__ = ["Agenda", "Rank"]


class Rank(enum.IntEnum):
    """The order of actions at the same instant."""

    EXPIRY = 0
    COMMITMENT = 1
    OUTAGE = 2
    LOG = 3


class Agenda:
    """Actions sorted by time, then by rank, then by when they were noted."""

    def __init__(self) -> None:
        self._noted = 0
        self._heap: list[tuple[int, Rank, int, Callable[[], None]]] = []

    def note(self, at_ns: int, rank: Rank, action: Callable[[], None]) -> None:
        """Note something to do at `at_ns`."""
        self._noted += 1
        heapq.heappush(self._heap, (at_ns, rank, self._noted, action))

    def until(self, end_ns: int) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield time and action of all that is due by `end_ns`, that included.

        More may be noted meanwhile, for the time last yielded or later.
        """
        while self._heap and self._heap[0][0] <= end_ns:
            at_ns, _, _, action = heapq.heappop(self._heap)
            yield at_ns, action
