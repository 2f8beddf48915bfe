"""All that a mailbox keeps, and what comes next: replies, then Adds in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from ..contract import Hand
from ..packet import HTLCPacket
from .messages import MessageQueue
from .shelf import Shelf

__all__ = ["MemoryStore", "Source", "Store"]

T = TypeVar("T")


class Source(Protocol[T]):
    """What an outbox takes items from. Every call is made under the mailbox's lock.

    There are two ways to take: `take` costs half of `take_into` for one item, which is what most
    receivers take, and `take_into` costs half of many `take`s.
    """

    @property
    def round(self) -> int:
        """How many resets there were."""
        ...

    def __len__(self) -> int: ...

    def take(self) -> T | None:
        """Remove the next item and return it; None if there is none."""
        ...

    def take_into(self, hand: Hand[T], size: int) -> None:
        """Move items to the end of `hand` until it has `size`, or there are no more."""
        ...

    def put_back(self, items: list[T], since: int) -> None:
        """Undo the taking of these items in round `since`."""
        ...

    def has_mail(self) -> bool:
        """Whether `take` would return an item."""
        ...


class Store(Source[HTLCPacket], Protocol):
    """What a mailbox keeps. As a source, it is that of its packets."""

    messages: MessageQueue
    replies: Shelf
    adds: Shelf

    #: Called when an Add may be due that its mailbox's alarm does not know of.
    look_again: Callable[[], object]

    def reset(self) -> None:
        """Make every packet undelivered."""
        ...


class MemoryStore:
    """A store whose content lives as long as the process.

    Args:
        now_ns: of the mailbox's clock.
    """

    __slots__ = ("_now_ns", "adds", "look_again", "messages", "replies", "round")

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.look_again: Callable[[], object] = _nobody
        self.messages = MessageQueue()
        self.replies = Shelf()
        self.adds = Shelf()
        self.round = 0

    def __len__(self) -> int:
        return self.replies.undelivered + self._adds_in_time()

    def take(self) -> HTLCPacket | None:
        if self.replies.undelivered:
            return self.replies.take(0)
        adds = self.adds
        if not adds.undelivered:
            return None
        now = self._now_ns()
        packet = adds.take(now)
        if packet is None and self._adds_in_time():
            packet = adds.take(now)
        return packet

    def take_into(self, hand: Hand[HTLCPacket], size: int) -> None:
        self.replies.take_into(hand, size, 0)
        if len(hand) < size and self._adds_in_time():
            self.adds.take_into(hand, size, self._now_ns())

    def put_back(self, items: list[HTLCPacket], since: int) -> None:
        if since == self.round:
            self.look_again()
            for packet in items:
                self.replies.put_back(packet)
                self.adds.put_back(packet)

    def has_mail(self) -> bool:
        return bool(self.replies.undelivered or self._adds_in_time())

    def reset(self) -> None:
        self.round += 1
        self.replies.reset()
        self.adds.reset()

    def _adds_in_time(self) -> int:
        """Make overdue what is due; return how many Adds are undelivered then."""
        adds = self.adds
        if adds.undelivered and adds.first_deadline() <= self._now_ns():
            self.look_again()
            adds.expire(self._now_ns())
        return adds.undelivered


def _nobody() -> None:
    """Stand for the mailbox that there is not yet."""
