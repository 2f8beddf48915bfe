"""Playing logs without an outage: what packets there are, and where they go."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lnmailbox import CircuitKey, HTLCPacket, MailBoxConfig, MemoryMailBox
from lnmailbox.replay.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.history import Progress
from lnmailbox.replay.outcome import EndedHtlc, Ending
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC, UpdateFailHTLC, UpdateFulfillHTLC
from playing import START, A, B, Event, at, end, healthy, log, nonzero, play, play_once, plain


def test_a_forward_that_settles_is_an_add_and_a_reply() -> None:
    """The Add counts for the outgoing channel, the reply for the incoming one."""
    outcome = play(log(at(0, Kind.ADD), at(2, Kind.SETTLE)))

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 2,
    } == healthy(outcome)
    assert {"adds": 1, "adds_delivered": 1, "acked": 1} == nonzero(outcome.channels[B])
    assert {"replies": 1, "replies_delivered": 1, "acked": 1} == nonzero(outcome.channels[A])
    assert {Kind.ADD: 1, Kind.SETTLE: 1} == outcome.events
    assert 2_000_000_000 == outcome.end_ns


def test_the_result_of_an_own_payment_goes_to_nobody() -> None:
    """Nobody's mailbox waits for it, however the payment ends."""
    for kind in (Kind.SETTLE, Kind.FAIL):
        outcome = play(log(at(0, Kind.ADD, Origin.SEND), at(2, kind, Origin.SEND)))

        assert {"adds": 1, "adds_delivered": 1, "acked": 1, "own_adds": 1} == healthy(outcome)
        assert [B] == list(outcome.channels)


def test_what_this_node_is_paid_is_a_reply_only() -> None:
    """It goes to the incoming channel."""
    outcome = play(log(at(0, Kind.SETTLE, Origin.RECEIVE)))

    assert {"replies": 1, "replies_delivered": 1, "acked": 1} == healthy(outcome)
    assert [A] == list(outcome.channels)


def test_a_result_older_than_the_log_is_a_reply_only() -> None:
    """The Add was before; its incoming link still needs the reply."""
    outcome = play(log(at(0, Kind.FAIL)))

    assert {"replies": 1, "replies_delivered": 1, "acked": 1} == healthy(outcome)


@pytest.mark.parametrize("with_add", [False, True])
def test_what_the_link_refuses_fails_back_as_a_reply(with_add: bool) -> None:
    """The link takes the Add and fails it; the mailbox's Fail goes to the incoming channel."""
    events = [at(0, Kind.ADD)] if with_add else []
    outcome = play(log(*events, at(5, Kind.LINK_FAIL)))

    assert {
        "adds": 1,
        "adds_refused": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
    } == healthy(outcome)
    assert {"adds": 1, "adds_refused": 1} == nonzero(outcome.channels[B])
    assert [] == outcome.failed


def test_own_payments_that_the_link_refuses_are_refused_one_by_one() -> None:
    """They have no id of their own, and no reply."""
    refusal = at(0, Kind.LINK_FAIL, Origin.SEND, outgoing_htlc_id=0)

    assert {"adds": 2, "adds_refused": 2, "own_adds": 2} == healthy(play(log(refusal, refusal)))


def test_everything_at_one_instant_is_delivered_too() -> None:
    """A log without times: the commitment at the end lets the replies come."""
    events = [at(0, Kind.ADD), at(0, Kind.SETTLE), at(0, Kind.FAIL, Origin.RECEIVE)]
    events[2]["incoming_htlc_id"] = 2

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 2,
        "replies_delivered": 2,
        "acked": 3,
    } == healthy(play(log(*events)))


def test_a_channel_may_be_both_ends_of_a_forward() -> None:
    """Then Add and reply share key and mailbox."""
    circle: Event = {"outgoing_channel": A}

    outcome = play(log(at(0, Kind.ADD, **circle), at(1, Kind.SETTLE, **circle)))

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 2,
    } == healthy(outcome)


def test_own_payments_of_two_channels_may_have_one_id() -> None:
    """HTLC ids count per channel."""
    outcome = play(
        log(at(0, Kind.ADD, Origin.SEND), at(0, Kind.ADD, Origin.SEND, outgoing_channel=A)),
        "stall A:0:9",
        "stall B:0:9",
    )

    assert {"adds": 2, "adds_waiting": 2, "own_adds": 2} == healthy(outcome)


def test_nothing_to_play_is_fine() -> None:
    """A log of notices has neither channels nor packets."""
    assert {} == healthy(play(log(end(0))))


def test_packets_are_what_a_switch_and_its_links_make_of_them() -> None:
    """Only a forward's failure is encrypted, and the outgoing id is the link's to give."""
    seen: list[HTLCPacket] = []

    class Recording(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            seen.append(packet)
            assert not isinstance(packet.htlc, UpdateAddHTLC) or not packet.outgoing_htlc_id
            super().add_packet(packet)

    events = log(
        at(0, Kind.ADD),
        at(1, Kind.ADD, Origin.SEND, outgoing_htlc_id=2),
        at(2, Kind.SETTLE),
        at(3, Kind.LINK_FAIL, incoming_htlc_id=3),
    )
    play_once(events, mailbox_factory=Recording)

    add, own, settle, refused, fail = seen
    assert [1, 2] == [add.outgoing_htlc_id, own.outgoing_htlc_id]
    assert [CircuitKey(A, 1), CircuitKey(ShortChannelID(), 2)] == [add.in_key, own.in_key]
    assert (add.obfuscator is None, own.obfuscator is None) == (False, True)
    assert (1100, 1000, 0, 1000) == (
        add.incoming_amount,
        add.amount,
        own.incoming_amount,
        own.amount,
    )
    assert [UpdateAddHTLC, UpdateFulfillHTLC] == [type(add.htlc), type(settle.htlc)]
    assert CircuitKey(A, 1) == settle.in_key
    assert refused.in_key == fail.in_key == CircuitKey(A, 3)
    assert isinstance(fail.htlc, UpdateFailHTLC)
    assert fail.htlc.reason.startswith(b"to be encrypted: ")
