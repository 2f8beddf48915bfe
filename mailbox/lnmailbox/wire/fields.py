"""Fields for attrs classes: checked when set, short when shown, and with their form on the wire.

Each function returns an `attrs.field` with a default, a validator, a short text for reprs, and in
its metadata the codec that `layout.py` reads. A bad value, of the wrong type or out of range,
raises a `ValueError` that names class, field and value::

    UpdateAddHTLC.amount must be an unsigned 64-bit integer, got -1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from .checks import is_bytes, is_uint
from .ids import ChannelID, ShortChannelID
from .layout import (
    CODEC,
    BigSize,
    ChannelIDCodec,
    Codec,
    Fixed,
    Prefixed,
    Rest,
    ShortChannelIDCodec,
    UInt,
)
from .shown import shown

__all__ = [
    "big_size",
    "channel_id",
    "fixed_bytes",
    "short_channel_id",
    "tlv_stream",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "variable_bytes",
]

_Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def uint8(default: int = 0) -> Any:
    """An integer from 0 to 2**8 - 1."""
    return _field(default, _uint(8), UInt(1))


def uint16(default: int = 0) -> Any:
    """An integer from 0 to 2**16 - 1."""
    return _field(default, _uint(16), UInt(2))


def uint32(default: int = 0) -> Any:
    """An integer from 0 to 2**32 - 1."""
    return _field(default, _uint(32), UInt(4))


def uint64(default: int = 0, on_setattr: Any = None) -> Any:
    """An integer from 0 to 2**64 - 1."""
    return _field(default, _uint(64), UInt(8), on_setattr)


def big_size(default: int = 0) -> Any:
    """An integer from 0 to 2**64 - 1, in BOLT 1's variable-length form."""
    return _field(default, _uint(64), BigSize())


def fixed_bytes(length: int, default: bytes | None = None) -> Any:
    """Exactly `length` bytes; zeros unless told otherwise."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not is_bytes(value, length):
            raise bad_value(instance, attribute, f"{length} bytes", value)

    return _field(bytes(length) if default is None else default, check, Fixed(length))


def variable_bytes(maximum: int = 0xFFFF, default: bytes = b"") -> Any:
    """At most `maximum` bytes, their number before them in a `u16`."""
    return _field(default, at_most(maximum), Prefixed())


def tlv_stream() -> Any:
    """The TLV stream at a message's end, as raw bytes: neither read nor required to be sound."""
    return _field(b"", at_most(0xFFFF), Rest())


def short_channel_id(default: ShortChannelID = ShortChannelID(), on_setattr: Any = None) -> Any:
    """A `ShortChannelID`; a plain integer is refused."""
    check = _instance(ShortChannelID, "a ShortChannelID")
    return _field(default, check, ShortChannelIDCodec(), on_setattr, text=str)


def channel_id(default: ChannelID = ChannelID()) -> Any:
    """A `ChannelID`; plain bytes are refused."""
    return _field(default, _instance(ChannelID, "a ChannelID"), ChannelIDCodec())


def at_most(maximum: int) -> _Validator:
    """Return a validator for `bytes` no longer than `maximum`."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, bytes) or len(value) > maximum:
            raise bad_value(instance, attribute, f"at most {maximum} bytes", value)

    return check


def bad_value(
    instance: object, attribute: attrs.Attribute[Any], wanted: str, value: object
) -> ValueError:
    """Return the error for a field's value that is not as `wanted`."""
    return ValueError(
        f"{type(instance).__name__}.{attribute.name} must be {wanted}, got {shown(value)}"
    )


def _field(
    default: Any,
    validator: _Validator,
    codec: Codec,
    on_setattr: Any = None,
    text: Callable[[Any], str] = shown,
) -> Any:
    return attrs.field(
        default=default,
        validator=validator,
        metadata={CODEC: codec},
        on_setattr=on_setattr,
        repr=text,
    )


def _uint(bits: int) -> _Validator:
    maximum = (1 << bits) - 1

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        # The exact type first: packets are made on hot paths, and subclasses are rare.
        if type(value) is int and 0 <= value <= maximum:
            return
        if not is_uint(value, maximum):
            raise bad_value(instance, attribute, f"an unsigned {bits}-bit integer", value)

    return check


def _instance(wanted: type, description: str) -> _Validator:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if type(value) is not wanted:
            raise bad_value(instance, attribute, description, value)

    return check
