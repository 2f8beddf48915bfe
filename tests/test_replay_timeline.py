"""What a picture shows."""

from __future__ import annotations

from lnmailbox.replay.playing.history import Result
from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outages import Absence
from lnmailbox.replay.playing.outcome import Ending
from lnmailbox.replay.telling.sketch import Away, Sketch
from lnmailbox.replay.telling.timeline import BINS, Mark, lines
from lnmailbox.wire import ShortChannelID
from outcomes import NS, A, B, ended, outcome

C = ShortChannelID(3, 3, 3)


def test_channels_that_lost_most_come_first_and_others_are_left_out() -> None:
    """A channel without an outage has no line."""
    sketch = Sketch()
    sketch.outage(C, Absence.STALL, 0, 5 * NS)
    counts = {A: Counts(fees_lost_msat=2_000), B: Counts(adds=9), C: Counts(adds=5)}
    failed = [ended(60), ended(61, incoming_htlc_id=42)]

    both = lines(outcome(channels=counts, failed=failed), sketch, top=5)

    assert [A, C] == [line.channel for line in both]
    assert ["2 failed, 2 settled\nin the log: 4 sat", "nothing failed"] == [
        line.text for line in both
    ]
    assert [[], [Away(0, 5 * NS, Absence.STALL)]] == [line.outages for line in both]
    assert [A] == [
        line.channel for line in lines(outcome(channels=counts, failed=failed), sketch, top=1)
    ]


def test_without_any_outage_the_busiest_channels_have_a_line() -> None:
    """An empty one."""
    counts = {A: Counts(adds=1), B: Counts(adds=9)}

    [line] = lines(outcome(channels=counts), Sketch(), top=1)

    assert (B, [], [], [], 0) == (
        line.channel,
        line.outages,
        line.depths,
        line.marks,
        line.deepest,
    )
    assert [] == lines(outcome(channels={}), Sketch(), top=1)


def test_the_depths_are_those_of_the_mailbox() -> None:
    """And the deepest is their maximum."""
    sketch = Sketch()
    for at_ns, depth in ((1, 1), (2, 4), (9, 0)):
        sketch.depth(B, at_ns, depth)

    [line] = lines(outcome(channels={B: Counts()}), sketch, top=1)

    assert [(1, 1), (2, 4), (9, 0)] == line.depths
    assert 4 == line.deepest


def test_failures_of_one_kind_and_time_are_one_mark() -> None:
    """However many there are, the picture stays small."""
    end_ns = BINS * 10 * NS - 1
    failed = [ended(n / 10, result=Result.FAILED) for n in range(BINS * 100)]
    failed += [ended(5, Ending.UNROUTABLE), ended(6), ended(7)]

    [line] = lines(outcome(failed=failed, end_ns=end_ns, channels={A: Counts()}), Sketch(), 1)

    assert BINS + 2 == len(line.marks)
    assert [
        Mark(5 * NS, Ending.UNROUTABLE, is_lost=True, count=1),
        Mark(6 * NS, Ending.EXPIRED, is_lost=True, count=2),
    ] == [mark for mark in line.marks if mark.is_lost]
    assert f"{BINS * 100 + 3:,} failed, 3 settled\nin the log: 6 sat" == line.text


def test_failures_that_cost_nothing_are_said_to() -> None:
    """The log shows none of them as settled."""
    [line] = lines(outcome(failed=[ended(1, result=None)]), Sketch(), 1)

    assert "1 failed,\nnone settled in the log" == line.text
