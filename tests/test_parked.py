"""Packets for channels that are not live."""

from __future__ import annotations

import pytest

from lnmailbox import HTLCPacket, PacketAlreadyExists, UnknownHTLCType
from lnmailbox.routing.parked import ParkedPackets
from lnmailbox.testing.conformance.base import add, fail, packet, settle
from lnmailbox.wire import ShortChannelID, UpdateFailMalformedHTLC

ONE, OTHER = ShortChannelID(1, 1, 1), ShortChannelID(2, 2, 2)


def drain(parked: ParkedPackets, short_chan_id: ShortChannelID = ONE) -> list[HTLCPacket]:
    """Return the channel's packets, and remove them."""
    packets = []
    while (first := parked.first(short_chan_id)) is not None:
        packets.append(first)
        parked.drop_first(short_chan_id, first)
    return packets


@pytest.fixture
def parked() -> ParkedPackets:
    return ParkedPackets()


def test_packets_are_parked_in_order_and_by_identity(parked):
    """Adds and replies together, and each channel's alone."""
    ours, theirs = [add(3), settle(1), add(2), fail(4)], [add(5), settle(6)]
    for one in ours:
        parked.add(ONE, one)
    for one in theirs:
        parked.add(OTHER, one)

    assert 6 == len(parked)
    assert ours == drain(parked)
    assert 2 == len(parked)
    assert theirs == drain(parked, OTHER)
    assert 0 == len(parked)
    assert parked.first(ONE) is None


def test_an_add_and_a_reply_may_share_a_key(parked):
    """They go to different queues. And so may packets of different channels."""
    parked.add(ONE, add(1))
    parked.add(ONE, settle(1))
    parked.add(OTHER, add(1))

    assert 3 == len(parked)


@pytest.mark.parametrize("first, second", [(add, add), (settle, fail), (fail, settle)])
def test_a_duplicate_is_refused(parked, first, second):
    """A Settle and a Fail are of one class; the error names the key."""
    parked.add(ONE, first(1))

    with pytest.raises(PacketAlreadyExists) as caught:
        parked.add(ONE, second(1))

    text = "parked already is packet (Chan ID=701000x12x3, HTLC ID=1)"
    assert text == str(caught.value)
    assert 1 == len(parked)


def test_a_packet_is_known_by_the_key_it_had(parked):
    """Its owner may change it afterwards."""
    changed = add(1)
    parked.add(ONE, changed)
    changed.incoming_htlc_id = 2
    parked.add(ONE, add(2))

    with pytest.raises(PacketAlreadyExists):
        parked.add(ONE, add(1))

    assert 2 == len(parked)


@pytest.mark.parametrize("htlc", [None, UpdateFailMalformedHTLC()])
def test_a_packet_that_is_neither_an_add_nor_a_reply_is_refused(parked, htlc):
    """Nothing of it stays."""
    with pytest.raises(UnknownHTLCType):
        parked.add(ONE, packet(1, htlc))

    assert 0 == len(parked)
    assert parked.first(ONE) is None


@pytest.mark.parametrize("count", range(5))
def test_the_oldest_can_be_dropped(parked, count):
    """The others keep their order, and the keys of those that went are free."""
    packets = [add(number) for number in range(4)]
    for one in packets:
        parked.add(ONE, one)

    for one in packets[:count]:
        parked.drop_first(ONE, one)
    for one in packets[:count]:
        parked.add(ONE, one)

    assert packets[count:] + packets[:count] == drain(parked)


def test_a_packet_that_is_not_the_oldest_is_not_dropped(parked):
    """Dropping a packet twice drops no other one."""
    first, second = add(1), add(2)
    parked.add(ONE, first)
    parked.add(ONE, second)
    parked.drop_first(ONE, second)
    parked.drop_first(ONE, first)
    parked.drop_first(ONE, first)
    parked.drop_first(OTHER, second)

    assert [second] == drain(parked)


def test_all_can_be_dropped(parked):
    parked.add(ONE, add(1))
    parked.add(OTHER, add(1))

    parked.clear()

    assert 0 == len(parked)
    assert parked.first(ONE) is None
