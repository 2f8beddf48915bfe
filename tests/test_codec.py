"""Packets as bytes for a journal."""

from __future__ import annotations

import sysconfig
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept_packets import REVERSER, Reverser, fields_of, full_add, kept_packets
from lnmailbox import (
    AddRef,
    CircuitKey,
    FailureDetail,
    HTLCPacket,
    LinkError,
    PaymentCircuit,
    SettleFailRef,
)
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.wire import (
    FailureMessage,
    ShortChannelID,
    TemporaryNodeFailure,
    UnknownFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
)
from wire_strategies import failures, messages, mutated, short_channel_ids, uints

GOLDEN = Path(__file__).with_name("packets_v1.txt")

CODEC = PacketCodec([REVERSER])

PACKETS = kept_packets()

names = pytest.mark.parametrize("name", PACKETS)

encrypters = st.builds(Reverser, st.binary(max_size=40))
keys = st.builds(CircuitKey, short_channel_ids, uints(64))


@st.composite
def packets(draw: st.DrawFn) -> HTLCPacket:
    """Packets of all kinds, with and without each part."""
    obfuscator = draw(st.none() | encrypters)
    circuits = st.builds(
        PaymentCircuit,
        add_ref=st.builds(AddRef, uints(64), uints(16)),
        incoming=keys,
        outgoing=st.none() | keys,
        payment_hash=st.binary(min_size=32, max_size=32),
        incoming_amount=uints(64),
        outgoing_amount=uints(64),
        error_encrypter=st.none() | st.just(obfuscator) | encrypters,
        loaded_from_disk=st.booleans(),
    )
    packet = st.builds(
        HTLCPacket,
        incoming_chan_id=short_channel_ids,
        incoming_htlc_id=uints(64),
        outgoing_chan_id=short_channel_ids,
        outgoing_htlc_id=uints(64),
        outgoing_hop=short_channel_ids | st.binary(min_size=33, max_size=33),
        original_outgoing_chan_id=short_channel_ids,
        amount=uints(64),
        incoming_amount=uints(64),
        htlc=st.none() | messages,
        circuit=st.none() | circuits,
        source_ref=st.none() | st.builds(AddRef, uints(64), uints(16)),
        dest_ref=st.none() | st.builds(SettleFailRef, short_channel_ids, uints(64), uints(16)),
        obfuscator=st.just(obfuscator),
        local_failure=st.booleans(),
        link_failure=st.none()
        | st.builds(LinkError, failures, st.none() | st.sampled_from(FailureDetail)),
        has_source=st.booleans(),
        converted_error=st.booleans(),
        is_resolution=st.booleans(),
        incoming_timeout=uints(32),
        outgoing_timeout=uints(32),
    )
    return draw(packet)


def sealed(data: bytes) -> bytes:
    """Return `data` with the checksum that belongs to it."""
    return data + zlib.crc32(data).to_bytes(4, "big")


def same(packet: HTLCPacket, other: HTLCPacket) -> bool:
    return fields_of(packet) == fields_of(other)


@given(packets())
def test_a_packet_decodes_to_what_was_encoded(packet: HTLCPacket):
    """Every field, of every kind of packet."""
    decoded = CODEC.decode(CODEC.encode(packet))

    assert fields_of(packet) == fields_of(decoded)


@names
def test_the_example_packets_come_back(name: str):
    """The same for the packets of the golden file, which have each part of the form."""
    decoded = CODEC.decode(CODEC.encode(PACKETS[name]))

    assert fields_of(PACKETS[name]) == fields_of(decoded)


def test_the_full_example_has_every_field():
    """A field that `HTLCPacket` or `PaymentCircuit` gets later must come into the form as well."""
    packet = full_add()

    for whole in (packet, packet.circuit):
        for field in attrs.fields(type(whole)):
            assert field.default != getattr(whole, field.name), field.name


def test_the_key_is_that_of_the_decoded_parts():
    """`in_key` is made from the two fields, and not kept."""
    decoded = CODEC.decode(CODEC.encode(full_add()))

    assert CircuitKey(ShortChannelID(880000, 11, 1), 12) == decoded.in_key


def test_one_encrypter_in_two_places_stays_one():
    """A circuit's encrypter that was the packet's obfuscator is so after decoding."""
    decoded = CODEC.decode(CODEC.encode(full_add()))

    assert decoded.obfuscator is decoded.circuit.error_encrypter


