"""A mailbox over any store: the lock, the life, the outboxes and the returns desk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from ..clock import seconds_to_ns
from ..contract import (
    MailBox,
    MailBoxConfig,
    MailBoxStatistics,
    Outbox,
    require_config,
    require_short_chan_id,
)
from ..errors import MailBoxShuttingDown
from ..failing.desk import ReturnsDesk
from ..keeping.entry import NEVER, Entry, Place
from ..keeping.messages import wire_size
from ..keeping.store import Store
from ..life import Life
from ..packet import CircuitKey, HTLCPacket, is_add, require_key, require_packet
from ..receiving.outbox import LocalOutbox
from ..wire import Message, ShortChannelID, UpdateAddHTLC
from ..wire.shown import shown
from .describing import describe_mailbox

__all__ = ["BaseMailBox", "checked"]

_SECOND_NS = 1_000_000_000

_T = TypeVar("_T")


class Admitted(NamedTuple):
    """Packets that may be added, each with its place in the order of arrival."""

    replies: dict[CircuitKey, Entry]
    adds: dict[CircuitKey, Entry]
    deadline: int  # of the Adds


class BaseMailBox(MailBox):
    """A mailbox whose packets are on the shelves of a store.

    Each method is one critical section: it checks, then tells whoever waits, then changes the
    store in one step. So an interrupt leaves it done or undone.

    Adding is two steps, `_admit_locked` and `_publish_locked`. A kind of mailbox that has
    something to do between them, such as a commit, overrides `add_packets`.
    """

    _released: list[HTLCPacket] | None = None  # what `release` returns

    # Bound in the class: at the interpreter's end this module may have no `sys` any more.
    _is_finalizing = staticmethod(sys.is_finalizing)

    def __init__(self, config: MailBoxConfig, store: Store) -> None:
        require_config(MailBoxConfig, config)
        self._config = config
        self._now_ns = config.clock.now_ns
        self._expiry_ns = seconds_to_ns("expiry", config.expiry)
        self._size_of = _unsized if config.max_wire_bytes is None else wire_size
        life = Life(config.short_chan_id)
        self._life = life
        self._lock = life.lock  # guards everything below
        self._store = store
        self._messages = store.messages
        self._replies = store.replies
        self._adds = store.adds
        self._message_outbox: LocalOutbox[Message] = LocalOutbox("messages", life, store.messages)
        self._packet_outbox: LocalOutbox[HTLCPacket] = LocalOutbox("packets", life, store)
        self._desk = self._make_desk(config, life, store)
        store.look_again = self._desk.alarm.ring_soon

    def _make_desk(self, config: MailBoxConfig, life: Life, store: Store) -> ReturnsDesk:
        return ReturnsDesk(config, life, store.adds, self._packet_outbox)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._life}>"

    @property
    def short_chan_id(self) -> ShortChannelID:
        return self._life.short_chan_id

    @short_chan_id.setter
    def short_chan_id(self, short_chan_id: ShortChannelID) -> None:
        require_short_chan_id(short_chan_id)
        self._rename(short_chan_id)

    def _rename(self, short_chan_id: ShortChannelID) -> None:
        self._life.short_chan_id = short_chan_id

    @property
    def message_outbox(self) -> Outbox[Message]:
        return self._message_outbox

    @property
    def packet_outbox(self) -> Outbox[HTLCPacket]:
        return self._packet_outbox

    def add_message(self, message: Message) -> None:
        if message is None:
            raise TypeError("message must be a wire message, got None")
        size = self._size_of(message)
        outbox = self._message_outbox
        try:
            self._lock.acquire()
            if self._life.stopped:
                raise MailBoxShuttingDown
            if outbox._bells or outbox._listeners:
                outbox._ring_locked()
            self._messages.add(message, size)
            self._lock.release()
        except BaseException:
            try:
                self._lock.release()
            except RuntimeError:  # it is not held
                pass
            raise

    def add_packet(self, packet: HTLCPacket) -> None:
        self.add_packets((packet,))

    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        packets = checked(packets, "packets", HTLCPacket, require_packet)
        with self._lock:
            self._publish_locked(self._admit_locked(packets))

    def _admit_locked(self, packets: Sequence[HTLCPacket]) -> Admitted:
        """Give each packet its place in the order, or raise as `add_packets` does.

        Changes nothing. `_publish_locked` may follow later, after the lock was released. Then
        nothing else may be admitted in between, in any thread.
        """
        self._life.require_not_stopped()
        adds = [packet for packet in packets if type(packet.htlc) is UpdateAddHTLC]
        replies = []
        if len(adds) < len(packets):
            replies = [packet for packet in packets if not is_add(packet)]
        now = self._now_ns()
        deadline = now + self._expiry_ns
        return Admitted(
            self._replies.admit_all(replies, NEVER + now),
            self._adds.admit_all(adds, deadline),
            deadline,
        )

    def _publish_locked(self, admitted: Admitted) -> None:
        """Make the packets deliverable, all or none, and tell receivers and the returns desk."""
        replies, adds, deadline = admitted
        if adds:
            self._desk.watch_locked(deadline)
        self._packet_outbox._ring_locked(len(replies) + len(adds))
        try:
            self._replies.publish_all(replies)
            self._adds.publish_all(adds)
        except BaseException:
            self._replies.withdraw(replies)
            self._adds.withdraw(adds)
            raise

    def has_packet(self, key: CircuitKey) -> bool:
        require_key(key)
        with self._lock:
            return key in self._replies.unacked

    def ack_packet(self, key: CircuitKey) -> bool:
        if type(key) is not CircuitKey:
            require_key(key)
        try:
            self._lock.acquire()
            shelf = self._replies if key in self._replies.unacked else self._adds
            acked = shelf.ack(key)
            self._lock.release()
        except BaseException:
            try:
                self._lock.release()
            except RuntimeError:  # it is not held
                pass
            raise
        return acked

    def ack_packets(self, keys: Iterable[CircuitKey]) -> int:
        if isinstance(keys, CircuitKey):
            raise TypeError(f"keys must be several CircuitKeys, got one: ack_packet({keys!r})")
        keys = checked(keys, "keys", CircuitKey, require_key)
        with self._lock:
            if self._replies.unacked:
                return sum(self._replies.ack(key) or self._adds.ack(key) for key in keys)
            return self._adds.ack_all(keys)

    def nack_packet(self, key: CircuitKey) -> bool:
        require_key(key)
        with self._lock:
            self._life.require_not_stopped()
            shelf = self._replies if self._replies.place(key) is Place.LINK else self._adds
            if shelf.place(key) is Place.LINK:
                self._packet_outbox._ring_locked()
                self._desk.watch_locked(shelf.unacked[key].deadline)
                return shelf.nack(key)
        return False

    def fail_add(self, packet: HTLCPacket) -> bool:
        require_packet(packet)
        return self._desk.fail(packet.in_key)

    def reset_messages(self) -> None:
        with self._lock:
            self._life.require_not_stopped()
            self._messages.clear()

    def reset_packets(self) -> None:
        with self._lock:
            self._life.require_not_stopped()
            self._packet_outbox._ring_all_locked()
            self._desk.watch_locked(self._adds.earliest_deadline())
            self._store.reset()

    def start(self) -> None:
        with self._lock:
            self._life.require_not_stopped()
            self._message_outbox._ring_all_locked()
            self._packet_outbox._ring_all_locked()
            self._desk.open_locked()
            self._life.running = True

    def signal_stop(self) -> None:
        if self._is_finalizing():
            return  # a frozen thread may have the lock
        with self._lock:
            self._message_outbox._ring_all_locked()
            self._packet_outbox._ring_all_locked()
            self._desk.signal_quit_locked()
            self._life.stopped = True
            self._life.running = False

    def stop(self) -> None:
        self.signal_stop()
        if not self._is_finalizing():
            self._desk.close()

    def unacked(self) -> list[HTLCPacket]:
        with self._lock:
            return self._replies.packets() + self._adds.packets()

    def release(self) -> list[HTLCPacket]:
        with self._lock:
            if self._released is None:
                self._released = self._replies.packets() + self._adds.packets()
            try:
                self._let_go_locked()
            except BaseException:
                self._let_go_locked()
                raise
            return list(self._released)

    def _let_go_locked(self) -> None:
        """Forget what was released, so that nobody can ack or fail it here any more."""
        for shelf in (self._replies, self._adds):
            shelf.ack_all(list(shelf.unacked))

    def has_mail(self) -> bool:
        """Whether there are unacked packets, or a Fail that the switch may not have had."""
        with self._lock:
            return bool(self._replies.unacked or self._adds.unacked)

    def statistics(self) -> MailBoxStatistics:
        messages, replies, adds, desk = self._messages, self._replies, self._adds, self._desk
        outboxes = self._message_outbox, self._packet_outbox
        with self._lock:
            now = self._now_ns()
            overdue = adds.overdue + adds.count_due(now)
            return MailBoxStatistics(
                messages=len(messages),
                message_bytes=messages.bytes,
                messages_refused=messages.refused,
                replies_unacked=len(replies.unacked),
                replies_undelivered=replies.undelivered,
                replies_delivered=replies.delivered,
                oldest_reply_age=replies.oldest_age_ns(now, NEVER) / _SECOND_NS,
                adds_unacked=len(adds.unacked),
                adds_undelivered=adds.undelivered + adds.overdue - overdue,
                adds_delivered=adds.delivered,
                adds_overdue=overdue,
                adds_being_failed=adds.claimed,
                oldest_add_age=adds.oldest_age_ns(now, self._expiry_ns) / _SECOND_NS,
                packets_refused=replies.refused + adds.refused,
                packets_redelivered=replies.redelivered + adds.redelivered,
                packets_acked=replies.removed + adds.removed - desk.adds_failed,
                adds_failed=desk.adds_failed,
                adds_expired=desk.adds_expired,
                encrypt_errors=desk.encrypt_errors,
                forward_errors=desk.forward_errors,
                receivers=sum(len(outbox._bells) for outbox in outboxes),
                listeners=sum(len(outbox._listeners) for outbox in outboxes),
            )

    def describe(self) -> str:
        return describe_mailbox(repr(self), self.statistics(), self._config, self._desk.trouble())


def _unsized(message: object) -> int:
    """Return 0: without a budget of bytes, nobody asks for them."""
    return 0


def checked(
    values: Iterable[_T], name: str, kind: type[_T], require: Callable[[object], None]
) -> list[_T]:
    """Return the values as a list. Raise TypeError if one is not as required."""
    try:
        iterator = iter(values)
    except TypeError:
        raise TypeError(f"{name} must be iterable, got {shown(values)}") from None
    listed = list(iterator)
    if set(map(type, listed)) - {kind}:  # of these, nothing is required
        for value in listed:
            require(value)
    return listed
