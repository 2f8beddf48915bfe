"""One thread per clock that rings at deadlines, instead of one thread per mailbox.

A `Watch` is the thread and the heap of deadlines of one clock, an `Alarm` one mailbox's place
in it. The thread runs while any alarm is set. It does not keep the owners of alarms alive.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar, TypeVar, cast

from ..bell import Timeout
from ..clock import Clock
from .complaints import Complaints
from .courier import Couriers
from .workers import NO_THREAD, persist, report_no_thread

__all__ = ["RETRY_NS", "Alarm", "Watch"]

RETRY_NS = 1_000_000_000
"""Minimum delay before a retry."""

_FEW = 8  # void entries that are not worth the work

_AT_ONCE = -(1 << 1024)  # has passed on every clock

T = TypeVar("T")

_complaints = Complaints(logging.getLogger(__name__))


class Alarm:
    """Calls `ring` with its owner on the watch's thread at a deadline, once per `set`.

    The owner is held weakly. `ring` runs under no lock, and may set the alarm again. If it raises,
    it is called again a second later.
    """

    __slots__ = ("__weakref__", "_deadline", "_owner", "_ring", "_watch")

    def __init__(self, watch: Watch, ring: Callable[[T], None], owner: T) -> None:
        self._watch = watch
        self._ring = ring
        self._owner = _Owner(owner, Watch._forget)
        self._owner.alarm = self
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


class _Owner(weakref.ref[T]):
    """An alarm's owner. It knows the alarm until the owner is gone."""

    __slots__ = ("alarm",)

    alarm: Alarm | None


