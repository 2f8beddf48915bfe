"""Packets for a channel that is not live."""

from __future__ import annotations

import pytest

from lnmailbox import HTLCPacket, PacketAlreadyExists, UnknownHTLCType
from lnmailbox.parked import ParkedPackets
from lnmailbox.wire import (
    Message,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
)


def packet(htlc_id: int, htlc: Message | None) -> HTLCPacket:
    return HTLCPacket(incoming_htlc_id=htlc_id, htlc=htlc)


def add(htlc_id: int) -> HTLCPacket:
    return packet(htlc_id, UpdateAddHTLC())


def drain(parked: ParkedPackets) -> list[HTLCPacket]:
    """Return the packets, which are no longer there then."""
    packets = []
    while parked:
        packets.append(parked.first())
        parked.drop_first()
    return packets


def test_packets_are_parked_in_order_and_by_identity():
    """Adds and replies together, as they came."""
    packets = [
        add(3),
        packet(1, UpdateFulfillHTLC()),
        add(2),
        packet(4, UpdateFailHTLC()),
    ]
    parked = ParkedPackets()
    assert 0 == len(parked)

    for one in packets:
        parked.add(one)

    assert 4 == len(parked)
    assert packets == drain(parked)


def test_an_add_and_a_reply_may_share_a_key():
    """They go to different queues."""
    parked = ParkedPackets()
    parked.add(add(1))
    parked.add(packet(1, UpdateFulfillHTLC()))

    assert 2 == len(parked)


@pytest.mark.parametrize("first", [UpdateAddHTLC(), UpdateFulfillHTLC(), UpdateFailHTLC()])
def test_a_duplicate_is_refused(first: Message):
    """A Settle and a Fail are of one class; the error names the key."""
    parked = ParkedPackets()
    parked.add(packet(1, first))
    second = UpdateAddHTLC() if isinstance(first, UpdateAddHTLC) else UpdateFailHTLC()

    with pytest.raises(PacketAlreadyExists) as caught:
        parked.add(packet(1, second))

    assert "parked already is packet (Chan ID=0x0x0, HTLC ID=1)" == str(caught.value)
    assert 1 == len(parked)


def test_a_packet_is_known_by_the_key_it_had():
    """What its owner makes of it afterwards does not matter."""
    parked = ParkedPackets()
    changed = add(1)
    parked.add(changed)
    changed.incoming_htlc_id = 2
    parked.add(add(2))

    with pytest.raises(PacketAlreadyExists):
        parked.add(add(1))

    assert 2 == len(parked)


@pytest.mark.parametrize("htlc", [None, UpdateFailMalformedHTLC()])
def test_what_is_neither_an_add_nor_a_reply_is_refused(htlc: Message | None):
    """Nothing of it stays."""
    parked = ParkedPackets()

    with pytest.raises(UnknownHTLCType):
        parked.add(packet(1, htlc))

    assert 0 == len(parked)


@pytest.mark.parametrize("count", range(5))
def test_the_oldest_can_be_dropped(count: int):
    """The others keep their order, and the keys of those that went are free."""
    packets = [add(htlc_id) for htlc_id in range(4)]
    parked = ParkedPackets()
    for one in packets:
        parked.add(one)

    for _ in range(count):
        parked.drop_first()
    for one in packets[:count]:
        parked.add(one)

    assert packets[count:] + packets[:count] == drain(parked)
