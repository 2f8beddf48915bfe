"""How a coroutine receives: a listener rings in its event loop."""

from __future__ import annotations

from typing import Any, TypeVar

from ..contract import Hand, Outbox

__all__ = ["take_or_await"]

T = TypeVar("T")


async def take_or_await(outbox: Outbox[T], hand: Hand[T], size: int) -> None:
    """Take items into `hand`, waiting for the first; none if the mailbox is stopped.

    If this raises, the caller puts back what is in the hand.
    """
    if not outbox._take_into(hand, size) or hand:
        return
    bell = _LoopBell()
    try:
        outbox._add_listener(bell)
        while True:
            bell.hang()
            if not outbox._take_into(hand, size) or hand:
                return
            await bell.rung.wait()
    finally:
        bell.over = True
        outbox._remove_listener(bell)


class _LoopBell:
    """Tells a coroutine of the running loop that there may be mail.

    It rings once for all that arrives until the coroutine looks again, so a busy loop is not
    flooded.
    """

    __slots__ = ("_look", "_loop", "_rung_for", "over", "rung")

    def __init__(self) -> None:
        import asyncio  # here, because programs without it should not pay for it

        self._loop = asyncio.get_running_loop()
        self._look = 0  # the number of the coroutine's next look
        self._rung_for = 0  # the look that it has rung for
        self.rung = asyncio.Event()
        self.over = False

    def hang(self) -> None:
        """Ring again from now on. To be called before a look."""
        self._look += 1
        self.rung.clear()

    def __call__(self, outbox: Outbox[Any]) -> bool:
        look = self._look
        if not self.over and self._rung_for != look:
            try:
                self._loop.call_soon_threadsafe(self.rung.set)
            except RuntimeError:  # the loop is closed, and with it the coroutine
                self.over = True
            # Not before: an interrupted ring is none. And not for the look of now, if the
            # coroutine has been told meanwhile and looks again.
            self._rung_for = look
        return self.over
