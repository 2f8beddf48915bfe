"""A shelf whose packets have rows in a journal. No locks, no disk."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from ..errors import PacketAlreadyExists
from ..packet import CircuitKey, HTLCPacket
from .entry import NOWHERE, WAITING, Claim, Entry
from .shelf import Shelf

__all__ = ["ON_DISK", "RowShelf", "fill"]

ON_DISK = HTLCPacket()
"""Stands for a packet that an earlier process left, until it is read."""


_number = attrgetter("number")


def _number_of_item(item: tuple[CircuitKey, Entry]) -> int:
    return item[1].number


class RowShelf(Shelf):
    """A shelf on which an entry's number is the id of its row.

    Ids rise in order of arrival, and some are missing: they are those of other channels.

    Attributes:
        coming: packets on their way to the disk, by key. Their keys are taken.
        released: rows of those that were restored and nacked before the first reset.
    """

    __slots__ = ("_first_round", "_is_late", "_last_restored", "_last_row", "coming", "released")

    def __init__(self) -> None:
        super().__init__()
        self.coming: dict[CircuitKey, Entry] = {}
        self.released: set[int] = set()
        self._first_round = self._round
        self._last_restored = 0  # the row
        self._last_row = 0  # of those that were added
        self._is_late = False  # whether one was added after another with a higher row

    def restore(self, entries: Iterable[Entry]) -> None:
        """Fill an empty shelf with what is on disk, in order of arrival. All is at the LINK."""
        unacked = {}
        here = self._round
        for entry in entries:
            entry.packet = ON_DISK
            entry.at = here
            unacked[entry.key] = entry
            self._in_order = self._in_order and entry.deadline >= self._latest
            self._latest = entry.deadline
            self._last_restored = entry.number
        self.unacked = unacked
        self._added = len(unacked)

    def held(self) -> list[Entry]:
        """Return what was restored, and neither reset nor nacked since."""
        here, last, released = self._round, self._last_restored, self.released
        if here is not self._first_round:
            return []
        return [
            entry
            for entry in self.unacked.values()
            if entry.at is here and entry.number <= last and entry.number not in released
        ]

    def expire_held(self, now: int) -> None:
        """Make what is `held` due, if it is not."""
        self._in_order = False  # what is not held any more may be before it
        for entry in self.held():
            entry.deadline = min(entry.deadline, now)

    def nack(self, key: CircuitKey) -> bool:
        entry = self.unacked.get(key)
        if entry is not None and self._round is self._first_round:
            self.released.add(entry.number)
        return super().nack(key)

    def unread(self) -> list[Entry]:
        """Return the entries of packets that are ON_DISK."""
        return [entry for entry in self.unacked.values() if entry.packet is ON_DISK]

    def admit_rows(self, packets: Sequence[HTLCPacket], deadline: int) -> dict[CircuitKey, Entry]:
        """Return entries for these packets, which get their numbers later. Changes nothing.

        Raises:
            PacketAlreadyExists: two have the same key, or one with such a key is unacked, or on
                its way to the disk.
        """
        entries: dict[CircuitKey, Entry] = {}
        for packet in packets:
            key = packet.in_key
            entry = entries[key] = Entry()
            entry.packet = packet
            entry.key = key
            entry.deadline = deadline
            entry.at = NOWHERE
        if (
            len(entries) < len(packets)
            or not self.unacked.keys().isdisjoint(entries)
            or (self.coming and not self.coming.keys().isdisjoint(entries))
        ):
            keys = Counter([packet.in_key for packet in packets])
            key = next(
                key for key in keys if keys[key] > 1 or key in self.unacked or key in self.coming
            )
            self.refused += 1
            raise PacketAlreadyExists(f"mailbox already has packet {key}")
        return entries

    def publish_rows(self, entries: Iterable[Entry]) -> None:
        """Add what is on disk now. After an interrupt, to be called again.

        Each gets the place of its row: a transaction is written before what has queued meanwhile,
        though that may have come earlier.
        """
        waiting = self._round.waiting
        for entry in entries:
            if entry.at is NOWHERE and entry.packet is not None:
                if entry.deadline < self._latest:
                    self._in_order = False
                self._latest = entry.deadline
                if entry.number > self._last_row:
                    self._last_row = entry.number
                elif entry.number < self._last_row:
                    self._is_late = True
                    self._in_order = False
                if not waiting or waiting[-1].number < entry.number:
                    waiting.append(entry)
                else:
                    place = bisect_left(waiting, entry.number, key=_number)
                    if place == len(waiting) or waiting[place] is not entry:
                        waiting.insert(place, entry)
                undelivered = self.undelivered + 1
                self.unacked[entry.key] = entry
                entry.at = WAITING
                self._added += 1
                self.undelivered = undelivered
            self.coming.pop(entry.key, None)
        if self._is_late:
            self.unacked = dict(sorted(self.unacked.items(), key=_number_of_item))
            self._is_late = False

    def forget_rows(self, entries: Iterable[Entry]) -> None:
        """Let go of the keys of packets that did not get to the disk."""
        for entry in entries:
            if self.coming.get(entry.key) is entry:
                del self.coming[entry.key]

    def can_ack(self, key: CircuitKey) -> Entry | None:
        """Return the entry that `ack` would remove; None if there is none."""
        entry = self.unacked.get(key)
        if entry is None:
            return None
        at = entry.at
        return None if type(at) is Claim and at.final else entry

    def ackable(self) -> list[Entry]:
        """Return what is unacked, but for Adds that are as good as failed."""
        return [entry for entry in map(self.can_ack, self.unacked) if entry is not None]

    def claim_to_ack(self, claim: Claim, entry: Entry) -> None:
        """Put a packet that can be acked out of everybody's reach, over any claim on it."""
        at = entry.at
        if type(at) is Claim:
            claim.entry = entry
            claim.home = at.home
            entry.at = claim
        else:
            self._claim(claim, entry)

    def _check(self) -> None:
        super()._check()
        assert self.unacked.keys().isdisjoint(self.coming)


def fill(entries: Iterable[Entry], packets: Mapping[int, HTLCPacket]) -> list[CircuitKey]:
    """Give each entry its packet, if it has none; return the keys of those that have none yet."""
    missing = []
    for entry in entries:
        if entry.packet is ON_DISK:
            if entry.number in packets:
                entry.packet = packets[entry.number]
            else:
                missing.append(entry.key)
    return missing