def test_equal_encrypters_in_two_places_stay_two():
    """Identity counts, not equality."""
    packet = HTLCPacket(
        obfuscator=Reverser(b"one"), circuit=PaymentCircuit(error_encrypter=Reverser(b"one"))
    )
    decoded = CODEC.decode(CODEC.encode(packet))

    assert same(packet, decoded)
    assert decoded.obfuscator is not decoded.circuit.error_encrypter


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="no free-threaded 3.13 wheels of cryptography",
)
def test_sphinx_encrypters_are_kept_without_being_registered():
    """What the decoded one encrypts, the sender's secret decrypts."""
    from lnmailbox.sphinx import SphinxErrorDecrypter, SphinxErrorEncrypter

    codec = PacketCodec()
    packet = HTLCPacket(obfuscator=SphinxErrorEncrypter(b"\x07" * 32))
    decoded = codec.decode(codec.encode(packet))
    reason = decoded.obfuscator.encrypt_first_hop(TemporaryNodeFailure())

    assert (
        TemporaryNodeFailure()
        == SphinxErrorDecrypter([b"\x07" * 32]).decrypt_error(reason).failure
    )


class Subclass(HTLCPacket):
    pass


class OtherAdd(UpdateAddHTLC):
    pass


class OtherError(LinkError):
    pass


class OwnFailure(UnknownFailure):
    pass


def link_error(message: Any, detail: Any = None) -> HTLCPacket:
    return HTLCPacket(link_failure=LinkError(message, detail))


def circuit(**fields: Any) -> HTLCPacket:
    return HTLCPacket(circuit=PaymentCircuit(**fields))


@pytest.mark.parametrize(
    "packet, message",
    [
        ("a packet", "packet must be of class HTLCPacket, got 'a packet'"),
        (Subclass(), r"packet must be of class HTLCPacket, got Subclass\(\)"),
        (HTLCPacket(htlc=OtherAdd(id=3)), r"HTLCPacket.htlc .* got OtherAdd\(id=3\)"),
        (HTLCPacket(htlc="update"), "HTLCPacket.htlc cannot be kept: .* got 'update'"),
        (HTLCPacket(source_ref=5), "HTLCPacket.source_ref must be of class AddRef, got 5"),
        (HTLCPacket(dest_ref=AddRef(1, 2)), "HTLCPacket.dest_ref must be of class SettleFailRef"),
        (HTLCPacket(has_source=None), "HTLCPacket.has_source must be a bool, got None"),
        (HTLCPacket(local_failure=1), "HTLCPacket.local_failure must be a bool, got 1"),
        (HTLCPacket(obfuscator=object()), "HTLCPacket.obfuscator cannot be kept: .*class object"),
        (HTLCPacket(circuit="c"), "HTLCPacket.circuit must be of class PaymentCircuit, got 'c'"),
        (circuit(add_ref=None), "PaymentCircuit.add_ref must be of class AddRef, got None"),
        (circuit(incoming=(1, 2)), "PaymentCircuit.incoming must be of class CircuitKey"),
        (circuit(outgoing=7), "PaymentCircuit.outgoing must be of class CircuitKey, got 7"),
        (circuit(loaded_from_disk=0), "PaymentCircuit.loaded_from_disk must be a bool, got 0"),
        (circuit(error_encrypter=8), "PaymentCircuit.error_encrypter cannot be kept.*class int"),
        (HTLCPacket(link_failure=9), "HTLCPacket.link_failure must be of class LinkError, got 9"),
        (
            HTLCPacket(link_failure=OtherError(TemporaryNodeFailure())),
            "HTLCPacket.link_failure must be of class LinkError, got OtherError",
        ),
        (link_error("why"), "LinkError.wire_message cannot be kept: .* got 'why'"),
        (link_error(OwnFailure(0x1234)), r"wire_message cannot be kept: .* got OwnFailure\("),
        (link_error(TemporaryNodeFailure(), "d"), "LinkError.detail must be .*, got 'd'"),
    ],
)
def test_what_has_no_form_is_refused_by_name(packet: Any, message: str):
    """A subclass may hold more than is kept, so only the very classes are taken."""
    with pytest.raises(TypeError, match=message):
        CODEC.encode(packet)


