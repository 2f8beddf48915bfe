"""Wire messages on their way through: a data structure that knows no locks and no threads."""

from __future__ import annotations

from collections import deque

from ..contract import Hand
from ..wire import Message

__all__ = ["MessageQueue"]


class MessageQueue:
    """Wire messages, each until it is taken (lnd: `wireMessages`).

    Attributes:
        round: how often it was cleared; what was taken before cannot be put back.
    """

    __slots__ = ("_waiting", "round")

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self.round = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Message) -> None:
        self._waiting.append(message)

    def take(self) -> Message | None:
        """Remove the first message and return it; None if there is none."""
        waiting = self._waiting
        if not waiting:
            return None
        message = waiting[0]
        del waiting[0]
        return message

    def take_into(self, hand: Hand[Message], size: int) -> None:
        """Move messages to the end of `hand` until it has `size`, or there are no more."""
        waiting = self._waiting
        while waiting and len(hand) < size:
            hand.append(None)
            hand[-1] = waiting[0]
            del waiting[0]

    def put_back(self, items: list[Message], since: int) -> None:
        """Undo the taking of these messages, unless `clear` came since that round."""
        if since == self.round:
            self._waiting.extendleft(reversed(items))

    def has_mail(self) -> bool:
        """Whether `take` would return a message."""
        return bool(self._waiting)

    def clear(self) -> None:
        """Drop every message."""
        nothing: deque[Message] = deque()
        self._waiting = nothing
        self.round += 1
