"""`channel_update` on the wire (BOLT 7)."""

from __future__ import annotations

import attrs
import pytest

from lnmailbox.wire import ChannelUpdate, DecodeError, ShortChannelID

FULL = ChannelUpdate(
    signature=b"\x51" * 64,
    chain_hash=b"\xcc" * 32,
    short_channel_id=ShortChannelID(1, 2, 3),
    timestamp=4,
    message_flags=1,
    channel_flags=2,
    time_lock_delta=5,
    htlc_minimum_msat=6,
    base_fee=7,
    fee_rate=8,
    htlc_maximum_msat=9,
    extra_opaque_data=b"\x0a\x00",
)
FULL_HEX = (
    "0102" + "51" * 64 + "cc" * 32 + "0000010000020003" + "00000004" + "01" + "02" + "0005"
    "0000000000000006" + "00000007" + "00000008" + "0000000000000009" + "0a00"
)  # fmt: skip


def test_an_update_has_the_layout_of_bolt_7():
    """Two bytes of type, the fields in order, then the TLV stream as it was given."""
    assert FULL_HEX == FULL.encode().hex()
    assert FULL == ChannelUpdate.decode(FULL.encode())
    assert 140 == FULL.serialized_size()


def test_without_its_flag_the_maximum_is_not_on_the_wire():
    """That is lnd's zero value: 130 bytes, `htlc_maximum_msat` not among them."""
    update = ChannelUpdate()

    assert bytes.fromhex("0102") + bytes(128) == update.encode()
    assert update == ChannelUpdate.decode(update.encode())
    assert 130 == update.serialized_size()


def test_a_maximum_that_would_be_lost_is_refused():
    """A limit that the flags deny would not be encoded; lnd drops it without a word."""
    with pytest.raises(ValueError, match=r"htlc_maximum_msat needs bit 0 .* message_flags=2$"):
        ChannelUpdate(htlc_maximum_msat=9, message_flags=2)


def test_an_update_is_frozen_and_compares_by_value():
    """It can be a key, and a changed one is another object."""
    other = attrs.evolve(FULL, timestamp=5)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FULL.timestamp = 5  # type: ignore[misc]
    assert {FULL, ChannelUpdate.decode(FULL.encode())} == {FULL}
    assert FULL != other


def test_an_update_cut_short_is_refused_with_field_and_place():
    """The flags announce a maximum that is not there."""
    with pytest.raises(DecodeError, match="^ChannelUpdate.htlc_maximum_msat at byte 130: needs 8"):
        ChannelUpdate.decode(FULL.encode()[:131])


def test_a_bad_value_is_refused_by_name():
    """Flags have 8 bits, a short channel id is no plain number."""
    with pytest.raises(ValueError, match=r"^ChannelUpdate.message_flags must be .*, got 256$"):
        ChannelUpdate(message_flags=256)
    with pytest.raises(ValueError, match=r"^ChannelUpdate.short_channel_id must be .*, got 5$"):
        ChannelUpdate(short_channel_id=5)  # type: ignore[arg-type]


def test_an_update_is_shown_with_the_fields_that_are_set():
    """Long bytes are abbreviated, its channel is written as people do."""
    update = ChannelUpdate(signature=b"\x51" * 64, short_channel_id=ShortChannelID(1, 2, 3))

    expected = "ChannelUpdate(signature=<bytes 51515151...5151 (64)>, short_channel_id=1x2x3)"
    assert expected == repr(update)
    assert len(repr(attrs.evolve(FULL, extra_opaque_data=b"\1" * 65535))) < 400