class Watch:
    """The alarms of one clock. `of` finds it: equal clocks share one.

    Attributes:
        couriers: the threads that carry back what has expired on this clock.
    """

    # Seconds; what is waited for takes microseconds if it comes at all. A module's names are gone
    # at the interpreter's end, those of a class are not.
    _PATIENCE: ClassVar[float] = 0.1

    # Reentrant, as is `_lock`: garbage collection, or a signal, may call anything in a thread
    # that holds them.
    _lock_of_all: ClassVar[Any] = threading.RLock()
    _all: ClassVar[weakref.WeakValueDictionary[Hashable, Watch]] = weakref.WeakValueDictionary()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.couriers = Couriers()
        # Set alarms, by deadline. An entry is void if its deadline is no longer its alarm's. The
        # number, of which `_latest` is the last one, breaks ties.
        self._heap: list[tuple[int, int, Alarm]] = []
        self._latest = 0
        self._set_alarms = 0
        self._begin()

    def _begin(self) -> None:
        self._lock: Any = threading.RLock()  # Any for `_is_owned`, which type checkers don't know
        # Waited on by the thread: until the first deadline, or the notice that there is an
        # earlier one (`_set`) or none any more (`_unset_locked`).
        self._changed = threading.Condition(self._lock)
        self._thread: _Watcher | None = None  # serves the alarms
        self._dismissed: list[_Watcher] = []  # those that are to end, and may be in a ring

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

    def _is_busy_locked(self) -> bool:
        now = self._clock.now_ns()
        is_due = any(entry[0] <= now and _is_valid(entry) for entry in self._heap)
        return is_due or any(t is not None and t.due for t in [self._thread, *self._dismissed])

    def _set(self, alarm: Alarm, deadline_ns: int) -> bool:
        with self._lock:
            if alarm._deadline is None or deadline_ns < alarm._deadline:
                self._changed.notify_all()
                self._latest += 1
                heappush(self._heap, (deadline_ns, self._latest, alarm))  # void until set
                # From here on no calls: after one, somebody may have come in.
                if alarm._deadline is None:
                    self._set_alarms += 1
                if alarm._deadline is None or deadline_ns < alarm._deadline:
                    alarm._deadline = deadline_ns
        return self._has_thread()

    def _has_thread(self) -> bool:
        """Start the thread, if there is none; return False if none can be had."""
        try:
            with self._lock:
                if self._thread is not None and not self._thread.is_alive():
                    # It died before it began. Or it lives: until Python 3.12, `is_alive` is wrong
                    # from then on if it was interrupted.
                    self._dismiss_locked()
                if self._thread is None:
                    thread = _Watcher(self)
                    thread.start()
                    self._thread = thread
        except NO_THREAD:
            report_no_thread("a watch")
            return False
        return True

    def _cancel(self, alarm: Alarm) -> None:
        with self._lock:
            self._unset_locked(alarm)
            ending = [] if self._thread else self._dismissed
        # Don't wait for threads that wait for this one, or are frozen at the interpreter's end.
        is_watcher = isinstance(threading.current_thread(), _Watcher)
        if not is_watcher and not self._lock._is_owned() and not sys.is_finalizing():
            for thread in ending:
                while thread.is_alive() and thread is not self._thread:
                    thread.join(self._PATIENCE)

    @staticmethod
    def _forget(gone: _Owner[Any]) -> None:
        """Cancel the alarm, whose owner is gone."""
        alarm, gone.alarm = gone.alarm, None
        assert alarm is not None
        watch = alarm._watch
        if watch._lock._is_owned():
            watch._unset_locked(alarm)
            return
        # Garbage collection calls this anywhere, perhaps in a thread that the lock's holder
        # waits for. Then the alarm stays, and will ring for nobody.
        try:
            if watch._lock.acquire(timeout=watch._PATIENCE):
                watch._unset_locked(alarm)
        finally:
            try:
                watch._lock.release()  # no call before it: each can be interrupted
            except RuntimeError:  # it is not held
                pass

    def _unset_locked(self, alarm: Alarm) -> None:
        if alarm._deadline is not None:
            alarm._deadline = None
            self._set_alarms -= 1
        if not self._set_alarms:
            self._dismiss_locked()
        elif self._is_mostly_void_locked():
            self._changed.notify_all()

    def _dismiss_locked(self) -> None:
        if self._thread is not None:
            self._dismissed = [t for t in self._dismissed if t.is_alive()] + [self._thread]
            self._changed.notify_all()
            self._thread = None

    def _is_mostly_void_locked(self) -> bool:
        return len(self._heap) > 2 * self._set_alarms + _FEW

    def _drop_void_locked(self) -> None:
        latest = self._latest
        heap = [entry for entry in self._heap if _is_valid(entry)]
        heapify(heap)
        if self._latest == latest:
            self._heap = heap

    def _wait_for_due(self, me: _Watcher) -> Alarm | None:
        """Block until an alarm is due, unset it, make it `me.due`; None if `me` is to end."""
        with self._lock:
            self._changed.notify_all()
            while True:
                if self._thread is None and self._set_alarms:
                    self._thread = me  # its start was interrupted, or it found no successor
                if self._thread is not me:
                    break
                if self._is_mostly_void_locked():
                    self._drop_void_locked()
                now = self._clock.now_ns()
                heap = self._heap
                if not heap:
                    self._dismiss_locked()
                    break
                # No calls between looking and taking: after one, somebody may have come in.
                deadline, _, alarm = heap[0]
                if alarm._deadline != deadline:
                    heappop(heap)
                elif deadline <= now:
                    alarm._deadline = None
                    self._set_alarms -= 1
                    me.due = alarm
                    return alarm
                else:
                    self._clock.wait(self._changed, deadline)
            self._drop_void_locked()
        return None


class _Watcher(threading.Thread):
    """The thread of a watch.

    Attributes:
        due: the alarm that it rings, or is to ring again.
    """

    def __init__(self, watch: Watch) -> None:
        name = f"lnmailbox-courier-watch-{type(watch._clock).__name__}"
        super().__init__(name=name, daemon=True)
        self._watch = watch
        self.due: Alarm | None = None

    def run(self) -> None:
        while persist(self._ring_next):
            pass
        del self._watch  # which knows this thread

    def _ring_next(self) -> bool:
        alarm = self.due or self._watch._wait_for_due(self)
        if alarm is None:
            return False
        try:
            owner = alarm._owner()
            if owner is not None:
                alarm._ring(owner)
            del owner
        except BaseException:
            _complaints.report("an alarm's owner failed, and will be called again")
            alarm.set(self._watch._clock.now_ns() + RETRY_NS)
        self.due = None
        return True


def _is_valid(entry: tuple[int, int, Alarm]) -> bool:
    return entry[2]._deadline == entry[0]


def _begin_anew() -> None:
    """Forget, in a forked child, the threads that are not there and the locks they may hold."""
    Watch._lock_of_all = threading.RLock()
    for watch in list(Watch._all.values()):
        watch._begin()
    Watch._all = weakref.WeakValueDictionary()


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_begin_anew)  # no fork, no need
