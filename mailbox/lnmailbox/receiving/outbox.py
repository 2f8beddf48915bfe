"""The outbox of a mailbox that keeps its mail under a lock of this process."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partialmethod
from itertools import repeat
from typing import TypeVar

from ..bell import FOREVER, Bell, Timeout, check_max, ring_first
from ..contract import Hand, Listener, Outbox, OutboxStatistics
from ..errors import MailBoxShuttingDown
from ..keeping.store import Source
from ..life import Life
from .awaiting import take_or_await

__all__ = ["LocalOutbox"]

T = TypeVar("T")

_FEW = 8  # listeners that are over and not worth the work


# Python 3.10 looks for signals also when a function has returned. If an interrupt comes then, and
# the caller is written in Python, the caller has no item to put back. So `get` takes each item
# into a hand there, and only the user and C call it.


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

    __slots__ = ("_bells", "_life", "_listeners", "_lock", "_many", "_source", "_take", "_what")

    def __init__(self, what: str, life: Life, source: Source[T]) -> None:
        self._what = what
        self._life = life
        self._lock = life.lock
        self._source = source
        self._take = source.take
        self._last_turn = 0
        self._bells: list[Bell] = []  # of the threads that wait, in the order of their coming
        self._listeners: dict[Listener, None] = {}  # changed without the lock, in single steps
        self._many = _FEW  # listeners; before there are more, those that are over are removed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the {self._what} of {self._life}>"

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        # As `get_batch`, without a hand: half the time.
        until = FOREVER if timeout is None else Timeout(timeout)
        since = 0
        item = bell = None
        try:
            while True:
                self._lock.acquire()
                if bell is not None:
                    self._take_down_locked(bell)
                if self._life.running:
                    since = self._source.round
                    item = self._take()
                if item is not None:
                    self._lock.release()
                    return item
                self._require_wait_locked(block, until)
                bell = Bell()
                self._bells.append(bell)
                self._lock.release()
                bell.wait(until)
        except BaseException as error:
            try:
                self._lock.release()
            except RuntimeError:  # it is not held
                pass
            if item is not None:
                self._put_back([item], since)
            else:
                self._give_up(bell, error)
            raise

    def _get_by_hand(self, block: bool = True, timeout: float | None = None) -> T:
        hand: Hand[T] = Hand()
        try:
            self._wait_into(hand, 1, block, Timeout(timeout))
            found: T = hand[0]
            return found
        except BaseException:
            hand.put_back()
            raise

    def get_batch(
        self, max_items: int, block: bool = True, timeout: float | None = None
    ) -> list[T]:
        check_max("max_items", max_items)
        hand: Hand[T] = Hand()
        try:
            self._wait_into(hand, max_items, block, Timeout(timeout))
            return hand[:]
        except BaseException:
            hand.put_back()
            raise

    if sys.version_info < (3, 11):
        get = _get_by_hand
        get_nowait = partialmethod(_get_by_hand, False)
        __iter__ = _each_item

    async def async_get_batch(self, max_items: int) -> list[T]:
        check_max("max_items", max_items)
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

    def statistics(self) -> OutboxStatistics:
        with self._lock:
            return OutboxStatistics(
                waiting=len(self._source),
                receivers=len(self._bells),
                listeners=len(self._listeners),
            )

    def _wait_into(self, hand: Hand[T], size: int, block: bool, until: Timeout) -> None:
        bell = None
        try:
            while True:
                with self._lock:
                    if bell is not None:
                        self._take_down_locked(bell)
                    if self._life.running:
                        hand.outbox, hand.since = self, self._source.round
                        self._source.take_into(hand, size)
                        if hand:
                            return
                    self._require_wait_locked(block, until)
                    bell = Bell()
                    self._bells.append(bell)
                bell.wait(until)
        except BaseException as error:
            self._give_up(bell, error)
            raise

    def _take_down_locked(self, bell: Bell) -> None:
        """Remove the bell of a receiver that looks again, even if its time is up."""
        if bell in self._bells:
            self._bells.remove(bell)

    def _require_wait_locked(self, block: bool, until: Timeout) -> None:
        """Raise unless a receiver is to wait."""
        self._life.require_not_stopped()
        if not block or until.is_over():
            raise queue.Empty

    def _give_up(self, bell: Bell | None, error: BaseException) -> None:
        """Take the bell of a receiver that goes with this error, or pass its ring on.

        It may have rung for an item that the receiver goes without.
        """
        if isinstance(error, (queue.Empty, MailBoxShuttingDown)):
            return  # there was nothing
        with self._lock:
            if bell in self._bells:
                self._bells.remove(bell)
            else:
                self._ring_locked()

    def _ring_locked(self, count: int = 1) -> None:
        """Wake as many receivers as items are about to become deliverable."""
        ring_first(self._bells, count)
        for listener in list(self._listeners) if self._listeners else ():
            if listener(self):
                self._remove_listener(listener)

    def _ring_all_locked(self) -> None:
        self._ring_locked(len(self._bells))

    def _look(self) -> int | None:
        with self._lock:
            if self._life.stopped:
                return None
            return self._source.look() if self._life.running else 0

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
        if len(self._listeners) >= self._many:
            # Selectors that were dropped without `close` are gone, but not what is here of them.
            with self._lock:
                self._ring_locked(0)
            self._many = 2 * len(self._listeners) + _FEW
        self._listeners[listener] = None

    def _remove_listener(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)
