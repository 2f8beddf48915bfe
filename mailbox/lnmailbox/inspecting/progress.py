"""One line on a terminal that says how far a long reading has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["Progress"]

_FIRST = 1.0  # seconds without a line: most readings are shorter
_NEXT = 0.2

_T = TypeVar("_T")


class Progress:
    """Writes to stderr if that is a terminal, otherwise nothing. Use it in a `with`.

    Args:
        doing: what takes so long, for a person.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._started = time.monotonic()
        self._due = self._started + _FIRST
        self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._write("")

    def tick(self, done: int | str | None = None) -> None:
        """Renew the line if it is due, with what is done so far: a number, a text, or the time."""
        now = time.monotonic()
        if self._is_shown and now >= self._due:
            self._due = now + _NEXT
            if done is None:
                done = f"{now - self._started:.0f} s"
            so_far = done if isinstance(done, str) else f"{done:,}"
            self._write(f"lnmailbox: {self._doing}: {so_far}")

    def count(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the items, and tick every 1000."""
        for number, item in enumerate(items):
            if number % 1000 == 0:
                self.tick(number)
            yield item

    def _write(self, text: str) -> None:
        end = "" if text else "\r"
        sys.stderr.write(f"\r{text.ljust(self._width)}{end}")
        sys.stderr.flush()
        self._width = len(text)
