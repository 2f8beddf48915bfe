"""Where each packet is, and how it gets from one place to another: one step at a time.

`Entry.at` alone says where a packet is. Moving a packet is one assignment to it: what the new
place needs is prepared before, and what the old place still holds is removed after, or passed
over when it comes up. Between that assignment and those next to it nothing is called, and no jump
is made, because Python 3.10 lets interrupts come there too: each finds the packet in one place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Iterable
from operator import attrgetter

from ..packet import CircuitKey, HTLCPacket
from .entry import NEVER, NOWHERE, WAITING, Claim, Entry, Place, Spot

__all__ = ["Places", "Round"]

_ACK = Claim()  # what an ack has instead of a claim

_number = attrgetter("number")


class Pile(Spot):
    """A spot that knows the packets that are there, in the order of their coming."""

    __slots__ = ("entries",)

    def __init__(self, place: Place, away: bool = True) -> None:
        super().__init__(place, away)
        self.entries: OrderedDict[Entry, None] = OrderedDict()


# Where nobody ever is. They stand for a round's own until something expires in it.
_NO_OVERDUE = Pile(Place.OVERDUE, away=False)
_NO_STUCK = Spot(Place.STUCK, away=False)


class Round(Spot):
    """What a reset replaces: where packets are if they are neither claimed nor just added.

    It is itself the spot of the packets that are at the LINK.

    Attributes:
        waiting: entries in order of arrival: all that are WAITING, and among them empty slots,
            entries that are elsewhere by now.
        slots: how many of the slots are of packets that are gone, at most.
        stuck_count: how many packets are STUCK.
        retry_at: when these become OVERDUE again.
    """

    __slots__ = ("overdue", "retry_at", "slots", "stuck", "stuck_count", "waiting")

    def __init__(self, waiting: Iterable[Entry] = ()) -> None:
        super().__init__(Place.LINK)
        self.waiting = deque(waiting)
        self.slots = 0
        self.overdue = _NO_OVERDUE
        self.stuck = _NO_STUCK
        self.stuck_count = 0
        self.retry_at = NEVER

    def begin_expiring(self) -> None:
        """Make room for what is OVERDUE and STUCK, if there is none."""
        if self.overdue is _NO_OVERDUE:
            self.stuck = Spot(Place.STUCK)
            self.overdue = Pile(Place.OVERDUE)


class Places:
    """The packets of a shelf, each in its place.

    A reset begins a new round, in which everything is WAITING again. Removing a packet leaves an
    empty slot if others wait before it. When there are more slots than packets, all are removed.

    Attributes:
        unacked: every packet by its key, in order of arrival.
        undelivered: how many of them are WAITING.
        claimed: how many of them are CLAIMED.
        redelivered: how many deliveries were of packets that had been delivered before.
        refused: how many packets were refused as duplicates; a batch counts once.
    """

    __slots__ = (
        "_added",
        "_in_order",
        "_latest",
        "_round",
        "claimed",
        "redelivered",
        "refused",
        "unacked",
        "undelivered",
    )

    def __init__(self) -> None:
        self.unacked: dict[CircuitKey, Entry] = {}
        self.undelivered = 0
        self.claimed = 0
        self.redelivered: int = 0
        self.refused: int = 0
        self._round = Round()
        self._added = 0
        # Whether no deadline is before an earlier packet's. It is not once the clock went back.
        self._in_order = True
        self._latest = 0  # the deadline added last; if in order, none is later

    @property
    def overdue(self) -> int:
        """How many packets are OVERDUE or STUCK."""
        return len(self._round.overdue.entries) + self._round.stuck_count

    @property
    def delivered(self) -> int:
        """How many packets are at the LINK."""
        return len(self.unacked) - self.undelivered - self.overdue - self.claimed

    @property
    def removed(self) -> int:
        """How many packets were acked or failed."""
        return self._added - len(self.unacked)

    @property
    def stuck(self) -> tuple[int, int]:
        """How many packets are STUCK, and when they become OVERDUE again."""
        return self._round.stuck_count, self._round.retry_at

    @property
    def is_stuck(self) -> bool:
        """Whether packets are STUCK."""
        return self._round.stuck_count > 0

    def place(self, key: CircuitKey) -> Place | None:
        """Return where the packet with this key is; None if there is none."""
        entry = self.unacked.get(key)
        if entry is None:
            return None
        return entry.at.place if entry.at.away else Place.WAITING

    def packets(self) -> list[HTLCPacket]:
        """Return everything that is unacked, in order of arrival."""
        return [entry.packet for entry in self.unacked.values() if entry.packet is not None]

    def count_due(self, now: int) -> int:
        """Return how many packets are WAITING though they are due at `now`."""
        count = 0
        for entry in self._round.waiting:
            if not entry.at.away:
                if entry.deadline <= now:
                    count += 1
                elif self._in_order:
                    break
        return count

    def oldest_age_ns(self, now: int, lifetime: int) -> int:
        """Return how long ago the first packet was added, whose deadline is so much later."""
        for entry in self.unacked.values():
            return max(now - (entry.deadline - lifetime), 0)
        return 0

    def _expire(self, entry: Entry) -> None:
        overdue = self._round.overdue
        undelivered = self.undelivered - 1
        overdue.entries[entry] = None
        entry.at = overdue
        self.undelivered = undelivered

    def _back(self, entry: Entry, spot: Spot = WAITING) -> None:
        waiting = self._round.waiting
        if not waiting or entry.number < waiting[0].number:
            waiting.appendleft(entry)
        else:
            place = bisect_left(waiting, entry.number, key=_number)
            if place == len(waiting) or waiting[place] is not entry:
                waiting.insert(place, entry)
        claimed = self.claimed - (type(entry.at) is Claim)
        undelivered = self.undelivered + 1
        entry.at = spot
        self.undelivered = undelivered
        self.claimed = claimed

    def _claim(self, claim: Claim, entry: Entry) -> bool:
        here = self._round
        at = entry.at
        undelivered = self.undelivered - (not at.away)
        stuck_count = here.stuck_count - (at is here.stuck)
        if at is here.overdue:
            del here.overdue.entries[entry]
        claim.entry = entry
        claim.home = at
        entry.at = claim
        self.undelivered = undelivered
        self.claimed += 1
        here.stuck_count = stuck_count
        return True

    def _remove(self, entry: Entry, claim: Claim = _ACK) -> None:
        here = self._round
        if here.slots >= len(self.unacked):
            self._sweep()
        at = entry.at
        undelivered = self.undelivered - (not at.away)
        claimed = self.claimed - (type(at) is Claim)
        stuck_count = here.stuck_count - (at is here.stuck)
        if at is here.overdue:
            del here.overdue.entries[entry]
        claim.out = True
        entry.at = NOWHERE
        del self.unacked[entry.key]
        entry.packet = None
        self.undelivered = undelivered
        self.claimed = claimed
        here.stuck_count = stuck_count
        here.slots += 1
        waiting = here.waiting
        if waiting and waiting[0] is entry:
            del waiting[0]
            here.slots -= 1

    def _first(self) -> Entry | None:
        """Return the first that is WAITING; None if there is none. Removes slots before it."""
        waiting = self._round.waiting
        while waiting:
            entry = waiting[0]
            if not entry.at.away:
                return entry
            del waiting[0]
        return None

    def _sweep(self) -> None:
        here = self._round
        here.waiting = deque([entry for entry in here.waiting if not entry.at.away])
        here.slots = 0

    def _check(self) -> None:
        """Assert every invariant; for tests."""
        here = self._round
        entries = list(self.unacked.values())
        assert all(entry.key == key for key, entry in self.unacked.items())
        assert all(entry.packet is not None for entry in entries)
        for ordered in (entries, here.waiting):
            numbers = [entry.number for entry in ordered]
            assert numbers == sorted(set(numbers))
        waiting = [entry for entry in entries if not entry.at.away]
        assert waiting == [entry for entry in here.waiting if not entry.at.away]
        assert self.undelivered == len(waiting)
        gone = [entry for entry in here.waiting if entry.at is NOWHERE]
        assert len(gone) <= len(entries) + 1
        overdue = {entry for entry in entries if entry.at is here.overdue}
        assert overdue == here.overdue.entries.keys()
        stuck = [entry for entry in entries if entry.at is here.stuck]
        assert here.stuck_count == len(stuck)
        claimed = [entry for entry in entries if type(entry.at) is Claim]
        assert self.claimed == len(claimed)
        for entry in claimed:
            claim = entry.at
            assert isinstance(claim, Claim)
            assert claim.entry is entry
            assert not claim.out
        at_link = [entry for entry in entries if entry.at is here]
        assert len(entries) == sum(map(len, (waiting, at_link, overdue, stuck, claimed)))
        if self._in_order:
            deadlines = [entry.deadline for entry in entries]
            assert deadlines == sorted(deadlines)
            assert all(deadline <= self._latest for deadline in deadlines)
