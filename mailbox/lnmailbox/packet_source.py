"""What comes next, decided at the moment of delivery: replies, and then Adds in time."""

from __future__ import annotations

from collections.abc import Callable

from .packet import HTLCPacket
from .queues import AddQueue, PacketQueue

__all__ = ["PacketSource"]


class PacketSource:
    """The source of a packet outbox. Every call is made under the mailbox's lock.

    Args:
        replies, adds: the queues.
        now_ns: the time on the mailbox's clock.
        watch_adds: called when Adds have gone back into delivery.
    """

    __slots__ = ("_adds", "_now_ns", "_replies", "_watch_adds")

    def __init__(
        self,
        replies: PacketQueue,
        adds: AddQueue,
        now_ns: Callable[[], int],
        watch_adds: Callable[[], None],
    ) -> None:
        self._replies = replies
        self._adds = adds
        self._now_ns = now_ns
        self._watch_adds = watch_adds

    def take(self) -> HTLCPacket | None:
        if self._replies.waiting:
            reply = self._replies.take()
            if reply is not None:
                return reply
        adds = self._adds
        if not adds.waiting:
            return None
        now = self._now_ns()
        if adds.waiting[0].deadline <= now or not adds.in_order:
            adds.expire(now)
        return adds.take()

    def take_into(self, batch: list[HTLCPacket], size: int) -> None:
        self._replies.take_into(batch, size)
        if len(batch) < size and self._adds.waiting:
            self._adds.expire(self._now_ns())
            self._adds.take_into(batch, size)

    def put_back(self, batch: list[HTLCPacket]) -> None:
        for packet in batch:
            self._replies.put_back(packet)
            self._adds.put_back(packet)
        self._watch_adds()

    def has_mail(self) -> bool:
        if not self._replies.undelivered and self._adds.waiting:
            self._adds.expire(self._now_ns())
        return bool(self._replies.undelivered or self._adds.undelivered)
