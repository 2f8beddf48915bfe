"""Encrypters as bytes, each by its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs

from ..failure import ErrorEncrypter
from ..wire.reader import Reader
from ..wire.shown import shown

__all__ = ["EncrypterKind", "Encrypters", "prefixed", "take_name", "take_prefixed"]

_K = TypeVar("_K")


def _check_name(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"EncrypterKind.name must be a string, got {shown(value)}")
    if not 1 <= len(value.encode()) <= 0xFF:
        raise ValueError(f"EncrypterKind.name must have 1 to 255 bytes, got {shown(value)}")


def _check_class(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, type):
        raise TypeError(f"EncrypterKind.type must be a class, got {shown(value)}")


def _check_callable(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not callable(value):
        raise TypeError(f"EncrypterKind.{attribute.name} must be callable, got {shown(value)}")


@attrs.frozen
class EncrypterKind:
    """How one class of encrypters is kept in a journal.

    What `encode` returns stands in the file in clear, with whatever secret is in it. A node that
    keeps no such secret on disk may write the onion's ephemeral key and derive the secret again,
    as lnd does.

    Args:
        name: stands in the file; at most 255 bytes as UTF-8.
        type: the class; encrypters of its subclasses are refused.
        encode: makes an encrypter into at most 65535 bytes.
        decode: makes them into an encrypter; raises if they are no such encrypter.

    Raises:
        ValueError: `name` is too long, or empty.
        TypeError: `name` is no string, `type` no class, or another one can't be called.
    """

    name: str = attrs.field(validator=_check_name)
    type: type = attrs.field(validator=_check_class)
    encode: Callable[[Any], bytes] = attrs.field(validator=_check_callable)
    decode: Callable[[bytes], ErrorEncrypter] = attrs.field(validator=_check_callable)


class Encrypters:
    """The kinds of encrypters that a codec knows: those given, and "sphinx".

    "sphinx" is looked for when it is first needed, since importing `cryptography` takes a while.
    A kind given for the same class or under the same name goes before it.

    Raises:
        ValueError: two kinds have the same name or the same class.
    """

    def __init__(self, kinds: Iterable[EncrypterKind] = ()) -> None:
        self._by_name: dict[str, EncrypterKind] = {}
        self._by_type: dict[type, EncrypterKind] = {}
        try:
            kinds = list(kinds)
        except TypeError:
            raise TypeError(f"encrypters must be iterable, got {shown(kinds)}") from None
        for kind in kinds:
            if not isinstance(kind, EncrypterKind):
                raise TypeError(f"encrypters must be EncrypterKinds, got {shown(kind)}")
            if kind.name in self._by_name or kind.type in self._by_type:
                raise ValueError(f"two kinds of encrypters have one name or one class: {kind}")
            self._by_name[kind.name] = self._by_type[kind.type] = kind

    def __str__(self) -> str:
        return ", ".join(self._by_name) or "none"

    def encode(self, encrypter: ErrorEncrypter, field: str) -> bytes:
        """Return the kind's name and the encrypter's bytes, each after its length.

        Raises:
            TypeError: no kind has this class, or the kind's `encode` returns no bytes.
            ValueError: they are too many; or what the kind's `encode` raised.
        """
        kind = self._find(self._by_type, type(encrypter))
        if kind is None:
            # Without its repr, which may show a secret.
            raise TypeError(
                f"{field} cannot be kept: no kind of encrypters has the class "
                f"{type(encrypter).__qualname__} (known: {self})"
            )
        data = kind.encode(encrypter)
        if not isinstance(data, bytes):
            raise TypeError(
                f"{field} cannot be kept: encode of the kind {kind.name!r} must return bytes, "
                f"got an object of class {type(data).__qualname__}"
            )
        name = kind.name.encode()
        return len(name).to_bytes(1, "big") + name + prefixed(data, field)

    def decode(self, reader: Reader, field: str) -> ErrorEncrypter:
        """Take what `encode` returned.

        Raises:
            ValueError: too few bytes are left, the kind is not known, or its `decode` raises.
        """
        name = take_name(reader, f"{field} kind")
        data = take_prefixed(reader, field)
        kind = self._find(self._by_name, name)
        if kind is None:
            raise ValueError(
                f"{reader.name}.{field} is an encrypter of kind {name!r}, which this codec does "
                f"not know (known: {self})"
            )
        try:
            return kind.decode(data)
        except Exception as error:
            raise ValueError(
                f"{reader.name}.{field}: decode of the kind {name!r} raised {type(error).__name__}"
            ) from error

    def _find(self, kinds: dict[_K, EncrypterKind], key: _K) -> EncrypterKind | None:
        if key not in kinds and "sphinx" not in self._by_name:
            self._add_sphinx()
        return kinds.get(key)

    def _add_sphinx(self) -> None:
        try:
            from ..sphinx import SphinxErrorEncrypter as Sphinx
        except ImportError:
            return
        kind = EncrypterKind("sphinx", Sphinx, Sphinx.to_bytes, Sphinx.from_bytes)
        self._by_type.setdefault(Sphinx, kind)
        self._by_name["sphinx"] = kind


def prefixed(data: bytes, field: str) -> bytes:
    """Return `data` after its length in a `u16`.

    Raises:
        ValueError: it has more than 65535 bytes.
    """
    if len(data) > 0xFFFF:
        raise ValueError(f"{field} cannot be kept: it takes {len(data)} bytes, at most 65535 fit")
    return len(data).to_bytes(2, "big") + data


def take_prefixed(reader: Reader, field: str) -> bytes:
    """Take what `prefixed` returned, without the length."""
    return reader.take(reader.uint(2, f"{field} length"), field)


def take_name(reader: Reader, field: str) -> str:
    """Take a `u8` length and as many bytes of UTF-8."""
    return reader.take(reader.uint(1, f"{field} length"), field).decode()
