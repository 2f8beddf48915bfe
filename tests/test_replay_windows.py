"""What windows cost."""

from __future__ import annotations

import pytest

from lnmailbox.replay.playing.history import Result
from lnmailbox.replay.playing.outcome import Ending
from lnmailbox.replay.telling.windows import Loss, Risk, Tally, offsets
from outcomes import NS, OWN, A, B, ended

MINUTE = 60 * NS


def loss(fees: int, forwards: int = 1) -> Loss:
    return Loss(fees, 1_000_000 * forwards, forwards)


def test_the_worst_window_is_that_with_the_greatest_loss() -> None:
    """Windows of a minute begin at 0, 2 and 4 min; the gaps belong to the window before."""
    tally = Tally(MINUTE, 0)
    for seconds in (10, 59, 130, 180, 241):
        tally.count(ended(seconds))

    channels, node = tally.risks(300 * NS)

    assert 3 == tally.windows(300 * NS)
    assert {A: Risk(loss(10_000, 5), loss(4_000, 2), 0)} == channels
    assert channels[A] == node


def test_only_settled_forwards_that_an_outage_ended_are_a_loss() -> None:
    """Own payments are not, nor what failed anyway."""
    tally = Tally(MINUTE, 0)
    tally.count(ended(10, result=Result.FAILED))
    tally.count(ended(10, result=None))
    tally.count(ended(10, Ending.DELIVERED))
    tally.count(ended(10, incoming_channel=OWN))

    assert ({}, Risk()) == tally.risks(300 * NS)


def test_a_window_that_the_end_cuts_off_does_not_count() -> None:
    """One that ends with the log does."""
    tally = Tally(MINUTE, 30 * NS)
    tally.count(ended(40))
    tally.count(ended(160, incoming_htlc_id=42))

    assert [0, 1, 1, 2] == [tally.windows(end * NS) for end in (89, 90, 209, 210)]
    assert 1 == tally.risks(209 * NS)[1].total.forwards
    assert 2 == tally.risks(210 * NS)[1].total.forwards
    assert (30 * NS, 0) == (tally.risks(210 * NS)[1].worst_start_ns, tally.windows(0))


def test_the_node_loses_what_its_channels_lose_in_the_same_window() -> None:
    """Its worst window need not be that of any channel."""
    tally = Tally(MINUTE, 0)
    tally.count(ended(10, incoming_amount=1_003_000))
    for outgoing in (A, B):
        tally.count(ended(130, outgoing_channel=outgoing))

    channels, node = tally.risks(300 * NS)

    assert (0, 120 * NS) == (channels[A].worst_start_ns, channels[B].worst_start_ns)
    assert (loss(4_000, 2), 120 * NS) == (node.worst, node.worst_start_ns)


@pytest.mark.parametrize(
    "one, other, worst, start_ns",
    [
        (Risk(), Risk(), Loss(), None),
        (Risk(loss(1), loss(1), 5), Risk(), loss(1), 5),
        (Risk(), Risk(loss(1), loss(1), 5), loss(1), 5),
        (Risk(loss(1), loss(1), 5), Risk(loss(2), loss(2), 7), loss(2), 7),
        (Risk(loss(2), loss(2), 5), Risk(loss(1), loss(1), 7), loss(2), 5),
        (Risk(loss(1), loss(1), 7), Risk(loss(1), loss(1), 5), loss(1), 5),
        (Risk(loss(1), loss(1), 5), Risk(loss(1), loss(1), 7), loss(1), 5),
    ],
)
def test_risks_add_up(one: Risk, other: Risk, worst: Loss, start_ns: int | None) -> None:
    """The greater loss is the worst; of equal ones the first."""
    both = one | other

    assert one.total + other.total == both.total
    assert (worst, start_ns) == (both.worst, both.worst_start_ns)


def test_the_replays_together_try_each_multiple_of_the_shift() -> None:
    """Two for each step: what is a gap in one is a window in another."""
    assert [0, 15, 30, 45, 60, 75, 90, 105] == offsets(60, 4)
    assert [0, 60] == offsets(60, 1)
    assert [0, 3, 6, 10, 13, 16] == offsets(10, 3)
