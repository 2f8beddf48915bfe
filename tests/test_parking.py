"""How many packets an orchestrator parks, and for how long."""

from __future__ import annotations

import pytest

from lnmailbox import MemoryMailBox, PacketAlreadyExists, ParkedFull
from lnmailbox.failing.alarms import RETRY_NS
from lnmailbox.testing import Call, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import add, fail, key, numbers, raises, settle
from lnmailbox.testing.switch import raiser
from node import Node, is_stopped, received, short

EXPIRY = 10.0
RETRY = RETRY_NS / 10**9


@pytest.fixture
def node():
    node = Node(parked_expiry=EXPIRY)
    yield node
    node.orchestrator.stop()


def advance(node: Node, seconds: float) -> list[int]:
    """Let time go by; return the numbers of what was failed by then."""
    node.clock.advance(seconds)
    wait_until_quiet(node.clock)
    return node.switch.fails_so_far()


class Held(MemoryMailBox):
    """Holds up whoever adds a packet."""

    gate: Gate

    def add_packet(self, packet):
        self.gate.pass_through()
        super().add_packet(packet)


# Caps


def test_the_caps_are_bounded_by_default():
    """As many packets as a commitment can have, for so many channels, and no expiry."""
    config = Node().config

    assert (483, 512) == (config.max_parked, config.max_parked_channels)
    assert config.parked_expiry is None


def test_deliver_raises_at_the_caps_and_parks_nothing():
    """For a channel, and for one channel more; what goes live makes room."""
    node = Node(max_parked=2, max_parked_channels=2)
    with node.orchestrator:
        node.deliver(1, add(1), settle(1))
        node.deliver(2, add(2))
        assert raises(ParkedFull, node.deliver, 1, add(3))
        assert raises(ParkedFull, node.deliver, 3, add(4))
        assert raises(PacketAlreadyExists, node.deliver, 1, add(1))
        assert [1, 1, 2] == node.parked()
        assert 2 == node.orchestrator.statistics().parked_refused

        mailbox = node.live(1)
        node.deliver(1, *map(add, range(10, 20)))
        node.deliver(3, add(4))

        assert [1, 1, *range(10, 20)] == received(mailbox)
        assert [2, 4] == node.parked()


def test_without_caps_everything_is_parked():
    node = Node(max_parked=None, max_parked_channels=None)
    with node.orchestrator:
        for number in range(600):
            node.deliver(number, add(number))
            node.deliver(1, settle(number))

        assert 1200 == len(node.parked())
        node.orchestrator._unclaimed_packets.clear()


@pytest.mark.parametrize("name", ["max_parked", "max_parked_channels"])
@pytest.mark.parametrize("bad", [-1, 1.5, True, "1"])
def test_a_cap_is_a_number_of_things(name, bad):
    with pytest.raises(ValueError, match=f"^{name} must be an integer >= 0 or None, got {bad!r}"):
        Node(**{name: bad})


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf")])
def test_a_parked_expiry_is_a_span_of_time(bad):
    with pytest.raises(ValueError, match="^parked_expiry must be"):
        Node(parked_expiry=bad)


# Expiry


def test_a_parked_add_is_failed_back_at_its_deadline(node):
    """As in a mailbox: with the update of its channel, once, in order. A reply never is."""
    node.deliver(1, add(1), settle(2), add(3), fail(4))

    assert [] == advance(node, EXPIRY - 1)
    node.deliver(1, add(5))

    node.clock.advance(1)
    assert (key(1), short(1)) == fail_of(node)
    assert (key(3), short(1)) == fail_of(node)
    assert [2, 4, 5] == node.parked()
    assert [] == advance(node, EXPIRY - 2)
    assert [5] == advance(node, 1)
    assert [] == advance(node, 1000)
    assert [2, 4] == received(node.live(1))


def fail_of(node: Node) -> tuple[object, object]:
    packet = node.switch.next_fail()
    return packet.in_key, packet.link_failure.wire_message.update.short_channel_id


def test_parked_adds_of_several_channels_are_failed_each_for_its_own(node):
    for number in (3, 1, 2):
        node.deliver(number, add(number))
    wait_until_quiet(node.clock)
    node.clock.advance(EXPIRY)

    expected = [(key(number), short(number)) for number in (1, 2, 3)]
    assert expected == sorted(fail_of(node) for _ in range(3))
    assert [] == node.parked()


@pytest.mark.parametrize("expiry, failed", [(None, []), (0, [1])])
def test_a_parked_add_may_have_no_time_or_all_the_time(expiry, failed):
    node = Node(parked_expiry=expiry)
    with node.orchestrator:
        node.deliver(1, add(1))
        wait_until_quiet(node.clock)
        assert failed == advance(node, 0)
        assert [] == advance(node, 10_000)
        assert len(failed) == node.orchestrator.statistics().parked_expired
        node.orchestrator.drop_parked(short(1))


