"""Events in order: of one file within a window, of several files, and each once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from lnmailbox.replay.reading import sorting
from lnmailbox.replay.reading.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.sorting import Source, merged, sorted_blocks, without_repeats
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.wire import ShortChannelID


def event(at_ns: int, line: int = 1, kind: Kind = Kind.FINAL, **fields: Any) -> HtlcEvent:
    return HtlcEvent(line, Origin.FORWARD, kind, at_ns, **fields)


def ordered(times: list[int], window: int) -> list[tuple[int, int]]:
    """Times and lines of these events after sorting, when they come three at a time."""
    events = [event(at_ns, line) for line, at_ns in enumerate(times, 1)]
    blocks = [events[start : start + 3] for start in range(0, len(events), 3)]
    return [
        (each.timestamp_ns, each.line) for block in sorted_blocks(blocks, window) for each in block
    ]


def test_a_log_in_order_stays_as_it_is() -> None:
    """Equal times keep the order of their lines."""
    times = [1, 1, 2, 3, 3, 3, 4, 5, 5, 9]

    assert list(zip(times, range(1, 11), strict=True)) == ordered(times, 2)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_late_by_less_than_the_window_is_sorted(seed: int) -> None:
    """However many events are late at once."""
    chance = random.Random(seed)
    places = [(place + chance.randrange(10), place) for place in range(200)]
    times = [place + 1 for _, place in sorted(places)]

    assert [*range(1, 201)] == [at_ns for at_ns, _ in ordered(times, 10)]


def test_what_is_later_than_that_comes_too_late() -> None:
    """It is not held any more that it should be before."""
    result = [at_ns for at_ns, _ in ordered([*range(10, 30), 1], 3)]

    assert result != sorted(result)
    assert sorted(result) == [1, *range(10, 30)]


def test_a_time_far_ahead_holds_nothing_up() -> None:
    """One such event comes last, and all others in between."""
    assert [1, 2, 3, 4, 5, 6, 7, 8, 10**30] == [
        at_ns for at_ns, _ in ordered([1, 10**30, 2, 4, 3, 5, 6, 8, 7], 3)
    ]


def test_events_before_the_first_time_have_that_time() -> None:
    """A subscription begins with a notice that has none."""
    assert [(5, 1), (5, 2), (5, 3), (6, 4)] == ordered([0, 0, 5, 6], 9)
    assert [(0, 1), (0, 2)] == ordered([0, 0], 9)
    assert [] == ordered([], 9)


class Files:
    """Sources that tell when they are opened and when they end."""

    def __init__(self, *files: list[int]) -> None:
        self.said: list[str] = []
        self.sources = [
            Source(min(times, default=0), partial(self.blocks, name, times))
            for name, times in zip("abcdef", files, strict=False)
        ]

    def blocks(self, name: str, times: list[int]) -> Iterator[list[HtlcEvent]]:
        self.said.append(f"+{name}")
        yield [event(at_ns) for at_ns in times]
        self.said.append(f"-{name}")

    def merged(self) -> list[int]:
        times = []
        for each in merged(self.sources):
            times.append(each.timestamp_ns)
            self.said.append(str(each.timestamp_ns))
        return times


def test_files_are_merged_by_time() -> None:
    """Whichever of them has the next event."""
    assert [1, 2, 3, 4, 5, 5, 6, 7, 9] == Files([1, 4, 5, 9], [2, 3, 7], [5, 6], []).merged()
    assert [1, 2, 3, 4] == Files([1, 3], [2, 4]).merged()
    assert [] == Files().merged()
    assert [] == Files([], []).merged()


def test_a_file_is_open_only_while_its_events_are_due() -> None:
    """A year of daily logs needs one window of events, not hundreds."""
    files = Files([7, 8], [1, 2], [3, 5], [5, 6])
    files.merged()

    assert "+b -b 1 2 +c -c 3 5 +d -d 5 6 +a -a 7 8" == " ".join(files.said)


def kept(events: list[HtlcEvent], warnings: LogWarnings) -> list[int]:
    return [each.line for each in without_repeats(events, warnings)]


def add(at_ns: int, line: int, htlc_id: int = 1, **fields: Any) -> HtlcEvent:
    channel = ShortChannelID.from_int(5)
    return event(
        at_ns, line, Kind.ADD, incoming_channel=channel, incoming_htlc_id=htlc_id, **fields
    )


def test_the_same_event_counts_once() -> None:
    """At the same time, with the same ids and amounts, whatever stands between."""
    warnings = LogWarnings()
    events = [
        add(7, 1),
        add(7, 2, htlc_id=2),
        add(7, 3),
        add(7, 4, incoming_amount=1),
        event(7, 5, Kind.SETTLE),
        add(7, 6, htlc_id=2),
        add(8, 7),
        add(9, 8, htlc_id=2),
        add(9, 9, htlc_id=2),
        add(9, 10),
    ]

    assert [1, 2, 4, 5, 7, 8, 10] == kept(events, warnings)
    assert ["3 lines: the same event again, as when two files overlap (first: line 3)"] == [
        str(warning) for warning in warnings
    ]


def test_without_times_nothing_is_the_same_event() -> None:
    """Nor are two notices of subscriptions."""
    assert [1, 2] == kept([add(0, 1), add(0, 2)], LogWarnings())
    assert [1, 2, 3] == kept(
        [event(5, line, Kind.SUBSCRIBED) for line in (1, 2, 3)], LogWarnings()
    )


def test_many_events_at_one_time_need_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the window are taken as they come."""
    monkeypatch.setattr(sorting, "WINDOW", 3)
    events = [add(7, line, htlc_id) for line, htlc_id in enumerate([1, 2, 3, 1, 1], 1)]

    assert [1, 2, 3, 4, 5] == kept(events, LogWarnings())


def test_what_comes_too_late_is_left_out_and_counted() -> None:
    """Adds apart, because a report must not say that nothing was lost of them."""
    warnings = LogWarnings()
    events = [event(8 * 10**9, 1), add(5 * 10**8, 2), event(7, 3, Kind.SETTLE), add(9 * 10**9, 4)]

    assert [1, 4] == kept(events, warnings)
    assert 1 == warnings.adds_left_out
    assert ["2 lines: too late to be sorted among 10,000 events (first: line 2: 7.500 s)"] == [
        str(warning) for warning in warnings
    ]
