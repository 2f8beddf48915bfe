"""Times as people write them: moments as ISO dates, lengths as `90s` or `5m`."""

from __future__ import annotations

import datetime
import math
import re

__all__ = ["NS", "parse_length", "parse_moment", "parse_seconds"]

NS = 1_000_000_000

_MAX_SECONDS = 1e290  # times 10**9 it is still a float

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

# Own patterns instead of `datetime.fromisoformat`: it takes more forms with each Python, and has
# no nanoseconds.
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r" ?(?P<offset>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_SECOND = datetime.timedelta(seconds=1)


def parse_moment(text: str) -> int:
    """Read an ISO date, with or without a time, as Unix time in ns.

    `2025-10-09`, `2025-10-09T08:53`, `2025-10-09 08:53:21.5+02:00`. UTC, unless there is an
    offset.

    Raises:
        ValueError: the text has another form, or there is no such date or time.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"a moment looks like 2025-10-09 or 2025-10-09T08:53:21, got {text!r}")
    offset = (found["offset"] or "+0000").upper().replace("Z", "+0000").replace(":", "")
    written = f"{found['date']} {found['time'] or '00:00'}:{found['second'] or '00'} {offset}"
    try:
        moment = datetime.datetime.strptime(written, "%Y-%m-%d %H:%M:%S %z")
        seconds = (moment - _EPOCH) // _SECOND
    except (ValueError, OverflowError):
        raise ValueError(f"there is no such moment: {text!r}") from None
    return seconds * NS + int((found["fraction"] or "").ljust(9, "0"))


def parse_length(name: str, text: str) -> int:
    """Read a length of time, such as `90`, `90s`, `5m`, `1.5h` or `1d`, as ns.

    Raises:
        ValueError: the text has another form, or is less than a nanosecond; the message has
            `name`.
    """
    length_ns = parse_seconds(name, text)
    if not length_ns:
        raise ValueError(f"{name} must be more than 0, got {text!r}")
    return length_ns


def parse_seconds(name: str, text: str) -> int:
    """Read a length of time that may be 0."""
    unit = text[-1:] if text[-1:] in _UNITS else ""
    try:
        seconds = float(text.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ValueError(f"{name} must be a time such as 90, 90s, 5m, 2h or 1d, got {text!r}")
    return round(seconds * NS)
