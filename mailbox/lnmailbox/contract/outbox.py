"""The promises of every outbox to its receivers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from ..errors import MailBoxShuttingDown
from .statistics import OutboxStatistics

__all__ = ["Hand", "Listener", "Outbox"]

T = TypeVar("T")

Listener = Callable[["Outbox[Any]"], bool]
"""Called as `listener(outbox)`, in any thread, possibly under the mailbox's lock.

It must not raise, nor call a mailbox. Returns whether it is over, and to be removed.
"""


class Hand(list[Any], Generic[T]):
    """Items that have left a mailbox and that no receiver has yet.

    It is made before the items are taken, so that an interrupt finds each item in the mailbox or
    here. If the items can't be returned to the receiver, they are put back.

    Attributes:
        outbox: the one that the items were taken from.
        since: by this the outbox knows whether a reset came in between.
    """

    __slots__ = ("outbox", "since")

    outbox: Outbox[T]
    since: int

    def taken(self) -> list[T]:
        """Return the items, without the room that was made for one that was not taken then."""
        return [item for item in self if item is not None]

    def put_back(self) -> None:
        """Give these items back to the mailbox."""
        if self:
            self.outbox._put_back(self.taken(), self.since)


class Outbox(ABC, Generic[T]):
    """The side of a mailbox that delivers, in the manner of `queue.Queue` (lnd: a channel).

    An item is delivered when a receiver has it. A call that times out, is interrupted or is
    cancelled receives nothing, and the item is there for the next receiver. Each item goes to
    one receiver. Any number of threads and coroutines may receive at once.

    Until the mailbox is started, receivers wait. Once it is stopped, receiving raises
    `MailBoxShuttingDown`, even if items are left.
    """

    __slots__ = ("__weakref__", "_last_turn")

    _last_turn: int  # when `select` last took from here

    @abstractmethod
    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove the next item and return it, waiting for one if need be.

        Args:
            block: whether to wait.
            timeout: how long to wait, in seconds of real time even if the mailbox has another
                clock; None is for ever.

        Raises:
            queue.Empty: there was no item to deliver, in time.
            MailBoxShuttingDown: the mailbox is stopped, now or while waiting.
            ValueError: `timeout` is not a finite number of at least 0.
        """

    def get_nowait(self) -> T:
        """Do as `get(block=False)`."""
        return self.get(block=False)

    @abstractmethod
    def get_batch(
        self, max_items: int, block: bool = True, timeout: float | None = None
    ) -> list[T]:
        """Remove the next items, at least 1 and at most `max_items`, and return them in order.

        Waits, and raises, as `get` does; it waits for the first item only.

        Raises:
            ValueError: `max_items` is not an integer of at least 1, besides those of `get`.
        """

    def __iter__(self) -> Iterator[T]:
        """Yield items as `get` returns them, until the mailbox is stopped."""
        try:
            while True:
                yield self.get()
        except MailBoxShuttingDown:
            return

    async def async_get(self) -> T:
        """Do as `get`, in a coroutine of any running event loop.

        A cancelled call consumes nothing. If several wait on one outbox, each item wakes them
        all, and the one that has waited longest takes it. If there is an item, it is returned at
        once, without a turn for the loop's other tasks, as by `asyncio.Queue`.

        Raises:
            MailBoxShuttingDown: the mailbox is stopped, now or while waiting.
        """
        [item] = await self.async_get_batch(1)
        return item

    @abstractmethod
    async def async_get_batch(self, max_items: int) -> list[T]:
        """Do as `get_batch`, in a coroutine; waits and raises as `async_get` does.

        Raises:
            ValueError: `max_items` is not an integer of at least 1, besides those of `async_get`.
        """

    def __aiter__(self) -> AsyncIterator[T]:
        """Yield items as `async_get` returns them, until the mailbox is stopped."""
        return _AsyncItems(self)

    @abstractmethod
    def qsize(self) -> int:
        """Return how many items wait for a receiver, whether or not the mailbox runs.

        As with `queue.Queue.qsize`, other threads may have changed it by then: after more than 0
        a `get` may block, and after 0 it need not. Adds past their deadline do not count.
        """

    def empty(self) -> bool:
        """Whether `qsize() == 0`; with the same caveat."""
        return self.qsize() == 0

    def statistics(self) -> OutboxStatistics:
        """Return counts that may be out of date when they are returned."""
        raise NotImplementedError

    # For `select`, selectors and coroutines. None of these methods blocks.

    @abstractmethod
    def _look(self) -> int | None:
        """Return how many items there are to take now; None if the mailbox is stopped."""

    @abstractmethod
    def _take_into(self, hand: Hand[T], size: int, turn: int = 0) -> bool:
        """Take items into `hand` until it has `size`, or there are no more.

        First sets the hand's `outbox` and `since`. If something is taken and `turn` is more than
        `_last_turn`, it becomes `_last_turn`. Returns whether the mailbox is not stopped.
        """

    @abstractmethod
    def _put_back(self, items: list[T], since: int) -> None:
        """Undo the taking of these items, unless a reset came since."""

    @abstractmethod
    def _add_listener(self, listener: Listener) -> None:
        """Have the listener called each time when an item may be about to become deliverable.

        It is called at the start and at the stop of the mailbox, too.
        """

    @abstractmethod
    def _remove_listener(self, listener: Listener) -> None:
        """Undo `_add_listener`, if it was called. The listener may be called once more.

        Takes no lock: the garbage collector calls this for a coroutine, in any thread.
        """


class _AsyncItems(Generic[T]):
    """An iterator that a cancelled `anext` does not end, as it would end a generator."""

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox[T]) -> None:
        self._outbox = outbox

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._outbox.async_get()
        except MailBoxShuttingDown:
            raise StopAsyncIteration from None
