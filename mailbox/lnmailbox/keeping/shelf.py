"""One class of packets, replies or Adds: what can be done with them. No locks, threads, clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..contract import Hand
from ..errors import PacketAlreadyExists
from ..packet import CircuitKey, HTLCPacket
from .entry import AGAIN, NEVER, NOWHERE, WAITING, Claim, Entry
from .places import Places, Round

__all__ = ["Shelf"]


class Shelf(Places):
    """Packets of one class, each until it is acked or failed.

    lnd: `repPkts`, `repIndex`, `repHead`, and `addPkts`, `addIndex`, `addHead`. Replies are
    packets whose deadline is never.
    """

    __slots__ = ()

    # Adding

    def add(self, packet: HTLCPacket, deadline: int = NEVER) -> None:
        """Append a packet.

        Raises:
            PacketAlreadyExists: a packet with this key is unacked.
        """
        key = packet.in_key
        if key in self.unacked:
            self.refused += 1
            raise PacketAlreadyExists(f"mailbox already has packet {key}")
        if deadline < self._latest:
            self._in_order = False
        self._latest = deadline
        entry = Entry()
        entry.packet = packet
        entry.key = key
        entry.deadline = deadline
        entry.number = self._added
        entry.at = NOWHERE
        self._added += 1
        undelivered = self.undelivered + 1
        self._round.waiting.append(entry)
        self.unacked[key] = entry
        entry.at = WAITING
        self.undelivered = undelivered

    def admit_all(
        self, packets: Sequence[HTLCPacket], deadline: int = NEVER
    ) -> dict[CircuitKey, Entry]:
        """Return what `publish_all` is to append for these packets. Changes nothing.

        Raises:
            PacketAlreadyExists: two have the same key, or one with such a key is unacked.
        """
        entries = {}
        for number, packet in enumerate(packets, self._added):
            key = packet.in_key
            entry = entries[key] = Entry()
            entry.packet = packet
            entry.key = key
            entry.number = number
            entry.deadline = deadline
            entry.at = WAITING
        if len(entries) < len(packets) or not self.unacked.keys().isdisjoint(entries):
            keys = Counter([packet.in_key for packet in packets])
            key = next(key for key in keys if keys[key] > 1 or key in self.unacked)
            self.refused += 1
            raise PacketAlreadyExists(f"mailbox already has packet {key}")
        return entries

    def publish_all(self, entries: dict[CircuitKey, Entry]) -> None:
        """Append what `admit_all` has returned; nothing was added since then.

        `withdraw` must follow if this raises.
        """
        new = list(entries.values())
        if not new:
            return
        deadline = new[0].deadline  # they have one
        if deadline < self._latest:
            self._in_order = False
        self._latest = deadline
        self._added += len(new)
        undelivered = self.undelivered + len(new)
        self._round.waiting.extend(new)
        self.unacked.update(entries)
        self.undelivered = undelivered

    def withdraw(self, entries: dict[CircuitKey, Entry]) -> None:
        """Undo `publish_all`, however far it came."""
        for key, entry in reversed(entries.items()):
            entry.at = NOWHERE
            self.unacked.pop(key, None)
            self._added = entry.number
        self.undelivered = sum(not entry.at.away for entry in self.unacked.values())
        self._sweep()

    # Delivering

    def take(self, now: int) -> HTLCPacket | None:
        """Hand out the first packet; None if there is none, or if its deadline is not after `now`.

        In the second case `undelivered` is not 0, and `expire` removes what is in the way.
        """
        here = self._round
        waiting = here.waiting
        while waiting:
            entry = waiting[0]
            if entry.at.away:
                del waiting[0]
            elif entry.deadline <= now:
                break
            else:
                packet = entry.packet
                undelivered = self.undelivered - 1
                if entry.at is not WAITING:
                    self.redelivered += 1
                entry.at = here
                self.undelivered = undelivered
                del waiting[0]
                return packet
        return None

    def take_into(self, hand: Hand[HTLCPacket], size: int, now: int) -> None:
        """Do as `take` until `hand` has `size` packets, or there are no more.

        If this is interrupted, `put_back` of the hand undoes it.
        """
        here = self._round
        waiting = here.waiting
        missing = size - len(hand)
        taken = 0
        try:
            while True:  # with a condition, Python 3.13 would let interrupts pass the `finally`
                if not waiting or taken >= missing:
                    break
                entry = waiting[0]
                if entry.at.away:
                    del waiting[0]
                elif entry.deadline <= now:
                    break
                else:
                    if entry.at is not WAITING:
                        self.redelivered += 1
                    hand.append(None)
                    hand[-1] = entry.packet
                    entry.at = here
                    del waiting[0]
                    taken += 1
        finally:
            self.undelivered -= taken

    def ack(self, key: CircuitKey) -> bool:
        """Remove a packet wherever it is, in O(1); False if there is none with this key."""
        entry = self.unacked.get(key)
        if entry is None:
            return False
        here = self._round
        if entry.at is here and (not here.slots or here.slots < len(self.unacked)):
            entry.at = NOWHERE
            del self.unacked[entry.key]
            entry.packet = None
        else:
            self._remove(entry)
        return True

    def ack_all(self, keys: Iterable[CircuitKey]) -> int:
        """Do as `ack` for each key; return how many packets were removed."""
        before = len(self.unacked)
        here = self._round
        for key in keys:
            entry = self.unacked.get(key)
            if entry is None:
                continue
            if entry.at is here:  # the way of almost all, without a call
                entry.at = NOWHERE
                del self.unacked[entry.key]
                entry.packet = None
            else:
                self._remove(entry)
        if here.slots > len(self.unacked):
            self._sweep()
        return before - len(self.unacked)

    def nack(self, key: CircuitKey) -> bool:
        """Make a packet that is at the LINK WAITING again, at its place in order of arrival.

        False, and nothing changes, if there is no such packet with this key.
        """
        entry = self.unacked.get(key)
        if entry is None or entry.at is not self._round:
            return False
        self._back(entry, AGAIN)
        return True

    def put_back(self, packets: Iterable[HTLCPacket]) -> list[HTLCPacket]:
        """Do as `nack` for packets that were taken and nobody received.

        Returns those that are not at the LINK under their keys: they are of another shelf, gone,
        or WAITING already, or the link changed their keys, at an earlier delivery.
        """
        left = []
        for packet in packets:
            entry = self.unacked.get(packet.in_key)
            if entry is not None and entry.packet is packet and entry.at is self._round:
                self._back(entry)
            else:
                left.append(packet)
        return left

    def put_back_changed(self, packets: Iterable[HTLCPacket]) -> None:
        """Do as `put_back` for packets whose keys were changed, by a look at every packet."""
        wanted = set(map(id, packets))
        for entry in self.unacked.values():
            if id(entry.packet) in wanted and entry.at is self._round:
                self._back(entry)

    def reset(self, other: Places | None = None) -> None:
        """Make everything WAITING, in order of arrival, but for what is claimed.

        On this shelf and on the other, if there is one: on both, or on none.
        """
        other = other or Places()
        old, old_other = self._round, other._round
        new, new_other = Round(self.unacked.values()), Round(other.unacked.values())
        undelivered = len(self.unacked) - self.claimed
        undelivered_there = len(other.unacked) - other.claimed
        # Nothing is called until all of it is done.
        self._round, other._round = new, new_other
        self.undelivered, other.undelivered = undelivered, undelivered_there
        old.away = old.overdue.away = old.stuck.away = False
        old_other.away = old_other.overdue.away = old_other.stuck.away = False
        for past in (old, old_other):  # which entries still refer to
            past.waiting.clear()
            past.overdue.entries.clear()

    # Expiring and failing

    def expire(self, now: int) -> bool:
        """Make OVERDUE what waits and is due at `now`, and what is STUCK and to be tried again.

        Returns whether something is overdue.
        """
        here = self._round
        here.begin_expiring()
        overdue = here.overdue
        if here.stuck_count and here.retry_at <= now:
            for entry in self.unacked.values():
                if entry.at is here.stuck:
                    overdue.entries[entry] = None
                    entry.at = overdue
                    here.stuck_count -= 1
        if self._in_order:
            while (first := self._first()) is not None and first.deadline <= now:
                self._expire(first)
        else:
            for entry in here.waiting:
                if entry.deadline <= now and not entry.at.away:
                    self._expire(entry)
            deadlines = [entry.deadline for entry in self.unacked.values()]
            in_order = deadlines == sorted(deadlines)
            latest = max(deadlines, default=now)
            self._in_order, self._latest = in_order, latest
        return bool(overdue.entries)

    def first_deadline(self) -> int:
        """Return the deadline of the packet that `take` comes to next; `NEVER` if none."""
        first = self._first()
        return NEVER if first is None else first.deadline

    def next_deadline(self) -> int:
        """Return when `expire` has something to do at the earliest; `NEVER` if never."""
        here = self._round
        if self._in_order:
            deadline = self.first_deadline()
        else:
            deadlines = [entry.deadline for entry in here.waiting if not entry.at.away]
            deadline = min(deadlines, default=NEVER)
        return min(deadline, here.retry_at) if here.stuck_count else deadline

    def earliest_deadline(self) -> int:
        """Return the earliest deadline of all that is unacked; `NEVER` if there is none."""
        deadlines = (entry.deadline for entry in self.unacked.values())
        return next(deadlines, NEVER) if self._in_order else min(deadlines, default=NEVER)

    def claim(self, claim: Claim, key: CircuitKey) -> bool:
        """Put a packet out of everybody's reach, in order to fail it; False if there is none.

        It stays unacked. `take_out` or `give_up` must follow, and both do nothing for any other
        claim than this one.
        """
        entry = self.unacked.get(key)
        return entry is not None and type(entry.at) is not Claim and self._claim(claim, entry)

    def claim_overdue(self, claim: Claim) -> bool:
        """Claim the first packet that is overdue; False if there is none."""
        overdue = self._round.overdue.entries
        return bool(overdue) and self._claim(claim, next(iter(overdue)))

    def take_out(self, claim: Claim) -> bool:
        """Remove a claimed packet, which from now on is to be failed; False if it was acked."""
        entry = claim.entry
        if entry is None or entry.at is not claim:
            return False
        self._remove(entry, claim)
        return True

    def give_up(self, claim: Claim, retry_at: int) -> None:
        """Put a claimed packet back to where it was; one that is overdue becomes STUCK.

        What is stuck is tried again together, at the first one's `retry_at`. Nothing changes if
        the claim is over.
        """
        entry, home, here = claim.entry, claim.home, self._round
        if entry is None or entry.at is not claim:
            return
        if not home.away:  # it was WAITING, or there was a reset
            self._back(entry, WAITING if home is WAITING else AGAIN)
        elif home is here:
            entry.at = here
            self.claimed -= 1
        else:
            if not here.stuck_count:
                here.retry_at = retry_at
            entry.at = here.stuck
            here.stuck_count += 1
            self.claimed -= 1
