"""Taking fields off the front of bytes, and the error for bytes that do not fit."""

from __future__ import annotations

from .shown import shown

__all__ = ["DecodeError", "Reader"]


class DecodeError(ValueError):
    """Bytes that are not what they should be; the text says which field, where, and why."""


class Reader:
    """Takes fields off the front of `data`.

    Args:
        data: any buffer; copied.
        name: what is being read, for the texts of errors.

    Raises:
        TypeError: `data` is no buffer.
    """

    __slots__ = ("_data", "_end", "_position", "name")

    def __init__(self, data: bytes, name: str) -> None:
        try:
            self._data = bytes(memoryview(data))
        except TypeError:
            raise TypeError(f"{name} must be bytes, got {shown(data)}") from None
        self._position = 0
        self._end = len(self._data)
        self.name = name

    @property
    def left(self) -> int:
        """How many bytes have not been taken."""
        return self._end - self._position

    def take(self, length: int, field: str) -> bytes:
        """Take `length` bytes.

        Raises:
            DecodeError: fewer are left.
        """
        start = self._position
        end = start + length
        if end > self._end:
            raise self.error(field, f"needs {length} bytes, {self.left} are left")
        self._position = end
        return self._data[start:end]

    def uint(self, length: int, field: str) -> int:
        """Take an unsigned big-endian integer of `length` bytes.

        Raises:
            DecodeError: fewer are left.
        """
        return int.from_bytes(self.take(length, field), "big")

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(self.left, "rest")

    def error(self, field: str, problem: str) -> DecodeError:
        """Return the error for a field that begins at the next byte."""
        return DecodeError(f"{self.name}.{field} at byte {self._position}: {problem}")
