"""What holds for every codec and all values and bytes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lnmailbox.wire import (
    ChannelUpdate,
    DecodeError,
    FailureMessage,
    KnownFailure,
    WireMessage,
    decode_failure,
    encode_failure,
)
from wire_strategies import (
    KNOWN_FAILURE_CLASSES,
    MESSAGE_CLASSES,
    channel_updates,
    failures,
    known_failures,
    messages,
    mutated,
)

KNOWN_CODES = [cls.CODE.to_bytes(2, "big") for cls in KNOWN_FAILURE_CLASSES]

wire_messages = messages | channel_updates()


@given(wire_messages)
def test_a_message_decodes_to_what_was_encoded(message: WireMessage):
    """And its size is known without encoding it."""
    encoded = message.encode()

    assert message == type(message).decode(encoded)
    assert len(encoded) == message.serialized_size()


@pytest.mark.parametrize("cls", KNOWN_FAILURE_CLASSES)
@given(st.data())
def test_a_failure_decodes_to_what_was_encoded(cls: Any, data: st.DataObject):
    """Also with the older form of the update, unless its signature looks like a type."""
    failure: KnownFailure = data.draw(known_failures(cls))
    update: ChannelUpdate | None = getattr(failure, "update", None)
    typed = data.draw(st.booleans())
    assume(typed or update is None or not update.signature.startswith(b"\x01\x02"))

    assert failure == cls.decode(failure.encode(typed_update=typed))


@given(failures)
def test_a_padded_failure_decodes_to_what_was_encoded(failure: FailureMessage):
    """All have 260 bytes; those that do not fit are refused."""
    if len(failure.encode()) > 256:
        with pytest.raises(ValueError, match="a failure at most 256"):
            encode_failure(failure)
    else:
        assert failure == decode_failure(encode_failure(failure))
        assert 260 == len(encode_failure(failure))


@pytest.mark.parametrize("cls", [*MESSAGE_CLASSES, ChannelUpdate])
@given(st.data())
def test_any_bytes_are_a_message_or_a_decode_error(cls: Any, data: st.DataObject):
    """What decodes was those bytes: nothing is read over or made up."""
    type_bytes = cls.MSG_TYPE.to_bytes(2, "big")
    arbitrary = st.binary() | st.binary().map(lambda rest: type_bytes + rest)
    encoded = data.draw(arbitrary | mutated(wire_messages.map(lambda message: message.encode())))
    with suppress(DecodeError):
        assert encoded == cls.decode(encoded).encode()


@given(
    st.binary()
    | st.builds(bytes.__add__, st.sampled_from(KNOWN_CODES), st.binary())
    | mutated(failures.map(lambda failure: failure.encode()))
)
def test_any_bytes_are_a_failure_or_a_decode_error(encoded: bytes):
    """What decodes is the same after another round; the bytes may differ, old forms are read."""
    with suppress(DecodeError):
        failure = FailureMessage.decode(encoded)
        assert failure == FailureMessage.decode(failure.encode())


@given(
    st.binary()
    | mutated(failures.filter(lambda failure: len(failure.encode()) <= 256).map(encode_failure))
)
def test_any_bytes_are_a_padded_failure_or_a_decode_error(encoded: bytes):
    """What decodes is the same after another round, if it fits."""
    with suppress(DecodeError):
        failure = decode_failure(encoded)
        if len(failure.encode()) <= 256:
            assert failure == decode_failure(encode_failure(failure))
