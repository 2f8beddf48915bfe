"""Threads for tests: calls in the background, calls that must block, errors that surface.

Nothing here sleeps for a guessed time. A test waits for what has to happen, and fails if that
takes longer than `PATIENCE`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds that a test waits for something that has to happen."""


class Call(Generic[T]):
    """A function call on a thread of its own, with its result or error."""

    def __init__(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> None:
        name = getattr(function, "__qualname__", repr(function))
        self._function = function
        self._arguments = args, kwargs
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"test call of {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        args, kwargs = self._arguments
        try:
            self._result = self._function(*args, **kwargs)
        except BaseException as error:
            self._error = error

    @property
    def done(self) -> bool:
        """Whether the function has returned or raised."""
        return not self._thread.is_alive()

    def result(self, timeout: float = PATIENCE) -> T:
        """Wait for the function; return what it returned or raise what it raised."""
        self._thread.join(timeout)
        assert self.done, f"{self._thread.name} did not end in {timeout} s"
        if self._error is not None:
            raise self._error
        return self._result

    def wait_until_blocked(self) -> None:
        """Wait until the thread stands still inside the function; fail if the function ends.

        The thread stands still if it is at the same instruction of the same frame in several
        looks. A starved thread or a busy loop can look like that too. Then the test is weaker
        for once, but it does not fail.
        """
        looks = 0
        frame: FrameType | None = None
        place = -1
        while looks < 5:
            self._thread.join(0.002)  # the pause between two looks, over at once if it ends
            assert not self.done, f"{self._thread.name} should have blocked"
            seen = sys._current_frames().get(self._thread.ident or 0)
            if seen is not None and seen is frame and seen.f_lasti == place:
                looks += 1
            else:
                looks, frame, place = 0, seen, -1 if seen is None else seen.f_lasti


def blocked(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Call[T]:
    """Call the function on a thread and return as soon as it blocks there.

    The test must unblock it next; `result()` waits for that.
    """
    call = Call(function, *args, **kwargs)
    call.wait_until_blocked()
    return call


def run_threads(*functions: Callable[[], T], timeout: float = PATIENCE) -> list[T]:
    """Start all functions together, each on a thread; return their results in the same order.

    The first error in that order is raised once all have ended, so no thread is left behind.
    """
    gate = threading.Barrier(len(functions))

    def run(function: Callable[[], T]) -> T:
        gate.wait(timeout)
        return function()

    calls = [Call(run, function) for function in functions]
    for call in calls:
        call._thread.join(timeout)
    return [call.result(0) for call in calls]
