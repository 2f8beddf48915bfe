"""Values as texts for people."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnmailbox.wire import ChannelID, ShortChannelID
from lnmailbox.wire.shown import shown, shown_fields


@attrs.define
class Example:
    number: int = 0
    data: bytes = attrs.field(default=b"", repr=shown)
    hidden: int = attrs.field(default=0, repr=False)
    needed: str = attrs.field(kw_only=True)


@pytest.mark.parametrize(
    "value, expected",
    [
        (b"", "b''"),
        (b"abc", "b'abc'"),
        (bytes(8), repr(bytes(8))),
        (bytes(10), "bytes(10)"),
        (bytes(1366), "bytes(1366)"),
        (bytearray(32), "bytearray(32)"),
        (bytearray(b"abc"), "bytearray(b'abc')"),
        (b"\x0b" * 1366, "<bytes 0b0b0b0b...0b0b (1366)>"),
        (bytes(range(32)), "<bytes 00010203...1e1f (32)>"),
        (bytearray(range(32)), "<bytearray 00010203...1e1f (32)>"),
        (ChannelID(bytes(range(32))), "<ChannelID 00010203...1e1f (32)>"),
        (ChannelID(), "ChannelID()"),
    ],
)
def test_long_bytes_are_abbreviated(value: bytes, expected: str):
    """Their type and length, both ends, or that all of them are zero."""
    assert expected == shown(value)


@pytest.mark.parametrize(
    "value, expected",
    [
        (5, "5"),
        (None, "None"),
        (True, "True"),
        (-(1 << 5000), "an integer of 5001 bits"),
        (ShortChannelID(1, 2, 3), "ShortChannelID(1, 2, 3)"),
        ("text", "'text'"),
        ([b"\1" * 99, 5], "[<bytes 01010101...0101 (99)>, 5]"),
        ({"onion": bytes(99)}, "{'onion': bytes(99)}"),
    ],
)
def test_other_values_are_shown_as_they_are_unless_they_are_long(value: object, expected: str):
    """Bytes in a list are abbreviated as well."""
    assert expected == shown(value)


@given(st.binary() | st.binary(min_size=500) | st.text() | st.integers())
def test_no_value_takes_more_than_a_line(value: object):
    """Not even an integer that Python refuses to write down."""
    assert len(shown(value)) <= 80
    assert len(shown("x" * 1000)) <= 80
    assert len(shown(10**9999)) <= 80


def test_fields_that_have_their_default_are_left_out():
    """And so are those that are not to be shown."""
    assert "Example(needed='a')" == shown_fields(Example(needed="a", hidden=5))
    assert "Example(number=3, data=bytes(99), needed='a')" == (
        shown_fields(Example(3, bytes(99), needed="a"))
    )


def test_an_object_is_shown_by_the_name_of_its_own_class():
    """Not by that of the class that has the fields."""

    class Special(Example):
        pass

    assert "Special(needed='a')" == shown_fields(Special(needed="a"))
