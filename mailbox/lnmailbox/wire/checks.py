"""Tests for the values that fields and ids accept, and a short way to show one that is refused."""

from __future__ import annotations

import reprlib

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 80


def is_uint(value: object, maximum: int) -> bool:
    """Return whether `value` is an integer from 0 to `maximum`; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum


def is_bytes(value: object, length: int) -> bool:
    """Return whether `value` is a `bytes` of `length`."""
    return isinstance(value, bytes) and len(value) == length


def shown(value: object) -> str:
    """Return a text for an error message: the value's `repr`, or a summary if that is long."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = _shortened.repr(value)
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes: {text}"
    return text
