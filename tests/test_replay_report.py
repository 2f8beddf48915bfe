"""What people get to read."""

from __future__ import annotations

import pytest

from lnmailbox.replay.playing.history import Result
from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outcome import Ending
from lnmailbox.replay.telling.report import text_report
from lnmailbox.wire import ShortChannelID
from outcomes import NS, OWN, A, B, ended, held, outcome

HEALTHY = """\
2025-10-09 08:53:20 to 2025-10-09 10:55:22 UTC: 2 h 2 min
2 channels, 1,234 events: 1,200 forward, 34 final_htlc
1,200 Adds: 1,200 of forwards, 0 of own payments

Adds, by outgoing channel:
channel   Adds  delivered  refused  unroutable  expired  waiting
9x9x9    1,200      1,190        4           0        0        6
total    1,200      1,190        4           0        0        6

Replies, by incoming channel:
channel     replies  delivered  waiting
880000x1x1        7          7        0
total             7          7        0

17 packets passed from one thread to another; 0 were taken again after an
outage.
Every Add ended in exactly one way: 1,200 = 1,190 delivered + 4 refused + 0
unroutable + 0 expired + 6 waiting.
No packet was lost, duplicated or out of order."""

HEALTHY_CHANNELS = {
    B: Counts(adds=1200, adds_delivered=1190, adds_refused=4, adds_waiting=6),
    A: Counts(replies=7, replies_delivered=7, acked=7),
}


def channels(count: int, **each: int) -> dict[ShortChannelID, Counts]:
    """Channels of which the last one lost most."""
    return {
        ShortChannelID(800_000 + n, n, 0): Counts(
            adds=10,
            adds_delivered=8,
            adds_expired=2,
            fees_lost_msat=1_000 * n,
            volume_failed_msat=5_000 * n,
            **each,
        )
        for n in range(1, count + 1)
    }


def test_a_replay_without_outage_is_two_tables_and_a_sentence() -> None:
    """With the dates, the equation and the words."""
    report, _, words = text_report(outcome(channels=HEALTHY_CHANNELS)).partition("\n\nWords: ")

    assert HEALTHY == report
    assert words.startswith("an Add is an HTLC on its way out")


def test_replies_that_did_not_get_home_come_before_anything_else() -> None:
    """With their age and the block at which they have to be home."""
    late = [
        held(22.9),
        held(7_222.9, incoming_htlc_id=42, is_settle=False, incoming_timelock=0),
        held(7_320, incoming_htlc_id=43, incoming_amount=0),
        held(7_321, incoming_htlc_id=44, incoming_timelock=885_000),
    ]

    report = text_report(outcome(held=late), top=2)

    assert report.startswith("""\
Replies that did not get home: 4, of which Settles: 3. Their link had not taken
them at the end. If a reply is still away near its timelock, the channel is
closed by force; of a Settle, this node must then claim the HTLC on chain in
time.
incoming HTLC  reply          age  timelock     amount
9x9x9/41       Settle   2 h 1 min   885,120  1,002 sat
9x9x9/42       Fail    1 min 40 s   unknown  1,002 sat
and 2 younger ones: 1,002 sat, the first timelock 885,000
""")


def test_replies_that_did_not_get_home_may_be_few() -> None:
    """Then nothing is summed up."""
    report = text_report(outcome(held=[held(1)]))

    assert "\n9x9x9/41       Settle  2 h 2 min   885,120  1,002 sat\n\n2025-10-09" in report


def test_younger_replies_without_a_timelock_have_no_first_one() -> None:
    """The sum is still there."""
    late = [held(1), held(2, incoming_timelock=0, incoming_amount=0)]

    assert "\nand 1 younger ones: 0 sat\n" in text_report(outcome(held=late), top=1)


def test_what_the_outages_cost_is_sorted_by_loss() -> None:
    """The rest is one line, so that nothing is dropped silently."""
    lossy = channels(4, own_failed=1, own_adds=2)
    lossy[A] = Counts(adds=3, adds_delivered=3)

    report = text_report(outcome(channels=lossy), top=2)

    assert (
        """
43 Adds: 35 of forwards, 8 of own payments

What the outages cost, by outgoing channel:
channel     unroutable  expired  own  volume lost  fees lost
800004x4x0           0        2    1       20 sat      4 sat
800003x3x0           0        2    1       15 sat      3 sat
2 others             0        4    2       15 sat      3 sat
total                0        8    4       50 sat     10 sat

Adds, by outgoing channel:
channel     Adds  delivered  refused  unroutable  expired  waiting
800004x4x0    10          8        0           0        2        0
800003x3x0    10          8        0           0        2        0
3 others      23         19        0           0        4        0
total         43         35        0           0        8        0
"""
        in report
    )


def test_forwards_that_failed_are_listed_by_what_they_cost() -> None:
    """Own payments apart, and those that cost nothing only counted."""
    failed = [
        ended(60, incoming_amount=1_000_500),
        ended(1234.5678, Ending.UNROUTABLE, incoming_htlc_id=42),
        ended(1235, result=Result.FAILED),
        ended(1236, result=None),
        ended(1300, incoming_htlc_id=43),
        ended(2000, incoming_channel=OWN),
    ]

    report = text_report(outcome(failed=failed), top=2)

    assert (
        """
Forwards that failed in the replay, and settled in the log:
when (UTC)      channel     incoming HTLC  ending        fee
10-09 09:13:54  880000x1x1  9x9x9/42       unroutable  2 sat
10-09 09:15:00  880000x1x1  9x9x9/43       expired     2 sat
and 1 more: 500 msat
Own payments that failed so: 1, 1,000 sat.
Failed, but not settled in the log either: 2. They cost nothing.
"""
        in report
    )


