"""Playing histories: what becomes of packets when links go away, and that every fault is seen."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from lnmailbox import CircuitKey, HTLCPacket, MailBoxConfig, MemoryMailBox
from lnmailbox.replay.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.history import History, read_history
from lnmailbox.replay.ledger import Counts
from lnmailbox.replay.outages import Outage, parse_outage
from lnmailbox.replay.outcome import Outcome
from lnmailbox.replay.simulation import simulate
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC, UpdateFailHTLC, UpdateFulfillHTLC

A = ShortChannelID(1, 1, 1)
B = ShortChannelID(2, 2, 2)
START = 1_760_000_000_000_000_000

Event = dict[str, Any]


def at(seconds: float, kind: Kind, origin: Origin = Origin.FORWARD, **fields: Any) -> Event:
    """An event of HTLC 1, from channel A to channel B, unless `fields` say otherwise."""
    event: Event = {
        "origin": origin,
        "kind": kind,
        "timestamp_ns": START + round(seconds * 1_000_000_000),
        "incoming_amount": 1100,
        "outgoing_amount": 1000,
    }
    if origin is Origin.SEND:
        del event["incoming_amount"]
    else:
        event |= {"incoming_channel": A, "incoming_htlc_id": 1}
    if origin is not Origin.RECEIVE:
        event |= {"outgoing_channel": B, "outgoing_htlc_id": 1}
    return event | fields


def log(*events: Event) -> History:
    return read_history([HtlcEvent(line=line, **event) for line, event in enumerate(events, 1)])


def end(seconds: float) -> Event:
    return at(seconds, Kind.FINAL, Origin.UNKNOWN)


def down(text: str) -> Outage:
    """An outage of channel A or B, as in `B:10:5`."""
    return parse_outage(text.replace("A", str(A)).replace("B", str(B)))


def play(history: History, *outages: str, **options: Any) -> Outcome:
    """Play twice, and see to it that the two are the same."""
    first, second = (simulate(history, map(down, outages), **options) for _ in range(2))
    assert attrs.asdict(first) == attrs.asdict(second)
    return first


def nonzero(counts: Counts) -> Event:
    return {name: count for name, count in attrs.asdict(counts).items() if count}


def healthy(outcome: Outcome) -> Event:
    """The total counts other than 0 of a replay in which nothing went wrong."""
    assert outcome.holds
    total = outcome.total
    assert total.acked == total.adds_delivered + total.replies_delivered
    return nonzero(total)


# Without an outage


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

        assert {"adds": 1, "adds_delivered": 1, "acked": 1} == healthy(outcome)
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
    assert [] == outcome.failed_back


def test_own_payments_that_the_link_refuses_are_refused_one_by_one() -> None:
    """They have no id of their own, and no reply."""
    refusal = at(0, Kind.LINK_FAIL, Origin.SEND, outgoing_htlc_id=0)

    assert {"adds": 2, "adds_refused": 2} == healthy(play(log(refusal, refusal)))


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
        "A:0:9",
        "B:0:9",
    )

    assert {"adds": 2, "adds_waiting": 2} == healthy(outcome)


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
        "B:1:1e11",
    )

    assert 2**64 - 2 == outcome.end_ns
    assert 1 == healthy(outcome)["adds_expired"]
    assert times[1] - 1 + 60_000_000_000 == outcome.failed_back[0].at_ns


# With outages


def test_an_add_waits_for_a_link_that_is_back_in_time() -> None:
    """It is delivered on return; the log's reply, which cannot exist before, comes then."""
    outcome = play(log(at(0, Kind.ADD), at(2, Kind.SETTLE), end(100)), "B:0:59.999999999")

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
        log(at(0, Kind.FINAL), at(10, Kind.ADD), at(12, Kind.SETTLE), end(500)), "B:9:99"
    )

    assert {
        "adds": 1,
        "adds_expired": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
        "fees_lost_msat": 100,
    } == healthy(outcome)
    assert 100 == outcome.channels[B].fees_lost_msat
    (failed,) = outcome.failed_back
    assert 70_000_000_000 == failed.at_ns
    assert failed.is_settled
    assert 1000 == failed.htlc.outgoing_amount


@pytest.mark.parametrize("settled_at", [60, 300])
def test_the_fee_is_lost_whenever_the_log_settles(settled_at: float) -> None:
    """Also at the deadline, or long after the Add has failed."""
    outcome = play(log(at(0, Kind.ADD), at(settled_at, Kind.SETTLE)), "B:0:60")

    assert 100 == outcome.total.fees_lost_msat
    assert 1 == healthy(outcome)["replies"]


