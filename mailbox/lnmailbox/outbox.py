"""Receiving: an item goes from the mailbox's queue to its receiver under the mailbox's lock."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from .clock import SystemClock, seconds_to_ns
from .errors import MailBoxShuttingDown

__all__ = ["Outbox", "Source"]

T = TypeVar("T")

_now_ns = SystemClock.now_ns


class Source(Protocol[T]):
    """The queue behind an outbox. Every call is made under the mailbox's lock."""

    def take(self) -> T | None:
        """Remove the next item and return it; None if there is nothing to deliver."""
        ...

    def take_into(self, batch: list[T], size: int) -> None:
        """Move items to the end of `batch` until it has `size`, or there is nothing more."""
        ...

    def put_back(self, batch: list[T]) -> None:
        """Undo the `take` or `take_into` of these items, which nobody received."""
        ...

    def has_mail(self) -> bool:
        """Whether `take` would return an item."""
        ...


class Outbox(Generic[T]):
    """Where receivers take a mailbox's items, in the manner of `queue.Queue` (lnd: a channel).

    An item is delivered when a receiver has it: what times out, is interrupted or cancelled
    receives nothing, and the item is still there for the next one. Each item goes to one
    receiver. Any number of threads and coroutines may receive at once.

    Before the mailbox is started nothing is delivered, and receivers wait. Once it is stopped
    they get `MailBoxShuttingDown`, whatever is left.

    Made by mailboxes, which use the methods below "For mailboxes", under `lock` where they are
    called `..._locked`.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_lock",
        "_open",
        "_readable",
        "_source",
        "_take",
        "last_turn",
        "listeners",
        "waiting",
    )

    def __init__(self, lock: threading.Lock, source: Source[T]) -> None:
        self._lock = lock
        self._source = source
        self._take = source.take
        self._open = False
        self._closed = False
        # Waited on by receivers, until there is an item to take or the mailbox is stopped.
        # Notified by who makes items deliverable, and by `close_locked`. Made when somebody
        # waits: a mailbox without receivers is smaller by a quarter.
        self._readable: threading.Condition | None = None
        self.waiting = 0  # receivers in `_readable`
        self.listeners: tuple[Callable[[Outbox[Any]], None], ...] = ()
        self.last_turn = 0  # when `select` last took from here

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove the next item and return it, waiting for one if need be.

        Args:
            block: whether to wait.
            timeout: for how long, in seconds of real time, whatever the mailbox's clock; None is
                for ever.

        Raises:
            queue.Empty: there was no item to deliver, in time.
            MailBoxShuttingDown: the mailbox is stopped, now or while waiting.
            ValueError: `timeout` is not a finite number of at least 0.
        """
        deadline = None if timeout is None else _deadline(timeout)
        item = None
        try:
            with self._lock:
                if self._open:
                    item = self._take()
                if item is None:
                    item = self._wait_locked(self._take, block, deadline)
            return item
        except BaseException:
            # KeyboardInterrupt can come between taking the item and returning it.
            if item is not None:
                self._put_back([item])
            raise

    def get_nowait(self) -> T:
        """Do as `get(block=False)`."""
        return self.get(block=False)

    def get_batch(
        self, max_items: int, block: bool = True, timeout: float | None = None
    ) -> list[T]:
        """Remove the next items, at least 1 and at most `max_items`, and return them in order.

        Waits, and raises, as `get` does; it waits for the first item only.

        Raises:
            ValueError: `max_items` is not an integer of at least 1, besides those of `get`.
        """
        if not isinstance(max_items, int) or max_items < 1:
            raise ValueError(f"max_items must be an integer >= 1, got {max_items!r}")
        deadline = None if timeout is None else _deadline(timeout)
        batch: list[T] = []

        def fill() -> list[T] | None:
            self._source.take_into(batch, max_items)
            return batch or None

        try:
            with self._lock:
                if not self._open or fill() is None:
                    self._wait_locked(fill, block, deadline)
            return batch
        except BaseException:
            if batch:
                self._put_back(batch)
            raise

    def __iter__(self) -> Iterator[T]:
        """Yield items as `get` returns them, until the mailbox is stopped."""
        try:
            while True:
                yield self.get()
        except MailBoxShuttingDown:
            return

    async def async_get(self) -> T:
        """Do as `get`, in a coroutine of any running event loop.

        A cancelled call consumes nothing. Where several wait on one outbox, each item wakes them
        all, and the first to have waited takes it.

        Raises:
            MailBoxShuttingDown: the mailbox is stopped, now or while waiting.
        """
        import asyncio  # here, because programs without it should not pay for it

        try:
            return self.get_nowait()
        except queue.Empty:
            loop = asyncio.get_running_loop()
            mail = asyncio.Event()

        def wake(_: Outbox[Any]) -> None:
            try:
                loop.call_soon_threadsafe(mail.set)
            except RuntimeError:
                pass  # the loop is closed, and with it the coroutine

        self.add_listener(wake)
        try:
            while True:
                mail.clear()
                try:
                    return self.get_nowait()
                except queue.Empty:
                    await mail.wait()
        finally:
            self.remove_listener(wake)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield items as `async_get` returns them, until the mailbox is stopped."""
        try:
            while True:
                yield await self.async_get()
        except MailBoxShuttingDown:
            return

    # For mailboxes

    def open_locked(self) -> None:
        """Begin to deliver."""
        self._open = True
        self.notify_all_locked()

    def close_locked(self) -> None:
        """Deliver nothing more, and turn receivers away."""
        self._open = False
        self._closed = True
        self.notify_all_locked()

    def notify_locked(self, count: int = 1) -> None:
        """Wake as many receivers as items have become deliverable."""
        if self._readable is not None and self.waiting:
            self._readable.notify(count)

    def notify_all_locked(self) -> None:
        if self._readable is not None and self.waiting:
            self._readable.notify_all()

    def tell_listeners(self) -> None:
        """Call every listener. After `notify_locked` and the like, without the lock."""
        for listener in self.listeners:
            listener(self)

    # For select

    def add_listener(self, listener: Callable[[Outbox[Any]], None]) -> None:
        """Have `listener(outbox)` called whenever an item may have become deliverable.

        And when the mailbox is started or stopped. In any thread, under no lock; it must not
        raise.
        """
        with self._lock:
            self.listeners = (*self.listeners, listener)

    def remove_listener(self, listener: Callable[[Outbox[Any]], None]) -> None:
        """Undo one `add_listener`. A call that is under way may still arrive."""
        with self._lock:
            listeners = list(self.listeners)
            listeners.remove(listener)
            self.listeners = tuple(listeners)

    def poll(self) -> bool | None:
        """Whether there is an item to take; None if the mailbox is stopped."""
        with self._lock:
            return None if self._closed else self._open and self._source.has_mail()

    def _wait_locked(self, take: Callable[[], Any], block: bool, deadline: int | None) -> Any:
        if self._readable is None:
            self._readable = threading.Condition(self._lock)
        while True:
            if self._closed:
                raise MailBoxShuttingDown
            if self._open:
                item = take()
                if item is not None:
                    return item
            remaining = None
            if not block:
                raise queue.Empty
            if deadline is not None:
                remaining = (deadline - _now_ns()) / 1_000_000_000
                if remaining <= 0:
                    raise queue.Empty
                remaining = min(remaining, threading.TIMEOUT_MAX)
            self.waiting += 1
            try:
                self._readable.wait(remaining)
            except BaseException:
                # Somebody may have notified this receiver, which goes without an item.
                self._readable.notify()
                raise
            finally:
                self.waiting -= 1

    def _put_back(self, batch: list[T]) -> None:
        with self._lock:
            self._source.put_back(batch)
            self.notify_locked(len(batch))
        self.tell_listeners()


def _deadline(timeout: float) -> int:
    return _now_ns() + seconds_to_ns("timeout", timeout)
