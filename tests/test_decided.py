"""Fails of durable mailboxes: decided once on disk, and handed over at least once."""

from __future__ import annotations

import pytest

from durable import FULL, Boxes, Connection, Fault
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.testing import Call, Gate, wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, key, numbers, settle
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


def test_a_fail_that_could_not_be_decided_is_no_mail(node):
    box = node.box()
    box.add_packet(add(1))
    fault = Fault(node, FULL)
    assert not box.fail_add(add(1))
    fault.on = False
    assert box.ack_packet(key(1))

    assert not box.has_mail()
    assert [] == node.journal.channels()


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


def test_an_add_whose_fail_is_on_its_way_to_the_disk_can_not_be_acked(node):
    """The Fail would be handed over by the next process."""
    box, gate = node.box(), Gate()

    def hold_up(sql):
        if "lnmailbox_fail" in sql:
            gate.pass_through()

    Connection(node.journal, hold_up)
    box.add_packet(add(1))
    failing = Call(box.fail_add, add(1))
    gate.wait_until_reached()

    assert not box.ack_packet(key(1))
    gate.open()
    assert failing.result()
    assert [1] == node.switch.next_fails(1)


def test_an_add_that_was_acked_while_its_fail_was_made_is_not_decided(node):
    box, gate = node.box(), Gate()
    node.switch.when["fetch_update"] = gate.pass_through
    box.add_packet(add(1))
    failing = Call(box.fail_add, add(1))
    gate.wait_until_reached()

    assert box.ack_packet(key(1))
    gate.open()
    assert not failing.result()
    assert [] == node.switch.fails_so_far()
    assert [] == list(node.journal._file.fails())


@pytest.mark.parametrize("packet", [add(1), settle(1)], ids=["Add", "reply"])
def test_a_packet_that_comes_first_brings_its_channel_into_the_file(node, packet):
    node.box().add_packet(packet)
    node = node.after()
    box = node.box()
    box.reset_packets()

    assert [1] == numbers(drain(box.packet_outbox))
    node.close()


def test_a_fail_that_was_handed_over_is_gone_from_the_file_with_the_next_commit(node):
    box = node.box()
    box.add_packet(add(1))
    box.fail_add(add(1))
    node.journal.flush()

    assert [] == list(node.journal._file.fails())
    assert [] == node.journal.channels()
