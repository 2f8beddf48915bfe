"""One class of packets, replies or Adds: what can be done with them. No locks, threads, clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..contract import Hand
from ..errors import PacketAlreadyExists
from ..packet import CircuitKey, HTLCPacket
from .entry import NEVER, NOWHERE, Claim, Entry
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
        entry.at = None
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
            entry.at = None
        if len(entries) < len(packets) or not self.unacked.keys().isdisjoint(entries):
            keys = Counter([packet.in_key for packet in packets])
            key = next(key for key in keys if keys[key] > 1 or key in self.unacked)
            raise PacketAlreadyExists(f"mailbox already has packet {key}")
        return entries

    def publish_all(self, entries: dict[CircuitKey, Entry]) -> None:
        """Append what `admit_all` returned just before. `withdraw` must follow if this raises."""
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
        for key, entry in entries.items():
            entry.at = NOWHERE
            self.unacked.pop(key, None)
        self._recount()

    # Delivering

    def take(self, now: int) -> HTLCPacket | None:
        """Hand out the first packet; None if there is none, or if its deadline is not after `now`.

        In the second case `undelivered` is not 0, and `expire` removes what is in the way.
        """
        here = self._round
        waiting = here.waiting
        while waiting:
            entry = waiting[0]
            at = entry.at
            if at is not None and (
                at is here or (type(at) is not Round and not self._is_waiting(entry))
            ):
                del waiting[0]
            elif entry.deadline <= now:
                break
            else:
                packet = entry.packet
                undelivered = self.undelivered - 1
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
            while waiting and taken < missing:
                entry = waiting[0]
                at = entry.at
                if at is not None and (
                    at is here or (type(at) is not Round and not self._is_waiting(entry))
                ):
                    del waiting[0]
                elif entry.deadline <= now:
                    break
                else:
                    hand.append(entry.packet)
                    entry.at = here
                    del waiting[0]
                    taken += 1
            self.undelivered -= taken
        except BaseException:
            self._recount()
            raise

    def ack(self, key: CircuitKey) -> bool:
        """Remove a packet wherever it is, in O(1); False if there is none with this key."""
        entry = self.unacked.get(key)
        if entry is None:
            return False
        at = entry.at
        if at is self._round:
            entry.at = NOWHERE
            del self.unacked[key]
            entry.packet = None
        elif at is None or type(at) is Round:
            undelivered = self.undelivered - 1
            entry.at = NOWHERE
            del self.unacked[key]
            entry.packet = None
            self.undelivered = undelivered
            self._sweep()
        else:
            self._remove(entry, at)
        return True

    def ack_all(self, keys: Iterable[CircuitKey]) -> int:
        """Do as `ack` for each key; return how many packets were removed."""
        before = len(self.unacked)
        here = self._round
        for key in keys:
            entry = self.unacked.get(key)
            if entry is not None:
                if entry.at is here:  # the way of almost all, without a call
                    entry.at = NOWHERE
                    del self.unacked[key]
                    entry.packet = None
                else:
                    self.ack(key)
        return before - len(self.unacked)

    def nack(self, key: CircuitKey) -> bool:
        """Make a packet that is at the LINK WAITING again, at its place in order of arrival.

        False, and nothing changes, if there is no such packet with this key.
        """
        entry = self.unacked.get(key)
        if entry is None or entry.at is not self._round:
            return False
        self._back(entry)
        return True

    def put_back(self, packet: HTLCPacket) -> None:
        """Do as `nack` for a packet that was taken and nobody received."""
        entry = self.unacked.get(packet.in_key)
        if entry is None or entry.packet is not packet:
            # The link changed the packet, at an earlier delivery.
            entry = next((e for e in self.unacked.values() if e.packet is packet), None)
        if entry is not None and entry.at is self._round:
            self._back(entry)

    def reset(self) -> None:
        """Make everything WAITING, in order of arrival, but for what is claimed. Or nothing."""
        old, new = self._round, Round(self.unacked.values())
        count = len(self.unacked) - len(self._claimed)
        self._round = new
        self.undelivered = count
        for container in (old.waiting, old.overdue, old.stuck):
            container.clear()  # some entries' `at` is still one of them

    # Expiring and failing

    def expire(self, now: int) -> bool:
        """Make OVERDUE what waits and is due at `now`, and what is STUCK and to be tried again.

        Returns whether something is overdue.
        """
        here = self._round
        if here.stuck and here.retry_at <= now:
            for entry in list(here.stuck):
                here.overdue[entry] = None
                entry.at = here.overdue
                del here.stuck[entry]
        if self._in_order:
            while (first := self._first()) is not None and first.deadline <= now:
                self._expire(first)
        else:
            for entry in list(here.waiting):
                if entry.deadline <= now and self._is_waiting(entry):
                    self._expire(entry)
            self._sweep()
            deadlines = [entry.deadline for entry in self.unacked.values()]
            self._in_order = deadlines == sorted(deadlines)
            self._latest = max(deadlines, default=now)
        return bool(here.overdue)

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
            waiting = filter(self._is_waiting, here.waiting)
            deadline = min((entry.deadline for entry in waiting), default=NEVER)
        return min(deadline, here.retry_at) if here.stuck else deadline

    def earliest_deadline(self) -> int:
        """Return the earliest deadline of all that is unacked; `NEVER` if there is none."""
        if self._in_order:
            return next((entry.deadline for entry in self.unacked.values()), NEVER)
        return min((entry.deadline for entry in self.unacked.values()), default=NEVER)

    def claim(self, claim: Claim, key: CircuitKey) -> bool:
        """Put a packet out of everybody's reach, in order to fail it; False if there is none.

        It stays unacked. `take_out` or `give_up` must follow, and both do nothing for any other
        claim than this one.
        """
        entry = self.unacked.get(key)
        return entry is not None and type(entry.at) is not Claim and self._claim(claim, entry)

    def claim_overdue(self, claim: Claim) -> bool:
        """Claim the first packet that is overdue; False if there is none."""
        overdue = self._round.overdue
        return bool(overdue) and self._claim(claim, next(iter(overdue)))

    def take_out(self, claim: Claim) -> bool:
        """Remove a claimed packet, which from now on is to be failed; False if it was acked."""
        entry = claim.entry
        if entry is None or entry.at is not claim:
            return False
        claim.out = True
        entry.at = NOWHERE
        del self.unacked[entry.key], self._claimed[entry]
        entry.packet = None
        self._sweep()
        return True

    def give_up(self, claim: Claim, retry_at: int) -> Entry | None:
        """Put a claimed packet back to where it was; one that is overdue becomes STUCK.

        What is stuck is tried again together, at the first one's `retry_at`. None, and nothing
        changes, if the claim is over.
        """
        entry = claim.entry
        if entry is None or entry.at is not claim:
            return None
        here = self._round
        if claim.home is here:
            entry.at = here
        elif claim.home is here.overdue or claim.home is here.stuck:
            if not here.stuck:
                here.retry_at = retry_at
            here.stuck[entry] = None
            entry.at = here.stuck
        else:
            self._back(entry)
        del self._claimed[entry]
        return entry
