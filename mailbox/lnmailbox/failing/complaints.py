"""Errors that repeat: told once with their traceback, then counted."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

__all__ = ["Complaints"]


class Complaints:
    """What one part of the program has to say about errors.

    Never raises what a log's handlers and filters raise, KeyboardInterrupt excepted.
    """

    __slots__ = ("_counts", "_logger")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._counts: dict[tuple[str, type[BaseException] | None], int] = {}

    def report(self, message: str, *args: object, level: int = logging.ERROR) -> None:
        """Log the error that is being handled.

        The first with this text and of this class has its traceback; the 10th, the 100th, and so
        on get a line.
        """
        kind = message, sys.exc_info()[0]
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        with suppress(Exception):
            if count == 1:
                self._logger.log(level, message, *args, exc_info=True)
            elif str(count).strip("0") == "1":
                self._logger.log(level, "%s (%d times so far)", message % args, count)
