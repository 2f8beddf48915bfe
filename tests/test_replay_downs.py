"""Playing logs with peers that are gone for a while: Adds fail at once, replies wait."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox import HTLCPacket, MemoryMailBox
from lnmailbox.replay.playing import history as history_module
from lnmailbox.replay.playing.outcome import EndedHtlc, Ending
from lnmailbox.replay.reading.events import Kind, Origin
from lnmailbox.wire import ShortChannelID, UnknownNextPeer, UpdateFailHTLC, encode_failure
from playing import START, A, B, at, end, healthy, log, nonzero, play, play_once


def test_an_add_whose_peer_is_gone_fails_at_once() -> None:
    """The incoming link gets a Fail, the log's settle is dropped, and the fee is lost."""
    outcome = play(log(at(0, Kind.FINAL), at(10, Kind.ADD), at(12, Kind.SETTLE)), "down B:9:99")

    assert {
        "adds": 1,
        "adds_unroutable": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
        "volume_failed_msat": 1000,
        "fees_lost_msat": 100,
    } == healthy(outcome)
    assert {
        "adds": 1,
        "adds_unroutable": 1,
        "volume_failed_msat": 1000,
        "fees_lost_msat": 100,
    } == nonzero(outcome.channels[B])
    (failed,) = outcome.failed
    assert (START, 10_000_000_000) == (failed.start_ns, failed.at_ns)
    assert Ending.UNROUTABLE is failed.ending
    assert failed.is_settled


