"""Playing logs without an outage: what packets there are, and where they go."""

from __future__ import annotations

import gc
import signal
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from lnmailbox import CircuitKey, HTLCPacket, MemoryMailBox
from lnmailbox.replay.playing import history as history_module
from lnmailbox.replay.playing.history import Progress
from lnmailbox.replay.playing.post import HAND_OVER_AT
from lnmailbox.replay.playing.simulation import simulate
from lnmailbox.replay.reading.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC, UpdateFailHTLC, UpdateFulfillHTLC
from playing import START, A, B, Event, at, end, healthy, log, nonzero, play, play_once


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


# What it is told, and what it tells


def test_a_window_is_played_like_a_log_of_its_own() -> None:
    """HTLCs that were added before it have their replies, and no more."""
    events = log(
        at(0, Kind.ADD),
        at(10, Kind.ADD, incoming_htlc_id=2),
        at(12, Kind.SETTLE),
        at(13, Kind.SETTLE, incoming_htlc_id=2),
        at(20, Kind.ADD, incoming_htlc_id=3),
    )

    outcome = play(events, window=(START + 5 * 10**9, START + 20 * 10**9))

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 2,
        "replies_delivered": 2,
        "acked": 3,
    } == healthy(outcome)
    assert (START + 10 * 10**9, 3 * 10**9) == (outcome.start_ns, outcome.end_ns)
    assert {Kind.ADD: 1, Kind.SETTLE: 2} == outcome.events


def test_outages_in_a_window_count_from_its_first_event() -> None:
    """Those with a date are where the date is."""
    events = log(at(0, Kind.FINAL), at(100, Kind.FINAL), at(110, Kind.ADD), end(200))
    window = (START + 1, None)

    for outage in ("down B:5:10", "down B:2025-10-09T08:55:05:10"):
        assert 1 == healthy(play(events, outage, window=window))["adds_unroutable"]
    assert 1 == healthy(play(events, "down B:105:10", window=window))["adds_delivered"]


def test_refusals_are_counted_by_their_reason() -> None:
    """lnd's `failure_detail`."""
    outcome = play(log(at(0, Kind.LINK_FAIL, failure_detail="INSUFFICIENT_BALANCE")))

    assert {"INSUFFICIENT_BALANCE": 1} == outcome.refusals
    assert 1 == outcome.total.adds_refused


def test_packets_are_counted_that_pass_from_thread_to_thread() -> None:
    """An Add, its Fail from the mailbox, and the same as the incoming link takes it."""
    assert 3 == play(log(at(0, Kind.LINK_FAIL))).handoffs
    assert 2 == play(log(at(0, Kind.ADD), at(1, Kind.SETTLE))).handoffs


def test_what_the_reader_left_out_is_in_the_outcome() -> None:
    """With its warnings, which the reader may give while the replay runs."""
    warnings = LogWarnings()

    def events() -> Any:
        warnings.add("too late", 7)
        warnings.adds_left_out += 1
        yield from log(at(0, Kind.ADD))

    outcome = simulate(events(), warnings=warnings)

    assert 1 == outcome.adds_left_out
    assert ["line 7: too late"] == list(map(str, outcome.warnings))


def test_progress_is_told() -> None:
    """By the caller's thread."""
    told: list[tuple[Progress, bool]] = []
    me = threading.current_thread()

    play_once(
        log(*[end(1)] * 10_001),
        on_progress=lambda progress: told.append((progress, threading.current_thread() is me)),
    )

    assert [(Progress(10_000, START + 10**9, 0), True)] == told


@pytest.mark.parametrize("threads", ["both", None])
def test_there_are_two_kinds_of_threads(threads: Any) -> None:
    """Anything else is refused, before anything is read."""
    with pytest.raises(ValueError, match="threads must be 'shared' or 'per-link', got"):
        play_once(log(at(0, Kind.ADD)), threads=threads)


@pytest.mark.parametrize("expiry", [0.0, 1e-10, -1.0, 1e300])
def test_an_add_needs_time_to_expire(expiry: float) -> None:
    """A nanosecond at least, and no more than a clock can tell."""
    with pytest.raises(ValueError, match="expiry must be"):
        play_once(log(at(0, Kind.ADD)), expiry=expiry)