def test_an_add_that_its_mailbox_got_in_time_has_the_mailboxs_time(node):
    """A minute from then on."""
    node.deliver(1, add(1))
    advance(node, EXPIRY - 1)
    node.live(1)

    assert [] == advance(node, 59)
    assert [1] == advance(node, 1)


def test_a_key_whose_add_was_failed_is_free(node):
    """At the next HTLC it is another Add, with another deadline."""
    node.deliver(1, add(1))
    assert [1] == advance(node, EXPIRY)

    node.deliver(1, add(1))

    assert [] == advance(node, EXPIRY - 1)
    assert [1] == advance(node, 1)
    assert [] == node.parked()


def test_a_parked_add_that_can_not_be_failed_is_tried_again(node):
    """As in a mailbox: no HTLC is lost. Its errors are counted, and no mailbox is listed."""
    node.switch.when["encrypt_first_hop"] = raiser(ValueError, times=1)
    node.deliver(1, add(1, obfuscator=node.switch))

    assert [] == advance(node, EXPIRY)
    counts = node.orchestrator.statistics()
    assert (1, 1, 0) == (counts.parked_expired, counts.total.encrypt_errors, counts.mailboxes)
    assert 1 == counts.total.adds_overdue

    # Its second Add with this key is the same HTLC, and has the same Fail.
    node.deliver(1, add(1))
    assert [1] == advance(node, EXPIRY)
    assert [] == advance(node, 1000)
    assert 0 == node.orchestrator.statistics().total.adds_unacked


def test_counts_of_parked_adds_that_were_failed_do_not_go_back(node):
    """Though nothing of them stays but the counts."""
    for count in range(1, 4):
        node.deliver(count, add(count))
        advance(node, EXPIRY)
        counts = node.orchestrator.statistics()

        assert (count, count) == (counts.parked_expired, counts.total.adds_expired)
    assert 1 == len(node.orchestrator._expired)


def test_nothing_expires_after_the_stop(node):
    """What is parked is dropped, and said to be."""
    node.deliver(1, add(1))
    node.orchestrator.stop()
    node.orchestrator._on_parked_deadline()

    assert [] == advance(node, EXPIRY)


def test_a_mailbox_for_what_expires_that_comes_too_late_is_stopped(monkeypatch):
    node = Node(parked_expiry=EXPIRY)
    node.deliver(1, add(1))
    make = node.orchestrator._make_expired_box
    made = []

    def stop_and_make(short_chan_id):
        node.orchestrator._stopped = True
        made.append(make(short_chan_id))
        return made[0]

    monkeypatch.setattr(node.orchestrator, "_make_expired_box", stop_and_make)
    node.clock.advance(EXPIRY)
    wait_until_quiet(node.clock)

    assert is_stopped(made[0])
    assert [] == node.switch.fails_so_far()
    node.orchestrator.stop()


def test_an_add_that_is_being_given_to_a_mailbox_does_not_expire_meanwhile():
    """It must not be delivered and failed. Other channels' wait for the next attempt."""
    node = Node(Held, parked_expiry=EXPIRY)
    Held.gate = Gate()
    with node.orchestrator:
        mailbox = node.get(1)
        node.deliver(1, add(1), add(2))
        node.deliver(2, add(3))
        binding = Call(node.bind, mailbox, 1)
        Held.gate.wait_until_reached()

        assert [] == advance(node, EXPIRY)

        Held.gate.open()
        binding.result()

        assert [1, 2] == received(mailbox)
        assert [3] == advance(node, RETRY)


# Dropping


def test_what_is_parked_for_a_channel_can_be_dropped(node):
    """By identity, in order; the others stay, and what is gone does not expire."""
    packets = [add(3), settle(1), add(2)]
    node.deliver(1, *packets)
    node.deliver(2, add(4))

    assert packets == node.orchestrator.drop_parked(short(1))
    assert [] == node.orchestrator.drop_parked(short(1))
    assert [4] == node.parked()
    assert [4] == advance(node, EXPIRY)
    assert raises(TypeError, node.orchestrator.drop_parked, 7)


def test_what_is_given_to_a_mailbox_is_not_dropped_as_well():
    """The call waits until the mailbox is bound, and then there is nothing left."""
    node = Node(Held)
    Held.gate = Gate()
    with node.orchestrator:
        mailbox = node.get(1)
        node.deliver(1, add(1), add(2))
        binding = Call(node.bind, mailbox, 1)
        Held.gate.wait_until_reached()
        dropping = blocked(node.orchestrator.drop_parked, short(1))

        Held.gate.open()
        binding.result()

        assert [] == numbers(dropping.result())
        assert [1, 2] == received(mailbox)
