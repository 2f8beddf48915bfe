"""Errors that repeat: told once with their traceback, then counted."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

__all__ = ["MAX_KINDS", "Complaints"]

MAX_KINDS = 100
"""How many texts and classes of errors are told apart; all others count as one."""


class Complaints:
    """What one part of the program has to say about errors.

    Never raises what a log's handlers and filters raise, unless that is no `Exception`.
    """

    __slots__ = ("_counts", "_logger")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._counts: dict[tuple[str, type[BaseException] | None], Iterator[int]] = {}

    def report(self, message: str, *args: object, level: int = logging.ERROR) -> None:
        """Log the error that is being handled.

        The first with this text and of this class has its traceback; the 10th, the 100th, and so
        on get a line. `MAX_KINDS` are told apart, for programs that make classes as they go.
        """
        with suppress(Exception):
            kind = message, sys.exc_info()[0]
            if kind not in self._counts and len(self._counts) >= MAX_KINDS:
                kind = "", None
            number = next(self._counts.setdefault(kind, count(1)))
            if number == 1:
                self._logger.log(level, message, *args, exc_info=True)
            elif str(number).strip("0") == "1":
                self._logger.log(level, "%s (%d times so far)", message % args, number)

    def mention(self, message: str, *args: object) -> None:
        """Log what is no error, for those who debug."""
        with suppress(Exception):
            self._logger.debug(message, *args)
