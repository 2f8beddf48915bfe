"""Packets for channels that are not live."""

from __future__ import annotations

import queue

import pytest

from lnmailbox import HTLCPacket, PacketAlreadyExists, ParkedFull, UnknownHTLCType
from lnmailbox.keeping.entry import NEVER
from lnmailbox.routing.parked import ParkedPackets
from lnmailbox.testing.conformance.base import add, fail, numbers, packet, raises, settle
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


# Caps


def test_so_many_packets_are_parked_for_a_channel_and_no_more(parked):
    """Replies count as Adds do; other channels have their own, and dropping makes room."""
    parked = ParkedPackets(max_packets=2)
    parked.add(ONE, add(1))
    parked.add(ONE, settle(1))

    with pytest.raises(ParkedFull, match=f"^2 packets are parked for {ONE} already$") as caught:
        parked.add(ONE, add(2))

    assert isinstance(caught.value, queue.Full)
    parked.add(OTHER, add(2))
    assert (3, 2, 1) == (len(parked), parked.channels, parked.refused)

    parked.drop_first(ONE, parked.first(ONE))
    parked.add(ONE, add(2))
    assert [(1, 1), (2, 2)] == [(p.incoming_htlc_id, p.htlc.id) for p in drain(parked)]


def test_packets_are_parked_for_so_many_channels_and_no_more():
    """More may come for those that are there; a channel without packets does not count."""
    parked = ParkedPackets(max_channels=1)
    parked.add(ONE, add(1))

    with pytest.raises(ParkedFull, match="^packets are parked for 1 channels already$"):
        parked.add(OTHER, add(1))

    parked.add(ONE, add(2))
    assert (2, 1, 1) == (len(parked), parked.channels, parked.refused)
    assert 2 == len(parked.drop_channel(ONE))
    parked.add(OTHER, add(1))
    assert 1 == parked.channels


def test_a_packet_that_is_refused_for_another_reason_says_so():
    """A duplicate is one in a full channel, too; and neither counts as refused."""
    parked = ParkedPackets(max_packets=1, max_channels=1)
    parked.add(ONE, add(1))

    assert raises(PacketAlreadyExists, parked.add, ONE, add(1))
    assert raises(UnknownHTLCType, parked.add, OTHER, packet(1, None))
    assert (1, 0) == (len(parked), parked.refused)


@pytest.mark.parametrize("caps", [{"max_packets": 0}, {"max_channels": 0}])
def test_nothing_may_be_parked(caps):
    parked = ParkedPackets(**caps)

    assert raises(ParkedFull, parked.add, ONE, add(1))
    assert (0, 0, 1) == (len(parked), parked.channels, parked.refused)


# Deadlines


def due(parked: ParkedPackets, now: int) -> list[tuple[ShortChannelID, int]]:
    """Remove what is due, and return the channels and numbers."""
    found = []
    while (first := parked.first_due(now)) is not None:
        found.append((first[0], first[1].incoming_htlc_id))
        parked.drop_first_due()
    return found


def test_adds_are_due_in_order_of_their_deadlines(parked):
    """At the deadline, not before; of equal ones, in order of arrival."""
    for number, (channel, deadline) in enumerate([(ONE, 30), (OTHER, 20), (ONE, 20), (ONE, 40)]):
        parked.add(channel, add(number), deadline)

    assert 20 == parked.next_deadline()
    assert [] == due(parked, 19)
    assert [(OTHER, 1), (ONE, 2), (ONE, 0)] == due(parked, 30)
    assert 40 == parked.next_deadline()
    assert [3] == numbers(drain(parked))
    assert NEVER == parked.next_deadline()


def test_replies_and_adds_without_a_deadline_are_never_due(parked):
    parked.add(ONE, settle(1), 10)
    parked.add(ONE, add(2))

    assert NEVER == parked.next_deadline()
    assert [] == due(parked, NEVER - 1)


def test_a_packet_that_is_gone_is_not_due(parked):
    """Dropped, drained or cleared; and if it is parked again, at its new deadline."""
    packets = [add(number) for number in range(4)]
    for one in packets:
        parked.add(ONE, one, 10)
    parked.drop_first(ONE, packets[0])

    assert packets[1:] == parked.drop_channel(ONE)
    assert [] == parked.drop_channel(ONE)

    parked.add(ONE, packets[1], 50)
    assert [] == due(parked, 49)
    assert [(ONE, 1)] == due(parked, 50)

    parked.add(ONE, packets[2], 60)
    parked.clear()
    assert NEVER == parked.next_deadline()


@pytest.mark.parametrize("drop", ["drop_first", "drop_channel"])
def test_packets_that_come_and_go_leave_nothing_behind(parked, drop):
    """Though their deadlines are far off."""
    parked.add(OTHER, add(1), 10)
    for number in range(1000):
        one = add(number)
        parked.add(ONE, one, 1000 + number)
        parked.drop_channel(ONE) if drop == "drop_channel" else parked.drop_first(ONE, one)

    assert len(parked._deadlines) < 25
    assert 10 == parked.next_deadline()


def test_the_newest_is_dropped_only_if_it_is_meant(parked):
    """As when it could not be kept on disk."""
    first, second = add(1), add(2)
    parked.drop_last(ONE, first)
    parked.add(ONE, first)
    parked.add(ONE, second)
    parked.drop_last(ONE, first)
    parked.drop_last(ONE, second)

    assert [1] == numbers(parked.packets(ONE))
    assert [] == parked.packets(OTHER)
