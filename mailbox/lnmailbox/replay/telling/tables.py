"""Numbers, amounts, times and tables as a report writes them, at most 80 columns wide."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterator, Sequence

__all__ = ["WIDTH", "age", "date", "moment", "paragraph", "sat", "table"]

WIDTH = 80

_NS = 1_000_000_000
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def sat(msat: int) -> str:
    """Return an amount with its unit: sat, in msat if it is less than one.

    Below 1,000 sat it is exact; above, rounded to whole sat.
    """
    whole, part = divmod(msat, 1_000)
    if not part:
        return f"{whole:,} sat"
    if not whole:
        return f"{part} msat"
    return f"{whole}.{part:03} sat" if whole < 1_000 else f"{round(msat / 1_000):,} sat"


def age(ns: int) -> str:
    """Return a length of time in its two largest units, such as `2 h 5 min`."""
    seconds = ns // _NS
    if seconds < 10:
        return f"{ns / _NS:.3g} s"
    parts: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def date(unix_ns: int) -> datetime.datetime:
    """Return the second in which a moment falls, in UTC."""
    return datetime.datetime.fromtimestamp(unix_ns // _NS, datetime.timezone.utc)


def moment(unix_ns: int) -> str:
    """Return date and time in UTC, to the second."""
    return f"{date(unix_ns):%Y-%m-%d %H:%M:%S}"


def paragraph(text: str) -> Iterator[str]:
    """Yield a text in lines."""
    yield from textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Align columns: the first `left` of them to the left, the others to the right.

    Two spaces separate them. If the lines were longer than 80 columns so, one space does, and
    if that is not enough, the numbers on the right lose their commas.
    """
    if _width(rows) > WIDTH:
        rows = [[*row[:left], *(cell.replace(",", "") for cell in row[left:])] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    for row in rows:
        cells = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield gap.join(cells).rstrip()


def _width(rows: Sequence[Sequence[str]]) -> int:
    columns = list(zip(*rows, strict=True))
    return sum(max(map(len, column)) for column in columns) + len(columns) - 1
