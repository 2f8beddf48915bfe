"""The simulated link: what it does with its mailbox, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lnmailbox import CircuitKey, HTLCPacket, MailBoxConfig, MemoryMailBox
from lnmailbox.replay.link import Link
from lnmailbox.testing.threads import PATIENCE
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC, UpdateFailHTLC

CHANNEL = ShortChannelID(1, 2, 3)


class Recording(MemoryMailBox):
    """Writes down which thread calls what."""

    def __init__(self) -> None:
        self.failed: list[HTLCPacket] = []
        self.calls: list[tuple[str, str]] = []
        config = MailBoxConfig(
            short_chan_id=CHANNEL,
            fetch_update=lambda channel: ChannelUpdate(short_channel_id=channel),
            forward_packets=lambda _, *packets: self.failed.extend(packets),
        )
        super().__init__(config)

    def reset_messages(self) -> None:
        self.calls.append(("reset_messages", threading.current_thread().name))
        super().reset_messages()

    def reset_packets(self) -> None:
        self.calls.append(("reset_packets", threading.current_thread().name))
        super().reset_packets()


@pytest.fixture
def box() -> Iterator[Recording]:
    with Recording() as box:
        yield box


@pytest.fixture
def link(box: Recording) -> Iterator[Link]:
    link = Link(CHANNEL, box)
    yield link
    box.stop()
    link.close()


def packets(count: int) -> list[HTLCPacket]:
    return [HTLCPacket(incoming_htlc_id=n, htlc=UpdateAddHTLC()) for n in range(count)]


def test_it_takes_as_many_as_it_is_told_and_waits_for_them(box: Recording, link: Link) -> None:
    """What it has so far can be seen meanwhile."""
    first, second, third = packets(3)
    taken: list[HTLCPacket] = []

    taking = link.take(2, taken)
    box.add_packet(first)
    assert not taking.done()
    box.add_packet(second)
    box.add_packet(third)
    taking.result(PATIENCE)

    assert [first, second] == taken


def test_it_tells_of_each_ack_whether_the_packet_was_there(box: Recording, link: Link) -> None:
    """In the order of the packets."""
    first, second, third = packets(3)
    box.add_packet(first)
    box.add_packet(third)

    assert [True, False, True] == link.commit([first, second, third]).result(PATIENCE)


def test_what_it_refuses_fails_back(box: Recording, link: Link) -> None:
    """Once."""
    (add,) = packets(1)
    box.add_packet(add)
    link.take(1, []).result(PATIENCE)

    assert link.refuse(add).result(PATIENCE)
    assert not link.refuse(add).result(PATIENCE)

    assert [CircuitKey(htlc_id=0)] == [packet.in_key for packet in box.failed]
    assert [UpdateFailHTLC] == [type(packet.htlc) for packet in box.failed]


def test_leaving_makes_everything_undelivered_again(box: Recording, link: Link) -> None:
    """And tells what was there that the link had not been told to take."""
    first, second = packets(2)
    box.add_packet(first)
    box.add_packet(second)
    link.take(1, []).result(PATIENCE)

    assert [second] == link.leave().result(PATIENCE)

    assert [("reset_packets", "link of 1x2x3_0")] == box.calls
    assert [first, second] == link.sweep().result(PATIENCE)


def test_coming_back_resets_messages_and_packets(box: Recording, link: Link) -> None:
    """In this order, before it reads anything; all on the link's thread."""
    link.come_back().result(PATIENCE)

    thread = "link of 1x2x3_0"
    assert [("reset_messages", thread), ("reset_packets", thread)] == box.calls


def test_a_stopped_mailbox_ends_a_link_that_waits(box: Recording, link: Link) -> None:
    """So that closing the link does not hang."""
    taking = link.take(1, [])

    box.stop()
    link.close()

    assert "MailBoxShuttingDown" == type(taking.exception(PATIENCE)).__name__
