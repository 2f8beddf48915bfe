"""Packets, and the keys by which they are known."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from lnmailbox import (
    AddRef,
    CircuitKey,
    HTLCPacket,
    Keystone,
    PaymentCircuit,
    SettleFailRef,
    UnknownHTLCType,
)
from lnmailbox.packet import is_add, require_reply
from lnmailbox.wire import (
    FailureMessage,
    Message,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
)

SOURCE, TARGET = ShortChannelID(1, 2, 3), ShortChannelID(4, 5, 6)

PACKET_NUMBERS = {
    "incoming_htlc_id": 64,
    "outgoing_htlc_id": 64,
    "amount": 64,
    "incoming_amount": 64,
    "incoming_timeout": 32,
    "outgoing_timeout": 32,
}


class BetterAdd(UpdateAddHTLC):
    pass


class BetterPacket(HTLCPacket):
    pass


@attrs.frozen
class Encrypter:
    shared_secret: bytes

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        raise NotImplementedError


# Keys


def test_a_circuit_key_is_zero_by_default():
    """lnd's zero value."""
    assert CircuitKey(ShortChannelID(), 0) == CircuitKey()


def test_circuit_keys_are_values():
    """They compare, hash and unpack as pairs do, and are found in dicts by their parts."""
    key = CircuitKey(SOURCE, 7)
    chan_id, htlc_id = key

    assert (SOURCE, 7) == (chan_id, htlc_id) == (key.chan_id, key.htlc_id)
    assert CircuitKey(SOURCE, 7) == key
    assert CircuitKey(TARGET, 7) != key
    assert CircuitKey(SOURCE, 8) != key
    assert "found" == {key: "found"}[CircuitKey(SOURCE, 7)]
    assert CircuitKey(SOURCE, 7) < CircuitKey(SOURCE, 8) < CircuitKey(TARGET, 0)


def test_keys_are_shown_as_lnd_does():
    """So that logs of both can be read side by side."""
    key = CircuitKey(SOURCE, 7)
    keystone = Keystone(key, CircuitKey(TARGET, 8))

    assert "(Chan ID=1x2x3, HTLC ID=7)" == str(key) == f"{key}"
    assert "(Chan ID=1x2x3, HTLC ID=7) --> (Chan ID=4x5x6, HTLC ID=8)" == str(keystone)


# References and circuits


def test_references_are_frozen_values_and_zero_by_default():
    """They say where something stands, so two that say the same are equal."""
    assert AddRef(height=0, index=0) == AddRef()
    assert SettleFailRef(source=ShortChannelID(), height=0, index=0) == SettleFailRef()
    assert 1 == len({AddRef(5, 6), AddRef(height=5, index=6)})
    assert 1 == len({SettleFailRef(SOURCE, 5, 6), SettleFailRef(SOURCE, height=5, index=6)})

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        AddRef().height = 1  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        SettleFailRef().index = 1  # type: ignore[misc]


@pytest.mark.parametrize("kind", [AddRef, SettleFailRef])
@pytest.mark.parametrize(
    "field, bad", [("height", -1), ("height", 1 << 64), ("index", 1 << 16), ("index", "1")]
)
def test_references_name_the_value_that_does_not_fit(kind: Any, field: str, bad: Any):
    """A height has 64 bits and an index 16."""
    bits = 64 if field == "height" else 16

    with pytest.raises(ValueError) as caught:
        kind(**{field: bad})

    assert f"{kind.__name__}.{field} must be an unsigned {bits}-bit integer, got {bad!r}" == (
        str(caught.value)
    )


def test_a_source_that_is_no_short_channel_id_is_refused():
    """A plain number shows too little."""
    with pytest.raises(ValueError, match=r"^SettleFailRef\.source must be a ShortChannelID"):
        SettleFailRef(source=5)  # type: ignore[arg-type]


def test_a_circuit_has_lnds_zero_values():
    """Nothing is known of it but that it is there."""
    circuit = PaymentCircuit()

    assert AddRef() == circuit.add_ref
    assert CircuitKey() == circuit.incoming == circuit.in_key
    assert circuit.outgoing is None
    assert bytes(32) == circuit.payment_hash
    assert 0 == circuit.incoming_amount == circuit.outgoing_amount
    assert circuit.error_encrypter is None
    assert not circuit.loaded_from_disk


