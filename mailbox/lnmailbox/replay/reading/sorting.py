"""Events in the order of their times, of one file and of several, with bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

import attrs

from .events import HtlcEvent, Kind
from .warnings import LogWarnings

__all__ = ["WINDOW", "Source", "merged", "sorted_blocks", "without_repeats"]

WINDOW = 10_000
"""How many events back an event is put in order; what is older than that is left out."""

_NEVER = 1 << 64

_time = attrgetter("timestamp_ns")
_Active = tuple[int, int, HtlcEvent, Iterator[HtlcEvent]]


def sorted_blocks(
    blocks: Iterable[list[HtlcEvent]], window: int = WINDOW
) -> Iterator[list[HtlcEvent]]:
    """Sort events by time, if none is more than `window` events too late; equal ones stay so.

    At most twice the window is kept. Events before the first that has a time get its time.
    """
    held: list[HtlcEvent] = []
    for block in blocks:
        held += block
        if len(held) >= 2 * window:
            _sort(held)
            yield held[:-window]
            del held[:-window]
    _sort(held)
    yield held


def _sort(events: list[HtlcEvent]) -> None:
    events.sort(key=_time)
    first_ns = next((event.timestamp_ns for event in events if event.timestamp_ns), 0)
    for event in events:
        if event.timestamp_ns:
            break
        event.timestamp_ns = first_ns


@attrs.frozen
class Source:
    """The events of a file, opened when its time has come."""

    start_ns: int
    """No event is earlier, but for what is out of order; 0 opens it at once."""
    blocks: Callable[[], Iterable[list[HtlcEvent]]]


def merged(sources: Sequence[Source]) -> Iterator[HtlcEvent]:
    """Sort the events of each source, and merge them.

    A source is open only while its events are due.
    """
    waiting = sorted(enumerate(sources), key=lambda each: each[1].start_ns, reverse=True)
    active: list[_Active] = []
    while waiting or active:
        while waiting and (not active or waiting[-1][1].start_ns <= active[0][0]):
            number, source = waiting.pop()
            _push(active, number, chain.from_iterable(sorted_blocks(source.blocks())))
        if not active:
            continue
        _, number, event, events = heapq.heappop(active)
        limit = active[0][0] if active else _NEVER
        if waiting:
            limit = min(limit, waiting[-1][1].start_ns)
        yield event
        for event in events:
            if event.timestamp_ns > limit:
                heapq.heappush(active, (event.timestamp_ns, number, event, events))
                break
            yield event


def _push(active: list[_Active], number: int, events: Iterator[HtlcEvent]) -> None:
    event = next(events, None)
    if event is not None:
        heapq.heappush(active, (event.timestamp_ns, number, event, events))


def without_repeats(events: Iterable[HtlcEvent], warnings: LogWarnings) -> Iterator[HtlcEvent]:
    """Leave out what is too late, and what is the same as another event at the same time.

    Two logs that overlap have the same events for some time.
    """
    now_ns = 0
    first: HtlcEvent | None = None
    seen: set[object] = set()
    for event in events:
        at_ns = event.timestamp_ns
        if at_ns > now_ns:
            now_ns = at_ns
            first = event
            if seen:
                seen.clear()
        elif at_ns < now_ns:
            late = f"{(now_ns - at_ns) / 1e9:.3f} s"
            warnings.add(f"too late to be sorted among {WINDOW:,} events", event.line, late)
            warnings.adds_left_out += event.kind is Kind.ADD
            continue
        elif at_ns and event.kind is not Kind.SUBSCRIBED and len(seen) < WINDOW:
            if first is not None:
                seen.add(_told(first))
                first = None
            told = _told(event)
            if told in seen:
                warnings.add("the same event again, as when two files overlap", event.line)
                continue
            seen.add(told)
        yield event


def _told(event: HtlcEvent) -> object:
    return (
        event.kind,
        event.origin,
        event.incoming_channel,
        event.incoming_htlc_id,
        event.outgoing_channel,
        event.outgoing_htlc_id,
        event.incoming_amount,
        event.outgoing_amount,
    )
