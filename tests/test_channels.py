"""A journal by channels: one mailbox for each, and which of them have mail."""

from __future__ import annotations

import gc

import pytest

from durable import Boxes
from lnmailbox import JournalError, MailBoxConfig
from lnmailbox.keeping.channels import ChannelJournal
from lnmailbox.testing.conformance.base import CHANNEL, add, drain, key, numbers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.journal"


@pytest.fixture
def node(path):
    node = Boxes(path)
    yield node
    node.close()


def test_a_durable_mailbox_needs_a_channel_id(node):
    config = MailBoxConfig(
        short_chan_id=CHANNEL,
        fetch_update=node.switch.fetch_update,
        forward_packets=node.switch.forward_packets,
    )
    with pytest.raises(ValueError, match=r"needs config\.chan_id, got None"):
        node.journal.mailbox(config)


def test_a_channel_has_one_mailbox(node):
    node.box().add_packet(add(1))
    box = node.boxes.pop(1)

    with pytest.raises(JournalError, match="has a mailbox already"):
        node.box()

    box.stop()
    box.ack_packet(key(9))
    node.box().reset_packets()
    assert [1] == numbers(drain(node.box().packet_outbox))
    with pytest.raises(JournalError, match="has another mailbox by now"):
        box.ack_packet(key(1))


def test_a_channel_whose_mailbox_was_dropped_gets_another(node):
    """Nobody has stopped the first one."""
    node.box().add_packet(add(1))
    node.boxes.clear()
    gc.collect()

    node.box().reset_packets()
    assert [1] == numbers(drain(node.box().packet_outbox))


def test_a_channel_is_given_to_one_of_two_threads(node, monkeypatch):
    """Whichever comes first."""
    node.box().add_packet(add(1))
    first = node.boxes.pop(1)
    first.stop()
    read = ChannelJournal._read_again
    late = []

    def read_again(self, number):
        found = read(self, number)
        if not late:
            late.append(1)
            node.box()
        return found

    monkeypatch.setattr(ChannelJournal, "_read_again", read_again)
    with pytest.raises(JournalError, match="is being given to another mailbox"):
        Boxes.box(node, 1, expiry=1.0)
    assert [key(1)] == node.box().held()


def test_channels_with_mail_are_listed(node):
    """Those of an earlier process, and those of this one."""
    for number in (1, 2, 3, 4):
        node.box(number).add_packet(add(number))
    node.box(2).ack_packet(key(2))
    node.box(3).fail_add(add(3))

    def names():
        return [int.from_bytes(chan_id, "big") for chan_id in node.journal.channels()]

    assert [1, 4] == names()
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box(4).fail_add(add(4))
    assert [1, 4] == names()
    del node.boxes[1]
    gc.collect()
    assert [1, 4] == names()

    node = node.after()
    assert [1, 4] == [int.from_bytes(chan_id, "big") for chan_id in node.journal.channels()]
    assert CHANNEL == node.journal.short_chan_id_of(node.journal.channels()[0])
    node.close()
