"""The simulated link: what it does with its mailbox, and what it writes into its book."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from lnmailbox import CircuitKey, HTLCPacket, MailBoxConfig, ManualClock, MemoryMailBox
from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.link import Link
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC, UpdateFailHTLC

CHANNEL = ShortChannelID(1, 2, 3)


class Recording(MemoryMailBox):
    """Writes down what is called."""

    def __init__(self) -> None:
        self.failed: list[HTLCPacket] = []
        self.calls: list[str] = []
        config = MailBoxConfig(
            short_chan_id=CHANNEL,
            fetch_update=lambda channel: ChannelUpdate(short_channel_id=channel),
            forward_packets=lambda _, *packets: self.failed.extend(packets),
            clock=ManualClock(),
        )
        super().__init__(config)

    def reset_messages(self) -> None:
        self.calls.append("reset_messages")
        super().reset_messages()

    def reset_packets(self) -> None:
        self.calls.append("reset_packets")
        super().reset_packets()


@pytest.fixture
def link() -> Iterator[Link]:
    with Recording() as box:
        yield Link(CHANNEL, box)


def post(link: Link, *packets: HTLCPacket) -> None:
    for packet in packets:
        is_add = isinstance(packet.htlc, UpdateAddHTLC)
        link.account.posted(packet, 60 if is_add else None)
        link.mailbox.add_packet(packet)


def add(htlc_id: int) -> HTLCPacket:
    return HTLCPacket(incoming_htlc_id=htlc_id, htlc=UpdateAddHTLC())


def reply(htlc_id: int) -> HTLCPacket:
    return HTLCPacket(incoming_htlc_id=htlc_id, htlc=UpdateFailHTLC())


def counted(link: Link) -> dict[str, int]:
    return {name: count for name, count in attrs.asdict(link.account.counts).items() if count}


def test_it_takes_what_is_there_and_acks_what_it_is_told(link: Link) -> None:
    """Taking comes first; an Add gets the outgoing id with the commitment, a reply has one."""
    first, second, fail = add(1), add(2), reply(3)
    post(link, first, second, fail)
    link.to_ack += [(first, 7), (fail, 9)]

    link.work()

    assert {
        "adds": 2,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 2,
    } == counted(link)
    assert [second] == link.mailbox.unacked()
    assert [7, 0, 0] == [packet.outgoing_htlc_id for packet in (first, second, fail)]
    assert 3 == link.handoffs
    assert [] == link.to_ack


def test_it_leaves_the_mail_alone_while_it_does_not_read(link: Link) -> None:
    """Until it is told to come back."""
    link.reads = False
    post(link, add(1))

    link.work()

    assert {"adds": 1, "adds_waiting": 1} == counted(link)

    link.then = Link.come_back
    link.work()

    assert link.reads
    assert {"adds": 1} == counted(link)
    assert ["reset_messages", "reset_packets"] == link.mailbox.calls  # type: ignore[attr-defined]


def test_what_it_refuses_fails_back_once(link: Link) -> None:
    """If the mailbox has it no more, it is lost."""
    packet = add(1)
    post(link, packet)
    link.refusal = packet
    link.then = Link.refuse

    link.work()

    assert link.has_refused
    link.account.refused(packet)
    assert {"adds": 1, "adds_refused": 1} == counted(link)
    (fail,) = link.mailbox.failed  # type: ignore[attr-defined]
    assert CircuitKey(htlc_id=1) == fail.in_key

    post(link, packet)
    link.mailbox.ack_packet(packet.in_key)
    link.account.taken(packet)
    link.then = Link.refuse
    link.work()

    assert not link.has_refused
    assert 1 == link.account.counts.lost


def test_leaving_makes_everything_undelivered_again(link: Link) -> None:
    """After it has taken what was there, and acked what it had committed to."""
    first, second = add(1), add(2)
    post(link, first, second)
    link.to_ack.append((first, 1))
    link.then = Link.leave

    link.work()

    assert not link.reads
    assert [second] == link.account.undelivered
    assert 1 == link.mailbox.packet_outbox.qsize()
    assert ["reset_packets"] == link.mailbox.calls  # type: ignore[attr-defined]


def test_mail_that_the_book_does_not_have_is_too_much(link: Link) -> None:
    """Found when the link leaves, or in the inventory."""
    for then in (Link.leave, Link.take_inventory):
        link.reads = True
        link.account.counts = Counts()
        link.mailbox.add_packet(add(len(link.mailbox.unacked())))
        link.then = then

        link.work()

        assert 1 <= link.account.counts.duplicated


def test_an_inventory_finds_what_is_missing(link: Link) -> None:
    """It is about all that waits, whether the link reads or not."""
    link.reads = False
    post(link, add(1), add(2))
    link.mailbox.ack_packet(CircuitKey(htlc_id=1))
    link.then = Link.take_inventory

    link.work()

    assert {"adds": 2, "adds_waiting": 1, "lost": 1} == counted(link)
