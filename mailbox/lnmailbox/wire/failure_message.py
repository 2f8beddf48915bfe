"""What the failure messages of BOLT 4 share: a code with flags, fields, a sentence for people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import IntFlag
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from .channel_update import ChannelUpdate
from .fields import at_most, bad_value, uint16
from .layout import CODEC, Prefixed, layout
from .reader import DecodeError, Reader
from .shown import shown, shown_fields

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "FailureFlag",
    "FailureMessage",
    "KnownFailure",
    "UnknownFailure",
    "channel_update",
    "kinds",
]

_MAX_SIZE = 0xFFFF


class FailureFlag(IntFlag):
    """The upper bits of a failure code (BOLT 4; lnd `FlagBadOnion` and so on)."""

    BADONION = 0x8000
    """The onion could not be read; the node before reports it, from a malformed fail."""
    PERM = 0x4000
    """Trying again later does not help."""
    NODE = 0x2000
    """The whole node is meant, not one channel."""
    UPDATE = 0x1000
    """The channel's terms were violated; a `channel_update` may be enclosed."""


class FailureMessage(ABC):
    """Why an HTLC was not forwarded or accepted (BOLT 4, lnd `FailureMessage`).

    The kinds are frozen attrs classes, compared and hashed by value. `str()` is the name and a
    sentence for people; the `repr` leaves out fields that have their default, and abbreviates long
    bytes.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def code(self) -> int:
        """The 16-bit failure code, flags included."""

    @property
    @abstractmethod
    def description(self) -> str:
        """A sentence for people."""

    @property
    def flags(self) -> FailureFlag:
        """The flags in the code."""
        return FailureFlag(self.code & 0xF000)

    @abstractmethod
    def encode(self, *, typed_update: bool = True) -> bytes:
        """Return the message: 2 bytes code, then its data, without length and padding.

        Args:
            typed_update: whether an enclosed `channel_update` begins with its 2-byte type
                `0102`, as it does since BOLTs pull request 979 and lnd 0.18.
        """

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the failure that `encode` wrote as `data`, in either form of the update.

        On `FailureMessage` this reads every kind, and a code that is none of BOLT 4's as an
        `UnknownFailure`; on another class only its own.

        Raises:
            DecodeError: the code is of another class, the data ends too early, holds a bad
                value, or is longer than 65535 bytes.
            TypeError: `data` is no buffer.
        """
        reader = Reader(data, "failure")
        if reader.left > _MAX_SIZE:
            raise DecodeError(f"failure: {reader.left} bytes, a failure has at most {_MAX_SIZE}")
        code = reader.uint(2, "code")
        kind: type[FailureMessage] = kinds.find(code) or UnknownFailure
        if not issubclass(kind, cls):
            raise DecodeError(f"{cls.__name__}: code {code:#06x} is that of {kind.__name__}")
        reader.name = kind.__name__
        return kind._read(code, reader)

    @classmethod
    @abstractmethod
    def _read(cls, code: int, reader: Reader) -> Self:
        """Return the failure whose data, after the code, `reader` has."""

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.description}"

    def __repr__(self) -> str:
        return shown_fields(self)


@attrs.frozen(repr=False)
class KnownFailure(FailureMessage):
    """A failure of BOLT 4: its fields in order are its layout, after them comes a TLV stream.

    Args:
        extra_opaque_data: that TLV stream, raw, at most 65535 bytes (256 must hold all).
    """

    CODE: ClassVar[int]
    DESCRIPTION: ClassVar[str]

    extra_opaque_data: bytes = attrs.field(
        default=b"", kw_only=True, validator=at_most(_MAX_SIZE), repr=shown
    )

    @property
    def code(self) -> int:
        return self.CODE

    @property
    def description(self) -> str:
        return self.DESCRIPTION

    def encode(self, *, typed_update: bool = True) -> bytes:
        chunks = [self.CODE.to_bytes(2, "big")]
        for name, codec in layout(type(self)):
            older = codec is _typed_update and not typed_update
            chunks.append((_untyped_update if older else codec).write(getattr(self, name)))
        chunks.append(self.extra_opaque_data)
        return b"".join(chunks)

    @classmethod
    def _read(cls, code: int, reader: Reader) -> Self:
        values: dict[str, Any] = {name: codec.read(reader, name) for name, codec in layout(cls)}
        return cls(**values, extra_opaque_data=reader.rest())


@attrs.frozen(repr=False)
class UnknownFailure(FailureMessage):
    """A failure whose code this package does not know: kept as it came.

    Its flags still tell a sender what to avoid.

    Args:
        code: the 16-bit code.
        data: all that follows the code.

    Raises:
        ValueError: a value has the wrong type or is out of its range, or the code is known.
    """

    code: int = uint16()  # pyright: ignore[reportIncompatibleMethodOverride]
    data: bytes = attrs.field(default=b"", validator=at_most(_MAX_SIZE - 2), repr=shown)

    def __attrs_post_init__(self) -> None:
        known = kinds.find(self.code)
        if known is not None:
            raise ValueError(
                f"UnknownFailure.code must not be that of {known.__name__}, got {self.code:#06x}"
            )

    @property
    def description(self) -> str:
        names = [name for name, flag in FailureFlag.__members__.items() if flag in self.flags]
        return f"unknown code {self.code:#06x} ({'|'.join(names) or 'no flags'})"

    def encode(self, *, typed_update: bool = True) -> bytes:
        return self.code.to_bytes(2, "big") + self.data

    @classmethod
    def _read(cls, code: int, reader: Reader) -> Self:
        return cls(code, reader.rest())


@attrs.define
class Kinds:
    """How the class that has a code is found.

    The classes derive from what is defined here, so `failure_kinds.py`, which knows them, sets
    this. It is imported with the package.
    """

    find: Callable[[int], type[KnownFailure] | None] = attrs.field(init=False)


kinds = Kinds()


def channel_update() -> Any:
    """A field for an optional `ChannelUpdate`, on the wire after a `u16` length."""
    return attrs.field(default=None, validator=_check_update, metadata={CODEC: _typed_update})


def _check_update(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and type(value) is not ChannelUpdate:
        raise bad_value(instance, attribute, "a ChannelUpdate or None", value)


_prefixed = Prefixed()


@attrs.frozen
class _UpdateCodec:
    """A `u16` length and the update; length zero if there is none."""

    typed: bool

    def write(self, value: ChannelUpdate | None) -> bytes:
        if value is None:
            return b"\0\0"
        encoded = value.encode()
        return _prefixed.write(encoded if self.typed else encoded[2:])

    def read(self, reader: Reader, field: str) -> ChannelUpdate | None:
        encoded = _prefixed.read(reader, field)
        if not encoded:
            return None
        type_bytes = ChannelUpdate.MSG_TYPE.to_bytes(2, "big")
        if encoded.startswith(type_bytes):
            try:
                return ChannelUpdate.decode(encoded)
            except DecodeError:
                # A signature may begin with these two bytes as well: try it as the older form.
                pass
        return ChannelUpdate.decode(type_bytes + encoded)

    def size(self, value: ChannelUpdate | None) -> int:
        return len(self.write(value))


_typed_update = _UpdateCodec(typed=True)
_untyped_update = _UpdateCodec(typed=False)
