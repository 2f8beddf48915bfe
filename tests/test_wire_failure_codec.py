"""Failures padded to one size."""

from __future__ import annotations

import pytest

from lnmailbox.wire import (
    ChannelUpdate,
    DecodeError,
    IncorrectOrUnknownPaymentDetails,
    InvalidOnionKey,
    InvalidRealm,
    MPPTimeout,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    decode_failure,
    encode_failure,
)


@pytest.mark.parametrize(
    "failure, start",
    [
        (TemporaryNodeFailure(), "0002" + "2002" + "00fe"),
        (InvalidOnionKey(b"\x2a" * 32), "0022" + "c006" + "2a" * 32 + "00de"),
        (TemporaryChannelFailure(), "0004" + "1007" + "0000" + "00fc"),
        (
            TemporaryChannelFailure(ChannelUpdate()),
            "0086" + "1007" + "0082" + "0102" + "00" * 128 + "007a",
        ),
    ],
    ids=str,
)
def test_a_failure_is_padded_with_zeros_to_260_bytes(failure, start: str):
    """Length, message, length of the padding, padding; the lengths add up to 256."""
    encoded = encode_failure(failure)

    assert bytes.fromhex(start).ljust(260, b"\0") == encoded
    assert failure == decode_failure(encoded)


def test_the_older_form_of_an_update_can_be_asked_for():
    """It has two bytes less, which the padding makes up for."""
    failure = TemporaryChannelFailure(ChannelUpdate())
    encoded = encode_failure(failure, typed_update=False)

    start = "0084" + "1007" + "0080" + "00" * 128 + "007c"

    assert bytes.fromhex(start).ljust(260, b"\0") == encoded
    assert failure == decode_failure(encoded)


def test_the_longest_failure_has_no_padding():
    """256 bytes fit exactly."""
    failure = MPPTimeout(extra_opaque_data=b"\x07" * 254)
    encoded = encode_failure(failure)

    assert bytes.fromhex("0100" + "0017" + "07" * 254 + "0000") == encoded
    assert failure == decode_failure(encoded)


def test_a_failure_longer_than_256_bytes_is_refused_with_its_size():
    """Cutting it off would be a lie to the sender."""
    update = ChannelUpdate(extra_opaque_data=bytes(123))
    with pytest.raises(ValueError, match="^TemporaryChannelFailure takes 257 bytes, a "):
        encode_failure(TemporaryChannelFailure(update))

    assert 260 == len(encode_failure(TemporaryChannelFailure(update), typed_update=False))


AB = b"\xab"


@pytest.mark.parametrize(
    "encoded, failure",
    [
        ("0002" + "4001" + "00ff" + "00" * 255, InvalidRealm()),
        (
            "000e" + "400f" + "0000000000000451" + "000006c1" + "00ff" + "00" * 255,
            IncorrectOrUnknownPaymentDetails(1105, 1729),
        ),
        ("0002" + "2002" + "0400" + "00" * 1024, TemporaryNodeFailure()),
        ("0002" + "2002" + "00fe" + "ab" * 254, TemporaryNodeFailure()),
        ("0104" + "2002" + "ab" * 258 + "0000", TemporaryNodeFailure(extra_opaque_data=AB * 258)),
    ],
    ids=["eclair 257", "eclair 269", "long padding", "padding not of zeros", "long message"],
)
def test_longer_forms_and_any_padding_are_accepted(encoded: str, failure):
    """BOLT 4 permits more than 256 bytes, and says nothing about the padding's value."""
    assert failure == decode_failure(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "encoded, message",
    [
        ("", "failure.length at byte 0: needs 2 bytes, 0 are left"),
        ("0003" + "2002", "failure.message at byte 2: needs 3 bytes, 2 are left"),
        ("0002" + "2002", "failure.padding length at byte 4: needs 2 bytes, 0 are left"),
        ("0002" + "2002" + "00fe" + "00" * 253, "failure.padding at byte 6: needs 254 bytes, 253"),
        ("0002" + "2002" + "00fe" + "00" * 255, "failure.end at byte 260: 1 bytes follow"),
        ("0002" + "2002" + "00fd" + "00" * 253, "failure: message and padding have 2 and 253"),
        ("0002" + "4001" + "0002" + "0000", "failure: message and padding have 2 and 2 bytes"),
        ("0020" + "c005" + "2a" * 30 + "00e0" + "00" * 224, "InvalidOnionHmac.onion_sha256 at"),
        ("0000" + "0100" + "00" * 256, "failure.code at byte 0: needs 2 bytes, 0 are left"),
    ],
)
def test_bytes_that_are_no_padded_failure_are_refused(encoded: str, message: str):
    """Each length, the end and the message are checked, and the error says which was wrong."""
    with pytest.raises(DecodeError) as caught:
        decode_failure(bytes.fromhex(encoded))

    assert str(caught.value).startswith(message)
