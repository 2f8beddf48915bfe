"""HTLC updates on the wire (BOLT 2)."""

from __future__ import annotations

import copy
import pickle

import pytest

from lnmailbox.wire import (
    ChannelID,
    ChannelUpdate,
    DecodeError,
    Message,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
)
from wire_strategies import MESSAGE_CLASSES

CHAN_ID = ChannelID(b"\xc1" * 32)

# Written down from BOLT 2 field by field: type, channel, id, and what the message adds.
KNOWN_ANSWERS = [
    (
        UpdateAddHTLC(
            chan_id=CHAN_ID,
            id=5,
            amount=1000,
            payment_hash=b"\xaa" * 32,
            expiry=800_000,
            onion_blob=b"\x0b" * 1366,
            extra_data=b"\x01\x00",
        ),
        "0080" + "c1" * 32 + "0000000000000005" + "00000000000003e8" + "aa" * 32 + "000c3500"
        + "0b" * 1366 + "0100",
    ),
    (
        UpdateFulfillHTLC(
            chan_id=CHAN_ID, id=6, payment_preimage=b"\xbb" * 32, extra_data=b"\x01\x00"
        ),
        "0082" + "c1" * 32 + "0000000000000006" + "bb" * 32 + "0100",
    ),
    (
        UpdateFailHTLC(chan_id=CHAN_ID, id=7, reason=b"abc", extra_data=b"\x01\x00"),
        "0083" + "c1" * 32 + "0000000000000007" + "0003" + "616263" + "0100",
    ),
    (
        UpdateFailMalformedHTLC(
            chan_id=CHAN_ID,
            id=8,
            sha_onion_blob=b"\xdd" * 32,
            failure_code=0xC005,
            extra_data=b"\x01\x00",
        ),
        "0087" + "c1" * 32 + "0000000000000008" + "dd" * 32 + "c005" + "0100",
    ),
]  # fmt: skip
ids = [type(message).__name__ for message, _ in KNOWN_ANSWERS]


@pytest.mark.parametrize("message, encoded", KNOWN_ANSWERS, ids=ids)
def test_a_message_has_the_layout_of_bolt_2(message, encoded: str):
    """Two bytes of type, the fields in order, then the TLV stream as it was given."""
    assert encoded == message.encode().hex()
    assert message == type(message).decode(bytes.fromhex(encoded))
    assert len(encoded) // 2 == message.serialized_size()


@pytest.mark.parametrize(
    "cls, size", list(zip(MESSAGE_CLASSES, [1452, 74, 44, 76], strict=True)), ids=ids
)
def test_without_arguments_a_message_has_lnds_zero_values(cls, size: int):
    """All zeros after the type, and the least size of its kind."""
    encoded = cls().encode()

    assert cls.MSG_TYPE.to_bytes(2, "big") + bytes(size - 2) == encoded
    assert cls() == cls.decode(encoded)
    assert size == cls().serialized_size()


@pytest.mark.parametrize("cls", MESSAGE_CLASSES)
def test_the_link_can_fill_in_a_message_and_cannot_spoil_it(cls):
    """Messages are mutable, and what is set is checked."""
    message = cls()
    message.chan_id = CHAN_ID
    message.id = 9
    with pytest.raises(ValueError, match=f"^{cls.__name__}.id must be an unsigned 64-bit integer"):
        message.id = -1

    assert cls(chan_id=CHAN_ID, id=9) == message


@pytest.mark.parametrize("cls", MESSAGE_CLASSES)
def test_messages_compare_by_value_and_can_be_copied(cls):
    """A copy is equal and another object; a message of another kind is never equal."""
    message = cls(id=3)
    copies = [copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))]

    assert [message] * 3 == copies
    assert all(message is not other for other in copies)
    assert cls(id=4) != message
    assert [cls] == [other for other in MESSAGE_CLASSES if other(id=3) == message]


