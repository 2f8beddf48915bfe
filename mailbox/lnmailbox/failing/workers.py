"""For threads that others rely on: what to do when they can't be had, or fail."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from .complaints import Complaints

__all__ = ["NO_THREAD", "persist", "report_no_thread"]

NO_THREAD = (RuntimeError, MemoryError)
"""What `Thread.start` raises if the machine has no thread to give."""

_PAUSE = 1.0  # seconds between two attempts

_complaints = Complaints(logging.getLogger(__name__))

T = TypeVar("T")


def report_no_thread(name: str) -> None:
    """Log the error that is being handled, unless the program is ending."""
    if not sys.is_finalizing() and threading.main_thread().is_alive():
        _complaints.report("no thread for %s: Adds that expire have to wait", name)


def persist(do: Callable[[], T]) -> T:
    """Call `do` until it does not raise, and return what it returns.

    For a thread's duties: the others believe that they are in good hands.
    """
    while True:
        try:
            return do()
        except BaseException:
            with suppress(BaseException):  # what a log's filter may raise
                name = threading.current_thread().name
                _complaints.report("%s failed, and will try again", name)
            time.sleep(_PAUSE)
