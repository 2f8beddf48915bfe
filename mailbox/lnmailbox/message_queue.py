"""Wire messages on their way through: a data structure that knows no locks and no threads."""

from __future__ import annotations

from collections import deque

from .wire import Message

__all__ = ["MessageQueue"]


class MessageQueue:
    """Wire messages, each until it is taken (lnd: `wireMessages`)."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self.waiting)

    def take(self) -> Message | None:
        """Remove the first message and return it; None if there is none."""
        waiting = self.waiting
        if not waiting:
            return None
        message = waiting[0]
        del waiting[0]
        return message

    def take_into(self, batch: list[Message], size: int) -> None:
        """Move messages to the end of `batch` until it has `size` items."""
        waiting = self.waiting
        while waiting and len(batch) < size:
            message = waiting[0]
            del waiting[0]
            batch.append(message)

    def put_back(self, batch: list[Message]) -> None:
        """Put messages that were taken back to the front."""
        self.waiting.extendleft(reversed(batch))

    def has_mail(self) -> bool:
        return bool(self.waiting)