def test_a_circuit_gets_its_keystone_from_the_outgoing_link():
    """Until then the outgoing key is all zero."""
    circuit = PaymentCircuit(incoming=CircuitKey(SOURCE, 7))

    assert (False, CircuitKey()) == (circuit.has_keystone, circuit.out_key)

    circuit.outgoing = CircuitKey(TARGET, 8)

    assert (True, CircuitKey(TARGET, 8)) == (circuit.has_keystone, circuit.out_key)
    assert CircuitKey(SOURCE, 7) == circuit.in_key


def test_circuits_are_compared_by_value():
    """And take their fields by name only."""
    assert PaymentCircuit(incoming_amount=5) == PaymentCircuit(incoming_amount=5)
    assert PaymentCircuit(incoming_amount=5) != PaymentCircuit(incoming_amount=6)

    with pytest.raises(TypeError):
        PaymentCircuit(AddRef())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "field, bad, wanted",
    [
        ("incoming_amount", -1, "an unsigned 64-bit integer"),
        ("outgoing_amount", 1.5, "an unsigned 64-bit integer"),
        ("payment_hash", b"short", "32 bytes"),
    ],
)
def test_a_circuit_names_the_value_that_does_not_fit(field: str, bad: Any, wanted: str):
    """When it is made, and when the value is assigned."""
    circuit = PaymentCircuit()
    for attempt in (
        lambda: PaymentCircuit(**{field: bad}),
        lambda: setattr(circuit, field, bad),
    ):
        with pytest.raises(ValueError) as caught:
            attempt()

        assert str(caught.value).startswith(f"PaymentCircuit.{field} must be {wanted}, got ")
        assert repr(bad) in str(caught.value)

    assert PaymentCircuit() == circuit


# Packets


def test_a_packet_has_lnds_zero_values():
    """Every field is optional."""
    packet = HTLCPacket()

    assert ShortChannelID() == packet.incoming_chan_id == packet.outgoing_chan_id
    assert {0} == {getattr(packet, name) for name in PACKET_NUMBERS}
    nothing = "htlc circuit source_ref dest_ref obfuscator link_failure".split()
    assert {None} == {getattr(packet, name) for name in nothing}
    flags = "local_failure has_source converted_error is_resolution".split()
    assert {False} == {getattr(packet, name) for name in flags}
    assert CircuitKey() == packet.in_key == packet.out_key


def test_a_packet_takes_its_fields_by_name():
    """There are too many of them for anything else, and none can be added."""
    with pytest.raises(TypeError):
        HTLCPacket(SOURCE)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        HTLCPacket(in_key=CircuitKey())  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        HTLCPacket().amuont = 5  # type: ignore[attr-defined]


def test_a_packet_is_compared_by_identity():
    """Two HTLCs can be alike in all their fields; a packet that changes stays in its set."""
    packet, twin = HTLCPacket(amount=5), HTLCPacket(amount=5)
    packets = {packet, twin}
    packet.amount = twin.amount = 6

    assert packet == packet
    assert packet != twin
    assert {packet, twin} == packets
    assert 2 == len(packets)


@pytest.mark.parametrize("field", PACKET_NUMBERS)
@pytest.mark.parametrize("bad", [-1, "5", 1.0, True, None, 1 << 64])
def test_a_packet_names_the_number_that_does_not_fit(field: str, bad: Any):
    """When it is made, and when the number is assigned: then the old one stays."""
    bits = PACKET_NUMBERS[field]
    expected = f"HTLCPacket.{field} must be an unsigned {bits}-bit integer, got {bad!r}"
    packet = HTLCPacket(**{field: 4})  # type: ignore[arg-type]
    key = packet.in_key
    for attempt in (lambda: HTLCPacket(**{field: bad}), lambda: setattr(packet, field, bad)):
        with pytest.raises(ValueError) as caught:
            attempt()

        assert expected == str(caught.value)

    assert 4 == getattr(packet, field)
    assert key == packet.in_key


@pytest.mark.parametrize("field", PACKET_NUMBERS)
def test_the_largest_numbers_fit(field: str):
    """One more does not."""
    largest = (1 << PACKET_NUMBERS[field]) - 1
    packet = HTLCPacket(**{field: largest})  # type: ignore[arg-type]

    assert largest == getattr(packet, field)

    with pytest.raises(ValueError, match="unsigned"):
        setattr(packet, field, largest + 1)


