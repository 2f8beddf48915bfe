"""The times at which links are away, as `--down`, `--stall` and `--flap` say.

Nothing here knows of a log: what is asked for becomes *changes*, in order of time and one by one,
so that a link that goes and comes for a year takes no memory.
"""

from __future__ import annotations

import enum
import heapq
import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple, Protocol

import attrs

from lnmailbox.wire import ShortChannelID

from .times import NS, parse_length, parse_moment, parse_seconds

__all__ = [
    "Absence",
    "Change",
    "Flap",
    "Outage",
    "Outages",
    "Presence",
    "changes",
    "parse_down",
    "parse_flap",
    "parse_stall",
]

_SHORTEST_PERIOD_NS = NS

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CHANNEL = r"(?P<channel>all|\d+([x:])\d+\2\d+|[^:]*)"
_OUTAGE = re.compile(rf"{_CHANNEL}:(?P<start>{_DATE.pattern}.*|[^:]*):(?P<length>[^:]*)")
_FLAP = re.compile(rf"{_CHANNEL}:(?P<period>[^:]*):(?P<down>[^:]*)")


class Absence(enum.Enum):
    """How a link is away; its value is the option that asks for it."""

    DOWN = "down"
    """The peer is gone. The switch fails Adds at once (lnd: `FailUnknownNextPeer`)."""
    STALL = "stall"
    """The link is up and does not read. Adds wait in its mailbox, and expire."""


class Change(NamedTuple):
    """At `at_ns` after the first event, an outage begins or ends."""

    at_ns: int
    channel: ShortChannelID | None
    """None is every channel."""
    absence: Absence
    begins: bool


class Outages(Protocol):
    """Times at which a link is away, or all are."""

    @property
    def channel(self) -> ShortChannelID | None:
        """None is every channel."""
        ...

    def changes(self, first_ns: int) -> Iterator[Change]:
        """Yield the changes of a log whose first event was at `first_ns`, in order of time."""
        ...

    def trouble(self, first_ns: int, end_ns: int) -> str:
        """Return why a log that is `end_ns` long has nothing of it; "" if it has."""
        ...


@attrs.frozen
class Outage:
    """One time at which a channel's link is away."""

    absence: Absence
    channel: ShortChannelID | None
    """None is every channel."""
    start_ns: int
    length_ns: int
    is_unix: bool = False
    """Whether `start_ns` is Unix time; else it counts from the first event."""

    def starts_at(self, first_ns: int) -> int:
        """Return when it begins, in ns since the first event, which was at `first_ns`."""
        return self.start_ns - first_ns if self.is_unix else self.start_ns

    def changes(self, first_ns: int) -> Iterator[Change]:
        """Yield its beginning and its end, unless the first event comes later."""
        start_ns = self.starts_at(first_ns)
        if (end_ns := start_ns + self.length_ns) > 0:
            yield Change(max(0, start_ns), self.channel, self.absence, begins=True)
            yield Change(end_ns, self.channel, self.absence, begins=False)

    def trouble(self, first_ns: int, end_ns: int) -> str:
        """Return why a log from `first_ns` on, `end_ns` long, has nothing of it; or ""."""
        start_ns = self.starts_at(first_ns)
        if start_ns > end_ns:
            return "it begins after the last event"
        return "it ends before the first event" if start_ns + self.length_ns <= 0 else ""


@attrs.frozen
class Flap:
    """A peer that comes and goes: there at first, and gone for the end of each period."""

    channel: ShortChannelID | None
    period_ns: int
    down_ns: int

    def changes(self, first_ns: int) -> Iterator[Change]:
        """Yield its beginnings and ends, without end."""
        end_ns = 0
        while True:
            end_ns += self.period_ns
            yield Change(end_ns - self.down_ns, self.channel, Absence.DOWN, begins=True)
            yield Change(end_ns, self.channel, Absence.DOWN, begins=False)

    def trouble(self, first_ns: int, end_ns: int) -> str:
        """Return why a log that is `end_ns` long has nothing of it; or ""."""
        begins_later = self.period_ns - self.down_ns > end_ns
        return "it begins after the last event" if begins_later else ""


