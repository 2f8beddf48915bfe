"""The check of a field's value, when an object is made and when it is changed."""

from __future__ import annotations

from enum import IntEnum

import attrs
import pytest

from lnmailbox.wire import ChannelID, ShortChannelID
from lnmailbox.wire.fields import (
    big_size,
    channel_id,
    fixed_bytes,
    short_channel_id,
    tlv_stream,
    uint8,
    uint16,
    uint32,
    uint64,
    variable_bytes,
)


class Colour(IntEnum):
    RED = 3


@attrs.define
class Example:
    byte: int = uint8()
    short: int = uint16()
    word: int = uint32()
    long: int = uint64(5)
    big: int = big_size()
    digest: bytes = fixed_bytes(4)
    prefix: bytes = fixed_bytes(2, b"ab")
    data: bytes = variable_bytes(3, b"abc")
    tlvs: bytes = tlv_stream()
    scid: ShortChannelID = short_channel_id()
    chan: ChannelID = channel_id()


def test_fields_have_zero_values_unless_told_otherwise():
    """Zeros, no bytes, or the default given."""
    expected = (0, 0, 0, 5, 0, bytes(4), b"ab", b"abc", b"", ShortChannelID(), ChannelID())

    assert expected == attrs.astuple(Example())


@pytest.mark.parametrize(
    "name, value",
    [
        ("byte", 255),
        ("short", 65535),
        ("word", (1 << 32) - 1),
        ("long", (1 << 64) - 1),
        ("big", (1 << 64) - 1),
        ("byte", Colour.RED),
        ("long", ShortChannelID(1)),
        ("digest", b"1234"),
        ("data", b""),
        ("tlvs", bytes(65535)),
    ],
)
def test_values_within_the_range_are_kept_as_they_are(name: str, value: object):
    """Subclasses of `int` and `bytes` are as good as these."""
    assert value is getattr(Example(**{name: value}), name)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("byte", 256, "an unsigned 8-bit integer, got 256"),
        ("byte", -1, "an unsigned 8-bit integer, got -1"),
        ("short", 65536, "an unsigned 16-bit integer, got 65536"),
        ("word", 1 << 32, "an unsigned 32-bit integer, got 4294967296"),
        ("long", 1 << 64, "an unsigned 64-bit integer, got 18446744073709551616"),
        ("big", -(1 << 5000), "an unsigned 64-bit integer, got an integer of 5001 bits"),
        ("byte", True, "an unsigned 8-bit integer, got True"),
        ("byte", None, "an unsigned 8-bit integer, got None"),
        ("byte", "1", "an unsigned 8-bit integer, got '1'"),
        ("byte", 1.0, "an unsigned 8-bit integer, got 1.0"),
        ("digest", b"123", "4 bytes, got b'123'"),
        ("digest", "1234", "4 bytes, got '1234'"),
        ("digest", bytearray(b"1234"), "4 bytes, got bytearray(b'1234')"),
        ("data", b"1234", "at most 3 bytes, got b'1234'"),
        ("data", 3, "at most 3 bytes, got 3"),
        ("scid", 5, "a ShortChannelID, got 5"),
        ("chan", bytes(2), "a ChannelID, got b'\\x00\\x00'"),
    ],
)
def test_a_bad_value_raises_with_class_field_and_value(name: str, value: object, message: str):
    """It does so when the object is made and when the field is set, and changes nothing."""
    with pytest.raises(ValueError) as made:
        Example(**{name: value})
    example = Example()
    with pytest.raises(ValueError) as changed:
        setattr(example, name, value)

    assert f"Example.{name} must be {message}" == str(made.value) == str(changed.value)
    assert Example() == example


def test_a_long_value_is_shown_in_part():
    """An error about an onion does not print the onion."""
    onion = b"\x0b" * 1366
    with pytest.raises(ValueError) as caught:
        Example(digest=onion)

    expected = "Example.digest must be 4 bytes, got <bytes 0b0b0b0b...0b0b (1366)>"
    assert expected == str(caught.value)


def test_fields_are_short_when_they_are_shown():
    """Long bytes are abbreviated, ids are written as people do."""
    example = Example(scid=ShortChannelID(1, 2, 3), chan=ChannelID(b"\xc1" * 32), tlvs=bytes(99))

    expected = (
        "Example(byte=0, short=0, word=0, long=5, big=0, digest=b'\\x00\\x00\\x00\\x00', "
        "prefix=b'ab', data=b'abc', tlvs=bytes(99), scid=1x2x3, "
        "chan=<ChannelID c1c1c1c1...c1c1 (32)>)"
    )
    assert expected == repr(example)
