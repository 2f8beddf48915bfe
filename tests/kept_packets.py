"""Packets with every field set, and a comparison of all fields: for tests of what is kept."""

from __future__ import annotations

from typing import Any

import attrs

from lnmailbox import (
    AddRef,
    CircuitKey,
    FailureDetail,
    HTLCPacket,
    LinkError,
    PaymentCircuit,
    SettleFailRef,
)
from lnmailbox.keeping.encrypters import EncrypterKind
from lnmailbox.wire import (
    ChannelID,
    ChannelUpdate,
    FailureMessage,
    ShortChannelID,
    TemporaryChannelFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
)


@attrs.frozen
class Reverser:
    """An encrypter of the tests' own."""

    secret: bytes

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        return self.secret + failure.encode()[::-1]


REVERSER = EncrypterKind("reverser", Reverser, lambda reverser: reverser.secret, Reverser)


def fields_of(value: Any) -> Any:
    """Return a value that is equal for equal packets, though packets compare by identity."""
    if isinstance(value, LinkError):
        return LinkError, value.args
    if isinstance(value, (HTLCPacket, PaymentCircuit)):
        fields = attrs.fields(type(value))
        return type(value), {field.name: fields_of(getattr(value, field.name)) for field in fields}
    if type(value).__name__ == "SphinxErrorEncrypter":
        return type(value), value.to_bytes()
    return type(value), value


def full_add() -> HTLCPacket:
    """Return an Add in which no field has its default."""
    encrypter = Reverser(b"key")
    return HTLCPacket(
        incoming_chan_id=ShortChannelID(880000, 11, 1),
        incoming_htlc_id=12,
        outgoing_chan_id=ShortChannelID(880001, 13, 2),
        outgoing_htlc_id=14,
        outgoing_hop=ShortChannelID(16000000, 15, 3),
        original_outgoing_chan_id=ShortChannelID(16000000, 16, 4),
        amount=17_000,
        incoming_amount=18_000,
        htlc=UpdateAddHTLC(
            chan_id=ChannelID(b"\x13" * 32),
            id=20,
            amount=21,
            payment_hash=b"\x16" * 32,
            expiry=880_023,
            onion_blob=bytes(range(256)) * 5 + bytes(86),
            extra_data=b"\x18\x01\x02",
        ),
        circuit=PaymentCircuit(
            add_ref=AddRef(25, 26),
            incoming=CircuitKey(ShortChannelID(880000, 11, 1), 12),
            outgoing=CircuitKey(ShortChannelID(880001, 13, 2), 14),
            payment_hash=b"\x1b" * 32,
            incoming_amount=28,
            outgoing_amount=29,
            error_encrypter=encrypter,
            loaded_from_disk=True,
        ),
        source_ref=AddRef(30, 31),
        dest_ref=SettleFailRef(ShortChannelID(32, 33, 34), 35, 36),
        obfuscator=encrypter,
        local_failure=True,
        link_failure=LinkError(
            TemporaryChannelFailure(
                ChannelUpdate(timestamp=37, message_flags=1, htlc_maximum_msat=38)
            ),
            FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD,
        ),
        has_source=True,
        converted_error=True,
        is_resolution=True,
        incoming_timeout=880_039,
        outgoing_timeout=880_040,
    )


def kept_packets() -> dict[str, HTLCPacket]:
    """Return packets that together have every part of the form; new ones go at the end."""
    key = {"incoming_chan_id": ShortChannelID(1, 2, 3), "incoming_htlc_id": 4}
    return {
        "empty": HTLCPacket(),
        "add": HTLCPacket(htlc=UpdateAddHTLC(id=1), **key),
        "full-add": full_add(),
        "settle": HTLCPacket(
            htlc=UpdateFulfillHTLC(id=5, payment_preimage=b"\x06" * 32, extra_data=b"\x07"), **key
        ),
        "fail": HTLCPacket(htlc=UpdateFailHTLC(id=8, reason=b"\x09" * 292), **key),
        "malformed": HTLCPacket(
            htlc=UpdateFailMalformedHTLC(id=10, sha_onion_blob=b"\x0b" * 32, failure_code=0xC005)
        ),
        "to-node": HTLCPacket(outgoing_hop=b"\x02" + b"\x0c" * 32),
        "own-encrypters": HTLCPacket(
            obfuscator=Reverser(b"one"), circuit=PaymentCircuit(error_encrypter=Reverser(b"two"))
        ),
        "circuit-encrypter": HTLCPacket(circuit=PaymentCircuit(error_encrypter=Reverser(b""))),
        "bare-circuit": HTLCPacket(circuit=PaymentCircuit()),
        "no-detail": HTLCPacket(link_failure=LinkError(TemporaryChannelFailure())),
    }