@pytest.mark.parametrize("cls", [*MESSAGE_CLASSES, ChannelUpdate])
def test_every_message_fits_the_protocol(cls):
    """What a mailbox accepts as a message is a type number, bytes and a size."""
    message: Message = cls()

    assert isinstance(message, Message)


def test_the_bytes_of_another_type_are_refused():
    """The error names both types."""
    with pytest.raises(DecodeError, match="^UpdateFailHTLC: type 128 is not 131$"):
        UpdateFailHTLC.decode(UpdateAddHTLC().encode())


@pytest.mark.parametrize(
    "length, message",
    [
        (0, "UpdateAddHTLC.type at byte 0: needs 2 bytes, 0 are left"),
        (33, "UpdateAddHTLC.chan_id at byte 2: needs 32 bytes, 31 are left"),
        (45, "UpdateAddHTLC.amount at byte 42: needs 8 bytes, 3 are left"),
        (1451, "UpdateAddHTLC.onion_blob at byte 86: needs 1366 bytes, 1365 are left"),
    ],
)
def test_a_message_cut_short_is_refused_with_field_and_place(length: int, message: str):
    """The error says what was being read, where, and what was missing."""
    with pytest.raises(DecodeError) as caught:
        UpdateAddHTLC.decode(UpdateAddHTLC().encode()[:length])

    assert message == str(caught.value)


def test_a_reason_longer_than_the_message_is_refused():
    """The length before the reason is not trusted."""
    encoded = UpdateFailHTLC(reason=b"abc").encode()
    with pytest.raises(DecodeError, match="^UpdateFailHTLC.reason at byte 44: needs 4 bytes, 3 "):
        UpdateFailHTLC.decode(encoded[:43] + b"\x04" + encoded[44:])


def test_no_message_is_longer_than_65535_bytes():
    """BOLT 1's limit, type included, holds both ways."""
    longest = UpdateFailHTLC(reason=bytes(65_000), extra_data=bytes(65_535 - 44 - 65_000))
    longest_encoded = longest.encode()
    longer = UpdateFailHTLC(reason=longest.reason, extra_data=longest.extra_data + b"\0")
    with pytest.raises(ValueError, match="^UpdateFailHTLC takes 65536 bytes, a message at most "):
        longer.encode()
    with pytest.raises(DecodeError, match="^UpdateFailHTLC: 65536 bytes, a message has at most "):
        UpdateFailHTLC.decode(longest_encoded + b"\0")

    assert 65_535 == len(longest_encoded)
    assert longest == UpdateFailHTLC.decode(longest_encoded)


def test_any_buffer_can_be_decoded_and_is_not_kept():
    """A receive buffer may be used again right away."""
    buffer = bytearray(UpdateFailHTLC(reason=b"abc").encode())
    message = UpdateFailHTLC.decode(memoryview(buffer))  # type: ignore[arg-type]
    buffer[:] = bytes(len(buffer))

    assert b"abc" == message.reason


@pytest.mark.parametrize("cls", [*MESSAGE_CLASSES, ChannelUpdate])
def test_a_message_with_lnds_zero_values_is_shown_by_its_name(cls):
    """Fields that have their default are left out."""
    assert f"{cls.__name__}()" == repr(cls())


def test_a_message_is_shown_with_the_fields_that_are_set():
    """Long bytes are abbreviated."""
    expected = (
        "UpdateAddHTLC(chan_id=<ChannelID c1c1c1c1...c1c1 (32)>, id=5, amount=1000, "
        "payment_hash=<bytes aaaaaaaa...aaaa (32)>, expiry=800000, "
        "onion_blob=<bytes 0b0b0b0b...0b0b (1366)>, extra_data=b'\\x01\\x00')"
    )

    assert expected == repr(KNOWN_ANSWERS[0][0])


def test_a_subclass_of_a_message_is_shown_by_its_own_name():
    """And is encoded as its base."""

    class BetterFail(UpdateFailHTLC):
        pass

    assert "BetterFail(id=3)" == repr(BetterFail(id=3))
    assert UpdateFailHTLC(id=3).encode() == BetterFail(id=3).encode()
