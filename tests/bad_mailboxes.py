"""Bad arguments for mailboxes, receivers, orchestrators, clocks, packets and metrics."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from bad_values import (
    AMOUNTS,
    CALLBACKS,
    CHANNEL_IDS,
    CLOCKS,
    CONFIGS,
    FOREIGN,
    KEYS,
    LIMITS,
    OUTBOXES,
    PACKETS,
    SHORT_IDS,
    SIZES,
    SPANS,
    Row,
    World,
    numbers,
)
from lnmailbox import (
    ChannelType,
    HTLCPacket,
    MailBoxConfig,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    MemoryMailBox,
    dust_closure,
    select,
)
from lnmailbox.testing.conformance.base import CHANNEL, add, key, settle
from lnmailbox.wire import UpdateFailMalformedHTLC
from node import channel, short


def config(name: str) -> Callable[[World, Any], object]:
    fields = {"short_chan_id": CHANNEL, "fetch_update": print, "forward_packets": print}
    return lambda _, bad: MailBoxConfig(**{**fields, name: bad})


def orchestrator_config(name: str) -> Callable[[World, Any], object]:
    fields = {"fetch_update": print, "forward_packets": print}
    return lambda _, bad: MailOrchestratorConfig(**{**fields, name: bad})


def packet_field(name: str) -> Callable[[World, Any], object]:
    def assign_too(_: World, bad: Any) -> None:
        try:
            setattr(add(1), name, bad)
        except ValueError:
            HTLCPacket(**{name: bad})
        else:
            raise AssertionError(f"{name} can be set to {bad!r}")

    return assign_too


def circuit_field(kind: str, name: str) -> Callable[[World, Any], object]:
    return lambda _, bad: getattr(importlib.import_module("lnmailbox"), kind)(**{name: bad})


def collector(*arguments: Callable[[World, Any], object]) -> Callable[[World, Any], object]:
    def call(world: World, bad: Any) -> object:
        kind = importlib.import_module("lnmailbox.metrics").MailCollector
        return kind(*(argument(world, bad) for argument in arguments))

    return call


class _Size:
    """A message with a size that is none."""

    def __init__(self, size: Any) -> None:
        self._size = size

    def serialized_size(self) -> Any:
        return self._size


MAILBOXES: dict[str, Row] = {
    # Mailboxes
    "MemoryMailBox(config)": Row(lambda w, bad: MemoryMailBox(bad), TypeError, CONFIGS),
    "MailBox.add_message(message)": Row(
        lambda w, bad: w.box.add_message(bad),
        TypeError,
        [None, 5, "text", [], FOREIGN, *map(_Size, [None, "1", 1.5, -1])],
    ),
    "MailBox.add_packet(packet)": Row(lambda w, bad: w.box.add_packet(bad), TypeError, PACKETS),
    "MailBox.add_packet(packet), htlc": Row(
        lambda w, bad: w.box.add_packet(HTLCPacket(incoming_htlc_id=9, htlc=bad)),
        TypeError,  # which `UnknownHTLCType` is
        [None, 5, "htlc", UpdateFailMalformedHTLC(), FOREIGN],
    ),
    "MailBox.add_packets(packets)": Row(
        lambda w, bad: w.box.add_packets(bad), TypeError, [None, 5, add(9), FOREIGN, add]
    ),
    "MailBox.add_packets(packets), one of them": Row(
        lambda w, bad: w.box.add_packets([settle(9), add(9), bad, add(11)]), TypeError, PACKETS
    ),
    "MailBox.has_packet(key)": Row(lambda w, bad: w.box.has_packet(bad), TypeError, KEYS),
    "MailBox.ack_packet(key)": Row(lambda w, bad: w.box.ack_packet(bad), TypeError, KEYS),
    "MailBox.nack_packet(key)": Row(lambda w, bad: w.box.nack_packet(bad), TypeError, KEYS),
    "MailBox.ack_packets(keys)": Row(
        lambda w, bad: w.box.ack_packets(bad), TypeError, [None, 5, key(1), add(2), FOREIGN]
    ),
    "MailBox.ack_packets(keys), one of them": Row(
        lambda w, bad: w.box.ack_packets([key(1), bad, key(2)]), TypeError, KEYS
    ),
    "MailBox.fail_add(packet)": Row(lambda w, bad: w.box.fail_add(bad), TypeError, PACKETS),
    "MailBox.set_fee_rate(sat_per_kw)": Row(
        lambda w, bad: w.box.set_fee_rate(bad), ValueError, AMOUNTS
    ),
    "MailBox.set_dust_closure(is_dust)": Row(
        lambda w, bad: w.box.set_dust_closure(bad), TypeError, CALLBACKS
    ),
    "MailBox.short_chan_id(short_chan_id)": Row(
        lambda w, bad: setattr(w.box, "short_chan_id", bad), TypeError, SHORT_IDS
    ),
    # Receiving
    "Outbox.get(timeout)": Row(lambda w, bad: w.outbox.get(timeout=bad), ValueError, SPANS),
    "Outbox.get_batch(max_items)": Row(lambda w, bad: w.outbox.get_batch(bad), ValueError, SIZES),
    "Outbox.get_batch(timeout)": Row(
        lambda w, bad: w.outbox.get_batch(1, timeout=bad), ValueError, SPANS
    ),
    "Outbox.async_get_batch(max_items)": Row(
        lambda w, bad: asyncio.run(w.outbox.async_get_batch(bad)), ValueError, SIZES
    ),
    "select(outboxes)": Row(lambda w, bad: select(w.outbox, bad), TypeError, OUTBOXES),
    "select(timeout)": Row(lambda w, bad: select(w.outbox, timeout=bad), ValueError, SPANS),
    "MailSelector.register(outbox)": Row(
        lambda w, bad: w.selector.register(bad), TypeError, OUTBOXES
    ),
    "MailSelector.unregister(outbox)": Row(
        lambda w, bad: w.selector.unregister(bad), TypeError, OUTBOXES
    ),
    "MailSelector.select(timeout)": Row(lambda w, bad: w.selector.select(bad), ValueError, SPANS),
    "MailSelector.select(max_keys)": Row(
        lambda w, bad: w.selector.select(0, bad), ValueError, [s for s in SIZES if s is not None]
    ),
    # Orchestrator
    "MailOrchestrator(config)": Row(lambda w, bad: MailOrchestrator(bad), TypeError, CONFIGS),
    "MailOrchestrator.get_or_create_mailbox(chan_id)": Row(
        lambda w, bad: w.orchestrator.get_or_create_mailbox(bad, short(3)), ValueError, CHANNEL_IDS
    ),
    "MailOrchestrator.get_or_create_mailbox(short_chan_id)": Row(
        lambda w, bad: w.orchestrator.get_or_create_mailbox(channel(3), bad), TypeError, SHORT_IDS
    ),
    "MailOrchestrator.bind_live_short_chan_id(mailbox)": Row(
        lambda w, bad: w.node.bind(bad, 2), TypeError, [None, 5, "box", [], MemoryMailBox, FOREIGN]
    ),
    "MailOrchestrator.bind_live_short_chan_id(chan_id)": Row(
        lambda w, bad: w.orchestrator.bind_live_short_chan_id(w.box, bad, short(2)),
        ValueError,
        CHANNEL_IDS,
    ),
    "MailOrchestrator.bind_live_short_chan_id(short_chan_id)": Row(
        lambda w, bad: w.orchestrator.bind_live_short_chan_id(w.box, channel(1), bad),
        TypeError,
        SHORT_IDS,
    ),
    "MailOrchestrator.deliver(short_chan_id)": Row(
        lambda w, bad: w.orchestrator.deliver(bad, add(9)), TypeError, SHORT_IDS
    ),
    "MailOrchestrator.deliver(packet)": Row(
        lambda w, bad: w.orchestrator.deliver(short(1), bad), TypeError, PACKETS
    ),
    "MailOrchestrator.deliver(packet), parked": Row(
        lambda w, bad: w.orchestrator.deliver(short(3), bad), TypeError, PACKETS
    ),
    "MailOrchestrator.remove_mailbox(chan_id)": Row(
        lambda w, bad: w.orchestrator.remove_mailbox(bad), ValueError, CHANNEL_IDS
    ),
    "MailOrchestrator.drop_parked(short_chan_id)": Row(
        lambda w, bad: w.orchestrator.drop_parked(bad), TypeError, SHORT_IDS
    ),
    # Configurations
    "MailBoxConfig(chan_id)": Row(
        config("chan_id"), ValueError, [bad for bad in CHANNEL_IDS if bad is not None]
    ),
    "MailBoxConfig(short_chan_id)": Row(config("short_chan_id"), TypeError, SHORT_IDS),
    "MailBoxConfig.of_channel(switch)": Row(
        lambda w, bad: MailBoxConfig.of_channel(bad, channel(3), short(3)), TypeError, CONFIGS
    ),
    "MailBoxConfig.of_channel(chan_id)": Row(
        lambda w, bad: MailBoxConfig.of_channel(w.node.config, bad, short(3)),
        ValueError,
        [bad for bad in CHANNEL_IDS if bad is not None],
    ),
    "MailBoxConfig.of_channel(short_chan_id)": Row(
        lambda w, bad: MailBoxConfig.of_channel(w.node.config, channel(3), bad),
        TypeError,
        SHORT_IDS,
    ),
    "MailOrchestratorConfig(mailbox_factory)": Row(
        orchestrator_config("mailbox_factory"), TypeError, [*CALLBACKS, None]
    ),
    "MailOrchestratorConfig(parked_expiry)": Row(
        orchestrator_config("parked_expiry"), ValueError, SPANS
    ),
    **{
        f"MailOrchestratorConfig({name})": Row(orchestrator_config(name), ValueError, LIMITS)
        for name in ("max_parked", "max_parked_channels")
    },
    **{
        f"{kind}({name})": Row(call(name), error, bad)
        for kind, call in (
            ("MailBoxConfig", config),
            ("MailOrchestratorConfig", orchestrator_config),
        )
        for name, error, bad in (
            ("fetch_update", TypeError, [*CALLBACKS, None]),
            ("forward_packets", TypeError, [*CALLBACKS, None]),
            ("fail_update", TypeError, CALLBACKS),
            ("clock", TypeError, CLOCKS),
            ("expiry", ValueError, [*SPANS, None]),
            ("max_wire_messages", ValueError, LIMITS),
            ("max_wire_bytes", ValueError, LIMITS),
        )
    },
    # Time
    "ManualClock(start)": Row(lambda w, bad: ManualClock(bad), ValueError, [*SPANS, None]),
    "ManualClock.advance(seconds)": Row(
        lambda w, bad: w.node.clock.advance(bad), ValueError, [*SPANS, None]
    ),
    # Packets
    **{
        f"HTLCPacket({name})": Row(packet_field(name), ValueError, numbers(64))
        for name in ("incoming_htlc_id", "outgoing_htlc_id", "amount", "incoming_amount")
    },
    **{
        f"HTLCPacket({name})": Row(packet_field(name), ValueError, numbers(32))
        for name in ("incoming_timeout", "outgoing_timeout")
    },
    **{
        f"HTLCPacket({name})": Row(packet_field(name), ValueError, SHORT_IDS)
        for name in ("incoming_chan_id", "outgoing_chan_id", "original_outgoing_chan_id")
    },
    "HTLCPacket(outgoing_hop)": Row(
        packet_field("outgoing_hop"), ValueError, [*SHORT_IDS, bytes(32), bytes(34)]
    ),
    **{
        f"{kind}({name})": Row(circuit_field(kind, name), ValueError, bad)
        for kind, name, bad in (
            ("AddRef", "height", numbers(64)),
            ("AddRef", "index", numbers(16)),
            ("SettleFailRef", "source", SHORT_IDS),
            ("SettleFailRef", "height", numbers(64)),
            ("SettleFailRef", "index", numbers(16)),
            ("PaymentCircuit", "payment_hash", CHANNEL_IDS[:-2]),
            ("PaymentCircuit", "incoming_amount", numbers(64)),
            ("PaymentCircuit", "outgoing_amount", numbers(64)),
        )
    },
    # Dust
    "dust_closure(channel_type)": Row(
        lambda w, bad: dust_closure(bad, 1, 1), TypeError, [None, 0, "LEGACY", (663, 703)]
    ),
    "dust_closure(local_limit_sat)": Row(
        lambda w, bad: dust_closure(ChannelType.LEGACY, bad, 1), ValueError, AMOUNTS
    ),
    "dust_closure(remote_limit_sat)": Row(
        lambda w, bad: dust_closure(ChannelType.LEGACY, 1, bad), ValueError, AMOUNTS
    ),
    # Metrics
    "MailCollector(orchestrator)": Row(
        collector(lambda w, bad: bad), TypeError, [None, 5, MemoryMailBox, FOREIGN]
    ),
    "MailCollector(namespace)": Row(
        collector(lambda w, bad: w.orchestrator, lambda w, bad: bad),
        ValueError,
        [None, 5, "", "9", "a b", "a-b", b"a"],
    ),
}
