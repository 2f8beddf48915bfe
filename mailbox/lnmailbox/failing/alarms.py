"""One thread per clock that rings whoever asked to be rung, instead of one thread per mailbox.

A `Watch` is the thread and the heap of deadlines of one clock, an `Alarm` one mailbox's place
in it. The thread runs while any alarm is set. It keeps nobody alive who owns an alarm.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Hashable
from contextlib import suppress
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, ClassVar, cast

from ..bell import Timeout
from ..clock import Clock
from .courier import Couriers, start_thread

__all__ = ["RETRY_NS", "Alarm", "Watch"]

RETRY_NS = 1_000_000_000
"""Minimum delay before a retry."""

_FORGET_PATIENCE = 0.1  # seconds; if it can be had at all, the lock takes microseconds

_AT_ONCE = -(1 << 1024)  # has passed on every clock

_logger = logging.getLogger(__name__)


class Alarm:
    """Calls the bound method `ring` on the watch's thread at a deadline, once per `set`.

    `ring` is held weakly. It runs under no lock, and may set the alarm again. If it raises, it
    is called again a second later.
    """

    __slots__ = ("_deadline", "_ring", "_watch")

    def __init__(self, watch: Watch, ring: Callable[[], None]) -> None:
        self._watch = watch
        self._ring = weakref.WeakMethod(ring, self._owner_is_gone)
        self._deadline: int | None = None

    def set(self, deadline_ns: int) -> bool:
        """Ring at `deadline_ns`, at once if that has passed, unless an earlier ring is due.

        Returns whether there is a thread to do it. If none can be had, the alarm is kept, and the
        next call of any alarm of this watch tries to start one.
        """
        return self._watch._set(self, deadline_ns)

    def ring_soon(self) -> None:
        """Ring at once, whatever the time is."""
        self.set(_AT_ONCE)

    def cancel(self) -> None:
        """Don't ring. If no other alarm is set, wait until the watch's thread has ended.

        A ring that is under way is waited for in that case only.
        """
        self._watch._cancel(self)

    def _owner_is_gone(self, _: object) -> None:
        self._watch._forget(self)


class Watch:
    """The alarms of one clock. `of` finds it: equal clocks share one.

    Attributes:
        couriers: the threads that carry back what has expired on this clock.
    """

    _lock_of_all = threading.Lock()
    _all: ClassVar[weakref.WeakValueDictionary[Hashable, Watch]] = weakref.WeakValueDictionary()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.couriers = Couriers()
        # Set alarms, by deadline. An entry is void if its deadline is no longer its alarm's. The
        # number breaks ties.
        self._heap: list[tuple[int, int, Alarm]] = []
        self._numbers = count()
        self._set_alarms = 0
        self._begin()

    def _begin(self) -> None:
        # Garbage collection may call `_forget`, or a finalizer that stops a mailbox, in a thread
        # that holds it.
        self._lock: Any = threading.RLock()  # Any for `_is_owned`, which type checkers don't know
        # Waited on by the thread: until the first deadline, or the notice that there is an
        # earlier one (`_set`) or none any more (`_unset_locked`).
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None  # serves the alarms
        self._dismissed: threading.Thread | None = None  # the last one that is to end
        self._ringing = False  # whether the thread is calling an alarm's owner

    @classmethod
    def of(cls, clock: Clock) -> Watch:
        try:
            hash(clock)
            key = cast("Hashable", clock)
        except TypeError:
            key = id(clock)
        with cls._lock_of_all:
            watch = cls._all.get(key)
            if watch is None:
                watch = cls._all[key] = cls(clock)
            return watch

    def wait_until_quiet(self, timeout: Timeout) -> bool:
        """Block until no alarm is due now, or being rung, and no courier has work.

        Returns whether it is so; False if the time is up.
        """
        while not timeout.is_over():
            with self._lock:
                if self._is_busy_locked():
                    self._changed.wait(timeout.seconds())
                elif self.couriers.are_idle():
                    return True
            self.couriers.wait_until_idle(timeout)
        return False

    def _set(self, alarm: Alarm, deadline_ns: int) -> bool:
        with self._lock:
            if alarm._deadline is None or deadline_ns < alarm._deadline:
                self._changed.notify_all()
                entry = (deadline_ns, next(self._numbers), alarm)
                heappush(self._heap, entry)  # void until the next lines
                if alarm._deadline is None:
                    self._set_alarms += 1
                alarm._deadline = deadline_ns
                self._drop_void_locked()
            return self._has_thread_locked()

    def _cancel(self, alarm: Alarm) -> None:
        with self._lock:
            self._unset_locked(alarm)
            ending = self._dismissed
        # Don't wait for a thread that waits for this one, or is frozen at the interpreter's end.
        if (
            ending is not None
            and ending is not threading.current_thread()
            and not self._lock._is_owned()
            and not sys.is_finalizing()
        ):
            ending.join()

    def _forget(self, alarm: Alarm) -> None:
        # Garbage collection calls this anywhere, perhaps in a thread that the lock's holder
        # waits for. Then the alarm stays, and will ring for nobody.
        if self._lock.acquire(timeout=_FORGET_PATIENCE):
            try:
                self._unset_locked(alarm)
            finally:
                self._lock.release()

    def _unset_locked(self, alarm: Alarm) -> None:
        self._changed.notify_all()
        if alarm._deadline is not None:
            alarm._deadline = None
            self._set_alarms -= 1
            self._drop_void_locked()
        if not self._set_alarms:
            self._dismiss_locked()

    def _dismiss_locked(self) -> None:
        if self._thread is not None:
            self._dismissed, self._thread = self._thread, None

    def _drop_void_locked(self) -> None:
        if len(self._heap) > 2 * self._set_alarms:
            self._heap = [entry for entry in self._heap if _is_valid(entry)]
            heapify(self._heap)

    def _is_busy_locked(self) -> bool:
        now = self._clock.now_ns()
        return self._ringing or any(e[0] <= now and _is_valid(e) for e in self._heap)

    def _has_thread_locked(self) -> bool:
        if self._thread is None:
            name = f"lnmailbox-courier-watch-{type(self._clock).__name__}"
            self._thread = start_thread(threading.Thread, target=self._run, name=name)
        return self._thread is not None

    def _run(self) -> None:
        me = threading.current_thread()
        with self._lock:
            if self._thread is None:
                self._thread = me  # whoever started it was interrupted
        try:
            while due := self._wait_for_due(me):
                for alarm in due:
                    self._ring(alarm)
        finally:
            # Only a clock that raised gets here with the thread in service: the next `_set`
            # starts another one.
            with self._lock:
                self._ringing = False
                if self._thread is me:
                    self._dismiss_locked()

    def _wait_for_due(self, me: threading.Thread) -> list[Alarm]:
        """Block until alarms are due, and return them, unset; none when the thread is to end."""
        with self._lock:
            self._ringing = False
            self._changed.notify_all()
            while self._thread is me:
                now = self._clock.now_ns()
                due = []
                # No calls between looking and taking: after one, `_forget` may have come in.
                while heap := self._heap:
                    deadline, _, alarm = heap[0]
                    if deadline > now and alarm._deadline == deadline:
                        break
                    heappop(heap)
                    if alarm._deadline == deadline:
                        alarm._deadline = None
                        self._set_alarms -= 1
                        due.append(alarm)
                if due:
                    self._ringing = True
                    return due
                if self._heap:
                    self._clock.wait(self._changed, self._heap[0][0])
                else:
                    self._dismiss_locked()
        return []

    def _ring(self, alarm: Alarm) -> None:
        ring = alarm._ring()
        if ring is not None:
            try:
                ring()
            except Exception:
                with suppress(Exception):
                    _logger.exception("an alarm's owner failed, and will be called again")
                self._set(alarm, self._clock.now_ns() + RETRY_NS)


def _is_valid(entry: tuple[int, int, Alarm]) -> bool:
    return entry[2]._deadline == entry[0]


def _begin_anew() -> None:
    """Forget, in a forked child, the threads that are not there and the locks they may hold."""
    Watch._lock_of_all = threading.Lock()
    for watch in list(Watch._all.values()):
        watch._begin()
        watch.couriers = Couriers()
    Watch._all = weakref.WeakValueDictionary()


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_begin_anew)  # no fork, no need
