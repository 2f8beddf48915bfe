"""What a thread waits on until another one rings: all callers of this package wait on bells."""

from __future__ import annotations

import threading

from .clock import SystemClock, seconds_to_ns
from .wire.shown import shown

__all__ = ["FOREVER", "Bell", "Timeout", "check_max", "ring_first"]

_now_ns = SystemClock.now_ns


class Bell:
    """Hung where mail is expected, rung once, and waited on by one thread with no lock held.

    A `threading.Condition` would give the lock back and take it again inside the wait. An
    interrupt there leaves the caller without the lock it believes to hold, and leaves behind a
    waiter that uses up somebody else's notification.

    Attributes:
        ring: wakes the thread that waits, or will wait. To be called once.
    """

    __slots__ = ("_acquire", "ring")

    def __init__(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        self._acquire = lock.acquire
        self.ring = lock.release

    def wait(self, timeout: Timeout) -> None:
        """Block until the bell rings or the time is up."""
        seconds = timeout.seconds()
        self._acquire(True, -1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))


def ring_first(bells: list[Bell], count: int) -> None:
    """Remove the first bells from the list and ring them, up to `count`.

    Nothing is called between the two, so an interrupt finds each bell in the list or rung.
    """
    while bells and count:
        count -= 1
        bell = bells[0]
        del bells[0]
        bell.ring()


class Timeout:
    """How long a call may wait: computed once, when the call begins.

    Args:
        seconds: of real time, whatever a mailbox's clock says; None is for ever.

    Raises:
        ValueError: `seconds` is not a finite number of at least 0.
    """

    __slots__ = ("_end",)

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else _now_ns() + seconds_to_ns("timeout", seconds)

    def is_over(self) -> bool:
        return self._end is not None and _now_ns() >= self._end

    def seconds(self) -> float | None:
        """Return the seconds left; None is for ever."""
        return None if self._end is None else max(self._end - _now_ns(), 0) / 1_000_000_000


FOREVER = Timeout(None)


def check_max(name: str, value: int) -> None:
    """Raise ValueError unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {shown(value)}")
