"""Channel identifiers: the short one that routes are made of, and the 32 bytes in messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

from .checks import is_bytes, is_uint
from .shown import shown

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["ChannelID", "ShortChannelID"]

_UINT24_MAX = (1 << 24) - 1
_UINT16_MAX = (1 << 16) - 1
_UINT64_MAX = (1 << 64) - 1

_BUFFERS = bytes, bytearray, memoryview

_TRIPLE = re.compile(r"([0-9]{1,20})([x:])([0-9]{1,20})\2([0-9]{1,20})")
_NUMBER = re.compile(r"[0-9]{1,20}")


@final
class ShortChannelID(int):
    """Where a channel's funding output is in the chain (BOLT 7, lnd `ShortChannelID`).

    It is an `int`, the 64-bit number that goes over the wire (block height 24 bits, transaction
    index 24, output index 16), and hashes, compares and sorts as one. `str()` and an f-string
    give `539268x845x1`, `int()` the plain number, `bytes()` the 8 bytes of the wire. Arithmetic
    gives plain integers. The default, zero, is lnd's "no channel" and is false.

    Args:
        block_height: height of the block with the funding transaction, 0 to 2**24 - 1.
        tx_index: place of the funding transaction in that block, 0 to 2**24 - 1.
        tx_position: index of the funding output, 0 to 2**16 - 1.

    Raises:
        ValueError: an argument is no integer, or out of its range.
    """

    __slots__ = ()

    def __new__(
        cls, block_height: int = 0, tx_index: int = 0, tx_position: int = 0
    ) -> ShortChannelID:
        if not is_uint(block_height, _UINT24_MAX):
            raise _bad_part("block_height", 24, block_height)
        if not is_uint(tx_index, _UINT24_MAX):
            raise _bad_part("tx_index", 24, tx_index)
        if not is_uint(tx_position, _UINT16_MAX):
            raise _bad_part("tx_position", 16, tx_position)
        return int.__new__(cls, block_height << 40 | tx_index << 16 | tx_position)

    @classmethod
    def from_int(cls, value: int) -> ShortChannelID:
        """Return the id with the 64-bit number `value`, as it stands in messages and logs.

        Raises:
            ValueError: `value` is no integer from 0 to 2**64 - 1.
        """
        if not is_uint(value, _UINT64_MAX):
            raise ValueError(
                f"ShortChannelID must be an unsigned 64-bit integer, got {shown(value)}"
            )
        return int.__new__(cls, value)

    @classmethod
    def from_bytes(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        bytes: bytes | bytearray | memoryview,  # noqa: A002  (as `int.from_bytes` calls it)
        byteorder: Literal["big", "little"] = "big",
        *,
        signed: bool = False,
    ) -> ShortChannelID:
        """Return the id that `bytes(id)` or `id.to_bytes(8, byteorder)` wrote.

        Args:
            bytes: exactly 8.
            byteorder: `"big"`, as on the wire, or `"little"`.
            signed: whether to read them as a signed number; an id is never negative.

        Raises:
            ValueError: `bytes` is no buffer or not 8 bytes long, the number is negative, or
                there is no such `byteorder`.
        """
        if not isinstance(bytes, _BUFFERS) or memoryview(bytes).nbytes != 8:
            raise ValueError(f"ShortChannelID must be 8 bytes, got {shown(bytes)}")
        return cls.from_int(int.from_bytes(bytes, byteorder, signed=signed))

    @classmethod
    def from_string(cls, text: str) -> ShortChannelID:
        """Return the id that `text` writes, as people and tools do.

        Args:
            text: `539268x845x1`, `539268:845:1` or the decimal 64-bit number; blanks around
                it do not count.

        Raises:
            ValueError: `text` has another form, or a part is out of its range.
        """
        stripped = text.strip() if isinstance(text, str) else ""
        if _NUMBER.fullmatch(stripped):
            return cls.from_int(int(stripped))
        triple = _TRIPLE.fullmatch(stripped)
        if triple is None:
            raise ValueError(
                "a short channel id looks like 539268x845x1, 539268:845:1 or is a number, "
                f"got {shown(text)}"
            )
        return cls(int(triple[1]), int(triple[3]), int(triple[4]))

    @property
    def block_height(self) -> int:
        """Height of the block with the funding transaction."""
        return self >> 40

    @property
    def tx_index(self) -> int:
        """Place of the funding transaction in its block."""
        return self >> 16 & _UINT24_MAX

    @property
    def tx_position(self) -> int:
        """Index of the funding transaction's output."""
        return self & _UINT16_MAX

    def __bytes__(self) -> bytes:
        return self.to_bytes(8, "big")

    def __str__(self) -> str:
        return f"{self.block_height}x{self.tx_index}x{self.tx_position}"

    def __repr__(self) -> str:
        return f"ShortChannelID({self.block_height}, {self.tx_index}, {self.tx_position})"

    def __getnewargs__(self) -> tuple[int, int, int]:  # type: ignore[override]
        return self.block_height, self.tx_index, self.tx_position


@final
class ChannelID(bytes):
    """The 32 bytes that name a channel in messages between its peers (BOLT 2, lnd `ChannelID`).

    `str()` gives them as hex, `ChannelID.fromhex` reads that. Slices, sums and products are
    plain `bytes`. The default is all zeros, which in BOLT 1's `error` and `warning` means every
    channel of the connection; it is as true as every other id.

    Args:
        value: exactly 32 bytes.

    Raises:
        ValueError: `value` is not of type `bytes`, or not 32 bytes long.
    """

    __slots__ = ()

    def __new__(cls, value: bytes = bytes(32)) -> ChannelID:
        if not is_bytes(value, 32):
            raise ValueError(f"ChannelID must be 32 bytes, got {shown(value)}")
        return bytes.__new__(cls, value)

    @classmethod
    def from_outpoint(cls, txid: bytes, output_index: int) -> ChannelID:
        """Return the id of a funding output's channel (BOLT 2, lnd `NewChanIDFromOutPoint`).

        Args:
            txid: the funding transaction's id, 32 bytes in the order of the wire (the reverse of
                what block explorers show).
            output_index: index of the funding output, 0 to 2**16 - 1.

        Raises:
            ValueError: `txid` is not 32 bytes, or the index is out of range.
        """
        if not is_uint(output_index, _UINT16_MAX):
            raise ValueError(
                "ChannelID output_index must be an unsigned 16-bit integer, "
                f"got {shown(output_index)}"
            )
        number = int.from_bytes(cls(txid), "big") ^ output_index
        return cls(number.to_bytes(32, "big"))

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"ChannelID.fromhex('{self.hex()}')" if any(self) else "ChannelID()"


def _bad_part(name: str, bits: int, value: object) -> ValueError:
    return ValueError(
        f"ShortChannelID.{name} must be an unsigned {bits}-bit integer, got {shown(value)}"
    )
