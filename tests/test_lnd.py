"""The tests that lnd has for its mailbox (`htlcswitch/mailbox_test.go`), in the same order.

Ours passes them, and so does the port of lnd's.
"""

from __future__ import annotations

import queue
import random
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from lnmailbox import (
    HTLCPacket,
    MailBox,
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    MemoryMailBox,
    Outbox,
    PacketAlreadyExists,
)
from lnmailbox.reference import CourierMailBox, CourierOrchestrator
from lnmailbox.testing import PATIENCE, Call, Switch, wait_until_quiet
from lnmailbox.wire import (
    ChannelID,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
)

T = TypeVar("T")

EXPIRY = 60.0

ALICE, BOB = ShortChannelID(600_000, 1, 0), ShortChannelID(600_001, 2, 1)


def receive(outbox: Outbox[T], count: int) -> list[T]:
    return [outbox.get(timeout=PATIENCE) for _ in range(count)]


class Link:
    """A running mailbox in manual time, and its switch (lnd: `mailboxContext`)."""

    def __init__(self, kind: Callable[[MailBoxConfig], MailBox]) -> None:
        self.random = random.Random(1)
        self.clock = ManualClock(start=1_600_000_000.0)
        self.switch = Switch()
        self.mailbox = kind(
            MailBoxConfig(
                short_chan_id=ALICE,
                fetch_update=self.switch.fetch_update,
                forward_packets=self.switch.forward_packets,
                clock=self.clock,
                expiry=EXPIRY,
            )
        )
        self.mailbox.start()

    def any_short_chan_id(self) -> ShortChannelID:
        return ShortChannelID.from_int(self.random.getrandbits(63))

    def send_adds(self, start: int, count: int) -> list[HTLCPacket]:
        packets = [
            HTLCPacket(
                outgoing_chan_id=self.any_short_chan_id(),
                incoming_chan_id=self.any_short_chan_id(),
                incoming_htlc_id=number,
                amount=self.random.getrandbits(63),
                htlc=UpdateAddHTLC(id=number),
            )
            for number in range(start, start + count)
        ]
        for packet in packets:
            self.mailbox.add_packet(packet)
        return packets

    def check_fails(self, adds: list[HTLCPacket]) -> None:
        """Compare the keys of the next fails, in order; there are no others."""
        if isinstance(self.mailbox, CourierMailBox):
            assert self.mailbox.wait_for_rest(PATIENCE)
        wait_until_quiet(self.clock)

        assert [add.in_key for add in adds] == [self.switch.next_fail().in_key for _ in adds]
        assert [] == self.switch.fails_so_far()


@pytest.fixture(params=[MemoryMailBox, CourierMailBox])
def link(request: pytest.FixtureRequest) -> Iterator[Link]:
    link = Link(request.param)
    yield link
    link.mailbox.stop()
    assert [] == link.switch.fails_so_far()


def test_mailbox_couriers(link: Link) -> None:
    """Messages and packets come out in order; a reset replays the packets without an ack."""
    packets = link.send_adds(0, 10)
    messages = [
        UpdateAddHTLC(id=link.random.getrandbits(63), amount=link.random.getrandbits(63))
        for _ in range(10)
    ]
    for message in messages:
        link.mailbox.add_message(message)

    received_packets, received_messages = [], []
    for _ in range(10):
        received_packets += receive(link.mailbox.packet_outbox, 1)
        received_messages += receive(link.mailbox.message_outbox, 1)

    assert packets == received_packets
    assert list(map(id, messages)) == list(map(id, received_messages))

    for packet in received_packets[:5]:
        link.mailbox.ack_packet(packet.in_key)
    link.mailbox.add_message(messages[0])
    link.mailbox.reset_messages()
    link.mailbox.reset_packets()
    replayed = []
    for _ in range(5):
        replayed += receive(link.mailbox.packet_outbox, 1)
        with pytest.raises(queue.Empty):
            link.mailbox.message_outbox.get_nowait()

    assert packets[5:] == replayed
    with pytest.raises(queue.Empty):
        link.mailbox.packet_outbox.get_nowait()


def test_mailbox_reset_after_shutdown(link: Link) -> None:
    """A stopped mailbox can't be reset."""
    link.mailbox.stop()

    with pytest.raises(MailBoxShuttingDown):
        link.mailbox.reset_messages()
    with pytest.raises(MailBoxShuttingDown):
        link.mailbox.reset_packets()


