"""A channel's forwarding terms in one direction, as gossip and failures carry them (BOLT 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from .fields import (
    fixed_bytes,
    short_channel_id,
    tlv_stream,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .ids import ShortChannelID
from .layout import layout
from .messages import WireMessage
from .reader import Reader

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ChannelUpdate"]

_HAS_MAXIMUM = 1


@frozen(repr=False)
class ChannelUpdate(WireMessage):
    """`channel_update`, BOLT 7; lnd `ChannelUpdate1`. Frozen, compared by value.

    Its bytes are never interpreted here: the signature is neither made nor verified.

    Args:
        signature: 64 bytes, over the double SHA-256 of all that follows it.
        chain_hash: the chain's genesis block hash, 32 bytes.
        short_channel_id: the channel.
        timestamp: Unix time in seconds; the later of two updates counts.
        message_flags: bit 0 says that `htlc_maximum_msat` is there, bit 1 not to pass this on.
        channel_flags: bit 0 is the direction, bit 1 says disabled.
        time_lock_delta: blocks that a forward takes off the expiry (`cltv_expiry_delta`).
        htlc_minimum_msat: least amount of an HTLC, msat.
        base_fee: fee of each forward, msat.
        fee_rate: fee for the amount, millionths of it.
        htlc_maximum_msat: largest amount of an HTLC, msat; on the wire only if `message_flags`
            has bit 0.
        extra_opaque_data: the TLV stream after the fields, raw (an inbound fee stands here).

    Raises:
        ValueError: a value has the wrong type or is out of its range, or `htlc_maximum_msat` is
            not zero though `message_flags` denies it: encoding would lose it.
    """

    MSG_TYPE: ClassVar[int] = 258

    signature: bytes = fixed_bytes(64)
    chain_hash: bytes = fixed_bytes(32)
    short_channel_id: ShortChannelID = short_channel_id()
    timestamp: int = uint32()
    message_flags: int = uint8()
    channel_flags: int = uint8()
    time_lock_delta: int = uint16()
    htlc_minimum_msat: int = uint64()
    base_fee: int = uint32()
    fee_rate: int = uint32()
    htlc_maximum_msat: int = uint64()
    extra_opaque_data: bytes = tlv_stream()

    def __attrs_post_init__(self) -> None:
        if self.htlc_maximum_msat and not self.message_flags & _HAS_MAXIMUM:
            raise ValueError(
                "ChannelUpdate.htlc_maximum_msat needs bit 0 of message_flags, got "
                f"htlc_maximum_msat={self.htlc_maximum_msat}, message_flags={self.message_flags}"
            )

    def serialized_size(self) -> int:
        """Return `len(self.encode())`, the type included, without encoding."""
        absent = 0 if self.message_flags & _HAS_MAXIMUM else 8
        return WireMessage.serialized_size(self) - absent

    def _encode_fields(self) -> bytes:
        return b"".join(
            [
                codec.write(getattr(self, name))
                for name, codec in layout(ChannelUpdate)
                if name != "htlc_maximum_msat" or self.message_flags & _HAS_MAXIMUM
            ]
        )

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        values: dict[str, Any] = {}
        for name, codec in layout(cls):
            if name != "htlc_maximum_msat" or values["message_flags"] & _HAS_MAXIMUM:
                values[name] = codec.read(reader, name)
        return cls(**values)
