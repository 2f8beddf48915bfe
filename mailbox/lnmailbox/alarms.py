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
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, ClassVar, cast

from .clock import Clock

__all__ = ["Alarm", "Watch"]

_FORGET_PATIENCE = 0.1  # seconds; where it can be had at all the lock takes microseconds

_logger = logging.getLogger(__name__)


class Alarm:
    """Calls the bound method `ring` on the watch's thread at a deadline, once per `set`.

    `ring` is held weakly. It runs under no lock, and may set the alarm again.
    """

    __slots__ = ("_deadline", "_ring", "_watch")

    def __init__(self, watch: Watch, ring: Callable[[], None]) -> None:
        self._watch = watch
        self._ring = weakref.WeakMethod(ring, self._owner_is_gone)
        self._deadline: int | None = None

    def set(self, deadline_ns: int) -> None:
        """Ring at `deadline_ns`, at once if that has passed, in place of any other deadline.

        Raises:
            RuntimeError: the watch's thread could not be started.
        """
        self._watch._set(self, deadline_ns)

    def cancel(self) -> None:
        """Don't ring. Where no other alarm is set, wait until the watch's thread has ended.

        A ring that is under way is waited for in that case only.
        """
        self._watch._cancel(self)

    def _owner_is_gone(self, _: object) -> None:
        self._watch._forget(self)


class Watch:
    """The alarms of one clock. `of` finds it: equal clocks share one."""

    _lock_of_all = threading.Lock()
    _all: ClassVar[weakref.WeakValueDictionary[Hashable, Watch]] = weakref.WeakValueDictionary()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Garbage collection may call `_forget`, or a finalizer that stops a mailbox, in a thread
        # that holds it.
        self._lock: Any = threading.RLock()  # Any for `_is_owned`, which type checkers don't know
        # Waited on by the thread: until the first deadline, or the notice that there is an
        # earlier one (`_set`) or none any more (`_unset_locked`).
        self._changed = threading.Condition(self._lock)
        # Entries whose deadline is no longer their alarm's are void. The number breaks ties.
        self._heap: list[tuple[int, int, Alarm]] = []
        self._numbers = count()
        self._set_alarms = 0
        self._thread: threading.Thread | None = None  # the last one started
        self._running = False  # whether it is to go on

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

    def _set(self, alarm: Alarm, deadline_ns: int) -> None:
        with self._lock:
            entry = (deadline_ns, next(self._numbers), alarm)
            heappush(self._heap, entry)  # void until the next lines, if an interrupt comes now
            if alarm._deadline is None:
                self._set_alarms += 1
            alarm._deadline = deadline_ns
            self._drop_void_locked()
            if not self._running:
                self._start_locked()
            elif self._heap and self._heap[0][2] is alarm:
                self._changed.notify()

    def _cancel(self, alarm: Alarm) -> None:
        with self._lock:
            self._unset_locked(alarm)
            ending = None if self._running else self._thread
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
        if alarm._deadline is not None:
            alarm._deadline = None
            self._set_alarms -= 1
            self._drop_void_locked()
        if not self._set_alarms:
            self._running = False
            self._changed.notify()

    def _drop_void_locked(self) -> None:
        if len(self._heap) > 2 * self._set_alarms:
            self._heap = [entry for entry in self._heap if _is_valid(entry)]
            heapify(self._heap)

    def _start_locked(self) -> None:
        name = f"lnmailbox-courier-watch-{type(self._clock).__name__}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        thread.start()
        self._thread, self._running = thread, True

    def _run(self) -> None:
        with self._lock:  # held until `_start_locked` is done
            me = threading.current_thread()
        try:
            while due := self._wait_for_due(me):
                for alarm in due:
                    _ring(alarm)
        finally:
            # Only a clock that raised leaves it running: the next `_set` starts another thread.
            with self._lock:
                if self._thread is me:
                    self._running = False

    def _wait_for_due(self, me: threading.Thread) -> list[Alarm]:
        """Block until alarms are due, and return them, unset; none when the thread is to end."""
        with self._lock:
            while self._running and self._thread is me:
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
                    return due
                if self._heap:
                    self._clock.wait(self._changed, self._heap[0][0])
                else:
                    self._running = False
        return []


def _is_valid(entry: tuple[int, int, Alarm]) -> bool:
    return entry[2]._deadline == entry[0]


def _ring(alarm: Alarm) -> None:
    ring = alarm._ring()
    if ring is not None:
        try:
            ring()
        except Exception:
            _logger.exception("an alarm's owner failed")


def _begin_anew() -> None:
    """Forget, in a forked child, the threads that are not there and the locks they may hold."""
    Watch._lock_of_all = threading.Lock()
    Watch._all = weakref.WeakValueDictionary()


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_begin_anew)  # no fork, no need