@pytest.mark.parametrize("field", ["incoming_chan_id", "outgoing_chan_id"])
@pytest.mark.parametrize("bad", [5, "1x2x3", None])
def test_a_packet_refuses_what_is_no_short_channel_id(field: str, bad: Any):
    """Plain numbers included; a refused assignment changes neither the field nor the key."""
    packet = HTLCPacket(incoming_chan_id=SOURCE, outgoing_chan_id=SOURCE)
    expected = f"HTLCPacket.{field} must be a ShortChannelID, got {bad!r}"
    for attempt in (lambda: HTLCPacket(**{field: bad}), lambda: setattr(packet, field, bad)):
        with pytest.raises(ValueError) as caught:
            attempt()

        assert expected == str(caught.value)

    assert SOURCE == getattr(packet, field)
    assert CircuitKey(SOURCE, 0) == packet.in_key


def test_the_incoming_key_follows_its_parts():
    """Whichever is assigned, and in any order."""
    packet = HTLCPacket(incoming_chan_id=SOURCE, incoming_htlc_id=7)

    assert CircuitKey(SOURCE, 7) == packet.in_key

    packet.incoming_htlc_id = 8

    assert CircuitKey(SOURCE, 8) == packet.in_key

    packet.incoming_chan_id = TARGET

    assert CircuitKey(TARGET, 8) == packet.in_key
    assert ShortChannelID is type(packet.in_key.chan_id)
    assert CircuitKey is type(packet.in_key)


def test_the_incoming_key_can_not_be_assigned():
    """Its parts can."""
    packet = HTLCPacket(incoming_htlc_id=7)

    with pytest.raises(attrs.exceptions.FrozenAttributeError):
        packet.in_key = CircuitKey(SOURCE, 8)

    assert CircuitKey(ShortChannelID(), 7) == packet.in_key


def test_the_outgoing_key_and_the_keystone_are_made_of_the_fields():
    """They follow them, too."""
    packet = HTLCPacket(incoming_chan_id=SOURCE, incoming_htlc_id=7)
    packet.outgoing_chan_id = TARGET
    packet.outgoing_htlc_id = 8

    assert CircuitKey(TARGET, 8) == packet.out_key
    assert Keystone(CircuitKey(SOURCE, 7), CircuitKey(TARGET, 8)) == packet.keystone


def test_a_packet_is_shown_with_the_fields_that_are_set():
    """The key is not among them: it would say the same again."""
    packet = HTLCPacket(incoming_chan_id=SOURCE, incoming_htlc_id=7, has_source=True)

    assert "HTLCPacket()" == repr(HTLCPacket())
    assert "HTLCPacket(incoming_chan_id=1x2x3, incoming_htlc_id=7, has_source=True)" == repr(
        packet
    )


def test_a_whole_add_is_shown_in_a_few_lines():
    """Of what is long or said twice there is a sign; secrets of an obfuscator are not shown."""
    packet = HTLCPacket(
        incoming_chan_id=SOURCE,
        incoming_htlc_id=7,
        outgoing_chan_id=TARGET,
        outgoing_htlc_id=8,
        amount=100_000_000,
        incoming_amount=100_001_000,
        htlc=UpdateAddHTLC(
            amount=100_000_000,
            payment_hash=b"\xaa" * 32,
            expiry=800_000,
            onion_blob=b"\0" + b"\x0b" * 1365,
        ),
        circuit=PaymentCircuit(incoming=CircuitKey(SOURCE, 7)),
        source_ref=AddRef(3, 4),
        obfuscator=Encrypter(b"secret"),
        incoming_timeout=800_040,
        outgoing_timeout=800_000,
    )

    expected = (
        "HTLCPacket(incoming_chan_id=1x2x3, incoming_htlc_id=7, outgoing_chan_id=4x5x6, "
        "outgoing_htlc_id=8, amount=100000000, incoming_amount=100001000, "
        "htlc=UpdateAddHTLC(amount=100000000, payment_hash=<bytes aaaaaaaa...aaaa (32)>, "
        "expiry=800000, onion_blob=<bytes 000b0b0b...0b0b (1366)>), circuit=..., "
        "source_ref=AddRef(height=3, index=4), obfuscator=..., incoming_timeout=800040, "
        "outgoing_timeout=800000)"
    )
    assert expected == repr(packet)
    assert len(expected) < 400


def test_a_circuit_is_shown_with_the_fields_that_are_set():
    """Its keys as lnd shows them; the encrypter's secret is not shown."""
    circuit = PaymentCircuit(
        incoming=CircuitKey(SOURCE, 7),
        outgoing=CircuitKey(TARGET, 8),
        payment_hash=b"\xaa" * 32,
        error_encrypter=Encrypter(b"secret"),
    )

    expected = (
        "PaymentCircuit(incoming=(Chan ID=1x2x3, HTLC ID=7), outgoing=(Chan ID=4x5x6, HTLC ID=8), "
        "payment_hash=<bytes aaaaaaaa...aaaa (32)>, error_encrypter=...)"
    )
    assert "PaymentCircuit()" == repr(PaymentCircuit())
    assert expected == repr(circuit)


