"""What is under way while a mailbox is removed ends in one way: returned, acked or failed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from durable import open_journal
from lnmailbox import JournalError, MemoryMailBox
from lnmailbox.reference import CourierMailBox
from lnmailbox.testing import Call, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import add, key, numbers, settle
from node import Node, channel


@contextmanager
def memory(_):
    node = Node(MemoryMailBox)
    yield node
    node.orchestrator.stop()


@contextmanager
def durable(path):
    with open_journal(path) as journal:
        node = Node(journal.mailbox, journal=journal)
        yield node
        node.orchestrator.stop()
        wait_until_quiet(node.clock)
        assert [] == journal._file.check()


@pytest.fixture(params=[memory, durable])
def node(request, tmp_path):
    with request.param(tmp_path / "journal") as node:
        yield node


@pytest.fixture
def durable_node(tmp_path):
    with durable(tmp_path / "journal") as node:
        yield node


def remove(node):
    return numbers(node.orchestrator.remove_mailbox(channel(1)))


def test_an_add_that_is_returned_is_not_failed(node):
    """A thread makes its fail packet meanwhile."""
    box, gate = node.live(1), Gate()
    node.switch.when["fetch_update"] = gate.pass_through
    box.add_packet(add(1))
    failing = Call(box.fail_add, add(1))
    gate.wait_until_reached()

    assert [1] == remove(node)
    gate.open()
    assert not failing.result()
    assert [] == node.switch.fails_so_far()


def test_an_add_that_is_being_handed_over_is_not_returned(node):
    box, gate = node.live(1), Gate()
    node.switch.when["forward_packets"] = gate.pass_through
    box.add_packets([add(1), add(2)])
    failing = Call(box.fail_add, add(1))
    gate.wait_until_reached()

    assert [2] == remove(node)
    gate.open()
    assert failing.result()
    assert [1] == node.switch.next_fails(1)


def test_what_was_returned_can_not_be_acked(node):
    box = node.live(1)
    box.add_packets([add(1), settle(2)])
    remove(node)

    assert not box.ack_packet(key(1))
    assert 0 == box.ack_packets([key(1), key(2)])
    if journal := node.config.journal:
        node.live(1).add_packet(add(1))  # the channel's next mailbox
        with journal.transaction():
            assert not box.ack_packet(key(1))


def test_a_mailbox_is_released_once(node):
    box = node.live(1)
    box.add_packets([add(1), settle(2)])
    remove(node)

    assert [2, 1] == numbers(box.release()) == numbers(box.release())
    assert [] == box.unacked()


def test_what_a_transaction_acks_is_not_returned(durable_node):
    """The removal waits for its end."""
    box = durable_node.live(1)
    box.add_packets([add(1), add(2)])
    with durable_node.config.journal.transaction():
        box.ack_packet(key(1))
        removal = blocked(lambda: remove(durable_node))

    assert [2] == removal.result()


def test_a_transaction_is_not_the_place_for_a_release(durable_node):
    box = durable_node.live(1)

    with durable_node.config.journal.transaction(), pytest.raises(JournalError, match="^release"):
        box.release()


def test_after_a_removal_has_begun_a_transaction_acks_nothing(durable_node):
    box, journal = durable_node.live(1), durable_node.config.journal
    box.add_packets([add(1), add(2)])
    with journal.transaction():
        box.ack_packet(key(1))
        removal = blocked(lambda: remove(durable_node))
        with pytest.raises(JournalError, match="was removed"):
            box.ack_packet(key(2))

    assert [2] == removal.result()


def test_a_mailbox_of_another_kind_returns_what_is_unacked():
    """It need not let go of it."""
    node = Node(CourierMailBox)
    box = node.live(1)
    box.add_packet(settle(1))

    assert [1] == remove(node)
    node.orchestrator.stop()
