"""What a `MailBox` has and lnd's lacks, in the plainest way; and whether couriers are at rest."""

from __future__ import annotations

import enum
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

from ..contract import MailBox, MailBoxStatistics, require_short_chan_id
from ..errors import MailBoxError
from ..packet import CircuitKey, HTLCPacket
from ..wire import Message, ShortChannelID
from .channel import Channel, Cond, Deadline, Receive, select, wait_for_rest
from .linked_list import Element, count_from
from .outbox import CourierOutbox

__all__ = ["BesideLnd", "CourierType", "NotInLnd", "QuitChannel", "StoppedAtTheEnd", "require_key"]

_Self = TypeVar("_Self", bound="StoppedAtTheEnd")


class CourierType(enum.Enum):
    """Which mail a courier carries (mailbox.go, 163)."""

    WIRE_COURIER = "wire"
    PKT_COURIER = "pkt"


class NotInLnd(MailBoxError, NotImplementedError):
    """`MailBox` has this method, and lnd has nothing like it."""


def require_key(key: object) -> None:
    """Refuse what Go's compiler would not take for a key."""
    if not isinstance(key, tuple):
        raise TypeError(f"key must be a CircuitKey, got {key!r}")


class QuitChannel(Channel[None]):
    """The channel `quit`. Callbacks get a read-only view of it, lnd's get the channel itself."""

    def view(self) -> _Quit:
        return _Quit(self)


class _Quit:
    def __init__(self, channel: Channel[None]) -> None:
        self._channel = channel

    def is_set(self) -> bool:
        return self._channel.closed

    def wait(self, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else Deadline.after(round(timeout * 1_000_000_000))
        select(Receive(self._channel), deadline=deadline)
        return self.is_set()


class BesideLnd(MailBox):
    """The base of `CourierMailBox`, which sets these attributes."""

    quit: QuitChannel
    wire_messages: deque[Message]
    wire_cond: Cond
    wire_shutdown: Channel[None]
    rep_index: dict[CircuitKey, Element[HTLCPacket]]
    rep_head: Element[HTLCPacket] | None
    add_index: dict[CircuitKey, Element[Any]]
    add_head: Element[Any] | None
    pkt_cond: Cond
    pkt_shutdown: Channel[None]
    _message_outbox: CourierOutbox[Message]
    pkt_outbox: CourierOutbox[HTLCPacket]

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()  # guarded by `pkt_mtx`
        self._couriers: dict[CourierType, threading.Thread] = {}
        self._short_chan_id = ShortChannelID()

    @property
    def short_chan_id(self) -> ShortChannelID:
        return self._short_chan_id

    @short_chan_id.setter
    def short_chan_id(self, short_chan_id: ShortChannelID) -> None:
        require_short_chan_id(short_chan_id)
        self._short_chan_id = short_chan_id

    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        """Do as `add_packet` for one after the other, up to the first that is refused."""
        for packet in packets:
            self.add_packet(packet)

    def ack_packets(self, keys: Iterable[CircuitKey]) -> int:
        if isinstance(keys, CircuitKey):
            raise TypeError(f"keys must be several CircuitKeys, got one: ack_packet({keys!r})")
        return sum(map(self.ack_packet, list(keys)))

    def nack_packet(self, key: CircuitKey) -> bool:
        """Refuse.

        Raises:
            NotInLnd: always.
        """
        require_key(key)
        raise NotInLnd(
            "lnd can't take back one delivered packet: use reset_packets, or a MemoryMailBox"
        )

    def unacked(self) -> list[HTLCPacket]:
        with self.pkt_cond:
            replies = [reply.value for reply in self.rep_index.values()]
            return replies + [add.value.pkt for add in self.add_index.values()]

    def statistics(self) -> MailBoxStatistics:
        """Return the sizes of the queues, and how many Adds were failed. The rest is 0."""
        with self.wire_cond:
            messages = len(self.wire_messages) + self._message_outbox.qsize()
        with self.pkt_cond:
            replies, adds = count_from(self.rep_head), count_from(self.add_head)
            return MailBoxStatistics(
                messages=messages,
                replies_unacked=len(self.rep_index),
                replies_undelivered=replies,
                replies_delivered=len(self.rep_index) - replies,
                adds_unacked=len(self.add_index),
                adds_undelivered=adds,
                adds_delivered=len(self.add_index) - adds,
                adds_overdue=0,
                adds_failed=self._counts["adds_failed"],
                adds_expired=self._counts["adds_expired"],
                encrypt_errors=self._counts["encrypt_errors"],
                forward_errors=self._counts["forward_errors"],
            )

    def is_at_rest(self, courier_type: CourierType) -> bool:
        """Whether this courier stands still until somebody else does something.

        It waits for mail or offers some, it was never started, or it has ended. The calling
        thread, if it is the courier, counts as well.
        """
        if courier_type is CourierType.WIRE_COURIER:
            cond, outbox, shutdown = self.wire_cond, self._message_outbox, self.wire_shutdown
            return self._is_at_rest(courier_type, cond, outbox, shutdown)
        return self._is_at_rest(courier_type, self.pkt_cond, self.pkt_outbox, self.pkt_shutdown)

    def wait_for_rest(self, timeout: float) -> bool:
        """Wait until both couriers are at rest; False if they are not after `timeout` seconds."""
        return wait_for_rest(lambda: all(map(self.is_at_rest, CourierType)), timeout)

    def _is_at_rest(
        self,
        courier_type: CourierType,
        cond: Cond,
        outbox: CourierOutbox[Any],
        shutdown: Channel[None],
    ) -> bool:
        return (
            cond.waiting
            or outbox.is_offering()
            or shutdown.closed
            or self._couriers.get(courier_type) in (None, threading.current_thread())
        )

    def _go(self, function: Callable[[CourierType], None], courier_type: CourierType) -> None:
        name = f"lnmailbox-{courier_type.value}-courier-{self.short_chan_id}"
        courier = threading.Thread(target=function, args=(courier_type,), name=name, daemon=True)
        self._couriers[courier_type] = courier
        courier.start()

    def _count(self, what: str) -> None:
        with self.pkt_cond:
            self._counts[what] += 1


class StoppedAtTheEnd(ABC):
    """A context manager that calls `stop`."""

    @abstractmethod
    def stop(self) -> None:
        """Stop."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