def test_references_are_shown_with_all_their_fields():
    """They are short."""
    assert "AddRef(height=3, index=0)" == repr(AddRef(3))
    assert "SettleFailRef(source=1x2x3, height=0, index=4)" == repr(SettleFailRef(SOURCE, index=4))


def test_a_subclass_of_a_packet_is_shown_by_its_own_name():
    """And so is that of a message in it."""
    assert "BetterPacket(htlc=BetterAdd())" == repr(BetterPacket(htlc=BetterAdd()))


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p)), attrs.evolve],
    ids=["copy", "deepcopy", "pickle", "evolve"],
)
def test_a_copied_packet_has_the_same_fields_and_its_own_key(again: Any):
    """Changing the copy leaves the original alone."""
    packet = HTLCPacket(
        incoming_chan_id=SOURCE,
        incoming_htlc_id=7,
        outgoing_chan_id=TARGET,
        htlc=UpdateAddHTLC(amount=5),
        circuit=PaymentCircuit(incoming=CircuitKey(SOURCE, 7)),
        source_ref=AddRef(1, 2),
    )
    twin = again(packet)

    assert twin is not packet
    assert attrs.asdict(packet, recurse=False) == attrs.asdict(twin, recurse=False)

    twin.incoming_htlc_id = 8

    assert CircuitKey(SOURCE, 8) == twin.in_key
    assert CircuitKey(SOURCE, 7) == packet.in_key


def test_evolving_a_packet_renews_its_key():
    """`attrs.evolve` goes through the front door."""
    packet = attrs.evolve(HTLCPacket(incoming_chan_id=SOURCE), incoming_htlc_id=9)

    assert CircuitKey(SOURCE, 9) == packet.in_key


# Classes


@pytest.mark.parametrize(
    "htlc, expected",
    [(UpdateAddHTLC(), True), (UpdateFulfillHTLC(), False), (UpdateFailHTLC(), False)],
)
def test_adds_and_replies_are_told_apart(htlc: Message, expected: bool):
    """By the class of the message."""
    assert expected is is_add(HTLCPacket(htlc=htlc))


@pytest.mark.parametrize(
    "htlc, name",
    [
        (None, "NoneType"),
        (UpdateFailMalformedHTLC(), "UpdateFailMalformedHTLC"),
        (BetterAdd(), "BetterAdd"),
        ("update_add_htlc", "str"),
        (UpdateAddHTLC, "type"),
    ],
)
def test_what_is_neither_is_named(htlc: Any, name: str):
    """A subclass is another class: nobody knows what a link would make of it."""
    for ask in (is_add, require_reply):
        with pytest.raises(UnknownHTLCType) as caught:
            ask(HTLCPacket(htlc=htlc))

        assert f"unknown htlc type: {name}" == str(caught.value)


def test_an_add_is_no_reply():
    """Who asks for a reply is told what it got."""
    require_reply(HTLCPacket(htlc=UpdateFulfillHTLC()))
    require_reply(HTLCPacket(htlc=UpdateFailHTLC()))

    with pytest.raises(UnknownHTLCType, match="^unknown htlc type: UpdateAddHTLC$"):
        require_reply(HTLCPacket(htlc=UpdateAddHTLC()))


NODE_ID = b"\x02" + bytes(32)


def test_a_next_hop_is_a_channel_or_a_node():
    """As the sender's onion has it."""
    assert not HTLCPacket().is_for_node
    assert ShortChannelID() == HTLCPacket().outgoing_hop

    packet = HTLCPacket(outgoing_hop=NODE_ID)
    assert packet.is_for_node

    packet.outgoing_hop = ShortChannelID(1, 2, 3)
    assert not packet.is_for_node


@pytest.mark.parametrize("bad", [None, 7, b"", NODE_ID[1:], NODE_ID + b"x", "node"], ids=repr)
def test_a_next_hop_of_another_form_is_refused(bad: Any):
    """Also when it is assigned."""
    text = "^HTLCPacket.outgoing_hop must be a ShortChannelID, or a node id of 33 bytes, got "
    with pytest.raises(ValueError, match=text):
        HTLCPacket(outgoing_hop=bad)

    packet = HTLCPacket(outgoing_hop=NODE_ID)
    with pytest.raises(ValueError, match=text):
        packet.outgoing_hop = bad
    assert NODE_ID == packet.outgoing_hop
