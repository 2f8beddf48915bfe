"""Fails of durable mailboxes: decided once on disk, and handed over at least once."""

from __future__ import annotations

import pytest

from durable import FULL, Boxes, Fault
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.testing import wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, key, numbers
from lnmailbox.wire import TemporaryNodeFailure


@pytest.fixture
def node(tmp_path):
    node = Boxes(tmp_path / "journal")
    yield node
    node.close()


def test_a_fail_that_can_not_be_decided_leaves_the_add_and_is_tried_again(node, caplog):
    box = node.box()
    box.add_packets([add(1), add(2)])
    fault = Fault(node, FULL)

    assert not box.fail_add(add(1))
    assert [1, 2] == numbers(box.unacked())
    assert [] == node.switch.fails_so_far()
    assert "full" in caplog.text

    node.clock.advance(EXPIRY)
    wait_until_quiet(node.clock)
    assert "2 Adds could not be failed" in box.describe()
    fault.on = False
    node.clock.advance(64 * EXPIRY)
    assert [1, 2] == sorted(node.switch.next_fails(2))
    wait_until_quiet(node.clock)
    assert [] == box.unacked()


def test_a_fail_that_is_left_waits_for_a_thread(node, monkeypatch):
    """If no courier can be had at the start, one is sent for later."""
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(1))
    node.box().fail_add(add(1))
    node = node.after()
    box = node.box()
    desk = box._desk
    wait_until_quiet(node.clock)
    desk._left.append((1, b""))
    with monkeypatch.context() as patch:
        patch.setattr(type(desk._couriers), "send", lambda self, desk: False)
        desk._on_deadline()
    assert desk._left
    node.clock.advance(1)
    wait_until_quiet(node.clock)

    assert not desk._left
    node.close()


def test_a_fail_is_handed_over_again_until_the_switch_has_it(node):
    """Always with the same key and bytes."""
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(1, obfuscator=node.switch))
    node.box().fail_add(add(1))
    assert node.box().has_mail()
    node = node.after(killed=True)
    node.switch.when["forward_packets"] = lambda: 1 / 0
    box = node.box()
    wait_until_quiet(node.clock)
    assert 1 == box.statistics().forward_errors
    assert [] == box.held()

    node = node.after(killed=True)
    node.box()
    fail = node.switch.next_fail()
    wait_until_quiet(node.clock)
    node.journal.flush()

    assert key(1) == fail.in_key
    assert fail.htlc.reason.startswith(b"encrypted:")
    assert "could not add downstream htlc" == str(fail.link_failure)
    assert fail.has_source
    assert not node.box().has_mail()
    node = node.after(killed=True)
    assert [] == node.journal.channels()
    node.close()


def test_a_fail_that_cannot_be_decoded_stays_on_disk(node, caplog):
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(1, obfuscator=node.switch))
    node.box().fail_add(add(1))
    node = node.after(codec=PacketCodec())
    box = node.box()
    wait_until_quiet(node.clock)

    assert 1 == box.statistics().forward_errors
    assert "can't be decoded" in caplog.text
    assert box.has_mail()
    node.close()


def test_a_failure_of_the_applications_own_is_handed_over(node):
    """The file has what the peer gets, without it."""

    class Own(TemporaryNodeFailure):
        pass

    box = node.box(fail_update=lambda outgoing, mailbox: Own())
    box.add_packet(add(1))
    assert box.fail_add(add(1))

    assert type(node.switch.next_fail().link_failure.wire_message) is Own
