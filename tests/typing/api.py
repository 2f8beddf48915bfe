"""What type checkers tell the callers. Checked, never run: `tox -e typing`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, assert_type

from lnmailbox import (
    ChannelType,
    CircuitKey,
    EncrypterKind,
    HTLCPacket,
    JournalCodec,
    LinkError,
    MailBox,
    MailBoxConfig,
    MailBoxStatistics,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailOrchestratorStatistics,
    MailSelector,
    ManualClock,
    MemoryMailBox,
    Outbox,
    OutboxStatistics,
    PacketCodec,
    PaymentCircuit,
    SystemClock,
    WallClock,
    dust_closure,
    select,
)
from lnmailbox.contract import Quit
from lnmailbox.metrics import MailCollector
from lnmailbox.receiving.selector import SelectorKey
from lnmailbox.sphinx import SphinxErrorEncrypter
from lnmailbox.testing import Call, IdentityConformance, MailBoxConformance, Switch, contents
from lnmailbox.wire import (
    ChannelID,
    ChannelUpdate,
    FailureMessage,
    Message,
    ShortChannelID,
    TemporaryNodeFailure,
    UpdateAddHTLC,
    decode_failure,
    encode_failure,
)


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def forward(quit: Quit, *packets: HTLCPacket) -> None:  # noqa: A002
    assert_type(quit.is_set(), bool)
    assert_type(quit.wait(1.0), bool)


def receiving(box: MailBox) -> None:
    assert_type(box.packet_outbox, Outbox[HTLCPacket])
    assert_type(box.packet_outbox.get(), HTLCPacket)
    assert_type(box.packet_outbox.get(timeout=1.5), HTLCPacket)
    assert_type(box.packet_outbox.get_nowait(), HTLCPacket)
    assert_type(box.message_outbox, Outbox[Message])
    assert_type(box.message_outbox.get(block=False), Message)
    assert_type(iter(box.packet_outbox), Iterator[HTLCPacket])
    assert_type(box.packet_outbox.get_batch(64), list[HTLCPacket])
    assert_type(select(box.packet_outbox, timeout=0), tuple[Outbox[HTLCPacket], HTLCPacket])
    assert_type(select(box.packet_outbox, box.message_outbox), tuple[Outbox[Any], Any])
    for packet in box.packet_outbox:
        assert_type(packet, HTLCPacket)
        assert_type(packet.in_key, CircuitKey)


def selecting(box: MailBox) -> None:
    with MailSelector() as selector:
        assert_type(selector.register(box.packet_outbox, "data"), SelectorKey)
        assert_type(selector.select(timeout=1.0), list[SelectorKey])


async def receiving_in_a_coroutine(box: MailBox) -> None:
    assert_type(await box.message_outbox.async_get(), Message)
    async for packet in box.packet_outbox:
        assert_type(packet, HTLCPacket)


def sending(box: MailBox, packet: HTLCPacket) -> None:
    box.add_message(UpdateAddHTLC(id=1))
    box.add_packets(iter([packet]))
    assert_type(box.has_packet(packet.in_key), bool)
    assert_type(box.ack_packet(packet.in_key), bool)
    assert_type(box.ack_packets({packet.in_key}), int)
    box.ack_packet(packet)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(box.fail_add(packet), bool)
    assert_type(box.statistics(), MailBoxStatistics)


def operating(box: MailBox, orchestrator: MailOrchestrator) -> None:
    box.set_fee_rate(253)
    box.set_dust_closure(dust_closure(ChannelType.ANCHORS, 354, 546))
    assert_type(box.dust_packets(), tuple[int, int])
    assert_type(box.unacked(), list[HTLCPacket])
    assert_type(box.describe(), str)
    assert_type(box.packet_outbox.statistics(), OutboxStatistics)
    assert_type(orchestrator.statistics(), MailOrchestratorStatistics)
    assert_type(orchestrator.mailboxes(), list[MailBox])
    assert_type(orchestrator.remove_mailbox(ChannelID()), list[HTLCPacket])
    assert_type(orchestrator.drop_parked(ShortChannelID()), list[HTLCPacket])
    assert_type(HTLCPacket(outgoing_hop=bytes(33)).outgoing_hop, ShortChannelID | bytes)
    MailCollector(orchestrator, namespace="node")


def a_packet(secret: bytes) -> None:
    packet = HTLCPacket(htlc=UpdateAddHTLC(), obfuscator=SphinxErrorEncrypter(secret))
    assert_type(packet.htlc, Message | None)
    assert_type(packet.circuit, PaymentCircuit | None)
    assert_type(packet.link_failure, LinkError | None)
    packet.amount = "many"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


def configuring(condition: threading.Condition) -> None:
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(880000, 1, 1),
        fetch_update=no_update,
        forward_packets=forward,
        clock=ManualClock(),
    )
    assert_type(config.chan_id, ChannelID | None)
    with MemoryMailBox(config) as box:
        assert_type(box, MemoryMailBox)
        assert_type(box.short_chan_id, ShortChannelID)
        box.short_chan_id = ShortChannelID(880000, 1, 2)
    for clock in (SystemClock(), WallClock(), ManualClock(5)):
        assert_type(clock.now_ns(), int)
        clock.wait(condition, None)


def orchestrating() -> None:
    config = MailOrchestratorConfig(
        fetch_update=no_update, forward_packets=forward, mailbox_factory=MemoryMailBox
    )
    with MailOrchestrator(config) as orchestrator:
        assert_type(orchestrator, MailOrchestrator)
        box = orchestrator.get_or_create_mailbox(ChannelID(), ShortChannelID())
        assert_type(box, MailBox)


class TestOwnMailBox(IdentityConformance, MailBoxConformance):
    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        return MemoryMailBox(config)

    def reopen(self, mailbox: MailBox) -> MailBox:
        return mailbox


def testing(box: MailBox) -> None:
    switch = Switch()
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update, forward_packets=switch.forward_packets
    )
    MailOrchestrator(config).deliver(ShortChannelID(), HTLCPacket(obfuscator=switch))
    assert_type(switch.next_fail(), HTLCPacket)
    assert_type(Call(box.packet_outbox.get).result(), HTLCPacket)
    assert_type(contents(HTLCPacket()), dict[str, Any])


def wire() -> None:
    assert_type(encode_failure(TemporaryNodeFailure()), bytes)
    assert_type(decode_failure(b""), FailureMessage)
    assert_type(ShortChannelID.from_int(1), ShortChannelID)
    assert_type(ShortChannelID.from_bytes(bytes(8)), ShortChannelID)
    assert_type(int(ShortChannelID()), int)
    assert_type(bytes(ShortChannelID()), bytes)


def check_codec(packet: HTLCPacket) -> None:
    sphinx = SphinxErrorEncrypter
    kind = EncrypterKind("mine", sphinx, sphinx.to_bytes, sphinx.from_bytes)
    codec: JournalCodec = PacketCodec([kind])
    assert_type(codec.encode(packet), bytes)
    assert_type(codec.decode(b""), HTLCPacket)
    assert_type(PacketCodec().decode(b""), HTLCPacket)
    PacketCodec(kind)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
