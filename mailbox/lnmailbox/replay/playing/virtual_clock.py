"""The clock of a replay: virtual time, to the nanosecond."""

from __future__ import annotations

import threading

import attrs

__all__ = ["VirtualClock"]

_NEVER = 1 << 1024


@attrs.define(eq=False)
class _Waiting:
    condition: threading.Condition
    until_ns: int
    """`_NEVER` also once it was notified."""


class VirtualClock:
    """A `Clock` that the switch of a replay moves from one event to the next.

    A `ManualClock` wakes everybody who waits, each time. A replay moves its clock with every
    event, and this one wakes those whose time has come.
    """

    def __init__(self) -> None:
        self._now_ns = 0
        # Guards the fields. Taken under a waiter's lock, so never held while taking one.
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._next_ns = _NEVER

    def now_ns(self) -> int:
        """Return the virtual time: ns since the first event."""
        return self._now_ns

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        """Wait on `condition` until it is notified, or the clock is moved to the deadline."""
        waiting = _Waiting(condition, _NEVER if deadline_ns is None else deadline_ns)
        with self._lock:
            if self._now_ns >= waiting.until_ns:
                return
            self._waiting.append(waiting)
            self._next_ns = min(self._next_ns, waiting.until_ns)
        try:
            # `move_to` from here on finds it, and can notify it only once `condition.wait` has
            # let go of its lock.
            condition.wait()
        finally:
            with self._lock:
                self._waiting.remove(waiting)
                self._look_ahead_locked()

    def move_to(self, at_ns: int) -> None:
        """Move on to `at_ns`, and wake those who waited for a time until then."""
        with self._lock:
            self._now_ns = at_ns
            if at_ns < self._next_ns:
                return
            due = [waiting for waiting in self._waiting if waiting.until_ns <= at_ns]
            for waiting in due:
                waiting.until_ns = _NEVER
            self._look_ahead_locked()
        for waiting in due:
            with waiting.condition:
                waiting.condition.notify_all()

    def _look_ahead_locked(self) -> None:
        self._next_ns = min((waiting.until_ns for waiting in self._waiting), default=_NEVER)
