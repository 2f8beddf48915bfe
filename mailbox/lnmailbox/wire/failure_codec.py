"""A failure as it goes under the onion's encryption: with its length, padded to a common size."""

from __future__ import annotations

from .failure_message import FailureMessage
from .reader import DecodeError, Reader
from .shown import shown

__all__ = ["decode_failure", "encode_failure"]

_PADDED_SIZE = 256

_PADDING = [
    (_PADDED_SIZE - length).to_bytes(2, "big") + bytes(_PADDED_SIZE - length)
    for length in range(_PADDED_SIZE + 1)
]


def encode_failure(failure: FailureMessage, *, typed_update: bool = True) -> bytes:
    """Return the 260 bytes that every failure takes, so that none can be told by its size.

    They are a `u16` length, the message, a `u16` length of the padding and zeros; the two
    lengths add up to 256 (BOLT 4, lnd `EncodeFailure`).

    Args:
        failure: what to encode.
        typed_update: see `FailureMessage.encode`.

    Raises:
        TypeError: `failure` is no `FailureMessage`.
        ValueError: the message is longer than 256 bytes.
    """
    if not isinstance(failure, FailureMessage):
        raise TypeError(f"failure must be a FailureMessage, got {shown(failure)}")
    message = failure.encode(typed_update=typed_update)
    length = len(message)
    if length > _PADDED_SIZE:
        raise ValueError(
            f"{type(failure).__name__} takes {length} bytes, a failure at most {_PADDED_SIZE}"
        )
    return length.to_bytes(2, "big") + message + _PADDING[length]


def decode_failure(data: bytes) -> FailureMessage:
    """Return the failure in what `encode_failure` made.

    As lnd's `DecodeFailure` does, this accepts lengths that add up to more than 256, and does
    not look at the padding's bytes.

    Raises:
        DecodeError: a length says more than is there, something follows the padding, the two
            lengths add up to less than 256, or the message is unsound (`FailureMessage.decode`).
        TypeError: `data` is no buffer.
    """
    reader = Reader(data, "failure")
    message = reader.take(reader.uint(2, "length"), "message")
    padding = reader.take(reader.uint(2, "padding length"), "padding")
    if reader.left:
        raise reader.error("end", f"{reader.left} bytes follow the padding")
    if len(message) + len(padding) < _PADDED_SIZE:
        raise DecodeError(
            f"failure: message and padding have {len(message)} and {len(padding)} bytes, "
            f"together at least {_PADDED_SIZE} are needed"
        )
    return FailureMessage.decode(message)