def test_what_would_have_failed_anyway_costs_no_fee() -> None:
    """Nor does what the link would have refused, or what the log leaves open."""
    for last in (at(2, Kind.FAIL), at(2, Kind.LINK_FAIL), at(2, Kind.FINAL)):
        outcome = play(log(at(0, Kind.ADD), last, end(61)), "B:0:99")

        assert 1 == healthy(outcome)["adds_expired"]
        assert "fees_lost_msat" not in healthy(outcome)
        assert not outcome.failed_back[0].is_settled


def test_an_own_payment_that_expires_is_known_to_its_sender_only() -> None:
    """There is no incoming channel to reply to."""
    outcome = play(log(at(0, Kind.ADD, Origin.SEND), end(60)), "B:0:99")

    assert {"adds": 1, "adds_expired": 1} == healthy(outcome)


def test_a_link_that_is_back_at_the_deadline_is_too_late() -> None:
    """Expiry is inclusive, and goes first."""
    assert 1 == healthy(play(log(at(0, Kind.ADD), end(99)), "B:0:60"))["adds_expired"]


def test_an_outage_includes_its_beginning_and_not_its_end() -> None:
    """What comes at the instant of the beginning waits, at that of the end it does not."""
    history = log(at(0, Kind.FINAL), at(10, Kind.ADD), end(11))

    assert 1 == healthy(play(history, "B:10:5"))["adds_waiting"]
    assert 1 == healthy(play(history, "B:5:5"))["adds_delivered"]


def test_the_expiry_is_as_asked_for() -> None:
    """In seconds, parts of them included."""
    history = log(at(0, Kind.ADD), end(2))

    assert 1 == healthy(play(history, "B:0:1", expiry=0.5))["adds_expired"]
    assert 1 == healthy(play(history, "B:0:1", expiry=1.5))["adds_delivered"]


def test_adds_of_several_channels_may_expire_at_once() -> None:
    """Whichever mailbox is first, the outcome is the same."""
    events = [
        at(0, Kind.ADD, incoming_htlc_id=n, outgoing_channel=c) for n in range(9) for c in (A, B)
    ]
    for n, event in enumerate(events):
        event["incoming_channel"] = ShortChannelID(3, 0, n)

    outcome = play(log(*events, end(60)), "A:0:99", "B:0:99")

    assert 18 == healthy(outcome)["adds_expired"]
    assert [A] * 9 + [B] * 9 == [failed.htlc.outgoing_channel for failed in outcome.failed_back]


def test_what_is_not_committed_is_taken_again() -> None:
    """A link that leaves 49 ms after a delivery has acked nothing; after 50 ms it has."""
    history = log(at(0, Kind.ADD), at(0, Kind.SETTLE, Origin.RECEIVE, incoming_htlc_id=2), end(30))

    outcome = play(history, "A:0.049:1", "B:0.049:1")

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "redelivered": 2,
        "acked": 2,
    } == healthy(outcome)

    outcome = play(history, "A:0.05:1", "B:0.05:1")

    assert "redelivered" not in healthy(outcome)


def test_a_reply_waits_for_the_commitment_to_its_add() -> None:
    """The peer cannot settle what it has not got: not before the outage, but after it."""
    outcome = play(log(at(0, Kind.ADD), at(0.01, Kind.SETTLE), end(200)), "B:0.02:99")

    assert {
        "adds": 1,
        "adds_expired": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
        "fees_lost_msat": 100,
    } == healthy(outcome)


def test_what_was_delivered_but_not_committed_can_expire() -> None:
    """The link's return comes too late for it."""
    outcome = play(log(at(0, Kind.ADD), end(200)), "B:0.01:99")

    assert 1 == healthy(outcome)["adds_expired"]
    assert 60_000_000_000 == outcome.failed_back[0].at_ns


def test_what_the_link_holds_past_the_deadline_expires_when_it_leaves() -> None:
    """An Add that the link would refuse later is undelivered again, and its time is up."""
    outcome = play(log(at(0, Kind.ADD), at(100, Kind.LINK_FAIL)), "B:90:5")

    assert {
        "adds": 1,
        "adds_expired": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 1,
    } == healthy(outcome)
    assert 90_000_000_000 == outcome.failed_back[0].at_ns


def test_a_refusal_waits_for_the_link_too() -> None:
    """The link cannot refuse what it has not got; it does so as soon as it is back."""
    outcome = play(log(at(0, Kind.ADD), at(10, Kind.LINK_FAIL), end(30)), "B:1:19")

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
    history = log(at(0, Kind.ADD), at(1, Kind.SETTLE), end(5000))

    assert 1 == healthy(play(history, "A:0.5:4000"))["replies_delivered"]
    assert "replies_delivered" not in healthy(play(history, "A:0.5:9999"))


