"""What the commands on logs have in common: arguments, warnings and the line of progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..console import argument, complain
from ..inspecting.progress import Progress as ProgressLine
from .playing.history import Progress
from .playing.times import parse_moment
from .reading.warnings import LogWarning
from .telling.report import TOP
from .telling.tables import moment

__all__ = ["DEFAULT_EXPIRY", "add_log", "parse_expiry", "parse_top", "show", "shown_progress"]

DEFAULT_EXPIRY = 60.0  # seconds, as in lnd's configuration
_LONGEST_EXPIRY = 1e9  # seconds, 31 years: a journal keeps dates of 64 bits


def add_log(parser: Any) -> None:
    """Add the arguments that say what is played and how much is told of it."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="the log; several are merged by time; - is standard input; .gz will do",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="TIME",
        type=argument(parse_moment),
        help="play what comes from then on: a date, or date and time (UTC)",
    )
    parser.add_argument(
        "--to",
        dest="end",
        metavar="TIME",
        type=argument(parse_moment),
        help="play what comes before that",
    )
    parser.add_argument(
        "--threads",
        choices=["shared", "per-link"],
        default="shared",
        help="shared: one thread does the work of all links; per-link: each has one, as lnd's"
        " have goroutines, and slower (default: %(default)s)",
    )
    parser.add_argument(
        "--top",
        metavar="N",
        default=TOP,
        type=argument(parse_top),
        help="rows of each table, the rest being one line (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def parse_expiry(text: str) -> float:
    """Read a number of seconds.

    Raises:
        ValueError: it is none, less than a nanosecond, or more than 1e9.
    """
    try:
        seconds = float(text)
        if 1e-9 <= seconds <= _LONGEST_EXPIRY:
            return seconds
    except ValueError:
        pass
    raise ValueError(f"not a number of seconds above 0 and up to 1e9: {text!r}")


def parse_top(text: str) -> int:
    """Read a number of rows.

    Raises:
        ValueError: it is no whole number from 1 to 1e9.
    """
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text):
        return int(text)
    raise ValueError(f"not a number from 1 on: {text!r}")


def show(warnings: Iterable[LogWarning]) -> None:
    """Print warnings to stderr."""
    for warning in warnings:
        complain(f"warning: {warning}")


@contextmanager
def shown_progress(doing: str) -> Iterator[Callable[..., None]]:
    """Give a function that shows a replay's progress, if stderr is a terminal.

    It takes the progress, and a text to put before it.
    """
    started = time.monotonic()
    with ProgressLine(doing) as line:

        def tell(progress: Progress, before: str = "") -> None:
            rate = progress.events / max(time.monotonic() - started, 1e-3)
            now = moment(progress.start_ns + progress.virtual_ns)
            line.tick(f"{before}{progress.events:,} events, {now} UTC, {rate:,.0f}/s")

        yield tell
