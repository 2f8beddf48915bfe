"""The mailbox that keeps its mail in memory (lnd: `memoryMailBox`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from .alarms import Alarm, Watch
from .clock import seconds_to_ns
from .contract import MailBox, MailBoxConfig, MailBoxStatistics
from .courier import Courier
from .errors import MailBoxShuttingDown
from .fail_add import make_fail_packet
from .message_queue import MessageQueue
from .outbox import Outbox, release_if_held
from .packet import CircuitKey, HTLCPacket, is_add, require_reply
from .packet_source import PacketSource
from .queues import AddQueue, PacketQueue, QueuedPacket
from .wire import Message, UpdateAddHTLC

__all__ = ["MemoryMailBox"]

_logger = logging.getLogger(__name__)

# How long to wait, at least, before something is tried again that failed.
_RETRY_NS = 1_000_000_000


class MemoryMailBox(MailBox):
    """A `MailBox` whose mail lives as long as the process, in a deque and a dict per class.

    It owns no thread: its Adds' deadlines are watched by the thread of its clock, and a courier
    is started when Adds have expired. Memory is bounded by what is unacked.
    """

    def __init__(self, config: MailBoxConfig) -> None:
        self.short_chan_id = config.short_chan_id
        self._config = config
        self._now_ns = config.clock.now_ns
        self._expiry_ns = seconds_to_ns("expiry", config.expiry)

        # Guards everything below. The methods that are called for each item take it without
        # `with`, which saves 50 to 80 ns each time. It is an RLock because only that can tell
        # whether it is held when KeyboardInterrupt comes between taking it and the next line.
        self._lock = threading.RLock()
        self._running = False
        self._stopped = False
        self._messages = MessageQueue()
        self._replies = PacketQueue()
        self._adds = AddQueue()
        self._message_outbox: Outbox[Message] = Outbox(self._lock, self._messages)
        self._packet_outbox: Outbox[HTLCPacket] = Outbox(
            self._lock,
            PacketSource(self._replies, self._adds, self._now_ns, self._watch_waiting_adds_locked),
        )
        self._alarm = Alarm(Watch.of(config.clock), self._on_deadline)
        # When the alarm rings; never later than an Add of this running mailbox is due.
        self._alarm_at: int | None = None
        self._courier: Courier | None = None
        self._courier_busy = False
        self._quit: threading.Event | None = None  # made for the first callback that gets it
        self._adds_failed = 0
        self._adds_expired = 0
        self._encrypt_errors = 0
        self._forward_errors = 0

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "running" if self._running else "not started"
        return f"<MemoryMailBox {self.short_chan_id}, {state}>"

    @property
    def message_outbox(self) -> Outbox[Message]:
        return self._message_outbox

    @property
    def packet_outbox(self) -> Outbox[HTLCPacket]:
        return self._packet_outbox

    def add_message(self, message: Message) -> None:
        if message is None:
            raise TypeError("message must be a wire message, got None")
        outbox = self._message_outbox
        try:
            self._lock.acquire()
            if self._stopped:
                raise MailBoxShuttingDown
            self._messages.waiting.append(message)
            if outbox.waiting:
                outbox.notify_locked()
            self._lock.release()
        except BaseException as error:
            outbox.recover(error)
            raise
        if outbox.listeners:
            outbox.tell_listeners()

    def add_packet(self, packet: HTLCPacket) -> None:
        outbox = self._packet_outbox
        try:
            self._lock.acquire()
            if self._stopped:
                raise MailBoxShuttingDown
            if type(packet.htlc) is UpdateAddHTLC:
                deadline = self._now_ns() + self._expiry_ns
                if self._alarm_at is None or deadline < self._alarm_at:  # saves a call
                    self._watch_locked(deadline)
                self._adds.add(packet, deadline)
            else:
                require_reply(packet)
                self._replies.add(packet)
            if outbox.waiting:
                outbox.notify_locked()
            self._lock.release()
        except BaseException as error:
            outbox.recover(error)
            raise
        if outbox.listeners:
            outbox.tell_listeners()

    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        packets = list(packets)
        adds = [packet for packet in packets if type(packet.htlc) is UpdateAddHTLC]
        replies = []
        if len(adds) < len(packets):
            replies = [packet for packet in packets if not is_add(packet)]
        outbox = self._packet_outbox
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            deadline = self._now_ns() + self._expiry_ns
            new_replies = self._replies.prepare(replies)
            new_adds = self._adds.prepare(adds, deadline)
            if new_adds:
                self._watch_locked(deadline)
            self._replies.extend(new_replies)
            self._adds.extend(new_adds)
            outbox.notify_locked(len(new_replies) + len(new_adds))
        outbox.tell_listeners()

    def has_packet(self, key: CircuitKey) -> bool:
        with self._lock:
            return key in self._replies.unacked

    def ack_packet(self, key: CircuitKey) -> bool:
        try:
            self._lock.acquire()
            queue = self._replies if key in self._replies.unacked else self._adds
            acked = queue.ack(key)
            self._lock.release()
            return acked
        except BaseException:
            release_if_held(self._lock)
            raise

    def ack_packets(self, keys: Iterable[CircuitKey]) -> int:
        keys = list(keys)
        with self._lock:
            if not self._replies.unacked:
                return self._adds.ack_all(keys)
            return sum(self._replies.ack(key) or self._adds.ack(key) for key in keys)

    def nack_packet(self, key: CircuitKey) -> bool:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            found = self._replies.nack(key) or self._adds.nack(key)
            if found:
                self._watch_waiting_adds_locked()
                self._packet_outbox.notify_locked()
        if found:
            self._packet_outbox.tell_listeners()
        return found

    def fail_add(self, packet: HTLCPacket) -> bool:
        add = None
        try:
            with self._lock:
                add = self._adds.claim(packet.in_key)
            return add is not None and self._fail_claimed(add)
        except BaseException:
            if add is not None:
                self._give_up(add)  # if an interrupt has left it claimed
            raise

    def reset_messages(self) -> None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            self._messages.waiting.clear()

    def reset_packets(self) -> None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            self._replies.reset()
            self._adds.reset()
            self._watch_waiting_adds_locked()
            self._packet_outbox.notify_all_locked()
        self._packet_outbox.tell_listeners()

    def start(self) -> None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            self._running = True
            self._watch_waiting_adds_locked()
            self._message_outbox.open_locked()
            self._packet_outbox.open_locked()
        self._tell_all_listeners()

    def signal_stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._running = False
            if self._quit is not None:
                self._quit.set()
            self._message_outbox.close_locked()
            self._packet_outbox.close_locked()
        self._tell_all_listeners()

    def stop(self) -> None:
        self.signal_stop()
        self._alarm.cancel()
        if self._courier is not None:
            self._courier.join_courier()

    def statistics(self) -> MailBoxStatistics:
        with self._lock:
            return MailBoxStatistics(
                messages=len(self._messages),
                replies_unacked=len(self._replies.unacked),
                replies_undelivered=self._replies.undelivered,
                adds_unacked=len(self._adds.unacked),
                adds_undelivered=self._adds.undelivered,
                adds_overdue=self._adds.overdue,
                adds_failed=self._adds_failed,
                adds_expired=self._adds_expired,
                encrypt_errors=self._encrypt_errors,
                forward_errors=self._forward_errors,
            )

    def _tell_all_listeners(self) -> None:
        self._message_outbox.tell_listeners()
        self._packet_outbox.tell_listeners()

    def _watch_locked(self, deadline: int) -> None:
        """See to it that `_on_deadline` is called at `deadline` at the latest."""
        if self._running and (self._alarm_at is None or deadline < self._alarm_at):
            self._alarm.set(deadline)
            self._alarm_at = deadline

    def _watch_waiting_adds_locked(self) -> None:
        deadline = self._adds.next_deadline()
        if deadline is not None:
            self._watch_locked(deadline)

    def _on_deadline(self) -> None:
        """Send a courier if Adds have expired. Called by the alarm, with no lock held."""
        with self._lock:
            self._alarm_at = None
            if not self._running:
                return
            now = self._now_ns()
            overdue = self._adds.expire(now)
            self._watch_waiting_adds_locked()
            if overdue and not self._courier_busy:
                courier = Courier(f"lnmailbox-courier-{self.short_chan_id}", self._next_errand)
                try:
                    courier.start()
                except RuntimeError:  # the machine has no thread to give
                    self._watch_locked(now + _RETRY_NS)
                    raise
                self._courier, self._courier_busy = courier, True

    def _next_errand(self) -> Callable[[], object] | None:
        with self._lock:
            add = self._adds.claim_overdue() if self._running else None
            if add is None:
                self._courier_busy = False
                return None
        return partial(self._fail_claimed, add, expired=True)

    def _fail_claimed(self, add: QueuedPacket, *, expired: bool = False) -> bool:
        """Fail an Add that this thread has claimed. Runs the callbacks, with no lock held."""
        packet = add.packet
        fail_packet = None
        try:
            if packet is not None:
                if expired:
                    _logger.debug("Add %s expired", packet.keystone)
                fail_packet = make_fail_packet(
                    add.key, packet, self.short_chan_id, self._config.fetch_update
                )
        except BaseException as error:
            self._give_up(add)
            _logger.exception("Add %s can't be failed and stays in the mailbox", add.key)
            if isinstance(error, Exception):
                return False
            raise
        removed = handed_over = False
        try:
            with self._lock:
                removed = self._adds.remove(add)  # not if it was acked meanwhile
                self._adds_failed += removed
                self._adds_expired += removed and expired
            if fail_packet is not None and removed:
                handed_over = True
                self._hand_over(fail_packet)
        except BaseException:
            if fail_packet is not None and removed and not handed_over:
                self._hand_over(fail_packet)  # the interrupt came too late to leave it undone
            raise
        return handed_over

    def _hand_over(self, fail_packet: HTLCPacket) -> None:
        with self._lock:
            if self._quit is None:
                self._quit = threading.Event()
                if self._stopped:
                    self._quit.set()
            quit_signal = _Quit(self._quit)
        try:
            self._config.forward_packets(quit_signal, fail_packet)
        except BaseException as error:
            with self._lock:
                self._forward_errors += 1
            _logger.exception(
                "the switch did not accept the failure of Add %s", fail_packet.in_key
            )
            if not isinstance(error, Exception):
                raise

    def _give_up(self, add: QueuedPacket) -> None:
        with self._lock:
            now = self._now_ns()
            if not self._adds.give_up(add, now, now + max(self._expiry_ns, _RETRY_NS)):
                return
            self._encrypt_errors += 1
            self._watch_waiting_adds_locked()
            self._packet_outbox.notify_locked()
        self._packet_outbox.tell_listeners()


class _Quit:
    """The read-only side of an event."""

    __slots__ = ("is_set", "wait")

    def __init__(self, event: threading.Event) -> None:
        self.is_set = event.is_set
        self.wait = event.wait
