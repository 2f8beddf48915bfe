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

    def look(self) -> int:
        """Return how many items wait, perhaps too many, but 0 only if `take` would find none."""
        ...


class Store(Source[HTLCPacket], Protocol):
    """What a mailbox keeps. As a source, it is that of its packets."""

    messages: MessageQueue
    replies: Shelf
    adds: Shelf

    #: Called without arguments when an Add may be due that the alarm does not know of.
    look_again: Callable[..., object]

    def reset(self) -> None:
        """Make every packet undelivered."""
        ...


class MemoryStore:
    """A store whose content lives as long as the process.

    Args:
        now_ns: of the mailbox's clock.
    """

    __slots__ = ("_now_ns", "adds", "look_again", "messages", "replies", "round")

    def __init__(self, now_ns: Callable[[], int], messages: MessageQueue | None = None) -> None:
        self._now_ns = now_ns
        self.look_again: Callable[..., object] = _nobody
        self.messages = MessageQueue() if messages is None else messages
        self.replies = Shelf()
        self.adds = Shelf()
        self.round = 0

    def __len__(self) -> int:
        if self.adds.undelivered:
            now = self._now_ns()
            if self.adds.next_deadline() <= now:
                self._expire(now)
        return self.replies.undelivered + self.adds.undelivered

    def take(self) -> HTLCPacket | None:
        if self.replies.undelivered:
            return self.replies.take(0)
        adds = self.adds
        if not adds.undelivered:
            return None
        now = self._now_ns()
        packet = adds.take(now)
        if packet is None:
            self._expire(now)
            packet = adds.take(now)
        return packet

    def take_into(self, hand: Hand[HTLCPacket], size: int) -> None:
        adds = self.adds
        self.replies.take_into(hand, size, 0)
        if adds.undelivered and len(hand) < size:
            now = self._now_ns()
            adds.take_into(hand, size, now)
            if adds.undelivered and len(hand) < size:
                self._expire(now)
                adds.take_into(hand, size, now)

    def put_back(self, items: list[HTLCPacket], since: int) -> None:
        if since == self.round:
            self.look_again()
            # From the last to the first, so that each goes to the front.
            left = self.adds.put_back(self.replies.put_back(reversed(items)))
            if left:
                self.replies.put_back_changed(left)
                self.adds.put_back_changed(left)

    def look(self) -> int:
        replies, adds = self.replies, self.adds
        if adds.undelivered and not replies.undelivered:
            now = self._now_ns()
            if adds.first_deadline() <= now:
                self._expire(now)
        return replies.undelivered + adds.undelivered

    def reset(self) -> None:
        before = self.adds._round
        try:
            self.replies.reset(self.adds)
        finally:
            if self.adds._round is not before:  # it is done, though it may have raised
                self.round += 1

    def _expire(self, now: int) -> None:
        """Make overdue what is due, and is in the way of what is not."""
        self.look_again()
        self.adds.expire(now)


def _nobody() -> None:
    """Stand for the mailbox that there is not yet."""