def test_the_fail_is_the_switchs_own() -> None:
    """lnd's `FailUnknownNextPeer`, encrypted for the sender; the mailbox saw no Add."""
    seen: list[HTLCPacket] = []

    class Recording(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            seen.append(packet)
            super().add_packet(packet)

    play_once(log(at(0, Kind.ADD)), "down B:0:9", mailbox_factory=Recording)

    (fail,) = seen
    assert isinstance(fail.htlc, UpdateFailHTLC)
    assert b"to be encrypted: " + encode_failure(UnknownNextPeer()) == fail.htlc.reason
    assert (A, 1, B) == (fail.incoming_chan_id, fail.incoming_htlc_id, fail.outgoing_chan_id)
    assert (1100, 1000) == (fail.incoming_amount, fail.amount)
    assert fail.link_failure is not None
    assert UnknownNextPeer() == fail.link_failure.wire_message


def test_an_own_payment_fails_without_a_reply() -> None:
    """Its sender is the node itself; no fee is lost with it."""
    outcome = play(
        log(at(0, Kind.ADD, Origin.SEND), at(1, Kind.SETTLE, Origin.SEND)), "down B:0:9"
    )

    assert {"adds": 1, "adds_unroutable": 1, "own_adds": 1, "own_failed": 1} == healthy(outcome)
    assert outcome.failed[0].is_settled


def test_what_the_link_would_have_refused_fails_all_the_same() -> None:
    """There is no link to refuse it; nothing is lost."""
    for events in ([at(5, Kind.LINK_FAIL)], [at(0, Kind.ADD), at(5, Kind.LINK_FAIL)]):
        outcome = play(log(*events), "down B:0:9")

        assert {
            "adds": 1,
            "adds_unroutable": 1,
            "replies": 1,
            "replies_delivered": 1,
            "acked": 1,
        } == healthy(outcome)
        assert not outcome.failed[0].is_settled


def test_replies_wait_for_the_peer() -> None:
    """However long it is gone, and also at the end: those are held, the oldest first."""
    events = log(
        at(0, Kind.FINAL),
        at(2, Kind.SETTLE, Origin.RECEIVE, incoming_htlc_id=1, incoming_timelock=0),
        at(3, Kind.FAIL, Origin.RECEIVE, incoming_htlc_id=2),
        end(5000),
    )

    assert 2 == healthy(play(events, "down A:1:4000"))["replies_delivered"]

    outcome = play(events, "down A:1:9999")

    assert {"replies": 2} == healthy(outcome)
    assert [(1, 2_000_000_000, True), (2, 3_000_000_000, False)] == [
        (held.htlc.incoming_htlc_id, held.since_ns, held.is_settle) for held in outcome.held
    ]


def test_a_held_reply_knows_until_when_it_must_be_home() -> None:
    """By the timelock of its Add, after which the peer may force-close."""
    events = log(at(0, Kind.ADD, incoming_timelock=885_080), at(1, Kind.SETTLE))

    (held,) = play(events, "down A:0.5:9").held

    assert (885_080, 1_000_000_000) == (held.htlc.incoming_timelock, held.since_ns)


def test_an_unroutable_add_may_wait_for_its_incoming_peer_too() -> None:
    """When all are gone, the Fail is held."""
    outcome = play(log(at(0, Kind.ADD), end(9)), "down all:0:10")

    assert {"adds": 1, "adds_unroutable": 1, "replies": 1} == healthy(outcome)
    assert [False] == [held.is_settle for held in outcome.held]


@pytest.mark.parametrize("kind", ["down", "stall"])
def test_mail_from_before_waits_for_the_link_or_expires(kind: str) -> None:
    """What the link had not committed to when the peer went, as lnd's mailbox keeps it."""
    events = log(at(0, Kind.ADD), end(200))

    back = play(events, f"{kind} B:0.01:59")
    late = play(events, f"{kind} B:0.01:99")

    assert (1, 1) == (healthy(back)["adds_delivered"], healthy(back)["redelivered"])
    assert 1 == healthy(late)["adds_expired"]
    assert 60_000_000_000 == late.failed[0].at_ns


def test_a_peer_that_is_gone_is_not_stalled() -> None:
    """If both last, Adds fail at once; when the peer is back and stalled, they wait again."""
    adds = [at(n, Kind.ADD, incoming_htlc_id=n) for n in (5, 15, 25, 35, 45)]

    outcome = play(log(at(0, Kind.FINAL), *adds, end(200)), "stall B:10:30", "down B:20:10")

    total = healthy(outcome)
    assert (1, 4) == (total["adds_unroutable"], total["adds_delivered"])
    assert [25_000_000_000] == [failed.at_ns for failed in outcome.failed]


def test_outages_that_overlap_or_touch_are_one() -> None:
    """A link that is to be away is not called back in between."""
    events = log(at(0, Kind.FINAL), at(10, Kind.SETTLE, Origin.RECEIVE), end(99))

    for second in ("stall A:20:10", "stall A:10.005:25", "down A:20:10", "down A:15:15"):
        outcome = play(events, "stall A:10.01:9.99", second)

        assert 1 == healthy(outcome)["redelivered"]
        assert 1 == healthy(outcome)["replies_delivered"]


def test_a_channel_that_comes_later_is_away_as_all_are() -> None:
    """Its link begins in the state in which the others are."""
    events = log(at(0, Kind.FINAL), at(10, Kind.ADD), end(500))

    assert 1 == healthy(play(events, "stall all:5:400"))["adds_expired"]
    assert 1 == healthy(play(events, "down all:5:400"))["adds_unroutable"]
    assert 1 == healthy(play(events, "down all:5:4"))["adds_delivered"]


def test_a_peer_that_flaps_is_gone_for_the_end_of_each_period() -> None:
    """For as long as the log lasts."""
    adds = [at(n, Kind.ADD, incoming_htlc_id=n) for n in range(40)]

    outcome = play(log(*adds, end(41)), "flap B:10:3")

    assert [7, 8, 9, 17, 18, 19, 27, 28, 29, 37, 38, 39] == [
        failed.at_ns // 10**9 for failed in outcome.failed
    ]
    assert 28 == healthy(outcome)["adds_delivered"]


def test_an_outage_at_a_date_is_where_the_date_is() -> None:
    """START is 2025-10-09T08:53:20Z."""
    events = log(at(0, Kind.FINAL), at(10, Kind.ADD), at(20, Kind.ADD, incoming_htlc_id=2))

    outcome = play(events, "down B:2025-10-09T10:53:35+02:00:10", "down B:2025-10-08:5m")

    assert [20_000_000_000] == [failed.at_ns for failed in outcome.failed]
    assert ["outage of 2x2x2: it ends before the first event"] == list(map(str, outcome.warnings))


def test_outages_without_effect_have_a_warning() -> None:
    """Whatever they are; an outage of all channels that begins after the end as well."""
    outcome = play(log(at(0, Kind.ADD)), "flap all:60:5", "flap 3x3x3:60:5", "stall all:1:1")

    assert [
        "2 times: outage of all: it begins after the last event",
        "outage of 3x3x3: the log has no packet for that channel",
    ] == list(map(str, outcome.warnings))


# What is told


def test_each_add_is_told_once_with_its_ending() -> None:
    """When its result is known, or at the end."""
    told: list[EndedHtlc] = []
    events = log(
        at(0, Kind.ADD),
        at(0, Kind.ADD, incoming_htlc_id=2),
        at(1, Kind.LINK_FAIL, incoming_htlc_id=3),
        at(10, Kind.ADD, incoming_htlc_id=4),
        at(30, Kind.ADD, incoming_htlc_id=5),
        at(31, Kind.SETTLE),
        at(32, Kind.SETTLE, incoming_htlc_id=5),
        at(33, Kind.SETTLE, incoming_htlc_id=4),
        at(100, Kind.ADD, incoming_htlc_id=6),
        at(100, Kind.SETTLE, Origin.RECEIVE, incoming_htlc_id=7),
    )

    play_once(
        events, "stall B:9:11", "down B:29:2", "stall B:50:99", expiry=5.0, on_ended=told.append
    )

    second = 1_000_000_000
    assert [
        (3, Ending.REFUSED, 1 * second),
        (4, Ending.EXPIRED, 15 * second),
        (5, Ending.UNROUTABLE, 30 * second),
        (1, Ending.DELIVERED, second // 20),
        (2, Ending.DELIVERED, second // 20),
        (6, Ending.WAITING, 100 * second),
    ] == [(each.htlc.incoming_htlc_id, each.ending, each.at_ns) for each in told]
    assert {START} == {each.start_ns for each in told}
    assert [False, True, True, False, False, False] == [each.has_failed for each in told]
    assert [0, 100, 100, 0, 0, 0] == [each.fee_lost_msat for each in told]
    assert [0, 1000, 1000, 0, 0, 0] == [each.volume_failed_msat for each in told]


def test_a_result_that_comes_much_later_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, longer than the log is read ahead; then the HTLC is told."""
    monkeypatch.setattr(history_module, "LOOK_AHEAD", 2)
    told: list[int] = []
    adds = [at(n, Kind.ADD, incoming_htlc_id=n) for n in range(1, 9)]
    events = log(*adds, at(50, Kind.SETTLE), at(51, Kind.FAIL, incoming_htlc_id=2))

    outcome = play_once(
        events,
        "down B:0:4",
        on_ended=lambda ended: told.append(ended.htlc.incoming_htlc_id),
    )

    assert 100 == healthy(outcome)["fees_lost_msat"]
    assert [1, 2, 3, 4] == [failed.htlc.incoming_htlc_id for failed in outcome.failed]
    assert [1, 2, 5, 6, 7, 8, 3, 4] == told


def test_what_failed_need_not_be_kept() -> None:
    """It is counted and told all the same."""
    told: list[EndedHtlc] = []
    events = log(at(0, Kind.ADD), at(1, Kind.SETTLE))

    outcome = play_once(events, "down B:0:4", keep_failed=False, on_ended=told.append)

    assert [] == outcome.failed
    assert 1 == len(told)
    assert 100 == outcome.total.fees_lost_msat


class Recorder:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def outage(self, channel: ShortChannelID, kind: Any, start_ns: int, end_ns: int) -> None:
        self.told.append((str(channel), kind.value, start_ns / 10**9, end_ns / 10**9))

    def depth(self, channel: ShortChannelID, at_ns: int, depth: int) -> None:
        self.told.append((str(channel), at_ns / 10**9, depth))


def test_a_recorder_is_told_of_outages_and_of_mail_that_waits() -> None:
    """Of each change while a link is away; of outages when they end, or the log does."""
    recorder = Recorder()
    events = log(
        at(0, Kind.FINAL),
        at(10, Kind.ADD),
        at(12, Kind.ADD, incoming_htlc_id=2),
        at(20, Kind.SETTLE, Origin.RECEIVE, incoming_htlc_id=3),
        end(100),
    )

    play_once(events, "stall B:5:65.5", "stall B:8:60", "down A:15:900", recorder=recorder)

    assert [
        ("2x2x2", 10, 1),
        ("2x2x2", 12, 2),
        ("1x1x1", 20, 1),
        ("1x1x1", 70, 2),
        ("2x2x2", 70, 1),
        ("2x2x2", "stall", 5, 70.5),
        ("2x2x2", 70.5, 0),
        ("1x1x1", "down", 15, 100),
    ] == recorder.told