def test_mailbox_fail_add(link: Link) -> None:
    """One fail for each Add, among deliveries, resets and expiries."""

    def fail(adds: list[HTLCPacket]) -> list[bool]:
        return [link.mailbox.fail_add(add) for add in adds]

    # The link takes five Adds and can't use them.
    first = link.send_adds(0, 5)
    assert first == receive(link.mailbox.packet_outbox, 5)
    assert [True] * 5 == Call(fail, first).result()
    link.check_fails(first)

    # Failing them once more tells the switch nothing.
    assert [False] * 5 == Call(fail, first).result()
    link.check_fails([])

    # The link takes five more and comes back before their time is up: no fails.
    link.clock.advance(1)
    second = link.send_adds(5, 5)
    assert second == receive(link.mailbox.packet_outbox, 5)
    link.mailbox.reset_packets()
    link.check_fails([])
    assert second == receive(link.mailbox.packet_outbox, 5)

    # A third batch expires in the mailbox while the second is with the link.
    link.clock.advance(1)
    third = link.send_adds(10, 5)
    link.clock.advance(EXPIRY)
    link.check_fails(third)

    # When the link comes back now, the second batch is overdue as well.
    link.mailbox.reset_packets()
    link.check_fails(second)


def test_mailbox_packet_prioritization(link: Link) -> None:
    """Settles and Fails before Adds."""
    htlcs = [
        UpdateFulfillHTLC(id=0),
        UpdateAddHTLC(id=1),
        UpdateAddHTLC(id=2),
        UpdateFailHTLC(id=3),
        UpdateFulfillHTLC(id=4),
    ]
    packets = [
        HTLCPacket(
            outgoing_chan_id=ALICE,
            outgoing_htlc_id=number,
            incoming_chan_id=BOB,
            incoming_htlc_id=number,
            amount=link.random.getrandbits(63),
            htlc=htlc,
        )
        for number, htlc in enumerate(htlcs)
    ]
    for packet in packets:
        link.mailbox.add_packet(packet)

    received = receive(link.mailbox.packet_outbox, 5)

    assert [packets[number] for number in (0, 3, 4, 1, 2)] == received


def test_mailbox_add_expiry(link: Link) -> None:
    """Two batches, a second apart, are failed a second apart."""
    first = link.send_adds(0, 10)
    link.clock.advance(1)
    link.check_fails([])
    second = link.send_adds(10, 10)

    link.clock.advance(EXPIRY - 1)
    link.check_fails(first)

    link.clock.advance(1)
    link.check_fails(second)


@pytest.mark.parametrize("htlc_type", [UpdateAddHTLC, UpdateFulfillHTLC, UpdateFailHTLC])
def test_mailbox_duplicate_add_packet(link: Link, htlc_type: Callable[[], UpdateAddHTLC]) -> None:
    """A packet can't be added twice, whatever it is."""
    packet = HTLCPacket(incoming_htlc_id=1, htlc=htlc_type())
    link.mailbox.add_packet(packet)

    with pytest.raises(PacketAlreadyExists):
        link.mailbox.add_packet(packet)


@pytest.mark.parametrize("kind", [MailOrchestrator, CourierOrchestrator])
def test_mail_orchestrator(
    kind: Callable[[MailOrchestratorConfig], MailOrchestrator | CourierOrchestrator],
) -> None:
    """Packets for a channel that is not live are parked; for a live one they go through."""

    def add_number(number: int) -> HTLCPacket:
        return HTLCPacket(
            outgoing_chan_id=ALICE,
            outgoing_htlc_id=number,
            incoming_chan_id=BOB,
            incoming_htlc_id=number,
            htlc=UpdateAddHTLC(id=number),
        )

    switch = Switch()
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets,
        clock=ManualClock(),
        expiry=EXPIRY,
    )
    with kind(config) as orchestrator:
        parked = [add_number(number) for number in range(5)]
        for packet in parked:
            orchestrator.deliver(ALICE, packet)

        of_alice = ChannelID(bytes([1]) * 32)
        mailbox = orchestrator.get_or_create_mailbox(of_alice, ALICE)
        for outbox in (mailbox.message_outbox, mailbox.packet_outbox):
            with pytest.raises(queue.Empty):
                outbox.get_nowait()

        orchestrator.bind_live_short_chan_id(mailbox, of_alice, ALICE)

        assert parked == receive(mailbox.packet_outbox, 5)

        of_bob = ChannelID(bytes([2]) * 32)
        mailbox = orchestrator.get_or_create_mailbox(of_bob, BOB)
        orchestrator.bind_live_short_chan_id(mailbox, of_bob, BOB)
        for number in range(5, 10):
            packet = add_number(number)
            orchestrator.deliver(BOB, packet)

            assert [packet] == receive(mailbox.packet_outbox, 1)
