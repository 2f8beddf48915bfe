"""An error at any moment at which a signal can strike, and at no other."""

from __future__ import annotations

import _thread
import dis
import gc
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any


class Interrupt(KeyboardInterrupt):
    """The interrupt of these tests, so that no other passes for it."""


class Moment:
    """Runs an operation, with an error at the n-th moment at which a signal can strike.

    SIGINT is pending all the time. So its handler runs whenever the interpreter looks for
    signals, and at no other time: when a function begins, after a call of something that is not
    written in Python, when a loop jumps back, and in Python 3.10 after every call.

    Moments count in the package and in what it calls. They don't in callbacks of its users, in
    what only makes values, in `logging`, and in `Thread.start`, which an interrupt may ruin.

    Attributes:
        place: where the error was raised; empty if it was not.
    """

    def __init__(self, number: int, error: type[BaseException] = Interrupt) -> None:
        self.place = ""
        self._error = error
        self._left = number
        self._is_over = False

    def run(self, operation: Callable[[], Any]) -> Any:
        before = signal.signal(signal.SIGINT, self._on_signal), sys.getprofile()
        gc.disable()  # nothing can be raised from a finalizer
        # With a profiler, whatever it does, no call is specialised. Some of those that are don't
        # look for signals. With one, Python 3.11 looks for signals until there is none.
        if sys.version_info[:2] != (3, 11):
            sys.setprofile("".format)
        try:
            _thread.interrupt_main()
            return operation()
        finally:
            self._is_over = True
            sys.setprofile(before[1])
            gc.enable()
            signal.signal(signal.SIGINT, before[0])

    def _on_signal(self, _: int, frame: FrameType) -> None:
        if self._is_over:
            return
        if _counts(frame) and not _has_no_defence(frame):
            self._left -= 1
            if self._left == 0:
                self._is_over = True
                code = frame.f_code
                self.place = f"{code.co_filename}:{frame.f_lineno}, in {code.co_name}"
                raise self._error
        end = _End()
        self._again = _Again(end, _thread.interrupt_main)  # called at the end of this call


_VALUES = "lnmailbox.wire", "lnmailbox.packet", "lnmailbox.failure", "lnmailbox.testing"
# `_weakrefset` has a callback of weak references, from which nothing can be raised either.
_NOT_COUNTED = {"operations", "test_interrupts", "test_faults", "logging", "_weakrefset"}


def _counts(frame: FrameType | None) -> bool:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("coverage."):
            return False
        if module.startswith("lnmailbox."):
            return not module.startswith(_VALUES)
        if module in _NOT_COUNTED or frame.f_code is threading.Thread.start.__code__:
            return False
        frame = frame.f_back
    return False


def _has_no_defence(frame: FrameType) -> bool:
    """Whether the interpreter looks for signals where even `with lock` is of no use.

    Python 3.10 does so after an error, before an `except` or `finally` begins or a `with` ends.
    Python 3.14 does so between `__enter__` and the block of a `with` (python/cpython#148874).
    """
    if sys.version_info >= (3, 14):
        return frame.f_lasti in _entries(frame.f_code)
    traceback = sys.exc_info()[2] if sys.version_info < (3, 11) else None
    return (
        traceback is not None
        and traceback.tb_frame is frame
        and traceback.tb_lasti == frame.f_lasti
    )


@cache
def _entries(code: CodeType) -> set[int]:
    """Return where `__enter__` is called."""
    instructions = list(dis.get_instructions(code))
    return {
        call.offset
        for special, call in pairwise(instructions)
        if special.opname == "LOAD_SPECIAL" and call.opname == "CALL"
    }


class _End:
    """Its end is the end of a call."""


class _Again(weakref.ref):
    """A reference that passes for the number of the signal, when its callback gets it."""

    __index__ = int(signal.SIGINT).__index__
