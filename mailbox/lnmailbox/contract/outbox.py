"""What receivers may rely on, whichever way a mailbox keeps its mail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from ..errors import MailBoxShuttingDown

__all__ = ["Hand", "Listener", "Outbox"]

T = TypeVar("T")

Listener = Callable[["Outbox[Any]"], bool]
"""Called as `listener(outbox)`, in any thread, possibly under the mailbox's lock.

It must not raise, nor call a mailbox. Returns whether it is over, and to be removed.
"""


class Hand(list[Any], Generic[T]):
    """Items that are out of a mailbox and that nobody has received yet.

    Whoever takes items has made the hand before: from the moment an item leaves the mailbox it
    is found here. If the items can't be returned, they are put back.

    Attributes:
        outbox: where the items are from.
        since: tells the outbox whether a reset came between.
    """

    __slots__ = ("outbox", "since")

    outbox: Outbox[T]
    since: int

    def put_back(self) -> None:
        """Undo the taking of these items, which nobody received."""
        if self:
            self.outbox._put_back([item for item in self if item is not None], self.since)


class Outbox(ABC, Generic[T]):
    """Where receivers take a mailbox's items, in the manner of `queue.Queue` (lnd: a channel).

    An item is delivered when a receiver has it. A call that times out, is interrupted or is
    cancelled receives nothing, and the item is there for the next receiver. Each item goes to
    one receiver. Any number of threads and coroutines may receive at once.

    Before the mailbox is started nothing is delivered, and receivers wait. Once it is stopped
    they get `MailBoxShuttingDown`, whatever is left.
    """

    __slots__ = ("__weakref__", "_last_turn")

    _last_turn: int  # when `select` last took from here

    @abstractmethod
    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove the next item and return it, waiting for one if need be.

        Args:
            block: whether to wait.
            timeout: how long to wait, in seconds of real time, whatever the mailbox's clock;
                None is for ever.

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

        A cancelled call consumes nothing. When several wait on one outbox, each item wakes them
        all, and the first to have waited takes it. If there is an item, it is returned at once,
        without a turn for the loop's other tasks, as by `asyncio.Queue`.

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

        Old the moment it is returned, as `queue.Queue.qsize`: a `get` may still block when it
        was more than 0, and need not when it was 0. Adds past their deadline do not count.
        """

    def empty(self) -> bool:
        """Whether `qsize() == 0`; with the same caveat."""
        return self.qsize() == 0

    # What `select`, selectors and coroutines need of each kind of outbox. None blocks.

    @abstractmethod
    def _look(self) -> bool | None:
        """Whether there is an item to take; None if the mailbox is stopped."""

    @abstractmethod
    def _take_into(self, hand: Hand[T], size: int, turn: int = 0) -> bool:
        """Take items into `hand` until it has `size`, or there are no more.

        Sets the hand's `outbox` and `since` before that. `turn` becomes `_last_turn` when
        something is taken, unless that is more. Returns whether the mailbox is not stopped.
        """

    @abstractmethod
    def _put_back(self, items: list[T], since: int) -> None:
        """Undo the taking of these items."""

    @abstractmethod
    def _add_listener(self, listener: Listener) -> None:
        """Have the listener called whenever an item may be about to become deliverable.

        Also when the mailbox is started or stopped.
        """

    @abstractmethod
    def _remove_listener(self, listener: Listener, wait: bool = True) -> None:
        """Undo `_add_listener`, if it was called. A call that is under way may still arrive.

        With `wait=False` it may do nothing, and the listener is removed when it returns True.
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
