"""The accounting: the duties of a mailbox for every packet, compared with its deeds.

An `Account` is told what went into one channel's mailbox and what came out, and keeps a model
of it: what is undelivered, and what was taken but is not acked. It knows no threads and no
clock, and a packet may be anything that is hashable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ["Account", "Counts"]

_P = TypeVar("_P")


@attrs.define(kw_only=True)
class Counts:
    """Totals of the packets of one channel, or of all.

    If nothing was lost, `adds` is the sum of delivered, refused, expired, unroutable and waiting.
    """

    adds: int = 0
    """Adds that the switch had for the channel."""
    adds_delivered: int = 0
    """Adds that the link committed to."""
    adds_refused: int = 0
    """Adds that the link took and failed."""
    adds_expired: int = 0
    """Adds failed back because no link took them in time."""
    adds_unroutable: int = 0
    """Adds that the switch failed at once because the peer was gone; the mailbox has not seen
    them."""
    adds_waiting: int = 0
    """Adds undelivered, or undelivered again, at the end."""
    replies: int = 0
    """Settles and Fails put into the mailbox."""
    replies_delivered: int = 0
    """Replies that the link committed to; the others wait for it."""
    redelivered: int = 0
    """How often a packet was taken again after an outage."""
    acked: int = 0
    """Packets acked, Adds and replies."""
    lost: int = 0
    """Packets that never came out, or were gone when acked or refused."""
    duplicated: int = 0
    """Packets that came out, or were failed back, without being due."""
    out_of_order: int = 0
    """Packets that came out before one that had precedence."""
    own_adds: int = 0
    """How many of the Adds are own payments."""
    own_failed: int = 0
    """How many of the expired and unroutable Adds are own payments."""
    volume_failed_msat: int = 0
    """Outgoing amounts of the forwards that expired or were unroutable, though the log shows
    them as settled, in msat."""
    fees_lost_msat: int = 0
    """Their fees, in msat."""

    def __add__(self, other: Counts) -> Counts:
        mine = attrs.asdict(self)
        return Counts(**{name: mine[name] + n for name, n in attrs.asdict(other).items()})

    @property
    def holds(self) -> bool:
        """Whether every Add ended in exactly one way, and nothing else went wrong."""
        ended = self.adds_delivered + self.adds_refused + self.adds_expired
        ended += self.adds_unroutable + self.adds_waiting
        return self.adds == ended and not (self.lost or self.duplicated or self.out_of_order)


@attrs.define(eq=False)
class _Entry:
    number: int
    """Its place in the order of arrival."""
    deadline_ns: int | None
    """None for a reply."""
    was_taken: bool = False


class Account(Generic[_P]):
    """The book of one channel's mailbox. Its owner is one thread."""

    def __init__(self) -> None:
        self.counts = Counts()
        # All three in order of arrival.
        self._replies: dict[_P, _Entry] = {}
        self._adds: dict[_P, _Entry] = {}
        self._taken: dict[_P, _Entry] = {}
        self._arrived = 0

    @property
    def undelivered(self) -> list[_P]:
        """The packets that the mailbox must deliver next, in order: replies before Adds."""
        return [*self._replies, *self._adds]

    @property
    def undelivered_count(self) -> int:
        """How many packets that is."""
        return len(self._replies) + len(self._adds)

    @property
    def is_empty(self) -> bool:
        """Whether the mailbox has, and the link holds, nothing."""
        return not (self._replies or self._adds or self._taken)

    @property
    def next_deadline_ns(self) -> int | None:
        """The deadline of the first undelivered Add; None if there is none."""
        return next((entry.deadline_ns for entry in self._adds.values()), None)

    def posted(self, packet: _P, deadline_ns: int | None = None) -> None:
        """A packet goes into the mailbox: an Add if there is a deadline, else a reply."""
        self._arrived += 1
        entry = _Entry(self._arrived, deadline_ns)
        self._queue_of(entry)[packet] = entry
        if deadline_ns is None:
            self.counts.replies += 1
        else:
            self.counts.adds += 1
            self.counts.adds_waiting += 1

    def unroutable(self) -> None:
        """The switch failed an Add instead of putting it into the mailbox."""
        self.counts.adds += 1
        self.counts.adds_unroutable += 1

    def taken(self, packet: _P) -> bool:
        """The link took a packet; return whether it was due at all."""
        entry = self._replies.get(packet) or self._adds.get(packet)
        if entry is None:
            self.counts.duplicated += 1
            return False
        if packet != next(iter(self._replies or self._adds)):
            self.counts.out_of_order += 1
        self._withdraw(packet, entry)
        self._taken[packet] = entry
        self.counts.redelivered += entry.was_taken
        entry.was_taken = True
        return True

    def acked(self, packet: _P, was_there: bool) -> None:
        """The link acked a packet it has; `was_there` is the mailbox's answer."""
        entry = self._taken.pop(packet)
        if not was_there:
            self.counts.lost += 1
            return
        self.counts.acked += 1
        if entry.deadline_ns is None:
            self.counts.replies_delivered += 1
        else:
            self.counts.adds_delivered += 1

    def refused(self, packet: _P) -> None:
        """The link failed an Add it has."""
        del self._taken[packet]
        self.counts.adds_refused += 1

    def link_left(self) -> None:
        """The mailbox was reset: all that was taken and not acked is undelivered again."""
        for packet, entry in self._taken.items():
            self._queue_of(entry)[packet] = entry
            self.counts.adds_waiting += entry.deadline_ns is not None
        self._taken.clear()
        for queue in self._replies, self._adds:
            in_order = sorted(queue.items(), key=lambda item: item[1].number)
            queue.clear()
            queue.update(in_order)

    def due(self, now_ns: int) -> list[_P]:
        """The undelivered Adds whose deadline has come, in the order in which they expire."""
        due = []
        for packet, entry in self._adds.items():
            if entry.deadline_ns is None or entry.deadline_ns > now_ns:
                break  # those that came later expire later
            due.append(packet)
        return due

    def expired(self, packet: _P) -> None:
        """The mailbox failed an Add back that was due."""
        if packet != next(iter(self._adds)):
            self.counts.out_of_order += 1
        self._withdraw(packet, self._adds[packet])
        self.counts.adds_expired += 1

    def unexpected(self) -> None:
        """A packet came out, or was failed back, that was not due."""
        self.counts.duplicated += 1

    def lose(self, packets: Iterable[_P]) -> None:
        """Give up packets that ought to have come out, or that the mailbox no longer knows."""
        for packet in packets:
            if self._taken.pop(packet, None) is None:
                self._withdraw(packet, self._replies.get(packet) or self._adds[packet])
            self.counts.lost += 1

    def inventory(self, found: Sequence[_P]) -> None:
        """Compare the undelivered packets with those found in the mailbox, to the last one."""
        there = set(found)
        missing = [packet for packet in self.undelivered if packet not in there]
        expected = dict.fromkeys(packet for packet in self.undelivered if packet in there)
        for packet in found:
            if packet not in expected:
                self.counts.duplicated += 1
                continue
            if packet != next(iter(expected)):
                self.counts.out_of_order += 1
            del expected[packet]
        self.lose(missing)

    def _queue_of(self, entry: _Entry) -> dict[_P, _Entry]:
        return self._replies if entry.deadline_ns is None else self._adds

    def _withdraw(self, packet: _P, entry: _Entry) -> None:
        del self._queue_of(entry)[packet]
        self.counts.adds_waiting -= entry.deadline_ns is not None
