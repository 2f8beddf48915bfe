"""The codecs against an independent implementation: Core Lightning's `pyln`, made from the BOLTs.

`tox -e crosscheck` installs it.
"""

from __future__ import annotations

import io
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lnmailbox.wire import (
    ChannelUpdate,
    FailureMessage,
    InvalidOnionBlinding,
    KnownFailure,
    ShortChannelID,
    UnknownFailure,
)
from lnmailbox.wire.failures import FinalExpiryTooSoon, IncorrectPaymentAmount
from wire_strategies import (
    KNOWN_FAILURE_CLASSES,
    channel_updates,
    failures,
    known_failures,
    messages,
)

Message = pytest.importorskip("pyln.proto.message", reason="pyln-proto is not installed").Message
onion = pytest.importorskip("pyln.proto.onion", reason="pyln-proto is not installed")
SphinxErrorEncrypter = pytest.importorskip("lnmailbox.sphinx").SphinxErrorEncrypter
bolt2 = pytest.importorskip("pyln.spec.bolt2", reason="pyln-bolt2 is not installed").namespace
bolt4 = pytest.importorskip("pyln.spec.bolt4", reason="pyln-bolt4 is not installed").namespace
bolt7 = pytest.importorskip("pyln.spec.bolt7", reason="pyln-bolt7 is not installed").namespace

TLVS = {"extra_data", "extra_opaque_data"}
# The BOLTs' names where lnd's are others.
MESSAGE_NAMES = {
    "chan_id": "channel_id",
    "amount": "amount_msat",
    "expiry": "cltv_expiry",
    "onion_blob": "onion_routing_packet",
    "sha_onion_blob": "sha256_of_onion",
    "time_lock_delta": "cltv_expiry_delta",
    "base_fee": "fee_base_msat",
    "fee_rate": "fee_proportional_millionths",
}
FAILURE_NAMES = {
    "amount": "htlc_msat",
    "disabled_flags": "flags",
    "incoming_htlc_amount": "incoming_htlc_amt",
    "onion_sha256": "sha256_of_onion",
    "update": "channel_update",
}
NOT_IN_PYLN = {FinalExpiryTooSoon, IncorrectPaymentAmount, InvalidOnionBlinding}


def as_pyln(value: Any) -> dict[str, Any]:
    """Return the fields as pyln names and writes them."""
    names = FAILURE_NAMES if isinstance(value, KnownFailure) else MESSAGE_NAMES
    fields = attrs.asdict(value, recurse=False, filter=lambda field, _: field.name not in TLVS)
    return {names.get(name, name): pyln_value(content) for name, content in fields.items()}


def pyln_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, ShortChannelID):
        return str(value)
    if isinstance(value, ChannelUpdate):
        return value.encode().hex()
    return "" if value is None else value


def without_tlvs(value: Any) -> Any:
    """Return the value without its TLV stream: pyln reads only the records it knows."""
    names = TLVS.intersection(attrs.fields_dict(type(value)))
    return attrs.evolve(value, **dict.fromkeys(names, b""))


def pyln_encode(namespace: Any, number: int, fields: dict[str, Any]) -> bytes:
    output = io.BytesIO()
    Message(namespace.get_msgtype_by_number(number), **fields).write(output)
    return output.getvalue()


def pyln_decode(namespace: Any, encoded: bytes) -> tuple[int, dict[str, Any]]:
    stream = io.BytesIO(encoded)
    message = Message.read(namespace, stream)
    assert not stream.read(), "pyln left bytes"
    return message.messagetype.number, message.to_py()


def check(namespace: Any, number: int, value: Any) -> None:
    value = without_tlvs(value)
    fields = as_pyln(value)

    assert pyln_encode(namespace, number, fields) == value.encode()
    assert (number, fields) == pyln_decode(namespace, value.encode())


@given(messages)
def test_pyln_agrees_on_htlc_updates(message: Any):
    """Both write the same bytes for the same values, and read the same values."""
    check(bolt2, message.MSG_TYPE, message)


@given(channel_updates())
def test_pyln_agrees_on_channel_updates(update: ChannelUpdate):
    """pyln's BOLT 7 always has `htlc_maximum_msat`."""
    assume(update.message_flags & 1)
    check(bolt7, update.MSG_TYPE, update)


@pytest.mark.parametrize("cls", [cls for cls in KNOWN_FAILURE_CLASSES if cls not in NOT_IN_PYLN])
def test_pyln_agrees_on_failures(cls: Any):
    """Each failure message, its update as typed bytes."""

    @given(known_failures(cls))
    def agrees(failure: KnownFailure) -> None:
        check(bolt4, failure.CODE, failure)

    agrees()


@given(failures)
def test_pyln_knows_no_failure_that_is_unknown_here(failure: FailureMessage):
    """And the other way round, except for two that were withdrawn and a newer one."""
    known = bolt4.get_msgtype_by_number(failure.code) is not None

    assert known == (not isinstance(failure, UnknownFailure) and type(failure) not in NOT_IN_PYLN)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=1, max_size=300))
def test_pyln_agrees_on_a_layer_of_the_onion_encryption(secret: bytes, reason: bytes):
    """The key is made from the secret and `ammag`, the stream is ChaCha20 from zero."""
    stream = bytearray(len(reason))
    onion.chacha20_stream(onion.generate_key(secret, b"ammag"), stream)
    expected = bytes(a ^ b for a, b in zip(reason, stream, strict=True))

    assert expected == SphinxErrorEncrypter(secret).intermediate_encrypt(reason)
