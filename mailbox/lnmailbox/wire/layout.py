"""How a field stands in a message: a class's fields, in their order, are its layout on the wire.

A field made by `fields.py` carries a `Codec` in its metadata under `CODEC`. `layout(cls)`
lists them.
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Protocol

import attrs

from .ids import ChannelID, ShortChannelID
from .reader import Reader

__all__ = [
    "CODEC",
    "BigSize",
    "ChannelIDCodec",
    "Codec",
    "Fixed",
    "Prefixed",
    "Rest",
    "ShortChannelIDCodec",
    "UInt",
    "layout",
    "size_of_fields",
    "write_fields",
]

CODEC = "lnmailbox.codec"


class Codec(Protocol):
    """One field's form on the wire. One that takes always the same bytes has a `length`.

    And a `code`: what `struct` calls that form, if it has a name for it.
    """

    @abstractmethod
    def write(self, value: Any) -> bytes:
        """Return the bytes of a value that its field has checked."""

    @abstractmethod
    def read(self, reader: Reader, field: str) -> Any:
        """Take a value.

        Raises:
            DecodeError: the bytes are too few, or no such value.
        """

    @abstractmethod
    def size(self, value: Any) -> int:
        """Return `len(self.write(value))` without writing it."""


def layout(cls: type) -> tuple[tuple[str, Codec], ...]:
    """Return the name and codec of each field of an attrs class that has one, in order."""
    found = _layouts.get(cls)
    if found is None:
        fields = [field for field in attrs.fields(cls) if CODEC in field.metadata]
        found = _layouts[cls] = tuple((field.name, field.metadata[CODEC]) for field in fields)
    return found


_layouts: dict[type, tuple[tuple[str, Codec], ...]] = {}


def write_fields(value: object) -> bytes:
    """Return the bytes of an attrs object's fields, in order."""
    cls = type(value)
    if cls not in _writers:
        _writers[cls] = _writer(cls)
    return _writers[cls](value)


_writers: dict[type, Callable[[Any], bytes]] = {}


def _writer(cls: type) -> Callable[[Any], bytes]:
    fields = layout(cls)
    codes = [getattr(codec, "code", None) for _, codec in fields[:-1]]
    if len(fields) < 3 or None in codes or type(fields[-1][1]) is not Rest:
        return lambda value: b"".join(
            [codec.write(getattr(value, name)) for name, codec in fields]
        )
    # In one step, which takes half the time: all have a fixed length but the last, which is bytes.
    pack = struct.Struct(">" + "".join(map(str, codes))).pack
    values = attrgetter(*(name for name, _ in fields[:-1]))
    rest = attrgetter(fields[-1][0])
    return lambda value: pack(*values(value)) + rest(value)


def size_of_fields(value: object) -> int:
    """Return how many bytes the fields of an attrs object take on the wire."""
    cls = type(value)
    sizes = _sizes.get(cls)
    if sizes is None:
        fixed = sum(getattr(codec, "length", 0) for _, codec in layout(cls))
        varying = tuple(
            (name, codec) for name, codec in layout(cls) if not hasattr(codec, "length")
        )
        sizes = _sizes[cls] = fixed, varying
    size, fields = sizes
    for name, codec in fields:
        size += codec.size(getattr(value, name))
    return size


# The bytes of the fields that take always the same, and the other fields.
_sizes: dict[type, tuple[int, tuple[tuple[str, Codec], ...]]] = {}


@attrs.frozen
class UInt:
    """An unsigned big-endian integer of `length` bytes (BOLT 1 `byte`, `u16` to `u64`)."""

    length: int

    @property
    def code(self) -> str:
        return {1: "B", 2: "H", 4: "I", 8: "Q"}[self.length]

    def write(self, value: int) -> bytes:
        return value.to_bytes(self.length, "big")

    def read(self, reader: Reader, field: str) -> int:
        return reader.uint(self.length, field)

    def size(self, value: int) -> int:
        return self.length


@attrs.frozen
class Fixed:
    """Exactly `length` bytes."""

    length: int

    @property
    def code(self) -> str:
        return f"{self.length}s"

    def write(self, value: bytes) -> bytes:
        return value

    def read(self, reader: Reader, field: str) -> bytes:
        return reader.take(self.length, field)

    def size(self, value: bytes) -> int:
        return self.length


class Prefixed:
    """A `u16` length and as many bytes."""

    def write(self, value: bytes) -> bytes:
        return len(value).to_bytes(2, "big") + value

    def read(self, reader: Reader, field: str) -> bytes:
        return reader.take(reader.uint(2, f"{field} length"), field)

    def size(self, value: bytes) -> int:
        return 2 + len(value)


class Rest:
    """Whatever is left: the TLV stream that may end a message, kept byte for byte."""

    def write(self, value: bytes) -> bytes:
        return value

    def read(self, reader: Reader, field: str) -> bytes:
        return reader.rest()

    def size(self, value: bytes) -> int:
        return len(value)


class BigSize:
    """An integer up to 64 bits in 1, 3, 5 or 9 bytes, the fewest that hold it (BOLT 1)."""

    def write(self, value: int) -> bytes:
        if value < 0xFD:
            return value.to_bytes(1, "big")
        if value <= 0xFFFF:
            return b"\xfd" + value.to_bytes(2, "big")
        if value <= 0xFFFF_FFFF:
            return b"\xfe" + value.to_bytes(4, "big")
        return b"\xff" + value.to_bytes(8, "big")

    def read(self, reader: Reader, field: str) -> int:
        first = reader.uint(1, field)
        if first < 0xFD:
            return first
        value = reader.uint({0xFD: 2, 0xFE: 4, 0xFF: 8}[first], field)
        if value < {0xFD: 0xFD, 0xFE: 0x1_0000, 0xFF: 0x1_0000_0000}[first]:
            raise reader.error(field, f"{value} is not in its shortest form")
        return value

    def size(self, value: int) -> int:
        return len(self.write(value))


class ShortChannelIDCodec:
    """A short channel id, 8 bytes."""

    length = 8
    code = "Q"

    def write(self, value: ShortChannelID) -> bytes:
        return value.to_bytes(8, "big")

    def read(self, reader: Reader, field: str) -> ShortChannelID:
        return ShortChannelID.from_int(reader.uint(8, field))

    def size(self, value: ShortChannelID) -> int:
        return 8


class ChannelIDCodec:
    """A channel id, 32 bytes."""

    length = 32
    code = "32s"

    def write(self, value: ChannelID) -> bytes:
        return value

    def read(self, reader: Reader, field: str) -> ChannelID:
        return ChannelID(reader.take(32, field))

    def size(self, value: ChannelID) -> int:
        return 32
