"""Which failure an Add is failed with: by alias, by node id, or by the channel's update."""

from __future__ import annotations

import logging
from typing import Any
from unittest.mock import Mock

import pytest

import lnmailbox.failing.fail_packet as fail_packet_module
from lnmailbox.contract import SwitchConfig
from lnmailbox.failing.complaints import Complaints
from lnmailbox.failing.fail_packet import make_fail_packet
from lnmailbox.packet import HTLCPacket
from lnmailbox.testing import Switch
from lnmailbox.testing.conformance.base import CHANNEL, add, key
from lnmailbox.wire import (
    ShortChannelID,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UnknownNextPeer,
    UpdateFailHTLC,
    encode_failure,
)

ALIAS = ShortChannelID(16_000_000, 1, 2)
NODE = b"\x02" + bytes(32)


class Failing:
    """A switch with `fail_update`, which records its calls."""

    def __init__(self, failure: Any = None) -> None:
        self.switch = Switch()
        self.failure = failure
        self.asked: list[tuple[ShortChannelID, ShortChannelID]] = []

    def fail_update(self, outgoing: ShortChannelID, mailbox: ShortChannelID) -> Any:
        self.asked.append((outgoing, mailbox))
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure

    def fail(self, packet: HTLCPacket, *, has_fail_update: bool = True) -> HTLCPacket:
        config = SwitchConfig(
            fetch_update=self.switch.fetch_update,
            forward_packets=self.switch.forward_packets,
            fail_update=self.fail_update if has_fail_update else None,
        )
        complaints = Complaints(logging.getLogger(__name__))
        return make_fail_packet(packet.in_key, packet, CHANNEL, config, complaints)


def failure_of(packet: HTLCPacket) -> Any:
    assert packet.link_failure is not None
    return packet.link_failure.wire_message


def test_a_failure_by_alias_wins_over_a_channel_update():
    """It is asked with the id that the sender named, and the mailbox's."""
    failing = Failing(UnknownNextPeer())
    packet = failing.fail(add(1, original_outgoing_chan_id=ALIAS, outgoing_chan_id=CHANNEL))

    assert UnknownNextPeer() == failure_of(packet)
    assert [(ALIAS, CHANNEL)] == failing.asked
    assert [] == failing.switch.updates_fetched


def test_without_it_the_channels_update_is_sent():
    failing = Failing()
    packet = failing.fail(add(1, original_outgoing_chan_id=ALIAS), has_fail_update=False)

    assert TemporaryChannelFailure(failing.switch.fetch_update(CHANNEL)) == failure_of(packet)
    assert [] == failing.asked


def test_a_failure_by_alias_that_raises_becomes_a_node_failure():
    """And nobody asks for an update: it might tell of the alias's real channel."""
    failing = Failing(LookupError("no such alias"))

    assert TemporaryNodeFailure() == failure_of(failing.fail(add(1)))
    assert [] == failing.switch.updates_fetched


@pytest.mark.parametrize("failure", [None, 7, "failure"])
def test_a_failure_by_alias_that_can_not_be_encoded_becomes_a_smaller_one(
    failure: Any, caplog: pytest.LogCaptureFixture
):
    """One that names no channel; what was wrong is logged."""
    packet = Failing(failure).fail(add(1))

    assert TemporaryChannelFailure() == failure_of(packet)
    text = f"can't encode a failure with {failure!r}, and take a smaller one"
    assert [text] == caplog.messages


def test_the_smallest_failure_is_taken_if_nothing_else_can_be_encoded(
    monkeypatch: pytest.MonkeyPatch,
):
    """A node failure."""
    channel_failure = Mock(side_effect=ValueError)
    monkeypatch.setattr(fail_packet_module, "_channel_failure", channel_failure)

    assert TemporaryNodeFailure() == failure_of(Failing(7).fail(add(1)))
    channel_failure.assert_called_once_with(None)


@pytest.mark.parametrize("has_fail_update", [True, False])
def test_an_add_for_a_node_is_answered_with_an_unknown_peer(has_fail_update: bool):
    """No update is asked for: it would tell the sender of a channel that he did not name."""
    failing = Failing(TemporaryNodeFailure())
    packet = failing.fail(add(1, outgoing_hop=NODE), has_fail_update=has_fail_update)

    assert UnknownNextPeer() == failure_of(packet)
    assert UpdateFailHTLC(reason=encode_failure(UnknownNextPeer())) == packet.htlc
    assert ([], []) == (failing.asked, failing.switch.updates_fetched)


@pytest.mark.parametrize("hop", [NODE, ALIAS], ids=["node", "channel"])
def test_the_way_out_and_the_obfuscator_are_copied(hop: Any):
    """The switch sees where the Add was to go, and who encrypts."""
    failing = Failing(TemporaryNodeFailure())
    sent = add(
        1,
        outgoing_hop=hop,
        outgoing_chan_id=CHANNEL,
        outgoing_htlc_id=9,
        original_outgoing_chan_id=ALIAS,
        obfuscator=failing.switch,
    )
    packet = failing.fail(sent)

    assert hop == packet.outgoing_hop
    assert (key(1), (CHANNEL, 9)) == (packet.in_key, packet.out_key)
    assert failing.switch is packet.obfuscator
    assert not packet.local_failure


def test_without_an_obfuscator_the_failure_is_local():
    packet = Failing(TemporaryNodeFailure()).fail(add(1))

    assert packet.obfuscator is None
    assert packet.local_failure
