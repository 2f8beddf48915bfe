"""What is unacked, undelivered, overdue: data structures that know no locks and no threads.

`PacketQueue` keeps the packets of one class, and `AddQueue` is one whose packets expire.

KeyboardInterrupt strikes after calls. So where a packet moves from one place to another there
is no call between the two steps, and it is found in exactly one of them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import islice
from operator import attrgetter

from .errors import PacketAlreadyExists
from .packet import CircuitKey, HTLCPacket

__all__ = ["AddQueue", "PacketQueue", "QueuedPacket"]

_number = attrgetter("number")

# Values of `taken` that are no round.
_NEVER = -1
_APART = -2  # overdue, stuck or claimed


class QueuedPacket:
    """A packet in its queue (lnd: `pktWithExpiry`).

    Filled in by the queue: without an `__init__` an `add` takes 50 ns less.
    """

    __slots__ = ("deadline", "key", "number", "packet", "taken")

    packet: HTLCPacket | None  # None once acked
    key: CircuitKey  # the packet's own may change after delivery
    number: int  # its place in the order of arrival
    deadline: int  # ns on the mailbox's clock; of no meaning for a reply
    taken: int  # the round in which it was handed out; if none, a negative number


class PacketQueue:
    """Packets in order of arrival, each until it is acked (lnd: `repPkts`, `repIndex`, `repHead`).

    `reset` begins a new round, and in each round a packet is handed out once; until then it is
    undelivered and in `waiting`. What is acked there stays as an empty shell, until it comes up
    or there are more shells than unacked packets.
    """

    __slots__ = ("_added", "_latest", "_round", "_shells", "in_order", "unacked", "waiting")

    def __init__(self) -> None:
        self.unacked: dict[CircuitKey, QueuedPacket] = {}
        self.waiting: deque[QueuedPacket] = deque()
        self._shells = 0
        self._round = 0
        self._added = 0
        self._latest = 0  # the deadline added last
        # Whether no deadline is before an earlier packet's; not so once the clock went back.
        self.in_order = True

    @property
    def undelivered(self) -> int:
        """How many packets are still to be handed out in this round."""
        return len(self.waiting) - self._shells

    def add(self, packet: HTLCPacket, deadline: int = 0) -> None:
        """Append a packet.

        Raises:
            PacketAlreadyExists: one with its key is unacked.
        """
        key = packet.in_key
        if key in self.unacked:
            raise PacketAlreadyExists(f"mailbox already has packet {key}")
        queued = QueuedPacket()
        queued.packet = packet
        queued.key = key
        queued.number = self._added
        queued.deadline = deadline
        queued.taken = _NEVER
        self._added += 1
        if deadline < self._latest:
            self.in_order = False
        self._latest = deadline
        self.unacked[key] = queued
        self.waiting.append(queued)

    def prepare(
        self, packets: Sequence[HTLCPacket], deadline: int = 0
    ) -> dict[CircuitKey, QueuedPacket]:
        """Return what `extend` is to append for these packets. Changes nothing.

        Raises:
            PacketAlreadyExists: two have the same key, or one with such a key is unacked.
        """
        prepared = {}
        for number, packet in enumerate(packets, self._added):
            key = packet.in_key
            queued = prepared[key] = QueuedPacket()
            queued.packet = packet
            queued.key = key
            queued.number = number
            queued.deadline = deadline
            queued.taken = _NEVER
        if len(prepared) < len(packets) or not self.unacked.keys().isdisjoint(prepared):
            keys = Counter([packet.in_key for packet in packets])
            key = next(key for key in keys if keys[key] > 1 or key in self.unacked)
            raise PacketAlreadyExists(f"mailbox already has packet {key}")
        return prepared

    def extend(self, prepared: dict[CircuitKey, QueuedPacket]) -> None:
        """Append what `prepare` returned just before."""
        new = list(prepared.values())
        if new:
            self.in_order = self.in_order and new[0].deadline >= self._latest
            self._latest = new[0].deadline  # they have one
        self._added += len(new)
        self.unacked |= prepared
        self.waiting += new

    def take(self) -> HTLCPacket | None:
        """Hand out the first undelivered packet; None if there is none."""
        waiting = self.waiting
        while waiting:
            queued = waiting[0]
            queued.taken = self._round
            del waiting[0]
            if queued.packet is not None:
                return queued.packet
            self._shells -= 1
        return None

    def take_into(self, batch: list[HTLCPacket], size: int) -> None:
        """Hand out undelivered packets to the end of `batch` until it has `size` items."""
        waiting = self.waiting
        this_round = self._round
        while waiting and len(batch) < size:
            queued = waiting[0]
            queued.taken = this_round
            del waiting[0]
            if queued.packet is not None:
                batch.append(queued.packet)
            else:
                self._shells -= 1

    def ack(self, key: CircuitKey) -> bool:
        """Remove a packet wherever it stands, in O(1); False if there is none with this key."""
        queued = self.unacked.get(key)
        if queued is None:
            return False
        if queued.taken != self._round and self._leaves_shell(queued):
            self._shells += 1
        del self.unacked[key]
        queued.packet = None
        if self._shells and self._shells > len(self.unacked):
            self._drop_shells()
        return True

    def ack_all(self, keys: Iterable[CircuitKey]) -> int:
        """Do as `ack` for each key; return how many packets were removed."""
        before = len(self.unacked)
        for key in keys:
            queued = self.unacked.get(key)
            if queued is not None:
                if queued.taken != self._round and self._leaves_shell(queued):
                    self._shells += 1
                del self.unacked[key]
                queued.packet = None
        if self._shells and self._shells > len(self.unacked):
            self._drop_shells()
        return before - len(self.unacked)

    def nack(self, key: CircuitKey) -> bool:
        """Make a packet that was handed out in this round undelivered again, at its old place.

        False, and nothing changes, if there is no such packet with this key.
        """
        queued = self.unacked.get(key)
        if queued is None or queued.taken != self._round:
            return False
        self._put_back(queued)
        return True

    def put_back(self, packet: HTLCPacket) -> None:
        """Do as `nack` does for a packet that was handed out and nobody received.

        By identity, which takes O(n): its key may not be the one it was added under.
        """
        for queued in reversed(self.unacked.values()):
            if queued.packet is packet and queued.taken == self._round:
                self._put_back(queued)
                break

    def reset(self) -> None:
        """Make every unacked packet undelivered again, in order of arrival."""
        waiting = deque(self.unacked.values())
        self.waiting = waiting
        self._shells = 0
        self._round += 1

    def _put_back(self, queued: QueuedPacket) -> None:
        queued.taken = _NEVER
        insort(self.waiting, queued, key=_number)

    def _leaves_shell(self, queued: QueuedPacket) -> bool:
        """Whether a packet that no link has is in `waiting`, and so leaves a shell there."""
        return True

    def _drop_shells(self) -> None:
        self.waiting = deque(left for left in self.waiting if left.packet)
        self._shells = 0

    def _check(self) -> None:
        """Assert every invariant; for tests."""
        undelivered = [queued for queued in self.waiting if queued.packet]
        assert self._shells == len(self.waiting) - len(undelivered)
        assert self._shells <= len(self.unacked)
        assert undelivered == sorted(undelivered, key=_number)
        assert all(self.unacked[queued.key] is queued for queued in undelivered)
        assert all(queued.taken != self._round for queued in undelivered)
        numbers = [queued.number for queued in self.unacked.values()]
        assert numbers == sorted(set(numbers))
        assert all(q.packet and q.key == key for key, q in self.unacked.items())
        deadlines = [queued.deadline for queued in self.unacked.values()]
        assert not self.in_order or deadlines == sorted(deadlines)


class AddQueue(PacketQueue):
    """Adds, which expire while undelivered (lnd: `addPkts`, `addIndex`, `addHead`).

    An expired Add is overdue: out of delivery, it waits to be failed back. Who fails an Add
    claims it first, so that two can't. An overdue one that could not be failed is stuck, and
    is overdue again at `_retry_at`.
    """

    __slots__ = ("_claimed", "_overdue", "_retry_at", "_stuck")

    def __init__(self) -> None:
        super().__init__()
        self._overdue: OrderedDict[CircuitKey, QueuedPacket] = OrderedDict()
        self._stuck: dict[CircuitKey, QueuedPacket] = {}
        self._retry_at = 0
        # The claimed Adds, and whether the link has each of them.
        self._claimed: dict[QueuedPacket, bool] = {}

    @property
    def overdue(self) -> int:
        """How many expired Adds wait to be failed back."""
        return len(self._overdue) + len(self._stuck)

    def expire(self, now: int) -> bool:
        """Make overdue what is undelivered and has a deadline of `now` or earlier.

        To be called before an Add is taken, unless `in_order` and the first one is not due.
        Returns whether there is something to claim.
        """
        if self._stuck and self._retry_at <= now:
            self._overdue.update(self._stuck)
            self._stuck.clear()
        if not self.in_order:
            self._expired_to_the_front(now)
        waiting = self.waiting
        while waiting and waiting[0].deadline <= now:
            queued = waiting[0]
            queued.taken = _APART
            del waiting[0]
            if queued.packet is not None:
                self._overdue[queued.key] = queued
            else:
                self._shells -= 1
        return bool(self._overdue)

    def next_deadline(self) -> int | None:
        """When `expire` has something to do at the earliest; None if never."""
        deadlines = [self._retry_at] if self._stuck else []
        stop = 1 if self.in_order else None
        deadlines += [queued.deadline for queued in islice(self.waiting, stop)]
        return min(deadlines, default=None)

    def reset(self) -> None:
        self._overdue = OrderedDict()
        self._stuck = {}
        super().reset()
        for queued in self._claimed:
            if queued.packet is not None:
                self._withdraw(queued)
                self._claimed[queued] = False

    def claim(self, key: CircuitKey) -> QueuedPacket | None:
        """Take an Add out of everybody's reach in order to fail it; None if there is none.

        It stays unacked. `remove` or `give_up` must follow.
        """
        queued = self.unacked.get(key)
        if queued is None or queued in self._claimed:
            return None
        with_link = queued.taken == self._round
        if with_link:
            queued.taken = _APART
        elif not (self._overdue.pop(key, None) or self._stuck.pop(key, None)):
            self._withdraw(queued)
        self._claimed[queued] = with_link
        return queued

    def claim_overdue(self) -> QueuedPacket | None:
        """Claim the first overdue Add; None if there is none."""
        return self.claim(next(iter(self._overdue))) if self._overdue else None

    def remove(self, queued: QueuedPacket) -> bool:
        """Ack a claimed Add; False if it was acked meanwhile."""
        acked = queued.packet is not None and self.ack(queued.key)
        del self._claimed[queued]
        return acked

    def give_up(self, queued: QueuedPacket, now: int, retry_at: int) -> bool:
        """Put a claimed Add back where it was; as stuck if it is overdue.

        What is stuck is tried again together, at the `retry_at` of the first. False, and nothing
        changes, if the Add is not claimed.
        """
        if queued not in self._claimed:
            return False
        with_link = self._claimed.pop(queued)
        if queued.packet is None:
            return True
        if with_link:
            queued.taken = self._round
        elif queued.deadline <= now:
            if not self._stuck:
                self._retry_at = retry_at
            self._stuck[queued.key] = queued
        else:
            self._put_back(queued)
        return True

    def _withdraw(self, queued: QueuedPacket) -> None:
        queued.taken = _APART
        del self.waiting[bisect_left(self.waiting, queued.number, key=_number)]

    def _leaves_shell(self, queued: QueuedPacket) -> bool:
        if queued.key in self._overdue:
            del self._overdue[queued.key]
        elif queued.key in self._stuck:
            del self._stuck[queued.key]
        elif queued not in self._claimed:
            return True
        return False

    def _expired_to_the_front(self, now: int) -> None:
        """Reorder `waiting` for `expire`, at O(n): after the clock went back, and thus rarely."""
        left = [queued for queued in self.waiting if queued.packet]
        left.sort(key=lambda queued: queued.deadline > now)
        self.waiting = deque(left)
        self._shells = 0
        deadlines = [queued.deadline for queued in self.unacked.values()]
        self.in_order = deadlines == sorted(deadlines)
        self._latest = max(deadlines, default=now)

    def _check(self) -> None:
        super()._check()
        claimed = [queued for queued in self._claimed if queued.packet]
        apart = [*self._overdue.values(), *self._stuck.values(), *claimed]
        assert all(self.unacked[queued.key] is queued for queued in apart)
        assert all(queued.taken == _APART for queued in apart)
        with_link = [q for q in self.unacked.values() if q.taken == self._round]
        everywhere = [*apart, *with_link, *(q for q in self.waiting if q.packet)]
        assert len(everywhere) == len(set(everywhere)) == len(self.unacked)
