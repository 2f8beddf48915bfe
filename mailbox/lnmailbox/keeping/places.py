"""Where each packet is, and how it gets from one place to another: one step at a time.

`Entry.at` alone says where a packet is. Moving a packet is one assignment to it: what the new
place needs is prepared before, and what the old place still holds is removed after, or passed
over when it comes up. Between that assignment and those next to it nothing is called, so no
interrupt comes there, and it finds the packet in one place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Iterable
from operator import attrgetter

from ..packet import CircuitKey
from .entry import NEVER, NOWHERE, Claim, Entry, Place

__all__ = ["Places", "Round"]

_number = attrgetter("number")


class Round:
    """What a reset replaces."""

    __slots__ = ("overdue", "retry_at", "stuck", "waiting")

    def __init__(self, waiting: Iterable[Entry] = ()) -> None:
        # In order of arrival. Has everything that is WAITING, and among it empty slots: entries
        # that have gone elsewhere.
        self.waiting = deque(waiting)
        self.overdue: OrderedDict[Entry, None] = OrderedDict()
        self.stuck: dict[Entry, None] = {}
        self.retry_at = NEVER  # when what is stuck becomes overdue again


class Places:
    """The packets of a shelf, each in its place.

    A reset begins a new round, in which everything is WAITING again. Acking a waiting packet
    leaves an empty slot. When empty slots outnumber the packets, all are removed.

    Attributes:
        unacked: every packet by its key, in order of arrival.
        undelivered: how many of them are WAITING.
    """

    __slots__ = (
        "_added",
        "_claimed",
        "_in_order",
        "_latest",
        "_round",
        "unacked",
        "undelivered",
    )

    def __init__(self) -> None:
        self.unacked: dict[CircuitKey, Entry] = {}
        self.undelivered = 0
        self._round = Round()
        self._claimed: dict[Entry, None] = {}  # these are CLAIMED, but for what has gone
        self._added = 0
        # Whether no deadline is before an earlier packet's. It is not once the clock went back.
        self._in_order = True
        self._latest = 0  # the deadline added last

    @property
    def overdue(self) -> int:
        """How many packets are OVERDUE or STUCK."""
        return len(self._round.overdue) + len(self._round.stuck)

    @property
    def is_stuck(self) -> bool:
        """Whether packets are STUCK."""
        return bool(self._round.stuck)

    @property
    def claimed(self) -> int:
        """How many packets are CLAIMED."""
        return len(self._claimed)

    def place(self, key: CircuitKey) -> Place | None:
        """Return where the packet with this key is; None if there is none."""
        entry = self.unacked.get(key)
        if entry is None:
            return None
        at = entry.at
        if type(at) is Claim:
            return Place.CLAIMED
        here = self._round
        if at is here:
            return Place.LINK
        if at is here.overdue:
            return Place.OVERDUE
        return Place.STUCK if at is here.stuck else Place.WAITING

    def _is_waiting(self, entry: Entry) -> bool:
        at, here = entry.at, self._round
        return not (
            at is NOWHERE
            or at is here
            or at is here.overdue
            or at is here.stuck
            or type(at) is Claim
        )

    def _recount(self) -> None:
        self.undelivered = sum(map(self._is_waiting, self.unacked.values()))

    def _expire(self, entry: Entry) -> None:
        overdue = self._round.overdue
        undelivered = self.undelivered - 1
        overdue[entry] = None
        entry.at = overdue
        self.undelivered = undelivered

    def _back(self, entry: Entry) -> None:
        waiting = self._round.waiting
        if not waiting or entry.number < waiting[0].number:
            waiting.appendleft(entry)
        else:
            place = bisect_left(waiting, entry.number, key=_number)
            if place == len(waiting) or waiting[place] is not entry:
                waiting.insert(place, entry)
        undelivered = self.undelivered + 1
        entry.at = None
        self.undelivered = undelivered

    def _claim(self, claim: Claim, entry: Entry) -> bool:
        here = self._round
        at = entry.at
        undelivered = self.undelivered - self._is_waiting(entry)
        self._claimed[entry] = None
        claim.entry = entry
        claim.home = at
        entry.at = claim
        self.undelivered = undelivered
        if at is here.overdue or at is here.stuck:
            del at[entry]
        return True

    def _remove(self, entry: Entry, at: object) -> None:
        here = self._round
        undelivered = self.undelivered - self._is_waiting(entry)
        entry.at = NOWHERE
        del self.unacked[entry.key]
        entry.packet = None
        self.undelivered = undelivered
        if type(at) is Claim:
            del self._claimed[entry]
        elif at is here.overdue or at is here.stuck:
            del at[entry]
        self._sweep()

    def _first(self) -> Entry | None:
        """Return the first that is WAITING. What has gone elsewhere is removed before it."""
        waiting = self._round.waiting
        while waiting:
            if self._is_waiting(waiting[0]):
                return waiting[0]
            del waiting[0]
        return None

    def _sweep(self) -> None:
        waiting = self._round.waiting
        if len(waiting) - self.undelivered > len(self.unacked):
            left = [entry for entry in waiting if entry.at is not NOWHERE]
            self._round.waiting = deque(filter(self._is_waiting, left))

    def _check(self) -> None:
        """Assert every invariant; for tests."""
        here = self._round
        waiting = [entry for entry in here.waiting if self._is_waiting(entry)]
        assert len(waiting) == self.undelivered
        assert len(here.waiting) - len(waiting) <= len(self.unacked)
        numbers = [entry.number for entry in here.waiting]
        assert numbers == sorted(set(numbers))
        entries = list(self.unacked.values())
        assert waiting == [entry for entry in entries if self._is_waiting(entry)]
        numbers = [entry.number for entry in entries]
        assert numbers == sorted(set(numbers))
        assert all(entry.key == key for key, entry in self.unacked.items())
        assert all(entry.packet and entry.at is not NOWHERE for entry in entries)
        for place, container in [
            (Place.OVERDUE, here.overdue),
            (Place.STUCK, here.stuck),
            (Place.CLAIMED, self._claimed),
        ]:
            assert set(container) == {e for e in entries if self.place(e.key) is place}
        deadlines = [entry.deadline for entry in entries]
        assert not self._in_order or deadlines == sorted(deadlines)