def test_ten_times_as_many_channels_take_no_more_threads() -> None:
    """One thread does the work of all links; with one for each, there are as many as channels."""

    def threads_of(channels: int, threads: str) -> int:
        events = [
            at(n, Kind.ADD, incoming_htlc_id=n, outgoing_channel=ShortChannelID(9, n, 0))
            for n in range(channels)
        ]
        most = [0]

        class Counting(MemoryMailBox):
            def add_packet(self, packet: HTLCPacket) -> None:
                most.append(threading.active_count())
                super().add_packet(packet)

        assert play_once(log(*events), threads=threads, mailbox_factory=Counting).holds
        return max(most)

    assert threads_of(5, "shared") == threads_of(50, "shared")
    assert threads_of(5, "per-link") + 45 == threads_of(50, "per-link")


@pytest.mark.parametrize("threads", ["shared", "per-link"])
def test_packets_are_handed_over_many_at_a_time_or_one_by_one(threads: str) -> None:
    """With one thread for all, when 256 are there; with one for each link, each at once."""
    events = [at(0, Kind.ADD, incoming_htlc_id=n) for n in range(300)]
    most = [0]

    class Counting(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            super().add_packet(packet)
            most.append(self.statistics().adds_undelivered)

    assert play_once(log(*events), threads=threads, mailbox_factory=Counting).holds

    if threads == "shared":
        assert HAND_OVER_AT == max(most)
    else:
        assert 1 >= max(most)


def test_a_long_log_takes_no_more_memory_than_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended leaves nothing behind, but the last ones."""
    monkeypatch.setattr(history_module, "LOOK_AHEAD", 10)
    monkeypatch.setattr(history_module, "REMEMBERED", 10)

    def events(htlcs: int) -> Iterator[HtlcEvent]:
        for n in range(htlcs):
            if n % 250 == 0:
                gc.collect()  # without the GIL, what is freed is freed a little later
            yield from log(
                at(n, Kind.ADD, incoming_htlc_id=n),
                at(n + 0.5, Kind.SETTLE, incoming_htlc_id=n),
                at(n + 0.5, Kind.SETTLE, Origin.RECEIVE, incoming_htlc_id=htlcs + n),
            )

    def peak(htlcs: int) -> int:
        tracemalloc.start()
        try:
            outcome = simulate(events(htlcs), warnings=LogWarnings())
            assert 2 * htlcs == healthy(outcome)["replies_delivered"]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(2000) < 1.25 * peak(500)


# How it ends


def test_what_the_log_raises_is_raised() -> None:
    """The threads have ended then."""

    def events() -> Any:
        yield from log(at(0, Kind.ADD))
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        play_once(events())


@pytest.mark.parametrize("threads", ["shared", "per-link"])
def test_what_a_mailbox_raises_is_raised(threads: str) -> None:
    """Whichever thread it is raised in."""

    class Raising(MemoryMailBox):
        def ack_packet(self, key: CircuitKey) -> bool:
            raise LookupError("no ack")

    with pytest.raises(LookupError, match="no ack"):
        play_once(log(at(0, Kind.ADD)), threads=threads, mailbox_factory=Raising)


@pytest.mark.parametrize("played", [0, 1, 2])
def test_an_interrupt_while_it_reads_ends_the_log_there(played: int) -> None:
    """What was read is played; the rest of the log is not missed."""

    def events() -> Any:
        yield from log(at(0, Kind.ADD), at(1, Kind.SETTLE))[:played]
        raise KeyboardInterrupt

    outcome = play_once(events())

    assert outcome.was_interrupted
    assert outcome.holds
    assert played == sum(outcome.events.values())
    assert (min(1, played), max(0, played - 1)) == (outcome.total.adds, outcome.total.replies)


@pytest.mark.parametrize("threads", ["shared", "per-link"])
def test_an_interrupt_while_it_plays_ends_the_log_there(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is done first, and what was read by then is played too."""
    monkeypatch.setattr(history_module, "LOOK_AHEAD", 3)
    seen: list[int] = []

    class Interrupted(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            if packet.incoming_htlc_id == 5:
                signal.raise_signal(signal.SIGINT)
            super().add_packet(packet)
            seen.append(packet.incoming_htlc_id)

    events = [at(n, Kind.ADD, incoming_htlc_id=n) for n in range(20)]
    outcome = play_once(log(*events), threads=threads, mailbox_factory=Interrupted)

    assert outcome.was_interrupted
    assert {"adds": 9, "adds_delivered": 9, "acked": 9} == healthy(outcome)
    assert list(range(9)) == seen
    assert 8 * 10**9 == outcome.end_ns


def test_a_second_interrupt_is_raised() -> None:
    """Nothing is waited for."""

    class Interrupted(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        play_once(log(at(0, Kind.ADD)), mailbox_factory=Interrupted)
