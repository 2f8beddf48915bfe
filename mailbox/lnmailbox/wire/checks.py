"""Tests for the values that fields and ids accept."""

from __future__ import annotations

__all__ = ["is_bytes", "is_uint"]


def is_uint(value: object, maximum: int) -> bool:
    """Return whether `value` is an integer from 0 to `maximum`; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum


def is_bytes(value: object, length: int) -> bool:
    """Return whether `value` is a `bytes` of `length`."""
    return isinstance(value, bytes) and len(value) == length
