"""How a coroutine receives: it is told by a listener that rings in its event loop."""

from __future__ import annotations

from typing import Any, TypeVar

from ..contract import Hand, Outbox

__all__ = ["take_or_await"]

T = TypeVar("T")


async def take_or_await(outbox: Outbox[T], hand: Hand[T], size: int) -> None:
    """Take items into `hand`, waiting for the first; none if the mailbox is stopped.

    Whatever this raises, the caller puts back what is in the hand and is not received.
    """
    if not outbox._take_into(hand, size) or hand:
        return
    bell = _LoopBell()
    wait = True
    try:
        outbox._add_listener(bell)
        while True:
            bell.listen()
            if not outbox._take_into(hand, size) or hand:
                return
            await bell.rung.wait()
    except GeneratorExit:
        # Maybe by the garbage collector, in a thread that has the lock. If so, the bell is
        # removed when it is to ring.
        wait = False
        raise
    finally:
        bell.over = True
        outbox._remove_listener(bell, wait)


class _LoopBell:
    """Tells a coroutine of the running loop that there may be mail.

    It rings once for all that arrives until the coroutine looks again, so a busy loop is not
    flooded.
    """

    __slots__ = ("_loop", "_told", "over", "rung")

    def __init__(self) -> None:
        import asyncio  # here, because programs without it should not pay for it

        self._loop = asyncio.get_running_loop()
        self._told = False
        self.rung = asyncio.Event()
        self.over = False

    def listen(self) -> None:
        """Ring from now on. To be called before a look."""
        self.rung.clear()
        self._told = False

    def __call__(self, outbox: Outbox[Any]) -> bool:
        if not self.over and not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self.rung.set)
            except RuntimeError:  # the loop is closed, and with it the coroutine
                self.over = True
        return self.over
