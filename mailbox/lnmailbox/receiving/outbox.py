"""The outbox of a mailbox that keeps its mail under a lock of this process."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partialmethod
from itertools import repeat
from typing import TypeVar

from ..bell import FOREVER, Bell, Timeout, ring_first
from ..contract import Hand, Listener, Outbox
from ..errors import MailBoxShuttingDown
from ..keeping.store import Source
from ..life import Life
from .awaiting import take_or_await

__all__ = ["LocalOutbox"]

T = TypeVar("T")


# Python 3.10 looks for signals also when a function has returned. If an interrupt comes then, and
# the caller is written in Python, the caller has no item to put back. So the next two functions
# stand for others there.


def _take_nothing() -> None:
    """Stand for `Source.take`, so that each item goes through a hand."""


def _each_item(outbox: Outbox[T]) -> Iterator[T]:
    """Stand for `Outbox.__iter__`; `map` is not written in Python."""
    with suppress(MailBoxShuttingDown):
        yield from map(outbox.get, repeat(True))


class LocalOutbox(Outbox[T]):
    """An outbox over a lock and a source: receivers take under the lock, in their own thread.

    A receiver that finds nothing hangs a bell, lets go of the lock, and waits. Whoever makes
    items deliverable rings first and makes them deliverable then, in one critical section: an
    interrupt in between costs a receiver a look, and loses nothing.

    Mailboxes call `_ring_locked`, with the lock held.
    """

    __slots__ = ("_bells", "_life", "_listeners", "_lock", "_source", "_take", "_what")

    def __init__(self, what: str, life: Life, source: Source[T]) -> None:
        self._what = what
        self._life = life
        self._lock = life.lock
        self._source = source
        self._take = source.take if sys.version_info >= (3, 11) else _take_nothing
        self._last_turn = 0
        self._bells: list[Bell] = []  # of the threads that wait, in the order of their coming
        self._listeners: dict[Listener, None] = {}  # changed without the lock, in single steps

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the {self._what} of {self._life}>"

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        until = FOREVER if timeout is None else Timeout(timeout)
        since = 0
        item = None
        try:
            self._lock.acquire()
            if self._life.running:
                since = self._source.round
                item = self._take()
            self._lock.release()
            if item is not None:
                return item
        except BaseException:
            try:
                self._lock.release()
            except RuntimeError:  # it is not held
                pass
            if item is not None:
                self._put_back([item], since)
            raise
        hand: Hand[T] = Hand()
        try:
            self._wait_into(hand, 1, block, until)
            found: T = hand[0]
            return found
        except BaseException:
            hand.put_back()
            raise

    def get_batch(
        self, max_items: int, block: bool = True, timeout: float | None = None
    ) -> list[T]:
        _check_max_items(max_items)
        hand: Hand[T] = Hand()
        try:
            self._wait_into(hand, max_items, block, Timeout(timeout))
            return hand[:]
        except BaseException:
            hand.put_back()
            raise

    # On Python 3.10, only the user and C call `get`; the reason is above.
    get_nowait = Outbox.get_nowait if sys.version_info >= (3, 11) else partialmethod(get, False)
    __iter__ = Outbox.__iter__ if sys.version_info >= (3, 11) else _each_item

    async def async_get_batch(self, max_items: int) -> list[T]:
        _check_max_items(max_items)
        hand: Hand[T] = Hand()
        try:
            await take_or_await(self, hand, max_items)
            if hand:
                return hand[:]
        except BaseException:
            hand.put_back()
            raise
        raise MailBoxShuttingDown

    def qsize(self) -> int:
        with self._lock:
            return len(self._source)

    def _wait_into(self, hand: Hand[T], size: int, block: bool, until: Timeout) -> None:
        bell = None
        try:
            while True:
                with self._lock:
                    if bell in self._bells:  # its time is up
                        self._bells.remove(bell)
                    self._life.require_not_stopped()
                    if self._life.running:
                        hand.outbox, hand.since = self, self._source.round
                        self._source.take_into(hand, size)
                        if hand:
                            return
                    if not block or until.is_over():
                        raise queue.Empty
                    bell = Bell()
                    self._bells.append(bell)
                bell.wait(until)
        except (queue.Empty, MailBoxShuttingDown):
            raise
        except BaseException:
            # The bell may have rung for an item that this receiver goes without.
            with self._lock:
                if bell in self._bells:
                    self._bells.remove(bell)
                else:
                    self._ring_locked()
            raise

    def _ring_locked(self, count: int = 1) -> None:
        """Wake as many receivers as items are about to become deliverable."""
        ring_first(self._bells, count)
        for listener in list(self._listeners):
            if listener(self):
                self._remove_listener(listener)

    def _ring_all_locked(self) -> None:
        self._ring_locked(len(self._bells))

    def _look(self) -> bool | None:
        with self._lock:
            if self._life.stopped:
                return None
            return self._life.running and self._source.has_mail()

    def _take_into(self, hand: Hand[T], size: int, turn: int = 0) -> bool:
        with self._lock:
            if self._life.running:
                hand.outbox, hand.since = self, self._source.round
                self._source.take_into(hand, size)
                if hand and turn > self._last_turn:
                    self._last_turn = turn
            return not self._life.stopped

    def _put_back(self, items: list[T], since: int) -> None:
        with self._lock:
            try:
                self._ring_locked(len(items))
            finally:
                self._source.put_back(items, since)

    def _add_listener(self, listener: Listener) -> None:
        self._listeners[listener] = None

    def _remove_listener(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)


def _check_max_items(max_items: int) -> None:
    if not isinstance(max_items, int) or max_items < 1:
        raise ValueError(f"max_items must be an integer >= 1, got {max_items!r}")