def test_the_year_is_told_if_there_are_several() -> None:
    """A forwarding history may be that long; a day and a month are too little then."""
    report = text_report(outcome(failed=[ended(60)], end_ns=90 * 86_400 * NS))

    assert "\n2025-10-09 08:54:20  880000x1x1  9x9x9/41       expired  2 sat\n" in report


def test_ids_that_are_made_up_are_not_shown() -> None:
    """They are long, and lnd does not know them."""
    made_up = {"incoming_htlc_id": 2**63 + 1}
    report = text_report(outcome(failed=[ended(60, **made_up)], held=[held(60, **made_up)]))

    assert "\n10-09 08:54:20  880000x1x1  9x9x9          expired  2 sat\n" in report
    assert "\n9x9x9          Settle  2 h 1 min   885,120  1,002 sat\n" in report


def test_own_payments_alone_are_no_table() -> None:
    """They have no fee to lose."""
    report = text_report(outcome(failed=[ended(2000, incoming_channel=OWN)]))

    assert "\n\nOwn payments that failed so: 1, 1,000 sat.\n\n" in report
    assert "Forwards that failed" not in report


def test_refusals_have_the_reasons_of_lnd() -> None:
    """The most frequent first. A text from the log does nothing to the terminal."""
    refusals = {"": 2, "INSUFFICIENT_BALANCE": 14, "\x1b[2Jö" + "x" * 99: 3, "HTLC_EXCEEDS_MAX": 1}

    report = text_report(outcome(refusals=refusals), top=3)

    assert (
        f"""
Refused by the link, with lnd's reason:
INSUFFICIENT_BALANCE                      14
\\x1b[2J\\xf6{"x" * 29}   3
not told                                   2
1 other reasons                            1
"""
        in report
    )


def test_what_waits_and_what_was_not_played_is_said() -> None:
    """Before the verdict."""
    some = outcome(replies_unborn=2, was_interrupted=True, adds_left_out=3)

    report, _, _ = text_report(some).partition("\n\nWords: ")

    assert [
        "2 results of the log had no reply yet: their Adds wait.",
        "Interrupted: what comes later in the log was not played.",
        "Left out: 3 Adds of the log; the warnings say why.",
        "Every Add ended in exactly one way: 1,200 = 1,190 delivered + 4 refused + 0",
        "unroutable + 5 expired + 1 waiting.",
        "Of what was played, no packet was lost, duplicated or out of order.",
    ] == report.splitlines()[-6:]


def test_an_account_that_does_not_hold_is_no_quiet_matter() -> None:
    """The equation is a question then."""
    broken = {A: Counts(adds=10, adds_delivered=9, lost=1, duplicated=2, out_of_order=3)}

    report, _, _ = text_report(outcome(channels=broken)).partition("\n\nWords: ")

    assert (
        """\
THE ACCOUNTING DOES NOT HOLD.
Adds: 10 = 9 delivered + 0 refused + 0 unroutable + 0 expired + 0 waiting?
Packets: 1 lost, 2 duplicated, 3 out of order.
This is an error of lnmailbox, not of the node: please report it."""
        in report
    )


@pytest.mark.parametrize("htlc_id", [123_456_789, 2**64 - 1])
def test_no_line_is_longer_than_80_columns(htlc_id: int) -> None:
    """Numbers of a node's whole life, and the longest ids that channels had by 2025."""
    channel = ShortChannelID(9_900_000, 12_345, 100)
    many = 123_456_789
    counts = {name: many for name in Counts.__annotations__ if not name.endswith("msat")}
    money = {"fees_lost_msat": 10**10, "volume_failed_msat": 10**14}
    big = {"incoming_htlc_id": htlc_id, "incoming_channel": channel, "outgoing_channel": channel}
    everything = outcome(
        channels={channel: Counts(**counts, **money)},
        failed=[ended(n, Ending.UNROUTABLE, **big) for n in range(20)],
        held=[held(n, **big) for n in range(20)],
        refusals={"R" * 99: many},
        replies_unborn=many,
        handoffs=many,
        adds_left_out=many,
        was_given_up=True,
        was_interrupted=True,
    )

    assert [] == [line for line in text_report(everything).splitlines() if len(line) > 80]


@pytest.mark.parametrize("top", [1, 3])
def test_a_table_has_as_many_rows_as_asked_for(top: int) -> None:
    """And one for the others."""
    report = text_report(outcome(channels=channels(5)), top=top)

    assert f"\n{5 - top} others" in report
    assert 2 * top == report.count("\n80000")


def test_a_log_without_times_has_no_date() -> None:
    """1970 would be a lie."""
    report = text_report(outcome(start_ns=0, end_ns=0))

    assert report.startswith("The log has no times: all of it happens at once.\n2 channels")


def test_a_log_without_any_packet_has_no_tables() -> None:
    """The accounting is there."""
    report = text_report(outcome(channels={}))

    assert "by outgoing channel" not in report
    assert "by incoming channel" not in report
    assert "No packet was lost" in report
