"""What a mailbox promises, whichever way it keeps its mail: read this before an implementation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import TypeVar

import attrs

from ..packet import CircuitKey, HTLCPacket
from ..wire import Message, ShortChannelID
from .outbox import Outbox

__all__ = ["MailBox", "MailBoxStatistics"]

_Self = TypeVar("_Self", bound="MailBox")


@attrs.frozen(kw_only=True)
class MailBoxStatistics:
    """What a mailbox held at one moment, and what it has done since it was made."""

    messages: int
    """Wire messages that wait for a receiver."""
    replies_unacked: int
    """Settles and Fails that are not acked."""
    replies_undelivered: int
    """Those of them that no receiver has had since the last reset."""
    adds_unacked: int
    """Adds that are neither acked nor failed."""
    adds_undelivered: int
    """Those of them that wait for a receiver."""
    adds_overdue: int
    """Those of them that have expired and are about to be failed back, or to be tried again."""
    adds_failed: int
    """Adds so far that were failed, by expiry or `fail_add`: each gave one fail packet."""
    adds_expired: int
    """Those of them that had expired."""
    encrypt_errors: int
    """How often an Add could not be failed because no failure could be encoded or encrypted."""
    forward_errors: int
    """How many fail packets `forward_packets` raised on."""


class MailBox(ABC):
    """The queue between the switch and one channel's link (lnd: `MailBox`).

    Wire messages pass through it once, in order. HTLC packets stay in it until they are acked,
    and are delivered again after a reset. Replies (Settles and Fails) are delivered before Adds.
    An Add that nobody takes in time is failed back to the switch.

    Every method may be called from any thread, but not from a signal handler or a finalizer.
    Mailboxes do not survive `fork()`: their threads exist only in the parent. Create new ones in
    the child. No method blocks, except receiving from an outbox, `stop`, and `fail_add`, which
    runs callbacks. As a context manager a mailbox is started, and stopped at the end.

    Methods that take the key of a packet raise `TypeError` for what is no key and not found.
    """

    @property
    @abstractmethod
    def short_chan_id(self) -> ShortChannelID:
        """The channel's current id, for which its update is fetched. The orchestrator sets it.

        Raises:
            TypeError: it is set to something that is not a `ShortChannelID`.
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

        Which one is next is decided at the moment a receiver takes it. The packet equals the one
        that was added, and is known by the key it was added under. It stays in the mailbox until
        it is acked or failed.
        """

    @abstractmethod
    def add_message(self, message: Message) -> None:
        """Append a wire message (lnd: `AddMessage`).

        Raises:
            TypeError: `message` is None.
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def add_packet(self, packet: HTLCPacket) -> None:
        """Append a packet to the replies or the Adds (lnd: `AddPacket`).

        By the exact class of its `htlc`: `UpdateFulfillHTLC` and `UpdateFailHTLC` are replies,
        `UpdateAddHTLC` is an Add. An Add expires `expiry` seconds from now if it is undelivered
        then; `fail_add` says what that means. An Add and a reply may share a key.

        Raises:
            UnknownHTLCType: `htlc` is anything else, `UpdateFailMalformedHTLC` and None included.
            PacketAlreadyExists: a packet of the same class with the same `in_key` is unacked.
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        """Append several packets in order, as `add_packet` does: all of them, or none.

        Raises:
            UnknownHTLCType, PacketAlreadyExists, MailBoxShuttingDown: as `add_packet` for any
                of the packets; two among them with the same class and key are duplicates.
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
        """Do as `ack_packet` does for each key in turn; return how many packets were removed."""

    @abstractmethod
    def nack_packet(self, key: CircuitKey) -> bool:
        """Give back the delivered reply with this key, else the delivered Add with this key.

        It becomes undelivered again, at its old place in the order of arrival. An Add keeps its
        deadline, and expires at once if that has passed. lnd has no such method: there a packet
        waits for the next reset.

        Returns:
            Whether there was one. Packets that are not delivered stay as they are.

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
        `start` and after `stop`. An interrupt finds the Add in the mailbox, or lets
        `forward_packets` be called before it is raised.

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

        Complete on return. Each Add keeps its deadline: one that has passed it while it was with
        the link expires now.

        Raises:
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def start(self) -> None:
        """Begin to deliver and to expire (lnd: `Start`). Before that, items can be added.

        Idempotent.

        Raises:
            MailBoxShuttingDown: the mailbox was stopped.
        """

    @abstractmethod
    def stop(self) -> None:
        """Deliver and expire nothing more, and wake every receiver (lnd: `Stop`).

        Sets `quit` and blocks, with no time limit, until the callback that a courier is in has
        returned. May be called from a callback: it does not wait for its own courier, nor for one
        that is in `stop` as well. Idempotent, and does not need `start`. Afterwards adding, resets
        and receiving raise `MailBoxShuttingDown`; unacked packets are still there to be acked. At
        the interpreter's end, when the other threads are frozen, it does nothing.
        """

    def signal_stop(self) -> None:  # noqa: B027
        """Do the part of `stop` that does not block, if there is one.

        To stop many mailboxes quickly, call this on all of them first, then `stop` on each.
        """

    @abstractmethod
    def statistics(self) -> MailBoxStatistics:
        """Return what the mailbox holds and has done; old the moment it is returned."""

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
