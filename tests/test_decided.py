"""The desk of a durable mailbox: between the decision, the switch, and the row that goes."""

from __future__ import annotations

import pytest

from durable import Boxes, Connection
from lnmailbox.testing import Call, Gate
from lnmailbox.testing.conformance.base import add, drain, key, numbers, settle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def node(path):
    node = Boxes(path)
    yield node
    node.close()


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
def test_a_packet_that_comes_first_brings_its_channel_into_the_file(path, packet):
    node = Boxes(path)
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