@pytest.mark.parametrize(
    "packet, message",
    [
        (
            circuit(incoming=CircuitKey(ShortChannelID(), -1)),
            r"PaymentCircuit.incoming must be two unsigned 64-bit integers, .*htlc_id=-1\)",
        ),
        (
            circuit(outgoing=CircuitKey("1x2x3", 4)),
            "PaymentCircuit.outgoing must be two unsigned 64-bit integers, .*'1x2x3'",
        ),
        (
            HTLCPacket(htlc=UpdateFailHTLC(reason=bytes(65535))),
            "UpdateFailHTLC takes 65579 bytes",
        ),
        (
            link_error(TemporaryNodeFailure(extra_opaque_data=bytes(65534))),
            "LinkError.wire_message cannot be kept: it takes 65536 bytes, at most 65535 fit",
        ),
        (
            HTLCPacket(obfuscator=Reverser(bytes(65536))),
            "HTLCPacket.obfuscator cannot be kept: it takes 65536 bytes, at most 65535 fit",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(packet: HTLCPacket, message: str):
    """Nothing is cut off."""
    with pytest.raises(ValueError, match=message):
        CODEC.encode(packet)


def test_a_longest_message_fits():
    """The form's length takes what a wire message may have."""
    packet = HTLCPacket(htlc=UpdateFailHTLC(reason=bytes(65535 - 44)))

    assert same(packet, CODEC.decode(CODEC.encode(packet)))


@names
def test_bytes_that_were_cut_off_are_no_packet(name: str):
    """At whatever byte the data ends."""
    encoded = CODEC.encode(PACKETS[name])
    for length in range(len(encoded)):
        with pytest.raises(ValueError, match="damaged packet"):
            CODEC.decode(encoded[:length])


@names
@pytest.mark.parametrize("flipped", [0x01, 0x80, 0xFF])
def test_a_damaged_byte_makes_no_packet(name: str, flipped: int):
    """Whichever it is."""
    encoded = CODEC.encode(PACKETS[name])
    for place in range(len(encoded)):
        damaged = bytearray(encoded)
        damaged[place] ^= flipped
        with pytest.raises(ValueError, match=r"damaged|newer lnmailbox wrote it"):
            CODEC.decode(bytes(damaged))


def test_bytes_after_the_packet_are_refused():
    """Even if their checksum is right."""
    encoded = CODEC.encode(full_add())

    with pytest.raises(ValueError, match="1 bytes follow the packet"):
        CODEC.decode(sealed(encoded[:-4] + b"\0"))


def test_a_newer_form_is_refused_by_its_number():
    """And not called damaged only: the file is good, this package is old."""
    encoded = CODEC.encode(full_add())

    with pytest.raises(ValueError, match=r"in form 2, .* reads forms up to 1: a newer lnmailbox"):
        CODEC.decode(sealed(b"\x02" + encoded[1:-4]))


def test_there_is_no_form_zero():
    """Zeroed pages of a file are no packets."""
    with pytest.raises(ValueError, match="there is no such form"):
        CODEC.decode(sealed(bytes(100)))
    with pytest.raises(ValueError, match="damaged"):
        CODEC.decode(bytes(100))


@given(mutated(packets().map(lambda packet: CODEC.encode(packet)[1:-4])) | st.binary(min_size=67))
def test_well_sealed_bytes_are_a_packet_or_a_value_error(body: bytes):
    """What decodes is the same after another round; nothing but a ValueError is raised."""
    with suppress(ValueError):
        packet = CODEC.decode(sealed(b"\x01" + body))
        assert same(packet, CODEC.decode(CODEC.encode(packet)))


def test_a_detail_that_does_not_exist_is_refused():
    """Its name is in the error."""
    encoded = CODEC.encode(link_error(TemporaryNodeFailure(), FailureDetail.OUTGOING_FAILURE_NONE))

    with pytest.raises(ValueError, match="there is no 'OUTGOING_FAILURE_SOME'"):
        CODEC.decode(sealed(encoded[:-4].replace(b"_NONE", b"_SOME")))


def test_a_message_that_does_not_exist_is_refused():
    """The number of a message that a packet cannot carry."""
    encoded = CODEC.encode(HTLCPacket(htlc=UpdateAddHTLC()))
    add_type = (128).to_bytes(2, "big")

    with pytest.raises(ValueError, match="there is no message"):
        CODEC.decode(sealed(encoded[:-4].replace(add_type, b"\x01\x02", 1)))


def test_failures_of_every_kind_are_messages_of_the_wire():
    """A kind that is not in `wire/` decodes as another class, so it is refused."""
    message = UnknownFailure(0x1234, b"data")
    decoded = CODEC.decode(CODEC.encode(link_error(message)))

    assert message == decoded.link_failure.wire_message
    assert FailureMessage.decode(message.encode()) == decoded.link_failure.wire_message


def test_the_codec_shows_its_encrypters():
    """By their names."""
    assert repr(CODEC).startswith("<PacketCodec with encrypters: ")
    assert "reverser" in repr(CODEC)


@names
def test_form_1_reads_and_writes_as_ever(name: str):
    """The golden file was written by the first version, and its lines are never changed.

    If a test packet is added, its line is too; a form 2 gets a file of its own.
    """
    golden = dict(line.split() for line in GOLDEN.read_text().splitlines())
    encoded = bytes.fromhex(golden[name])

    assert fields_of(PACKETS[name]) == fields_of(CODEC.decode(encoded))
    assert encoded == CODEC.encode(PACKETS[name])
