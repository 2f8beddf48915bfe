"""For the tests of the replay: logs of few events, and playing them in both ways at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from lnmailbox.replay.playing.history import Htlc
from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outages import Outages, parse_down, parse_flap, parse_stall
from lnmailbox.replay.playing.outcome import Outcome
from lnmailbox.replay.playing.simulation import simulate
from lnmailbox.replay.reading.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.wire import ShortChannelID

__all__ = [
    "START",
    "A",
    "B",
    "Event",
    "at",
    "end",
    "healthy",
    "log",
    "nonzero",
    "outage",
    "plain",
    "play",
    "play_once",
]

A = ShortChannelID(1, 1, 1)
B = ShortChannelID(2, 2, 2)
START = 1_760_000_000_000_000_000

Event = dict[str, Any]
Log = list[HtlcEvent]

_PARSERS = {"down": parse_down, "stall": parse_stall, "flap": parse_flap}


def at(seconds: float, kind: Kind, origin: Origin = Origin.FORWARD, **fields: Any) -> Event:
    """An event of HTLC 1, from channel A to channel B, unless `fields` say otherwise."""
    event: Event = {
        "origin": origin,
        "kind": kind,
        "timestamp_ns": START + round(seconds * 1_000_000_000),
        "incoming_amount": 1100,
        "outgoing_amount": 1000,
    }
    if origin is Origin.SEND:
        del event["incoming_amount"]
    else:
        event |= {"incoming_channel": A, "incoming_htlc_id": 1}
    if origin is not Origin.RECEIVE:
        event |= {"outgoing_channel": B, "outgoing_htlc_id": 1}
    return event | fields


def log(*events: Event) -> Log:
    return [HtlcEvent(line=line, **event) for line, event in enumerate(events, 1)]


def end(seconds: float) -> Event:
    """An event that leads to no packet."""
    return at(seconds, Kind.FINAL, Origin.UNKNOWN)


def outage(text: str) -> Outages:
    """An outage of channel A or B, as in `stall B:10:5`."""
    kind, _, rest = text.partition(" ")
    channel, _, times = rest.partition(":")
    numbers = {"A": str(A), "B": str(B)}
    return _PARSERS[kind](f"{numbers.get(channel, channel)}:{times}")


def play(events: Iterable[HtlcEvent], *outages: str | Outages, **options: Any) -> Outcome:
    """Play with one thread for all links, and with one for each; see that it is the same."""
    events = list(events)
    shared, per_link = (
        play_once(events, *outages, threads=threads, **options)
        for threads in ("shared", "per-link")
    )
    assert plain(shared) == plain(per_link)
    return shared


def play_once(events: Iterable[HtlcEvent], *outages: str | Outages, **options: Any) -> Outcome:
    warnings = LogWarnings()
    meant = [outage(each) if isinstance(each, str) else each for each in outages]
    return simulate(events, meant, warnings=warnings, **options)


def plain(outcome: Outcome) -> Any:
    """The outcome as plain data: HTLCs compare by identity."""
    return attrs.asdict(outcome, value_serializer=_plain)


def _plain(instance: object, attribute: object, value: object) -> object:
    return attrs.asdict(value) if isinstance(value, Htlc) else value


def nonzero(counts: Counts) -> Event:
    return {name: count for name, count in attrs.asdict(counts).items() if count}


def healthy(outcome: Outcome) -> Event:
    """The total counts other than 0 of a replay in which nothing went wrong."""
    assert outcome.holds
    total = outcome.total
    assert total.acked == total.adds_delivered + total.replies_delivered
    assert len(outcome.failed) == total.adds_expired + total.adds_unroutable
    return nonzero(total)
