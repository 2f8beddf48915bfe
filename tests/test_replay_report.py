"""What people and programs get to read."""

from __future__ import annotations

import json

import attrs

from lnmailbox.replay.events import Kind
from lnmailbox.replay.history import Htlc, Result
from lnmailbox.replay.ledger import Counts
from lnmailbox.replay.outcome import FailedBack, Outcome
from lnmailbox.replay.report import json_report, text_report
from lnmailbox.replay.warnings import LogWarning
from lnmailbox.wire import ShortChannelID

A = ShortChannelID(880000, 1, 1)
B = ShortChannelID(9, 9, 9)

CHANNELS = {
    B: Counts(adds=1200, adds_delivered=1190, adds_refused=4, adds_expired=5, adds_waiting=1),
    A: Counts(replies=7, replies_delivered=7, redelivered=2, acked=7),
}

OUTCOME = Outcome(
    events={Kind.ADD: 1200, Kind.FINAL: 34},
    end_ns=7_322_900_000_000,
    channels=CHANNELS,
    total=CHANNELS[A] + CHANNELS[B],
    failed_back=[],
    replies_held=0,
    warnings=[],
    was_given_up=False,
)

HEALTHY = """\
2 channels, 2:02:02 (h:min:s)
1,234 events: 1,200 forward, 34 final_htlc

             Adds                                        Replies                    Both
channel       all  delivered  refused  expired  waiting      all  delivered  redelivered  acked
9x9x9       1,200      1,190        4        5        1        0          0            0      0
880000x1x1      0          0        0        0        0        7          7            2      7
total       1,200      1,190        4        5        1        7          7            2      7

Every Add ended in exactly one way: \
1,200 = 1,190 delivered + 4 refused + 5 expired + 1 still waiting.
Nothing was lost, duplicated or out of order."""


def failed(result: Result | None, incoming: ShortChannelID, seconds: float) -> FailedBack:
    htlc = Htlc(
        incoming_channel=incoming,
        incoming_htlc_id=41,
        outgoing_channel=A,
        outgoing_htlc_id=3,
        has_add=True,
        incoming_amount=1_002_000 if incoming else 0,
        outgoing_amount=1_000_000,
        result=result,
    )
    return FailedBack(round(seconds * 1_000_000_000), htlc)


def test_a_healthy_replay_is_a_table_and_a_sentence() -> None:
    """Columns are aligned, and the sentence has the equation."""
    assert HEALTHY == text_report(OUTCOME)


def test_what_waits_at_the_end_is_said() -> None:
    """Replies without their link, and replies that could not even be made."""
    total = attrs.evolve(OUTCOME.total, replies=9)

    report = text_report(attrs.evolve(OUTCOME, total=total, replies_held=1))

    expected = [
        "Nothing was lost, duplicated or out of order.",
        "Replies that wait for a link still away: 2.",
        "Replies that wait for the delivery of their Add: 1.",
    ]
    assert expected == report.splitlines()[-3:]


def test_the_adds_that_failed_back_are_listed_with_their_amounts() -> None:
    """And what the log says that became of them; an own payment has no incoming HTLC."""
    failed_back = [
        failed(Result.SETTLED, B, 60),
        failed(Result.FAILED, B, 1234.5678),
        failed(None, ShortChannelID(), 2000),
    ]
    total = attrs.evolve(OUTCOME.total, fees_lost_msat=2_000)

    report = text_report(attrs.evolve(OUTCOME, failed_back=failed_back, total=total))

    assert (
        """\
Adds failed back because their link was away too long:
channel     incoming HTLC  in the log    after s  amount msat  fee msat
880000x1x1  9x9x9/41       settled        60.000    1,000,000     2,000
880000x1x1  9x9x9/41       failed      1,234.568    1,000,000     2,000
880000x1x1  own payment    open        2,000.000    1,000,000         0
The log shows 1 of these 3 as settled: 2,000 msat of fees lost.
"""
        in report
    )


def test_an_account_that_does_not_hold_is_no_quiet_matter() -> None:
    """Then the report says so first, and the equation is a question."""
    total = attrs.evolve(OUTCOME.total, adds_delivered=1189, lost=1, duplicated=2, out_of_order=3)

    report = text_report(attrs.evolve(OUTCOME, total=total))

    assert report.endswith("""
THE ACCOUNTING DOES NOT HOLD.
Adds: 1,200 = 1,189 delivered + 4 refused + 5 expired + 1 still waiting?
Packets: 1 lost, 2 duplicated, 3 out of order.""")


def test_a_replay_that_was_given_up_does_not_hold() -> None:
    """Whatever the counts are."""
    outcome = attrs.evolve(OUTCOME, was_given_up=True)

    assert OUTCOME.holds
    assert not outcome.holds
    assert "THE ACCOUNTING DOES NOT HOLD.\nThe replay was given up" in text_report(outcome)


def test_programs_get_one_object_of_integers() -> None:
    """The names are fixed; channels are named as people do."""
    outcome = attrs.evolve(OUTCOME, warnings=[LogWarning("a"), LogWarning("b")])

    report = json.loads(json_report(outcome))

    counts = [
        "adds",
        "adds_delivered",
        "adds_refused",
        "adds_expired",
        "adds_waiting",
        "replies",
        "replies_delivered",
        "redelivered",
        "acked",
        "lost",
        "duplicated",
        "out_of_order",
        "fees_lost_msat",
    ]
    assert ["events", *counts, "warnings", "channels"] == list(report)
    assert (1234, 1200, 7, 2) == tuple(
        report[name] for name in ("events", "adds", "replies", "warnings")
    )
    assert ["9x9x9", "880000x1x1"] == list(report["channels"])
    assert counts == list(report["channels"]["9x9x9"])
    assert 1190 == report["channels"]["9x9x9"]["adds_delivered"]
