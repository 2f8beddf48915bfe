"""Hypothesis strategies for everything that `lnmailbox.wire` encodes, made from its fields."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from lnmailbox.wire import ChannelID, ChannelUpdate, FailureMessage, ShortChannelID, UnknownFailure
from lnmailbox.wire import failures as _failures
from lnmailbox.wire import messages as _messages

MESSAGE_CLASSES = [
    _messages.UpdateAddHTLC,
    _messages.UpdateFulfillHTLC,
    _messages.UpdateFailHTLC,
    _messages.UpdateFailMalformedHTLC,
]
KNOWN_FAILURE_CLASSES = [getattr(_failures, name) for name in _failures.__all__]
KNOWN_CODES = [cls.CODE for cls in KNOWN_FAILURE_CLASSES]


def uints(bits: int) -> st.SearchStrategy[int]:
    """Integers of so many bits, the ends of their range often among them."""
    maximum = (1 << bits) - 1
    return st.sampled_from([0, 1, maximum]) | st.integers(0, maximum)


short_channel_ids = st.builds(ShortChannelID, uints(24), uints(24), uints(16))
channel_ids = st.binary(min_size=32, max_size=32).map(ChannelID)
tlv_streams = st.binary(max_size=40)

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "big_size": uints(64) | st.sampled_from([0xFC, 0xFD, 0xFFFF, 0x1_0000, 0xFFFF_FFFF, 1 << 32]),
    "offset": uints(16),
    "disabled_flags": uints(16),
    "height": uints(32),
    "cltv_expiry": uints(32),
    "amount": uints(64),
    "htlc_msat": uints(64),
    "incoming_htlc_amount": uints(64),
    "onion_sha256": st.binary(min_size=32, max_size=32),
    "extra_opaque_data": tlv_streams,
}


@st.composite
def channel_updates(draw: st.DrawFn) -> ChannelUpdate:
    """Channel updates, with `htlc_maximum_msat` where their flags permit it."""
    flags = draw(uints(8))
    return ChannelUpdate(
        signature=draw(st.binary(min_size=64, max_size=64)),
        chain_hash=draw(st.binary(min_size=32, max_size=32)),
        short_channel_id=draw(short_channel_ids),
        timestamp=draw(uints(32)),
        message_flags=flags,
        channel_flags=draw(uints(8)),
        time_lock_delta=draw(uints(16)),
        htlc_minimum_msat=draw(uints(64)),
        base_fee=draw(uints(32)),
        fee_rate=draw(uints(32)),
        htlc_maximum_msat=draw(uints(64)) if flags & 1 else 0,
        extra_opaque_data=draw(tlv_streams),
    )


def known_failures(cls: Any) -> st.SearchStrategy[FailureMessage]:
    """Failures of one class of BOLT 4."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in attrs.fields(cls):
        if field.name == "update":
            fields["update"] = st.none() | channel_updates()
        else:
            fields[field.name] = _FIELDS["big_size" if field.name == "type" else field.name]
    return st.builds(cls, **fields)


unknown_failures = st.builds(
    UnknownFailure,
    uints(16).filter(lambda code: code not in KNOWN_CODES),
    st.binary(max_size=300),
)
failures = st.one_of(*map(known_failures, KNOWN_FAILURE_CLASSES), unknown_failures)

messages = st.one_of(
    st.builds(
        _messages.UpdateAddHTLC,
        chan_id=channel_ids,
        id=uints(64),
        amount=uints(64),
        payment_hash=st.binary(min_size=32, max_size=32),
        expiry=uints(32),
        onion_blob=st.binary(min_size=1, max_size=8).map(lambda data: data.ljust(1366, b"\x07")),
        extra_data=tlv_streams,
    ),
    st.builds(
        _messages.UpdateFulfillHTLC,
        chan_id=channel_ids,
        id=uints(64),
        payment_preimage=st.binary(min_size=32, max_size=32),
        extra_data=tlv_streams,
    ),
    st.builds(
        _messages.UpdateFailHTLC,
        chan_id=channel_ids,
        id=uints(64),
        reason=st.binary(max_size=300),
        extra_data=tlv_streams,
    ),
    st.builds(
        _messages.UpdateFailMalformedHTLC,
        chan_id=channel_ids,
        id=uints(64),
        sha_onion_blob=st.binary(min_size=32, max_size=32),
        failure_code=uints(16),
        extra_data=tlv_streams,
    ),
)


@st.composite
def mutated(draw: st.DrawFn, encodings: st.SearchStrategy[bytes]) -> bytes:
    """Encodings in which some bytes were changed, put in, cut out or cut off."""
    data = bytearray(draw(encodings))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 3))
        data[place : place + length] = draw(st.binary(max_size=3))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])
