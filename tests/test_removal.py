"""The end of a channel: its mailbox is removed, and nothing in it or on its way is lost."""

from __future__ import annotations

import queue

import pytest

from lnmailbox import MailBoxShuttingDown, MemoryMailBox
from lnmailbox.testing import Call, Gate, blocked, run_threads
from lnmailbox.testing.conformance.base import EXPIRY, add, key, numbers, raises, settle
from node import Node, channel, is_stopped, received, short


@pytest.fixture
def node():
    node = Node()
    yield node
    node.orchestrator.stop()


class Held(MemoryMailBox):
    """Holds up whoever adds a packet."""

    def __init__(self, config):
        super().__init__(config)
        self.gate = Gate()

    def add_packet(self, packet):
        self.gate.pass_through()
        super().add_packet(packet)


def test_the_mailboxes_can_be_listed(node):
    """In the order of their making, however they became known; without those removed."""
    assert [] == node.orchestrator.mailboxes()

    first, second, third = node.live(2), node.get(1), node.other_mailbox()
    node.bind(third, 99)
    boxes = node.orchestrator.mailboxes()
    node.orchestrator.remove_mailbox(channel(1))

    assert [first, second, third] == boxes
    assert [first, third] == node.orchestrator.mailboxes()
    third.stop()


def test_a_removed_mailbox_is_stopped_and_hands_over_what_is_unacked(node):
    """Replies before Adds, delivered or not, by identity; nothing expires afterwards."""
    mailbox = node.live(1)
    packets = [add(1), settle(2), add(3), settle(4), add(5)]
    node.deliver(1, *packets)
    mailbox.packet_outbox.get_batch(3)
    mailbox.ack_packet(key(3))

    assert [packets[1], packets[3], packets[0], packets[4]] == node.orchestrator.remove_mailbox(
        channel(1)
    )
    assert is_stopped(mailbox)
    node.clock.advance(EXPIRY)
    assert [] == node.switch.fails_so_far()


def test_who_waits_at_a_removed_mailbox_is_told(node):
    waiting = blocked(node.live(1).packet_outbox.get)

    assert [] == node.orchestrator.remove_mailbox(channel(1))
    assert raises(MailBoxShuttingDown, waiting.result)


def test_packets_for_a_removed_channel_are_parked(node):
    """For each id that led to its mailbox, and for no other one, until a new one is bound."""
    node.bind(node.live(1), 1, short(7))
    other = node.live(2)
    node.orchestrator.remove_mailbox(channel(1))
    node.deliver(1, add(1))
    node.deliver(7, add(2))
    node.deliver(2, add(3))

    assert [1, 2] == node.parked()
    assert [3] == received(other)

    mailbox = node.live(1)
    node.bind(mailbox, 1, short(7))

    assert [1, 2] == received(mailbox)
    assert 3 == len(node.made)


@pytest.mark.parametrize("number", [5, 1])
def test_a_channel_that_has_no_mailbox_can_not_be_removed(node, number):
    """Never had one, or has none any more."""
    node.live(1)
    node.orchestrator.remove_mailbox(channel(1))

    with pytest.raises(KeyError, match=f"channel {channel(number)} has no mailbox"):
        node.orchestrator.remove_mailbox(channel(number))
    with pytest.raises(ValueError, match="^ChannelID must be 32 bytes"):
        node.orchestrator.remove_mailbox(b"")


def test_a_removed_mailbox_can_not_be_bound_again(node):
    """By a link that has not heard of it. The new one can."""
    mailbox = node.live(1)
    node.orchestrator.remove_mailbox(channel(1))

    assert raises(MailBoxShuttingDown, node.bind, mailbox, 1)

    node.deliver(1, add(1))
    assert [1] == node.parked()
    assert [1] == received(node.live(1))


def test_a_channel_can_be_removed_after_the_orchestrators_stop(node):
    """To see what was left."""
    node.live(1)
    node.deliver(1, add(1))
    node.orchestrator.stop()

    assert [1] == numbers(node.orchestrator.remove_mailbox(channel(1)))


def test_a_packet_that_is_being_delivered_when_its_mailbox_is_removed_is_parked():
    """It is in what `remove_mailbox` returns, or parked; here the removal was first."""
    node = Node(Held)
    with node.orchestrator:
        mailbox = node.live(1)
        delivering = Call(node.deliver, 1, add(1))
        mailbox.gate.wait_until_reached()

        assert [] == node.orchestrator.remove_mailbox(channel(1))

        mailbox.gate.open()
        delivering.result()

        assert [1] == node.parked()


def test_a_packet_for_a_mailbox_that_stopped_by_itself_is_refused(node):
    """It is not removed, and so still the one that the id leads to."""
    node.live(1).stop()

    assert raises(MailBoxShuttingDown, node.deliver, 1, add(1))
    assert [] == node.parked()


def test_no_packet_is_lost_between_removals_and_new_mailboxes():
    """Two threads deliver, one removes and makes: each packet is in one place in the end."""
    node = Node(max_parked=None)
    each, found = 300, []
    done = queue.Queue()

    def deliver(first):
        for number in range(first, first + each):
            node.deliver(1, add(number))
        done.put(first)

    def remove():
        while done.qsize() < 2:
            node.live(1)
            found.extend(numbers(node.orchestrator.remove_mailbox(channel(1))))

    run_threads(lambda: deliver(0), lambda: deliver(each), remove)

    assert list(range(2 * each)) == sorted(found + node.parked())
    node.orchestrator.stop()


def test_of_two_threads_that_remove_a_mailbox_one_gets_the_packets(node):
    """While a callback holds up the removal, both wait; the other one is told that it is gone."""
    gate = Gate()
    node.switch.when["forward_packets"] = gate.pass_through
    node.live(1)
    node.deliver(1, add(1))
    node.clock.advance(EXPIRY)
    gate.wait_until_reached()
    node.deliver(1, add(2))
    calls = [blocked(node.orchestrator.remove_mailbox, channel(1)) for _ in range(2)]
    node.deliver(1, add(3))

    gate.open()

    results = []
    for call in calls:
        try:
            results.append(numbers(call.result()))
        except KeyError as error:
            results.append(str(error))
    text = f"'channel {channel(1)} has no mailbox any more'"
    assert sorted([[2], text], key=str) == sorted(results, key=str)
    assert [3] == node.parked()


def test_an_interrupted_removal_can_be_repeated(node, monkeypatch):
    """What was unacked comes with the second call."""
    mailbox = node.live(1)
    node.deliver(1, add(1))
    with monkeypatch.context() as patch:
        patch.setattr(mailbox, "stop", lambda: 1 // 0)
        assert raises(ZeroDivisionError, node.orchestrator.remove_mailbox, channel(1))

    assert [mailbox] == node.orchestrator.mailboxes()
    assert [1] == numbers(node.orchestrator.remove_mailbox(channel(1)))


def test_a_mailbox_can_be_removed_from_a_callback(node):
    """By whoever hears of its first failure."""
    found = queue.Queue()
    node.live(1)
    node.switch.when["forward_packets"] = lambda: found.put(
        numbers(node.orchestrator.remove_mailbox(channel(1)))
    )
    node.deliver(1, settle(1), add(2), add(3))
    node.clock.advance(EXPIRY)

    assert [2] == node.switch.next_fails(1)
    assert [1, 3] == found.get_nowait()
