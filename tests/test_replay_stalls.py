"""Playing logs with links that do not read for a while: mail waits, and Adds expire."""

from __future__ import annotations

import pytest

from lnmailbox.replay.reading.events import Kind, Origin
from lnmailbox.wire import ShortChannelID
from playing import START, A, B, Event, at, end, healthy, log, play


def test_an_add_waits_for_a_link_that_is_back_in_time() -> None:
    """It is delivered on return; the log's reply, which cannot exist before, comes then."""
    outcome = play(log(at(0, Kind.ADD), at(2, Kind.SETTLE), end(100)), "stall B:0:59.999999999")

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 2,
    } == healthy(outcome)


def test_an_add_whose_link_is_away_too_long_expires_at_its_deadline() -> None:
    """It fails back as a reply. The log's reply is dropped, and with a settle the fee is lost."""
    outcome = play(
        log(at(0, Kind.FINAL), at(10, Kind.ADD), at(12, Kind.SETTLE), end(500)), "stall B:9:99"
    )

    assert {
        "adds": 1,
        "adds_expired": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
        "volume_failed_msat": 1000,
        "fees_lost_msat": 100,
    } == healthy(outcome)
    assert 100 == outcome.channels[B].fees_lost_msat
    (failed,) = outcome.failed
    assert 70_000_000_000 == failed.at_ns
    assert failed.is_settled
    assert 1000 == failed.htlc.outgoing_amount


@pytest.mark.parametrize("settled_at", [60, 300])
def test_the_fee_is_lost_whenever_the_log_settles(settled_at: float) -> None:
    """Also at the deadline, or long after the Add has failed."""
    outcome = play(log(at(0, Kind.ADD), at(settled_at, Kind.SETTLE)), "stall B:0:60")

    assert 100 == outcome.total.fees_lost_msat
    assert 1 == healthy(outcome)["replies"]


def test_what_would_have_failed_anyway_costs_no_fee() -> None:
    """Nor does what the link would have refused, or what the log leaves open."""
    for last in (at(2, Kind.FAIL), at(2, Kind.LINK_FAIL), at(2, Kind.FINAL)):
        outcome = play(log(at(0, Kind.ADD), last, end(61)), "stall B:0:99")

        assert 1 == healthy(outcome)["adds_expired"]
        assert "fees_lost_msat" not in healthy(outcome)
        assert not outcome.failed[0].is_settled


def test_an_own_payment_that_expires_is_known_to_its_sender_only() -> None:
    """There is no incoming channel to reply to."""
    outcome = play(log(at(0, Kind.ADD, Origin.SEND), end(60)), "stall B:0:99")

    assert {"adds": 1, "adds_expired": 1, "own_adds": 1, "own_failed": 1} == healthy(outcome)


def test_a_link_that_is_back_at_the_deadline_is_too_late() -> None:
    """Expiry is inclusive, and goes first."""
    assert 1 == healthy(play(log(at(0, Kind.ADD), end(99)), "stall B:0:60"))["adds_expired"]


def test_an_outage_includes_its_beginning_and_not_its_end() -> None:
    """What comes at the instant of the beginning waits, at that of the end it does not."""
    events = log(at(0, Kind.FINAL), at(10, Kind.ADD), end(11))

    assert 1 == healthy(play(events, "stall B:10:5"))["adds_waiting"]
    assert 1 == healthy(play(events, "stall B:5:5"))["adds_delivered"]


def test_the_expiry_is_as_asked_for() -> None:
    """In seconds, parts of them included."""
    events = log(at(0, Kind.ADD), end(2))

    assert 1 == healthy(play(events, "stall B:0:1", expiry=0.5))["adds_expired"]
    assert 1 == healthy(play(events, "stall B:0:1", expiry=1.5))["adds_delivered"]


def test_adds_of_several_channels_may_expire_at_once() -> None:
    """Whichever mailbox is first, the outcome is the same."""
    events = [
        at(0, Kind.ADD, incoming_htlc_id=n, outgoing_channel=c) for n in range(9) for c in (A, B)
    ]
    for n, event in enumerate(events):
        event["incoming_channel"] = ShortChannelID(3, 0, n)

    outcome = play(log(*events, end(60)), "stall A:0:99", "stall B:0:99")

    assert 18 == healthy(outcome)["adds_expired"]
    assert [A] * 9 + [B] * 9 == [failed.htlc.outgoing_channel for failed in outcome.failed]


def test_what_is_not_committed_is_taken_again() -> None:
    """A link that leaves 49 ms after a delivery has acked nothing; after 50 ms it has."""
    events = log(at(0, Kind.ADD), at(0, Kind.SETTLE, Origin.RECEIVE, incoming_htlc_id=2), end(30))

    outcome = play(events, "stall A:0.049:1", "stall B:0.049:1")

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "redelivered": 2,
        "acked": 2,
    } == healthy(outcome)

    outcome = play(events, "stall A:0.05:1", "stall B:0.05:1")

    assert "redelivered" not in healthy(outcome)


