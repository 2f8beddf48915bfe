"""Receiving: an item goes from the mailbox's queue to its receiver under the mailbox's lock."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
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

    def __init__(self, lock: threading.RLock, source: Source[T]) -> None:
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
            self._lock.acquire()
            if self._open:
                item = self._take()
            if item is None:
                item = self._wait_locked(self._take, block, deadline)
            self._lock.release()
            return item
        except BaseException:
            release_if_held(self._lock)
            # KeyboardInterrupt can come between taking the item and returning it.
            if item is not None:
                self.put_back([item])
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
                self.put_back(batch)
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
        all, and the first to have waited takes it. Where there is an item it is returned at
        once, without a turn for the loop's other tasks, as by `asyncio.Queue`.

        Raises:
            MailBoxShuttingDown: the mailbox is stopped, now or while waiting.
        """
        item: list[T] = []  # in here from the moment when it is out of the mailbox
        try:
            if self.take_in_turn(item) and not item:
                await self._wait_and_take(item)
            if item:
                return item[0]
        except BaseException:
            if item:
                self.put_back(item)
            raise
        raise MailBoxShuttingDown

    async def _wait_and_take(self, item: list[T]) -> None:
        """Take an item into `item`; none if the mailbox is stopped."""
        bell = _Bell()
        dropped = False
        try:
            self.add_listener(bell)
            while True:
                bell.looks += 1
                bell.rung.clear()
                if not self.take_in_turn(item) or item:
                    return
                await bell.rung.wait()
        except GeneratorExit:
            # Maybe by the garbage collector, at any place, and so with the lock held: the bell
            # removes itself when there is mail.
            dropped = True
            raise
        finally:
            bell.over = True
            if not dropped:
                self.remove_listener(bell)

    def __aiter__(self) -> AsyncIterator[T]:
        """Yield items as `async_get` returns them, until the mailbox is stopped."""
        return _AsyncItems(self)

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

    def recover(self, error: BaseException) -> None:
        """Release the lock, if it is held; let all look from whom an interrupt may keep news."""
        release_if_held(self._lock)
        if not isinstance(error, Exception):
            with self._lock:
                self.notify_all_locked()
            self.tell_listeners()

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
        """Undo `add_listener`, if it was called. A call that is under way may still arrive."""
        with self._lock:
            self.listeners = tuple(other for other in self.listeners if other != listener)

    def poll(self) -> bool | None:
        """Whether there is an item to take; None if the mailbox is stopped."""
        with self._lock:
            return None if self._closed else self._open and self._source.has_mail()

    def take_in_turn(self, item: list[T], turn: int = 0) -> bool:
        """Put the next item into `item`, if there is one; return whether the mailbox runs.

        There it is safe from an interrupt: the caller does not return without looking into it,
        and gives back with `put_back` what it can't return.

        Args:
            turn: what `last_turn` becomes with the item, unless it is more.
        """
        with self._lock:
            if self._open:
                self._source.take_into(item, 1)
                if item and turn > self.last_turn:
                    self.last_turn = turn
            return not self._closed

    def put_back(self, batch: list[T]) -> None:
        """Undo the taking of these items, which nobody received."""
        with self._lock:
            self._source.put_back(batch)
            self.notify_locked(len(batch))
        self.tell_listeners()

    def _wait_locked(self, take: Callable[[], Any], block: bool, deadline: int | None) -> Any:
        if self._readable is None:
            self._readable = threading.Condition(self._lock)
        try:
            while True:
                if self._closed:
                    raise MailBoxShuttingDown
                if self._open:
                    item = take()
                    if item is not None:
                        return item
                if not block:
                    raise queue.Empty
                remaining = None
                if deadline is not None:
                    remaining = (deadline - _now_ns()) / 1_000_000_000
                    if remaining <= 0:
                        raise queue.Empty
                    remaining = min(remaining, threading.TIMEOUT_MAX)
                self.waiting += 1
                try:
                    self._readable.wait(remaining)
                finally:
                    self.waiting -= 1
        except (queue.Empty, MailBoxShuttingDown):
            raise
        except BaseException:
            # Somebody may have notified this receiver, which goes without an item; or the
            # condition still counts on it, and would notify it in place of another one.
            self._readable.notify_all()
            raise


def release_if_held(lock: threading.RLock) -> None:
    """Release the lock after an exception that may have come before it was taken."""
    with suppress(RuntimeError):  # what an RLock raises in a thread that does not hold it
        lock.release()


def _deadline(timeout: float) -> int:
    return _now_ns() + seconds_to_ns("timeout", timeout)


class _Bell:
    """Tells a coroutine of the running loop that there may be mail.

    Once for all that arrives until it looks: a loop that is busy is not flooded.
    """

    __slots__ = ("_loop", "_told", "looks", "over", "rung")

    def __init__(self) -> None:
        import asyncio  # here, because programs without it should not pay for it

        self._loop = asyncio.get_running_loop()
        self._told = 0  # at which of the looks it last rang
        self.looks = 0
        self.rung = asyncio.Event()
        self.over = False

    def __call__(self, outbox: Outbox[Any]) -> None:
        look = self.looks
        if self.over:
            outbox.remove_listener(self)
        elif self._told != look:
            try:
                self._loop.call_soon_threadsafe(self.rung.set)
            except RuntimeError:
                outbox.remove_listener(self)  # the loop is closed, and with it the coroutine
            self._told = look


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