def parse_down(text: str) -> Outage:
    """Read `CHANNEL:START:LENGTH`, a time at which a peer is gone.

    CHANNEL is a short channel id, as a number or like `880000x1x1`, or `all`. START is a time
    since the first event, or an ISO date and time as in `parse_moment`. Both times may have a
    unit, as in `parse_length`.

    Raises:
        ValueError: the text has another form, CHANNEL is zero, or LENGTH is less than a
            nanosecond.
    """
    return _outage(Absence.DOWN, text)


def parse_stall(text: str) -> Outage:
    """Read `CHANNEL:START:LENGTH`, a time at which a link does not read; see `parse_down`."""
    return _outage(Absence.STALL, text)


def parse_flap(text: str) -> Flap:
    """Read `CHANNEL:PERIOD:DOWN`, a peer that is gone for the last DOWN of every PERIOD.

    Raises:
        ValueError: the text has another form, CHANNEL is zero, PERIOD is less than a second, or
            DOWN is not between 0 and PERIOD.
    """
    found = _FLAP.fullmatch(text)
    if found is None:
        raise ValueError(f"a link that flaps looks like CHANNEL:PERIOD:DOWN, got {text!r}")
    period_ns = parse_length("PERIOD", found["period"])
    down_ns = parse_length("DOWN", found["down"])
    if period_ns < _SHORTEST_PERIOD_NS:
        raise ValueError(f"PERIOD must be a second or more, got {found['period']!r}")
    if down_ns >= period_ns:
        raise ValueError(f"DOWN must be less than PERIOD, got {text!r}")
    return Flap(_channel(found["channel"]), period_ns, down_ns)


def _outage(absence: Absence, text: str) -> Outage:
    found = _OUTAGE.fullmatch(text)
    if found is None:
        raise ValueError(f"an outage looks like CHANNEL:START:LENGTH, got {text!r}")
    channel = _channel(found["channel"])
    start = found["start"]
    is_unix = _DATE.match(start) is not None
    start_ns = parse_moment(start) if is_unix else parse_seconds("START", start)
    return Outage(absence, channel, start_ns, parse_length("LENGTH", found["length"]), is_unix)


def _channel(text: str) -> ShortChannelID | None:
    if text == "all":
        return None
    channel = ShortChannelID.from_string(text)
    if not channel:
        raise ValueError("no channel has the short channel id 0x0x0")
    return channel


def changes(outages: Iterable[Outages], first_ns: int) -> Iterator[Change]:
    """Yield the changes of all outages, in order of time."""
    return heapq.merge(*(outage.changes(first_ns) for outage in outages), key=itemgetter(0))


class Presence:
    """Which links are away now. Outages may overlap: a link is back when none lasts."""

    def __init__(self) -> None:
        # When outages began that last now, in order of time.
        self._lasting: dict[tuple[Absence, ShortChannelID | None], list[int]] = {}

    def note(self, change: Change) -> None:
        """Take a change into account."""
        key = change.absence, change.channel
        begun = self._lasting.setdefault(key, [])
        if change.begins:
            begun.append(change.at_ns)
        elif len(begun) > 1:
            del begun[-1]
        else:
            del self._lasting[key]

    def is_away(self, absence: Absence, channel: ShortChannelID) -> bool:
        """Whether the channel's link is away so."""
        lasting = self._lasting
        return (absence, None) in lasting or (absence, channel) in lasting

    def since(self, absence: Absence, channel: ShortChannelID) -> int:
        """Return since when it is away so; it is."""
        lasting = [self._lasting.get((absence, which), ()) for which in (None, channel)]
        return min(begun[0] for begun in lasting if begun)