def test_what_the_end_of_the_log_leaves_open_is_still_waiting() -> None:
    """Time ends with the last event: neither the deadline nor the link's return is awaited."""
    outcome = play(log(at(0, Kind.ADD), at(2, Kind.SETTLE), end(59)), "B:0:59.5")

    assert {"adds": 1, "adds_waiting": 1} == healthy(outcome)
    assert 1 == outcome.replies_held


def test_many_packets_are_replayed_in_order() -> None:
    """Replies before Adds, each as they came, refusals in between."""
    adds = [at(n / 100, Kind.ADD, outgoing_channel=A, incoming_htlc_id=n) for n in range(20)]
    for add in adds:
        add["incoming_channel"] = B
    replies = [at(1, Kind.FAIL, Origin.RECEIVE, incoming_htlc_id=n) for n in range(20)]
    refusals = [add | {"kind": Kind.LINK_FAIL, "timestamp_ns": START + 10**9} for add in adds[::3]]

    outcome = play(log(*adds, *replies, *refusals, end(20)), "A:0.03:10")

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
    outcome = play(log(at(0, Kind.ADD), at(0, Kind.ADD)), "3x3x3:0:1", "B:0.5:1")

    assert 1 == healthy(outcome)["adds_delivered"]
    assert [
        "line 2: HTLC 1x1x1/1 occurred before; left out",
        "outage of 2x2x2: it begins after the last event",
        "outage of 3x3x3: the log has no packet for that channel",
    ] == [str(warning) for warning in outcome.warnings]


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

    history = log(
        at(0, Kind.ADD),
        at(1, Kind.ADD, Origin.SEND, outgoing_htlc_id=2),
        at(2, Kind.SETTLE),
        at(3, Kind.LINK_FAIL, incoming_htlc_id=3),
    )
    simulate(history, mailbox_factory=Recording)

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


# With mailboxes that do not do what they must


class FaultyOutbox:
    """An outbox that can be told to hand things out wrongly."""

    def __init__(self, get: Callable[[bool], HTLCPacket]) -> None:
        self._get = get

    def get(self) -> HTLCPacket:
        return self._get(True)

    def get_nowait(self) -> HTLCPacket:
        return self._get(False)


def faults(outcome: Outcome) -> dict[str, int]:
    assert not outcome.holds
    total = nonzero(outcome.total)
    return {name: total[name] for name in ("lost", "duplicated", "out_of_order") if name in total}


def broken(history: History, box: Callable[[MailBoxConfig], Any], *outages: str) -> Outcome:
    return play(history, *outages, mailbox_factory=box)


def stalled(history: History, box: Callable[[MailBoxConfig], Any], *outages: str) -> Outcome:
    """A replay that is given up after a second; a mailbox that works takes a fraction of that."""
    outcome = simulate(history, map(down, outages), mailbox_factory=box, patience=1.0)
    assert outcome.was_given_up
    return outcome


TWO_ADDS = log(at(0, Kind.ADD), at(1, Kind.ADD, incoming_htlc_id=2), end(9))


class Dropping(MemoryMailBox):
    """Forgets what is added under an even id."""

    def add_packet(self, packet: HTLCPacket) -> None:
        if packet.incoming_htlc_id % 2:
            super().add_packet(packet)


def test_a_packet_that_never_comes_is_lost() -> None:
    """The link's thread waits in vain; the replay is given up, with a warning that says where."""
    outcome = stalled(TWO_ADDS, Dropping)

    assert {"lost": 1} == faults(outcome)
    (warning,) = outcome.warnings
    where = "the mailbox of 2x2x2 kept its link waiting for 1 s, 1.000 s after the first event"
    assert f"given up: {where}" == str(warning)


def test_what_comes_instead_of_a_lost_packet_is_not_lost() -> None:
    """Of two that are due after an outage, one comes."""
    outcome = stalled(TWO_ADDS, Dropping, "B:0:5")

    assert {"lost": 1} == faults(outcome)


def test_a_packet_that_is_gone_while_it_waits_is_lost() -> None:
    """The mailboxes are looked through at the end, those of links that are away too."""
    outcome = broken(TWO_ADDS, Dropping, "B:0:50")

    assert {"lost": 1} == faults(outcome)
    assert not outcome.was_given_up
    assert 1 == outcome.total.adds_waiting


class Repeating(MemoryMailBox):
    """Hands out every packet twice."""

    def __init__(self, config: MailBoxConfig) -> None:
        super().__init__(config)
        self._again: list[HTLCPacket] = []

    @property
    def packet_outbox(self) -> Any:
        outbox = super().packet_outbox

        def get(block: bool) -> HTLCPacket:
            if self._again:
                return self._again.pop()
            self._again.append(outbox.get(block))
            return self._again[0]

        return FaultyOutbox(get)


