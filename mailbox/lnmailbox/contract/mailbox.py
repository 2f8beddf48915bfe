"""The promises of every mailbox. Read this before an implementation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import TypeVar

from ..dust import DustClosure, dust_sums, require_amount
from ..packet import CircuitKey, HTLCPacket
from ..wire import Message, ShortChannelID
from .config import require_callable
from .outbox import Outbox
from .statistics import MailBoxStatistics

__all__ = ["MailBox"]

_Self = TypeVar("_Self", bound="MailBox")


class MailBox(ABC):
    """The queue between the switch and one channel's link (lnd: `MailBox`).

    Wire messages pass through it once, in order. HTLC packets stay in it until they are acked,
    and are delivered again after a reset. Replies (Settles and Fails) are delivered before Adds.
    An Add that nobody takes in time is failed back to the switch.

    Every method may be called from any thread, but not from a signal handler or a finalizer.
    Mailboxes do not survive `fork()`: their threads exist only in the parent. Create new ones in
    the child. No method blocks, except receiving from an outbox, `stop`, and `fail_add`, which
    runs callbacks. As a context manager a mailbox is started, and stopped at the end.

    Methods that take packets or keys raise `TypeError`, and change nothing, for what can't be
    one: if a key is the packet itself, for example, in place of its `in_key`.
    """

    _fee_rate = 0
    _is_dust: DustClosure | None = None

    @property
    @abstractmethod
    def short_chan_id(self) -> ShortChannelID:
        """The channel's current id, with which `fetch_update` is called.

        `MailOrchestrator.bind_live_short_chan_id` sets it.

        Raises:
            TypeError: the new value is not a `ShortChannelID`.
        """

    @short_chan_id.setter
    @abstractmethod
    def short_chan_id(self, short_chan_id: ShortChannelID) -> None: ...

    @property
    @abstractmethod
    def message_outbox(self) -> Outbox[Message]:
        """Delivers each wire message once, first in, first out; lnd's `MessageOutBox`."""

    @property
    @abstractmethod
    def packet_outbox(self) -> Outbox[HTLCPacket]:
        """Delivers replies before Adds, each first in, first out; lnd's `PacketOutBox`.

        The next packet is chosen when a receiver takes it. It equals the one that was added, and
        is known by the key it was added under, even if the link changes it. It stays in the
        mailbox until it is acked or failed.
        """

    @abstractmethod
    def add_message(self, message: Message) -> None:
        """Append a wire message (lnd: `AddMessage`).

        A queue that is full refuses the message. If `latch_on_overflow` is set, as it is by
        default, all that follow are refused until `reset_messages`: without the one that is
        missing, the peer or this node would close the channel.

        Raises:
            WireQueueFull: `max_wire_messages` wait, or with this one more than `max_wire_bytes`
                would; or one was refused before. Nothing is queued.
            TypeError: `message` is None, or it has no `serialized_size()` and is not bytes, and
                `max_wire_bytes` is not None.
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def add_packet(self, packet: HTLCPacket) -> None:
        """Append a packet to the replies or the Adds (lnd: `AddPacket`).

        The exact class of its `htlc` decides: `UpdateFulfillHTLC` and `UpdateFailHTLC` are
        replies, `UpdateAddHTLC` is an Add. An Add expires `expiry` seconds from now if it is
        undelivered then, and is failed as by `fail_add`. An Add and a reply may share a key.

        Raises:
            UnknownHTLCType: `htlc` is anything else, `UpdateFailMalformedHTLC` and None included.
            PacketAlreadyExists: a packet of the same class with the same `in_key` is unacked.
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        """Append several packets in order, as `add_packet` does: all of them or none.

        Raises:
            UnknownHTLCType, PacketAlreadyExists, MailBoxShuttingDown: if `add_packet` would, for
                any of the packets. Two of them with the same class and key are duplicates.
        """

    @abstractmethod
    def has_packet(self, key: CircuitKey) -> bool:
        """Whether a reply with this key is unacked; Adds don't count (lnd: `HasPacket`).

        Answers after `stop` as well.
        """

    @abstractmethod
    def ack_packet(self, key: CircuitKey) -> bool:
        """Remove the reply with this key, else the Add with this key (lnd: `AckPacket`).

        An acked packet is not delivered afterwards. Answers after `stop` as well.

        Args:
            key: the `in_key` under which the packet was added.

        Returns:
            Whether there was one. If a reply and an Add share the key, the first call removes
            the reply and the second the Add.
        """

    @abstractmethod
    def ack_packets(self, keys: Iterable[CircuitKey]) -> int:
        """Call `ack_packet` for each key in turn; return how many packets were removed."""

    @abstractmethod
    def nack_packet(self, key: CircuitKey) -> bool:
        """Give back the delivered reply with this key, else the delivered Add with this key.

        It becomes undelivered again, at its old place in the order of arrival. An Add keeps its
        deadline, and expires at once if that has passed. In lnd, which has no such method, a
        packet waits for the next reset.

        Returns:
            Whether there was one. Packets that are not delivered do not count.

        Raises:
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def fail_add(self, packet: HTLCPacket) -> bool:
        """Fail the Add with the key of `packet` back to the switch (lnd: `FailAdd`).

        The Add is removed, and one fail packet goes to `forward_packets`. It has
        `TemporaryChannelFailure` with the update from `fetch_update`, or `TemporaryNodeFailure`
        if that raises: encoded for a local Add, encrypted by the `obfuscator` for a forwarded
        one. A failure that can't be encoded is replaced by a smaller one. If it can't be
        encrypted, the Add stays in the mailbox. If the Add has expired, the next attempt is made
        `expiry` seconds later, one at least, and after `reset_packets`; the delay doubles each
        time, up to 64 times the first. What `forward_packets` raises is logged and counted.
        Couriers do the same with Adds that expire, in the order of the queue.

        Runs the callbacks in the calling thread, and blocks as long as they do. Works before
        `start` and after `stop`. If it is interrupted, the Add is still in the mailbox, or
        `forward_packets` is called before the interrupt is raised.

        Returns:
            True if the Add was in the mailbox and a fail packet was handed to `forward_packets`.
            False if there is no Add with that key (a reply does not count), if another thread is
            failing it, or if it could not be encrypted.
        """

    @abstractmethod
    def reset_messages(self) -> None:
        """Drop every queued wire message (lnd: `ResetMessages`). Complete on return.

        Raises:
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def reset_packets(self) -> None:
        """Make every unacked packet undelivered again, in order of arrival (lnd: `ResetPackets`).

        Complete on return. Each Add keeps its deadline. If that passed while the Add was with the
        link, the Add expires now.

        Raises:
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def start(self) -> None:
        """Begin to deliver and to expire (lnd: `Start`). Idempotent.

        Before it, items can be added, acked, failed and reset.

        Raises:
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def stop(self) -> None:
        """Deliver and expire nothing more, and wake every receiver (lnd: `Stop`).

        Sets `quit`. If a courier is in a callback, blocks until that has returned, with no time
        limit. A callback may call it: it does not wait for its own courier, nor for one that is
        in `stop` as well. Idempotent, and does not need `start`. Afterwards adding, resets and
        receiving raise `MailBoxShuttingDown`; unacked packets can still be acked and failed. At
        the interpreter's end, when the other threads are frozen, it does nothing.
        """

    def signal_stop(self) -> None:  # noqa: B027
        """Do the part of `stop` that does not block, if there is one.

        To stop many mailboxes quickly, call this on all of them first, then `stop` on each.
        """

    def set_fee_rate(self, sat_per_kw: int) -> None:
        """Set the fee rate in sat/kw that `dust_packets` reckons with (lnd: `SetFeeRate`).

        0 at first.

        Raises:
            ValueError: `sat_per_kw` is not an integer of at least 0.
        """
        require_amount("sat_per_kw", sat_per_kw)
        self._fee_rate = sat_per_kw

    def set_dust_closure(self, is_dust: DustClosure | None) -> None:
        """Set what tells `dust_packets` which HTLCs are dust (lnd: `SetDustClosure`).

        Args:
            is_dust: called as `is_dust(fee_rate, incoming, party, amount_sat)`, with `incoming`
                False; `dust_closure` makes one. None, as at first, if nothing is.

        Raises:
            TypeError: `is_dust` can't be called so.
        """
        if is_dust is not None:
            require_callable("is_dust", ("fee_rate", "incoming", "party", "amount_sat"), is_dust)
        self._is_dust = is_dust

    def dust_packets(self) -> tuple[int, int]:
        """Return the sums in msat of the Adds that are dust (lnd: `DustPackets`).

        On the local commitment and on the remote one. Adds count from `add_packet` until they are
        acked or failed, delivered ones included. Calls the closure twice for each, in the calling
        thread and with no lock held; what it raises is raised. `(0, 0)` without a closure.
        """
        is_dust, fee_rate = self._is_dust, self._fee_rate
        return (0, 0) if is_dust is None else dust_sums(self.unacked(), is_dust, fee_rate)

    def unacked(self) -> list[HTLCPacket]:
        """Return the packets that are neither acked nor failed: replies, then Adds.

        Each in order of arrival. Answers after `stop` as well.
        """
        raise NotImplementedError

    def release(self) -> list[HTLCPacket]:
        """Return what is `unacked`, and let go of it for good: it is the caller's from now on.

        An Add that a thread is failing at this moment is either among it, and `fail_add` returns
        False, or its Fail is on the way. Returns the same when called again.
        `MailOrchestrator.remove_mailbox` calls it, after `stop`. A mailbox that outlives the
        process removes its packets from the disk.
        """
        return self.unacked()

    @abstractmethod
    def statistics(self) -> MailBoxStatistics:
        """Return counts that may be out of date when they are returned."""

    def describe(self) -> str:
        """Return a few lines for people: what waits, for how long, and what is stuck and why."""
        return f"{self!r}\n{self.statistics()!r}"

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
