"""The forms of single fields on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnmailbox.wire import ChannelUpdate, TemporaryChannelFailure, UpdateAddHTLC
from lnmailbox.wire.layout import (
    BigSize,
    ChannelIDCodec,
    Codec,
    Fixed,
    Prefixed,
    Rest,
    ShortChannelIDCodec,
    UInt,
    layout,
    size_of_fields,
)
from lnmailbox.wire.reader import Reader
from wire_strategies import channel_ids, channel_updates, short_channel_ids, uints

(_, update_codec), = layout(TemporaryChannelFailure)  # fmt: skip

CODECS: list[tuple[Codec, st.SearchStrategy[Any]]] = [
    (UInt(1), uints(8)),
    (UInt(8), uints(64)),
    (Fixed(3), st.binary(min_size=3, max_size=3)),
    (Prefixed(), st.binary()),
    (Rest(), st.binary()),
    (BigSize(), st.integers(0, 64).flatmap(uints)),
    (ShortChannelIDCodec(), short_channel_ids),
    (ChannelIDCodec(), channel_ids),
    (update_codec, st.none() | channel_updates()),
]


@pytest.mark.parametrize("codec, values", CODECS, ids=lambda value: type(value).__name__)
@given(st.data())
def test_a_codec_reads_what_it_wrote_and_knows_its_size(
    codec: Codec, values: st.SearchStrategy[Any], data: st.DataObject
):
    """The value comes back with its type, and no byte is left."""
    value = data.draw(values)
    reader = Reader(codec.write(value), "test")
    back = codec.read(reader, "field")

    assert value == back
    assert type(value) is type(back)
    assert 0 == reader.left
    assert len(codec.write(value)) == codec.size(value)


def test_the_layout_of_a_class_is_its_fields_in_order():
    """Asked twice, it is the same object: it is worked out once."""
    names = ["chan_id", "id", "amount", "payment_hash", "expiry", "onion_blob", "extra_data"]

    assert names == [name for name, _ in layout(UpdateAddHTLC)]
    assert layout(ChannelUpdate) is layout(ChannelUpdate)


def test_bytes_are_read_from_buffers_only():
    """An integer does not turn into so many zeros, as it would with `bytes`."""
    with pytest.raises(TypeError):
        Reader(5, "test")  # type: ignore[arg-type]


@given(channel_updates())
def test_the_size_of_all_fields_is_known_without_writing_them(update: ChannelUpdate):
    """Of those that have always the same, and of the others."""
    written = b"".join(codec.write(getattr(update, name)) for name, codec in layout(ChannelUpdate))

    assert len(written) == size_of_fields(update)
