"""Channel identifiers."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnmailbox.wire import ChannelID, ShortChannelID
from wire_strategies import channel_ids, short_channel_ids


def test_a_short_channel_id_is_the_64_bit_number_of_its_three_parts():
    """24 bits of block height, 24 of transaction index, 16 of output index."""
    short = ShortChannelID(539268, 845, 1)

    assert 539268 << 40 | 845 << 16 | 1 == short
    assert (539268, 845, 1) == (short.block_height, short.tx_index, short.tx_position)


def test_a_short_channel_id_takes_its_parts_by_name():
    """All three are optional, and can be given as keywords."""
    assert ShortChannelID(0, 0, 7) == ShortChannelID(tx_position=7)
    assert ShortChannelID(2, 3) == ShortChannelID(tx_index=3, block_height=2)


def test_the_default_short_channel_id_is_zero_and_false():
    """It is what lnd calls the default, and means no channel."""
    assert 0 == ShortChannelID()
    assert not ShortChannelID()


def test_a_short_channel_id_is_shown_with_x_and_is_a_number_where_one_is_asked_for():
    """`str` and f-strings are for people, `int`, `%d` and JSON for programs."""
    short = ShortChannelID(1, 2, 3)

    assert "1x2x3" == str(short) == f"{short}" == f"{short!s}" == "%s" % short  # noqa: UP031
    assert "ShortChannelID(1, 2, 3)" == repr(short)
    assert 1099511758851 == int(short)
    assert type(int(short)) is int
    assert "1099511758851" == f"{short:d}" == json.dumps(short)


def test_a_short_channel_id_hashes_and_compares_as_its_number():
    """A dict filled with ids is found with plain numbers, and ids sort by age."""
    assert "box" == {ShortChannelID(1, 2, 3): "box"}[1099511758851]  # type: ignore[index]
    assert ShortChannelID(1, 9, 9) < ShortChannelID(2)


@given(short_channel_ids)
def test_a_short_channel_id_survives_its_number_its_texts_and_copies(short: ShortChannelID):
    """Every way to write one down leads back to it, of the same type."""
    triple = (short.block_height, short.tx_index, short.tx_position)
    back = [
        ShortChannelID(*triple),
        ShortChannelID.from_int(int(short)),
        ShortChannelID.from_string(str(short)),
        ShortChannelID.from_string(" {}:{}:{} ".format(*triple)),
        ShortChannelID.from_string(str(int(short))),
        eval(repr(short)),
        copy.copy(short),
        copy.deepcopy(short),
        *(pickle.loads(pickle.dumps(short, protocol)) for protocol in range(6)),
    ]

    assert [short] * len(back) == back
    assert {ShortChannelID} == set(map(type, back))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            (1 << 24,),
            "ShortChannelID.block_height must be an unsigned 24-bit integer, got 16777216",
        ),
        ((-1,), "ShortChannelID.block_height must be an unsigned 24-bit integer, got -1"),
        ((0, 1 << 24), "ShortChannelID.tx_index must be an unsigned 24-bit integer, got 16777216"),
        (
            (0, 0, 1 << 16),
            "ShortChannelID.tx_position must be an unsigned 16-bit integer, got 65536",
        ),
        ((True,), "ShortChannelID.block_height must be an unsigned 24-bit integer, got True"),
        ((1.0,), "ShortChannelID.block_height must be an unsigned 24-bit integer, got 1.0"),
        (("1",), "ShortChannelID.block_height must be an unsigned 24-bit integer, got '1'"),
    ],
)
def test_a_part_out_of_range_or_of_another_type_is_refused_by_name(arguments, message):
    """The error says which part, and what was given."""
    with pytest.raises(ValueError) as caught:
        ShortChannelID(*arguments)

    assert message == str(caught.value)


@pytest.mark.parametrize("value", [-1, 1 << 64, False, "5", None, 1 << 600])
def test_a_number_beyond_64_bits_is_no_short_channel_id(value):
    """Neither are things that are no numbers."""
    with pytest.raises(
        ValueError, match="^ShortChannelID must be an unsigned 64-bit integer, got "
    ):
        ShortChannelID.from_int(value)


@given(short_channel_ids)
def test_a_short_channel_id_survives_its_bytes(short: ShortChannelID):
    """`bytes` gives the 8 of the wire; `from_bytes` reads them, from any buffer."""
    data = short.to_bytes(8, "big")
    back = [
        ShortChannelID.from_bytes(data),
        ShortChannelID.from_bytes(bytes(short), "big", signed=False),
        ShortChannelID.from_bytes(bytearray(data)),
        ShortChannelID.from_bytes(memoryview(data)),
        ShortChannelID.from_bytes(short.to_bytes(8, "little"), "little"),
        ShortChannelID.from_bytes(bytes=data, byteorder="big"),
    ]

    assert data == bytes(short)
    assert [short] * len(back) == back
    assert {ShortChannelID} == set(map(type, back))


def test_the_bytes_of_a_short_channel_id_are_those_of_bolt_7():
    """3 of block height, 3 of transaction index, 2 of output index."""
    assert ShortChannelID(1, 2, 3) == ShortChannelID.from_bytes(b"\0\0\1\0\0\2\0\3")


@pytest.mark.parametrize(
    "value, text",
    [
        (b"", "b''"),
        (b"1234567", "b'1234567'"),
        (b"123456789", "b'123456789'"),
        (bytes(32), "bytes(32)"),
        (memoryview(bytes(16)).cast("Q"), "<memory at 0x"),
        (8, "8"),
        (None, "None"),
        ("12345678", "'12345678'"),
        ([0, 0, 0, 0, 0, 0, 0, 1], "[0, 0, 0, 0, 0, 0, ...]"),
    ],
)
def test_anything_but_8_bytes_is_no_short_channel_id(value, text: str):
    """`int.from_bytes`, which this replaces, took any number of them for a block height."""
    with pytest.raises(ValueError) as caught:
        ShortChannelID.from_bytes(value)

    assert str(caught.value).startswith(f"ShortChannelID must be 8 bytes, got {text}")


def test_bytes_read_as_a_negative_number_are_no_short_channel_id():
    """Only `signed=True` can make one."""
    with pytest.raises(ValueError, match="must be an unsigned 64-bit integer, got -1$"):
        ShortChannelID.from_bytes(b"\xff" * 8, signed=True)

    assert ShortChannelID.from_int(1) == ShortChannelID.from_bytes(bytes(7) + b"\1", signed=True)


def test_there_are_two_orders_of_bytes():
    """As for `int.from_bytes`."""
    with pytest.raises(ValueError, match="byteorder must be either 'little' or 'big'"):
        ShortChannelID.from_bytes(bytes(8), "native")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "calculate",
    [
        lambda short: short + 1,
        lambda short: 1 + short,
        lambda short: short - short,
        lambda short: short * 2,
        lambda short: short // 2,
        lambda short: short >> 40,
        lambda short: short | 1,
        lambda short: -short,
        lambda short: +short,
        lambda short: ~short,
        abs,
        round,
        lambda short: short.real,
        lambda short: short.numerator,
        lambda short: short.conjugate(),
    ],
)
def test_what_is_calculated_from_a_short_channel_id_is_a_plain_integer(calculate):
    """The sum of an id and a number names no channel; fields refuse it."""
    assert int is type(calculate(ShortChannelID(1, 2, 3)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1x2",
        "1x2x3x4",
        "1x2:3",
        "1x2x",
        "-1",
        "0x10",
        "1 x 2 x 3",
        "1X2X3",
        "٣x٣x٣",
        "1.5",
    ],
)
def test_other_texts_are_no_short_channel_id(text: str):
    """The error shows the forms that are, and the text."""
    with pytest.raises(ValueError, match="539268x845x1") as caught:
        ShortChannelID.from_string(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["16777216x0x0", "0x0x65536", "18446744073709551616"])
def test_a_text_whose_parts_are_out_of_range_is_refused(text: str):
    """The parts have the ranges that the constructor checks."""
    with pytest.raises(ValueError, match="must be an unsigned"):
        ShortChannelID.from_string(text)


def test_a_channel_id_is_32_bytes_shown_as_hex():
    """The default is all zeros; `fromhex` reads what `str` wrote."""
    chan_id = ChannelID.fromhex("0badc0de" * 8)

    assert bytes.fromhex("0badc0de" * 8) == chan_id
    assert "0badc0de" * 8 == str(chan_id) == f"{chan_id}"
    assert bytes(32) == ChannelID()


@given(channel_ids)
def test_a_channel_id_survives_its_texts_and_copies(chan_id: ChannelID):
    """Every way to write one down leads back to it, of the same type."""
    back = [
        ChannelID(chan_id),
        ChannelID.fromhex(str(chan_id)),
        eval(repr(chan_id)),
        copy.copy(chan_id),
        copy.deepcopy(chan_id),
        *(pickle.loads(pickle.dumps(chan_id, protocol)) for protocol in range(6)),
    ]

    assert [chan_id] * len(back) == back
    assert {ChannelID} == set(map(type, back))


@pytest.mark.parametrize("value", [b"", bytes(31), bytes(33), "0" * 32, 32, None, bytearray(32)])
def test_anything_but_32_bytes_is_no_channel_id(value):
    """An integer does not turn into so many zeros, as it would with `bytes`."""
    with pytest.raises(ValueError, match="^ChannelID must be 32 bytes, got "):
        ChannelID(value)


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33])
def test_anything_but_the_hex_of_32_bytes_is_no_channel_id(text: str):
    """`fromhex` is that of `bytes`, but makes no id of another length."""
    with pytest.raises(ValueError, match="^ChannelID must be 32 bytes, got "):
        ChannelID.fromhex(text)


def test_a_text_that_is_no_hex_is_no_channel_id():
    """The error is that of `bytes.fromhex`."""
    with pytest.raises(ValueError, match="hex"):
        ChannelID.fromhex("0x" + "00" * 31)


def test_a_channel_id_of_zeros_is_shown_as_the_default():
    """It is that of many objects, and long."""
    assert "ChannelID()" == repr(ChannelID())
    assert f"ChannelID.fromhex('{'00' * 31}01')" == repr(ChannelID(bytes(31) + b"\1"))


def test_every_channel_id_is_true():
    """The default, too: in an `error` it means all channels, not none."""
    assert bool(ChannelID())


@pytest.mark.parametrize(
    "derive",
    [
        bytes,
        lambda chan_id: chan_id[:],
        lambda chan_id: chan_id[:4],
        lambda chan_id: chan_id + b"",
        lambda chan_id: chan_id * 1,
        lambda chan_id: chan_id.replace(b"a", b"b"),
        lambda chan_id: chan_id.strip(),
        lambda chan_id: chan_id.upper(),
        lambda chan_id: chan_id.ljust(32),
    ],
)
def test_what_is_made_of_a_channel_id_is_plain_bytes(derive):
    """A part of an id names no channel; fields refuse it."""
    assert bytes is type(derive(ChannelID(b"\xc1" * 32)))


def test_the_channel_id_of_an_outpoint_is_the_txid_with_its_end_xored():
    """BOLT 2: the output index changes the last two bytes."""
    txid = bytes(range(32))

    assert ChannelID(txid[:30] + bytes([30 ^ 1, 31 ^ 2])) == ChannelID.from_outpoint(txid, 0x0102)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 0xFFFF))
def test_an_outpoint_and_its_channel_id_are_each_others_inverse(txid: bytes, index: int):
    """XOR twice is no change."""
    assert txid == ChannelID.from_outpoint(ChannelID.from_outpoint(txid, index), index)


@pytest.mark.parametrize("txid, index", [(bytes(31), 0), (bytes(32), -1), (bytes(32), 1 << 16)])
def test_no_channel_id_comes_from_an_impossible_outpoint(txid: bytes, index: int):
    """A txid has 32 bytes, an index 16 bits."""
    with pytest.raises(ValueError, match="^ChannelID"):
        ChannelID.from_outpoint(txid, index)