def test_a_packet_that_comes_twice_is_a_duplicate() -> None:
    """Whether the link finds it in place of the next, when it leaves, or at the end."""
    assert {"duplicated": 2} == faults(broken(TWO_ADDS, Repeating))
    assert {"duplicated": 1} == faults(broken(log(at(0, Kind.ADD), end(9)), Repeating, "B:5:1"))


class Swapping(MemoryMailBox):
    """Hands out the second packet first, where there are two."""

    def __init__(self, config: MailBoxConfig) -> None:
        super().__init__(config)
        self._kept: list[HTLCPacket] = []

    @property
    def packet_outbox(self) -> Any:
        outbox = super().packet_outbox

        def get(block: bool) -> HTLCPacket:
            if self._kept:
                return self._kept.pop()
            packet = outbox.get(block)
            try:
                following = outbox.get_nowait()
            except queue.Empty:
                return packet
            self._kept.append(packet)
            return following

        return FaultyOutbox(get)


def test_packets_that_come_in_another_order_are_out_of_order() -> None:
    """Whether the link takes them when it is back, or they are found at the end."""
    for outage in ("B:0:5", "B:0:50"):
        assert {"out_of_order": 1} == faults(broken(TWO_ADDS, Swapping, outage))


class Resetting(MemoryMailBox):
    """Does not reset."""

    def reset_packets(self) -> None:
        pass


def test_a_packet_that_is_not_replayed_is_lost() -> None:
    """The link waits for what it had before the outage."""
    outcome = stalled(log(at(0, Kind.ADD), end(9)), Resetting, "B:0.01:1")

    assert {"lost": 1} == faults(outcome)


def test_an_add_that_does_not_fail_back_is_lost() -> None:
    """Its deadline passes, and the mailbox says nothing."""
    outcome = stalled(log(at(0, Kind.ADD), end(99)), Resetting, "B:0.01:99")

    assert {"lost": 1} == faults(outcome)
    (warning,) = outcome.warnings
    assert "the mailbox of 2x2x2 did not fail an Add back for 1 s, 60.000 s" in str(warning)


class Forgetful(MemoryMailBox):
    """Knows nothing of what was taken."""

    def ack_packet(self, key: CircuitKey) -> bool:
        super().ack_packet(key)
        return False

    def fail_add(self, packet: HTLCPacket) -> bool:
        return False


def test_a_packet_that_is_gone_when_acked_or_refused_is_lost() -> None:
    """The mailbox would not have replayed it."""
    history = log(at(0, Kind.ADD), at(0, Kind.LINK_FAIL, incoming_htlc_id=2), end(9))

    assert {"lost": 2} == faults(broken(history, Forgetful))


class Silent(MemoryMailBox):
    """Says that it failed an Add, and does nothing."""

    def fail_add(self, packet: HTLCPacket) -> bool:
        return True


def test_a_refused_add_without_a_fail_is_lost() -> None:
    """The incoming link would wait for ever."""
    outcome = stalled(log(at(0, Kind.LINK_FAIL)), Silent)

    assert {"lost": 1} == faults(outcome)


def forwarding(*extra: HTLCPacket, times: int = 1) -> Callable[[MailBoxConfig], MemoryMailBox]:
    """Mailboxes that fail back more than there is: all of it `times`, and `extra`."""

    def factory(config: MailBoxConfig) -> MemoryMailBox:
        def forward_packets(quit_: Any, *packets: HTLCPacket) -> None:
            config.forward_packets(quit_, *packets * times, *extra)

        return MemoryMailBox(attrs.evolve(config, forward_packets=forward_packets))

    return factory


def test_an_add_that_fails_back_twice_is_a_duplicate() -> None:
    """Noticed with the next one, or at the end."""
    history = log(at(0, Kind.LINK_FAIL), at(1, Kind.LINK_FAIL, incoming_htlc_id=2))
    outcome = broken(history, forwarding(times=2))

    assert {"duplicated": 2} == faults(outcome)
    assert 2 == outcome.channels[B].duplicated


def test_a_fail_of_no_known_channel_is_a_duplicate_too() -> None:
    """It counts for no channel, but in the total."""
    outcome = broken(log(at(0, Kind.LINK_FAIL)), forwarding(HTLCPacket()))

    assert {"duplicated": 1} == faults(outcome)


class Hasty(MemoryMailBox):
    """Fails an Add as soon as it has it."""

    def add_packet(self, packet: HTLCPacket) -> None:
        super().add_packet(packet)
        self.fail_add(packet)


def test_an_add_that_fails_back_too_early_is_not_taken_for_one_that_is_due() -> None:
    """There is a packet too many, and then one is missing."""
    outcome = stalled(log(at(0, Kind.ADD), end(99)), Hasty, "B:0:99")

    assert {"lost": 1, "duplicated": 1} == faults(outcome)
