"""Bad arguments for every parameter of the public callables, and a world to try them on.

`ROWS` is the table: the callable with its parameter, a call, the values that it has to refuse, and
the error. `UNCHECKED` has the parameters that take anything, each with the reason.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import tempfile
from collections.abc import Callable, Iterable
from enum import Enum
from types import SimpleNamespace
from typing import Any, NamedTuple

from lnmailbox import (
    ChannelType,
    DurableMailBox,
    EncrypterKind,
    HTLCPacket,
    MailBoxConfig,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailSelector,
    ManualClock,
    MemoryMailBox,
    PacketCodec,
    SQLiteJournal,
    dust_closure,
    select,
)
from lnmailbox.testing.conformance.base import CHANNEL, SOURCE, add, key, message, settle
from lnmailbox.wire import (
    ChannelID,
    FailureMessage,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailMalformedHTLC,
    decode_failure,
    encode_failure,
)
from node import Node, channel, short

HUGE = 10**5_000  # too long for Python to write down
FOREIGN = SimpleNamespace(htlc=UpdateAddHTLC(), in_key=key(9))
"""It has what a mailbox looks at first, and is no packet."""


class World:
    """A node with a mailbox in which there is something in every place, and a selector."""

    def __init__(self) -> None:
        self.node = Node()
        self.box = self.node.live(1)
        self.box.add_message(message(1))
        self.box.add_packets([settle(1), settle(3), add(2), add(4)])
        self.box.packet_outbox.get_batch(3)
        self.box.nack_packet(key(3))
        self.node.deliver(2, add(6))
        self.selector = MailSelector()
        self.selector.register(self.box.packet_outbox)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.selector.close()
        self.node.orchestrator.stop()

    @property
    def orchestrator(self) -> MailOrchestrator:
        return self.node.orchestrator

    @property
    def outbox(self) -> Any:
        return self.box.packet_outbox

    def state(self) -> dict[str, Any]:
        """Check every invariant, and return all that can be seen from outside."""
        box: Any = self.box
        shelves = box._replies, box._adds
        for shelf in shelves:
            shelf._check()
        assert not box._lock._is_owned()
        return {
            "statistics": box.statistics(),
            "orchestrator": self.orchestrator.statistics(),
            "places": [{k: shelf.place(k) for k in shelf.unacked} for shelf in shelves],
            "parked": self.node.parked(),
            "mailboxes": [box.short_chan_id for box in self.orchestrator.mailboxes()],
            "dust": (box._fee_rate, box._is_dust),
            "selector": self.selector.get_map().keys(),
            "time": self.node.clock.now_ns(),
            "fails": self.node.switch.fails_so_far(),
        }


NO_PATHS = [None, 5, 1.5, b"name", []]


def with_journal(call: Callable[[SQLiteJournal, Any], object]) -> Callable[[World, Any], object]:
    """Return what makes the call on a journal in a folder of its own."""

    def make_and_call(_: World, bad: Any) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            SQLiteJournal(f"{folder}/journal") as journal,
        ):
            call(journal, bad)

    return make_and_call


def keeper(journal: SQLiteJournal) -> MailOrchestrator:
    return MailOrchestrator(
        MailOrchestratorConfig(fetch_update=print, forward_packets=print, journal=journal)
    )


class Row(NamedTuple):
    call: Callable[[World, Any], object]
    error: type[Exception]
    bad: Iterable[Any]
    is_secret: bool = False  # whether the error must not show the value


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


def sphinx_from_bytes(_: World, bad: Any) -> object:
    return importlib.import_module("lnmailbox.sphinx").SphinxErrorEncrypter.from_bytes(bad)


def sphinx(name: str, method: str = "") -> Callable[[World, Any], object]:
    def call(_: World, bad: Any) -> object:
        kind = getattr(importlib.import_module("lnmailbox.sphinx"), name)
        if not method:
            return kind(bad)
        return getattr(kind(bytes(32) if name.endswith("Encrypter") else [bytes(32)]), method)(bad)

    return call


def collector(*arguments: Callable[[World, Any], object]) -> Callable[[World, Any], object]:
    def call(world: World, bad: Any) -> object:
        kind = importlib.import_module("lnmailbox.metrics").MailCollector
        return kind(*(argument(world, bad) for argument in arguments))

    return call


async def coroutine() -> None: ...


PACKETS = [None, 5, "packet", b"packet", [], add, FOREIGN, key(1), UpdateAddHTLC(id=9)]
KEYS = [None, 5, "key", b"key", [], {}, (), (SOURCE,), (SOURCE, 1, 1), FOREIGN]
SHORT_IDS = [None, 5, int(short(1)), "800001x2x3", 1.5, [], b"\0" * 8, ChannelID()]
CHANNEL_IDS = [None, 5, "00" * 32, b"", bytes(31), bytes(33), bytearray(32), short(1), []]
OUTBOXES = [None, 5, "outbox", [], MemoryMailBox, FOREIGN]
SPANS = [-1, -0.1, float("nan"), float("inf"), True, "1", b"1", [], 1j, HUGE, -HUGE]
SIZES = [0, -1, 1.0, True, "1", None, [], -HUGE]
LIMITS = [-1, 1.0, False, "1", [], -HUGE]
CALLBACKS = [5, "name", [], coroutine, lambda: None]
CLOCKS = [None, 5, "clock", FOREIGN, SimpleNamespace(now_ns=print)]
AMOUNTS = [-1, 1.5, True, "1", None, [], -HUGE]
CONFIGS = [None, 5, {}, FOREIGN, MailBoxConfig]
BUFFERS = [None, 5, "text", [], FOREIGN]


def numbers(bits: int) -> list[Any]:
    return [-1, 1 << bits, 1.0, True, "1", None, [], HUGE]


class _Size:
    """A message with a size that is none."""

    def __init__(self, size: Any) -> None:
        self._size = size

    def serialized_size(self) -> Any:
        return self._size


ROWS: dict[str, Row] = {
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
    # Wire
    "ShortChannelID(block_height)": Row(
        lambda w, bad: ShortChannelID(bad, 0, 0), ValueError, numbers(24)
    ),
    "ShortChannelID(tx_index)": Row(
        lambda w, bad: ShortChannelID(0, bad, 0), ValueError, numbers(24)
    ),
    "ShortChannelID(tx_position)": Row(
        lambda w, bad: ShortChannelID(0, 0, bad), ValueError, numbers(16)
    ),
    "ShortChannelID.from_int(value)": Row(
        lambda w, bad: ShortChannelID.from_int(bad), ValueError, numbers(64)
    ),
    "ShortChannelID.from_bytes(bytes)": Row(
        lambda w, bad: ShortChannelID.from_bytes(bad),
        ValueError,
        [None, 5, "12345678", b"", bytes(7), bytes(9), []],
    ),
    "ShortChannelID.from_string(text)": Row(
        lambda w, bad: ShortChannelID.from_string(bad),
        ValueError,
        [None, 5, b"1x1x1", [], "", "1x1", "1x1:1", "-1", "x" * 500],
    ),
    "ChannelID(value)": Row(
        lambda w, bad: ChannelID(bad), ValueError, [bad for bad in CHANNEL_IDS if bad != bytes(32)]
    ),
    "ChannelID.from_outpoint(txid)": Row(
        lambda w, bad: ChannelID.from_outpoint(bad, 0), ValueError, CHANNEL_IDS
    ),
    "ChannelID.from_outpoint(output_index)": Row(
        lambda w, bad: ChannelID.from_outpoint(bytes(32), bad), ValueError, numbers(16)
    ),
    "WireMessage.decode(data)": Row(lambda w, bad: UpdateAddHTLC.decode(bad), TypeError, BUFFERS),
    "FailureMessage.decode(data)": Row(
        lambda w, bad: FailureMessage.decode(bad), TypeError, BUFFERS
    ),
    "decode_failure(data)": Row(lambda w, bad: decode_failure(bad), TypeError, BUFFERS),
    "encode_failure(failure)": Row(
        lambda w, bad: encode_failure(bad), TypeError, [None, 5, "failure", b"", [], FOREIGN]
    ),
    # Encrypted failures
    "SphinxErrorEncrypter(shared_secret)": Row(
        sphinx("SphinxErrorEncrypter"), ValueError, CHANNEL_IDS[:-2], is_secret=True
    ),
    "SphinxErrorEncrypter.from_bytes(data)": Row(
        sphinx_from_bytes, ValueError, CHANNEL_IDS[:-2], is_secret=True
    ),
    "SphinxErrorDecrypter(shared_secrets)": Row(
        sphinx("SphinxErrorDecrypter"), ValueError, [[bytes(31)], ["0" * 32]], is_secret=True
    ),
    "SphinxErrorEncrypter.encrypt_first_hop(failure)": Row(
        sphinx("SphinxErrorEncrypter", "encrypt_first_hop"), TypeError, [None, 5, b"", FOREIGN]
    ),
    "SphinxErrorEncrypter.encrypt_malformed_error(reason)": Row(
        sphinx("SphinxErrorEncrypter", "encrypt_malformed_error"), TypeError, BUFFERS
    ),
    "SphinxErrorEncrypter.intermediate_encrypt(reason)": Row(
        sphinx("SphinxErrorEncrypter", "intermediate_encrypt"), TypeError, BUFFERS
    ),
    "SphinxErrorDecrypter.decrypt_error(reason)": Row(
        sphinx("SphinxErrorDecrypter", "decrypt_error"), TypeError, BUFFERS
    ),
    # Journals
    "SQLiteJournal(path)": Row(lambda w, bad: SQLiteJournal(bad), TypeError, NO_PATHS),
    "SQLiteJournal(sync)": Row(
        lambda w, bad: SQLiteJournal("never made", sync=bad),
        ValueError,
        [None, 5, "FULL", b"full", []],
    ),
    "SQLiteJournal(codec)": Row(
        lambda w, bad: SQLiteJournal("never made", codec=bad), TypeError, [5, "codec", FOREIGN]
    ),
    "SQLiteJournal(wall_clock)": Row(
        lambda w, bad: SQLiteJournal("never made", wall_clock=bad), TypeError, [None, 5, FOREIGN]
    ),
    "SQLiteJournal.mailbox(config)": Row(
        with_journal(lambda journal, bad: journal.mailbox(bad)), TypeError, [None, 5, FOREIGN]
    ),
    "Journal.backup(path)": Row(
        with_journal(lambda journal, bad: journal.backup(bad)), TypeError, NO_PATHS
    ),
    "DurableMailBox(config)": Row(
        with_journal(lambda journal, bad: DurableMailBox(bad, journal)),
        TypeError,
        [None, 5, FOREIGN],
    ),
    "DurableMailBox(journal)": Row(
        lambda w, bad: DurableMailBox(w.box._config, bad), TypeError, [None, 5, "journal", FOREIGN]
    ),
    "MailOrchestratorConfig(journal)": Row(
        lambda w, bad: MailOrchestratorConfig(
            fetch_update=print, forward_packets=print, journal=bad
        ),
        TypeError,
        [5, "journal", FOREIGN],
    ),
    "MailOrchestrator.recover(adds)": Row(
        with_journal(lambda journal, bad: keeper(journal).recover(adds=bad)),
        ValueError,
        [None, 5, "Fail", True],
    ),
    "MailOrchestrator.recover(committed)": Row(
        with_journal(lambda journal, bad: keeper(journal).recover(committed=bad)),
        TypeError,
        [5, "x", FOREIGN, lambda key: True],
    ),
    "PacketCodec(encrypters)": Row(lambda w, bad: PacketCodec(bad), TypeError, [None, 5]),
    "PacketCodec.encode(packet)": Row(
        lambda w, bad: PacketCodec().encode(bad), TypeError, [None, 5, b"", FOREIGN]
    ),
    "PacketCodec.decode(data)": Row(lambda w, bad: PacketCodec().decode(bad), TypeError, BUFFERS),
    "EncrypterKind(name)": Row(
        lambda w, bad: EncrypterKind(bad, dict, repr, repr), TypeError, [None, 5, b"x", FOREIGN]
    ),
    "EncrypterKind(name), a string": Row(
        lambda w, bad: EncrypterKind(bad, dict, repr, repr), ValueError, ["", "x" * 256]
    ),
    "EncrypterKind(type)": Row(
        lambda w, bad: EncrypterKind("a", bad, repr, repr), TypeError, [None, 5, "dict", FOREIGN]
    ),
    "EncrypterKind(encode)": Row(
        lambda w, bad: EncrypterKind("a", dict, bad, repr), TypeError, [None, 5, "repr", FOREIGN]
    ),
    "EncrypterKind(decode)": Row(
        lambda w, bad: EncrypterKind("a", dict, repr, bad), TypeError, [None, 5, "repr", FOREIGN]
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

_TRUTH = "its truth counts, and everything has one"
_RECORD = "a record that the package makes"
_TUPLE = "a named tuple: a key that fits no packet is a key that is not found"
_OF_JOURNALS = "called by durable mailboxes and orchestrators only; not in the reference"
_FOR_MAILBOXES = "called by mailboxes only, which know what a condition is"
_ANYTHING_CARRIED = "carried along, and looked at by the switch only"

UNCHECKED: dict[str, str] = {
    "SQLiteJournal(lazy_acks)": _TRUTH,
    **dict.fromkeys(
        [
            "ChannelJournal.close_channel",
            "ChannelJournal.open_channel",
            "ChannelJournal.packets",
            "ChannelJournal.shared_id",
            "ChannelJournal.short_chan_id_of",
            "Commits.commit",
            "Commits.require_no_transaction",
            "Commits.settle",
            "Commits.submit",
            "Commits.submit_lazily",
            "Commits.wait",
            "Journal.load",
            "Journal.next_ids",
            "DurableMailBox.add_in_place_of",
            "DurableMailBox.is_in",
        ],
        _OF_JOURNALS,
    ),
    "CircuitKey": _TUPLE,
    "Keystone": _TUPLE,
    "MailBoxStatistics": _RECORD,
    "MailOrchestratorStatistics": _RECORD,
    "OutboxStatistics": _RECORD,
    "DecryptedFailure": _RECORD,
    "ManualClock.wait": _FOR_MAILBOXES,
    "SystemClock.wait": _FOR_MAILBOXES,
    "WallClock.wait": _FOR_MAILBOXES,
    "MailSelector.register(data)": "it is the caller's, and comes back as it is",
    "Outbox.get(block)": _TRUTH,
    "Outbox.get_batch(block)": _TRUTH,
    "FailureMessage.encode(typed_update)": _TRUTH,
    "encode_failure(typed_update)": _TRUTH,
    "ShortChannelID.from_bytes(byteorder)": "as `int.from_bytes`, which checks it",
    "ShortChannelID.from_bytes(signed)": _TRUTH,
    "MailBoxConfig(latch_on_overflow)": _TRUTH,
    "MailOrchestratorConfig(latch_on_overflow)": _TRUTH,
    "HTLCPacket(htlc)": "the mailbox checks it, by its exact class",
    "HTLCPacket(obfuscator)": "what can't encrypt leaves the Add in the mailbox, and is reported",
    **{
        f"HTLCPacket({name})": _ANYTHING_CARRIED
        for name in "circuit source_ref dest_ref link_failure".split()
    },
    **{
        f"HTLCPacket({name})": _TRUTH
        for name in "local_failure has_source converted_error is_resolution".split()
    },
    **{
        f"PaymentCircuit({name})": _ANYTHING_CARRIED
        for name in "add_ref incoming outgoing error_encrypter loaded_from_disk".split()
    },
}

MODULES = [
    name
    for name, needed in {
        "lnmailbox": "attrs",
        "lnmailbox.wire": "attrs",
        "lnmailbox.sphinx": "cryptography",
        "lnmailbox.metrics": "prometheus_client",
    }.items()
    if importlib.util.find_spec(needed) is not None
]


def public_parameters() -> set[str]:
    """Return every parameter of every public callable, as `callable(parameter)`.

    A method is that of the first class that has it. What an attrs class of `lnmailbox.wire` is
    made of is left out: a test of its own tries each field.
    """
    found = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value):
                found |= parameters(name, value)
            elif not (
                issubclass(value, (BaseException, Enum)) or getattr(value, "_is_protocol", 0)
            ):
                if not (module_name == "lnmailbox.wire" and hasattr(value, "__attrs_attrs__")):
                    found |= parameters(name, value)
                for method in dir(value):
                    if not method.startswith("_"):
                        found |= method_parameters(value, method)
    return found


def parameters(name: str, function: Any) -> set[str]:
    try:
        signature = inspect.signature(function)
    except ValueError:  # it is written in C
        return set()
    return {f"{name}({one})" for one in signature.parameters if one not in ("self", "cls")}


def method_parameters(kind: type, name: str) -> set[str]:
    owners = [base for base in kind.__mro__ if name in vars(base)]
    owner = [base for base in owners if base.__module__.startswith("lnmailbox")][-1:]
    if not owner:
        return set()
    raw = inspect.getattr_static(owner[0], name)
    function = raw.fset if isinstance(raw, property) else getattr(owner[0], name)
    return parameters(f"{owner[0].__name__}.{name}", function) if callable(function) else set()
