"""Wire messages on their way through, and their budgets: no locks, no threads."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from itertools import repeat

from ..contract import Hand
from ..errors import WireQueueFull
from ..wire import Message

__all__ = ["MessageQueue", "wire_size"]


def wire_size(message: Message | bytes) -> int:
    """Return how many bytes a message takes on the wire.

    Raises:
        TypeError: it has no `serialized_size()`, and is not bytes, or says that it has a size
            that is none.
    """
    measure: Callable[[], int] | None = getattr(message, "serialized_size", None)
    if measure is not None:
        size: object = measure()
        if isinstance(size, int) and size >= 0:
            return size
        raise TypeError(
            f"the size of a message must be an integer >= 0, got {size!r} of {message!r}"
        )
    if isinstance(message, (bytes, bytearray, memoryview)):
        return len(message)
    raise TypeError(
        "message must have serialized_size() or be bytes, if max_wire_bytes is not None, "
        f"got {message!r}"
    )


class MessageQueue:
    """Wire messages, each until it is taken (lnd: `wireMessages`).

    After it has refused one, it refuses all that follow, until `clear`.

    Args:
        max_messages: how many may wait; None is unlimited.
        max_bytes: how many bytes they may have; None is unlimited.
        latch: False to accept again what there is room for.

    Attributes:
        bytes: how many bytes wait.
        refused: how often a message was refused.
        round: how often it was cleared; what was taken before cannot be put back.
    """

    __slots__ = (
        "_latch",
        "_limit",
        "_max_bytes",
        "_max_messages",
        "_waiting",
        "bytes",
        "refused",
        "round",
    )

    def __init__(
        self, max_messages: int | None = None, max_bytes: int | None = None, latch: bool = True
    ) -> None:
        self._waiting: deque[tuple[Message, int]] = deque()  # with their sizes
        self._max_messages = sys.maxsize if max_messages is None else max_messages
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self._latch = latch
        self._limit = self._max_messages  # 0 after a refusal
        self.bytes = 0
        self.refused = 0
        self.round = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_latched(self) -> bool:
        """Whether every message is refused until `clear`."""
        return self._limit != self._max_messages

    def add(self, message: Message, size: int = 0) -> None:
        """Append a message that has so many bytes.

        Raises:
            WireQueueFull: there is no room for it, or for one before it.
        """
        total = self.bytes + size
        if len(self._waiting) >= self._limit or total > self._max_bytes:
            self._refuse(size)
        self.bytes = total
        self._waiting.append((message, size))

    def take(self) -> Message | None:
        """Remove the first message and return it; None if there is none."""
        waiting = self._waiting
        if not waiting:
            return None
        message, size = waiting[0]
        left = self.bytes - size
        del waiting[0]
        self.bytes = left
        return message

    def take_into(self, hand: Hand[Message], size: int) -> None:
        """Move messages to the end of `hand` until it has `size`, or there are no more."""
        waiting = self._waiting
        while waiting and len(hand) < size:
            hand.append(None)
            message, bytes_ = waiting[0]
            left = self.bytes - bytes_
            hand[-1] = message
            del waiting[0]
            self.bytes = left

    def put_back(self, items: list[Message], since: int) -> None:
        """Undo the taking of these messages, unless `clear` came since that round.

        They do not count for the budget of bytes a second time.
        """
        if since == self.round:
            self._waiting.extendleft(zip(reversed(items), repeat(0)))

    def look(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting)

    def clear(self) -> None:
        """Drop every message, and accept new ones."""
        nothing: deque[tuple[Message, int]] = deque()
        self._waiting = nothing
        self.bytes = 0
        self._limit = self._max_messages
        self.round += 1

    def _refuse(self, size: int) -> None:
        self.refused += 1
        reason = f"{len(self)} messages and {self.bytes} bytes wait, and one of {size} more"
        if self.is_latched:
            reason = "refused one, and all that follow until reset_messages"
        elif self._latch:
            self._limit = 0
        raise WireQueueFull(f"mailbox wire message queue is full: {reason}")