def test_a_reply_waits_for_the_commitment_to_its_add() -> None:
    """The peer cannot settle what it has not got: not before the outage, but after it."""
    outcome = play(log(at(0, Kind.ADD), at(0.01, Kind.SETTLE), end(200)), "stall B:0.02:99")

    assert {
        "adds": 1,
        "adds_expired": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
        "volume_failed_msat": 1000,
        "fees_lost_msat": 100,
    } == healthy(outcome)


def test_what_was_delivered_but_not_committed_can_expire() -> None:
    """The link's return comes too late for it."""
    outcome = play(log(at(0, Kind.ADD), end(200)), "stall B:0.01:99")

    assert 1 == healthy(outcome)["adds_expired"]
    assert 60_000_000_000 == outcome.failed[0].at_ns


def test_what_the_link_holds_past_the_deadline_expires_when_it_leaves() -> None:
    """An Add that the link would refuse later is undelivered again, and its time is up."""
    outcome = play(log(at(0, Kind.ADD), at(100, Kind.LINK_FAIL)), "stall B:90:5")

    assert {
        "adds": 1,
        "adds_expired": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
    } == healthy(outcome)
    assert 90_000_000_000 == outcome.failed[0].at_ns


def test_a_refusal_waits_for_the_link_too() -> None:
    """The link cannot refuse what it has not got; it does so as soon as it is back."""
    outcome = play(log(at(0, Kind.ADD), at(10, Kind.LINK_FAIL), end(30)), "stall B:1:19")

    assert {
        "adds": 1,
        "adds_refused": 1,
        "replies": 1,
        "replies_delivered": 1,
        "redelivered": 1,
        "acked": 1,
    } == healthy(outcome)


def test_replies_wait_and_never_expire() -> None:
    """However long the incoming link is away, and also at the end."""
    events = log(at(0, Kind.ADD), at(1, Kind.SETTLE), end(5000))

    assert 1 == healthy(play(events, "stall A:0.5:4000"))["replies_delivered"]
    assert "replies_delivered" not in healthy(play(events, "stall A:0.5:9999"))


def test_what_the_end_of_the_log_leaves_open_is_still_waiting() -> None:
    """Time ends with the last event: neither the deadline nor the link's return is awaited."""
    outcome = play(log(at(0, Kind.ADD), at(2, Kind.SETTLE), end(59)), "stall B:0:59.5")

    assert {"adds": 1, "adds_waiting": 1} == healthy(outcome)
    assert 1 == outcome.replies_unborn


def test_many_packets_are_replayed_in_order() -> None:
    """Replies before Adds, each as they came, refusals in between."""
    adds = [at(n / 100, Kind.ADD, outgoing_channel=A, incoming_htlc_id=n) for n in range(20)]
    for add in adds:
        add["incoming_channel"] = B
    replies = [at(1, Kind.FAIL, Origin.RECEIVE, incoming_htlc_id=n) for n in range(20)]
    refusals = [add | {"kind": Kind.LINK_FAIL, "timestamp_ns": START + 10**9} for add in adds[::3]]

    outcome = play(log(*adds, *replies, *refusals, end(20)), "stall A:0.03:10")

    assert {
        "adds": 20,
        "adds_delivered": 13,
        "adds_refused": 7,
        "replies": 27,
        "replies_delivered": 27,
        "redelivered": 3,
        "acked": 40,
    } == healthy(outcome)


def test_an_outage_that_cannot_be_is_left_out_with_a_warning() -> None:
    """Of a channel without packets, or after the end."""
    outcome = play(log(at(0, Kind.ADD), at(0, Kind.ADD)), "stall 3x3x3:0:1", "stall B:0.5:1")

    assert 1 == healthy(outcome)["adds_delivered"]
    assert [
        "line 2: HTLC occurred before; left out: HTLC 1x1x1/1",
        "outage of 3x3x3: the log has no packet for that channel",
        "outage of 2x2x2: it begins after the last event",
    ] == [str(warning) for warning in outcome.warnings]


def test_time_may_take_long_steps_to_the_nanosecond() -> None:
    """Five centuries are no reason to lose one."""
    times = [1, 2**64 - 10**12 + 3, 2**64 - 1]
    kinds = [Kind.FINAL, Kind.ADD, Kind.FINAL]

    outcome = play(
        log(
            *(
                at(0, kind) | {"timestamp_ns": time}
                for kind, time in zip(kinds, times, strict=True)
            )
        ),
        "stall B:1:1e11",
    )

    assert 2**64 - 2 == outcome.end_ns
    assert 1 == healthy(outcome)["adds_expired"]
    assert times[1] - 1 + 60_000_000_000 == outcome.failed[0].at_ns


def test_a_circle_may_break_at_any_moment() -> None:
    """Add and reply of one key in one mailbox: the Add is acked before the reply is there."""
    circle: Event = {"outgoing_channel": A}
    events = log(at(0, Kind.ADD, **circle), at(0.01, Kind.SETTLE, **circle), end(200))

    for start in (0.005, 0.01, 0.04, 0.05, 0.06, 0.09, 0.1):
        for kind in ("stall", "down"):
            total = healthy(play(events, f"{kind} A:{start}:9"))

            assert (1, 1) == (total["adds_delivered"], total["replies_delivered"])
            assert total.get("redelivered", 0) == (start < 0.1)
