"""The times at which links are away: `--down CHANNEL:START:SECONDS`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from lnmailbox.wire import ShortChannelID

__all__ = ["Outage", "merge_outages", "parse_outage"]

_NS = 1_000_000_000


@attrs.frozen(order=True)
class Outage:
    """A channel's link is away from `start_ns` on; at `end_ns` it is back.

    Both are ns since the first event of the log.
    """

    channel: ShortChannelID
    start_ns: int
    end_ns: int


def parse_outage(text: str) -> Outage:
    """Read `CHANNEL:START:SECONDS`.

    CHANNEL is a short channel id, as a number or like `880000x1x1`; START counts seconds from
    the first event.

    Raises:
        ValueError: the text has another form, CHANNEL is zero, START is negative, or SECONDS
            is not at least a nanosecond.
    """
    parts = text.rsplit(":", 2)
    if len(parts) != 3:
        raise ValueError(f"an outage looks like CHANNEL:START:SECONDS, got {text!r}")
    channel = ShortChannelID.from_string(parts[0])
    if not channel:
        raise ValueError("no channel has the short channel id 0x0x0")
    start_ns = _seconds("START", parts[1])
    length_ns = _seconds("SECONDS", parts[2])
    if not length_ns:
        raise ValueError(f"SECONDS must be more than 0, got {parts[2]!r}")
    return Outage(channel, start_ns, start_ns + length_ns)


def merge_outages(outages: Iterable[Outage]) -> list[Outage]:
    """Return the outages sorted, those of one channel that overlap or touch made into one."""
    merged: list[Outage] = []
    for outage in sorted(outages):
        last = merged[-1] if merged else None
        if last and last.channel == outage.channel and outage.start_ns <= last.end_ns:
            end_ns = max(last.end_ns, outage.end_ns)
            merged[-1] = Outage(last.channel, last.start_ns, end_ns)
        else:
            merged.append(outage)
    return merged


def _seconds(name: str, text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{name} must be a number of seconds from 0 on, got {text!r}")
    return round(seconds * _NS)
