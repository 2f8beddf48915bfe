"""Clocks, by which Adds expire."""

from __future__ import annotations

import datetime
import importlib.util
import threading
from collections.abc import Callable
from typing import Protocol

import attrs

from .wire.shown import shown

__all__ = ["Clock", "ManualClock", "SystemClock", "WallClock", "seconds_to_ns"]

# A second instance of the module: freezegun puts its own functions into the first, and wherever
# it finds the first one's, perhaps before this package is imported.
_spec = importlib.util.find_spec("time")
assert _spec is not None
assert _spec.loader is not None
_time = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_time)
_monotonic_ns: Callable[[], int] = _time.monotonic_ns

_MAX_SECONDS = 1e290  # times 10**9 it is still a float

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)


def seconds_to_ns(name: str, seconds: float) -> int:
    """Convert a span in seconds to whole nanoseconds.

    Raises:
        ValueError: `seconds` is not a finite number of at least 0; the text has `name`.
    """
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, (int, float))
        or not 0 <= seconds <= _MAX_SECONDS
    ):
        raise ValueError(f"{name} must be a finite number of seconds >= 0, got {shown(seconds)}")
    return round(seconds * 1_000_000_000)


class Clock(Protocol):
    """A scale of time in integer nanoseconds, and how to wait on it (lnd: `clock.Clock`).

    Mailboxes whose clocks are equal share one thread that waits for their deadlines. A clock
    that raises there ends it; the next deadline that comes first starts another.
    Both methods are called under locks of this package: they must not call into a mailbox.
    """

    def now_ns(self) -> int:
        """Return the time in nanoseconds since a fixed moment of this clock's choice."""
        ...

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        """Wait on `condition`, whose lock the caller holds, until it is notified or time is up.

        May return early: the caller looks at the time and at its predicate again.

        Args:
            condition: released while waiting, held again on return.
            deadline_ns: when to return at the latest, on this clock's scale; None is never.
        """
        ...


def _wait_ns(condition: threading.Condition, span_ns: int) -> None:
    if span_ns > 0:
        condition.wait(min(span_ns / 1_000_000_000, threading.TIMEOUT_MAX))


@attrs.frozen
class SystemClock:
    """The machine's monotonic clock: it neither jumps nor follows the time of day.

    The default. freezegun does not reach it, in any thread.
    """

    # Bound in the class because freezegun replaces the attributes of modules only.
    now_ns = staticmethod(_monotonic_ns)

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        if deadline_ns is None:
            condition.wait()
        else:
            _wait_ns(condition, deadline_ns - self.now_ns())


@attrs.frozen
class WallClock:
    """The time of day, in nanoseconds since 1970-01-01 UTC with microsecond resolution.

    It follows when the wall clock is set, or frozen and moved by freezegun, within 0.1 s:
    nothing announces such a jump, so a deadline that is waited for is looked at 20 times a
    second. This is the one wait of the package that wakes up without a reason.
    """

    _LOOK_NS = 50_000_000

    def now_ns(self) -> int:
        since_epoch = datetime.datetime.now(datetime.timezone.utc) - _EPOCH
        return since_epoch // _MICROSECOND * 1_000

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        if deadline_ns is None:
            condition.wait()
        else:
            _wait_ns(condition, min(deadline_ns - self.now_ns(), self._LOOK_NS))


class ManualClock:
    """A clock that moves when `advance` is called and at no other time (lnd: `TestClock`).

    Deadlines are absolute, so none can be missed: a wait for one that has passed returns at
    once, and `advance` wakes everybody who waits. What they then do happens in their threads,
    possibly after `advance` has returned.

    Args:
        start: the time at first, in seconds.

    Raises:
        ValueError: `start` is not a finite number of at least 0.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now_ns = seconds_to_ns("start", start)
        # Guards the two fields. Taken under a waiter's lock, so never held while taking one.
        self._lock = threading.Lock()
        self._waiting: list[threading.Condition] = []

    def __repr__(self) -> str:
        return f"<ManualClock at {self._now_ns / 1_000_000_000} s>"

    def now_ns(self) -> int:
        return self._now_ns

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        with self._lock:
            if deadline_ns is not None and self._now_ns >= deadline_ns:
                return
            self._waiting.append(condition)
        try:
            # An `advance` from here on finds the condition in the list, and can notify it
            # only once `condition.wait` has let go of its lock.
            condition.wait()
        finally:
            with self._lock:
                self._waiting.remove(condition)

    def advance(self, seconds: float) -> None:
        """Move the time forward by `seconds` and wake all that wait. Does not block.

        Raises:
            ValueError: `seconds` is not a finite number of at least 0.
        """
        span_ns = seconds_to_ns("seconds", seconds)
        with self._lock:
            self._now_ns += span_ns
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()
