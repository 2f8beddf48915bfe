"""The wire messages that travel through a mailbox: HTLC updates between two peers (BOLT 2)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from attrs import define

from .fields import channel_id, fixed_bytes, tlv_stream, uint16, uint32, uint64, variable_bytes
from .ids import ChannelID
from .layout import layout, size_of_fields, write_fields
from .reader import DecodeError, Reader
from .shown import shown_fields

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "MAX_MESSAGE_SIZE",
    "Message",
    "UpdateAddHTLC",
    "UpdateFailHTLC",
    "UpdateFailMalformedHTLC",
    "UpdateFulfillHTLC",
    "WireMessage",
]

MAX_MESSAGE_SIZE = 65535
"""The most bytes a message may have, its type included (BOLT 1)."""


@runtime_checkable
class Message(Protocol):
    """What every message on the wire has (lnd `lnwire.Message`)."""

    MSG_TYPE: ClassVar[int]
    """The number that the BOLTs give this kind of message."""

    @abstractmethod
    def encode(self) -> bytes:
        """Return the message as it goes over the wire: 2 bytes type, then the fields.

        Raises:
            ValueError: it would be longer than 65535 bytes.
        """

    @abstractmethod
    def serialized_size(self) -> int:
        """Return `len(self.encode())`, the type included, without encoding."""


class WireMessage:
    """The codec of messages whose layout is their fields in order.

    The `repr` leaves out fields that have their default, and abbreviates long bytes.
    """

    __slots__ = ()

    MSG_TYPE: ClassVar[int]

    def encode(self) -> bytes:
        """Return the message as it goes over the wire: 2 bytes type, then the fields.

        This is what lnd's `WriteMessage` writes.

        Raises:
            ValueError: it would be longer than 65535 bytes.
        """
        size = self.serialized_size()
        if size > MAX_MESSAGE_SIZE:
            raise ValueError(
                f"{type(self).__name__} takes {size} bytes, a message at most {MAX_MESSAGE_SIZE}"
            )
        return self.MSG_TYPE.to_bytes(2, "big") + self._encode_fields()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the message that `encode` wrote as `data`.

        Raises:
            DecodeError: `data` begins with another type, ends too early, or is longer than
                65535 bytes.
            TypeError: `data` is no buffer.
        """
        reader = Reader(data, cls.__name__)
        if reader.left > MAX_MESSAGE_SIZE:
            raise DecodeError(
                f"{cls.__name__}: {reader.left} bytes, a message has at most {MAX_MESSAGE_SIZE}"
            )
        message_type = reader.uint(2, "type")
        if message_type != cls.MSG_TYPE:
            raise DecodeError(f"{cls.__name__}: type {message_type} is not {cls.MSG_TYPE}")
        return cls._decode_fields(reader)

    def serialized_size(self) -> int:
        """Return `len(self.encode())`, the type included, without encoding."""
        return 2 + size_of_fields(self)

    def __repr__(self) -> str:
        return shown_fields(self)

    def _encode_fields(self) -> bytes:
        return write_fields(self)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        values: dict[str, Any] = {name: codec.read(reader, name) for name, codec in layout(cls)}
        return cls(**values)


@define(repr=False)
class UpdateAddHTLC(WireMessage):
    """An HTLC offered to the peer: `update_add_htlc`, BOLT 2, lnd `UpdateAddHTLC`.

    Mutable, because the link fills in `chan_id` and `id`; compared by value.

    Args:
        chan_id: the channel.
        id: the HTLC's number, counted by the side that offers it.
        amount: msat.
        payment_hash: SHA-256 of the preimage, 32 bytes.
        expiry: block height at which the HTLC times out (`cltv_expiry`).
        onion_blob: the onion for the next hops, 1366 bytes.
        extra_data: the TLV stream after the fields, raw; a blinded hop's `path_key` is in it.

    Raises:
        ValueError: a value has the wrong type or is out of its range; also when set later.
    """

    MSG_TYPE: ClassVar[int] = 128

    chan_id: ChannelID = channel_id()
    id: int = uint64()
    amount: int = uint64()
    payment_hash: bytes = fixed_bytes(32)
    expiry: int = uint32()
    onion_blob: bytes = fixed_bytes(1366)
    extra_data: bytes = tlv_stream()


@define(repr=False)
class UpdateFulfillHTLC(WireMessage):
    """The preimage that settles an HTLC: `update_fulfill_htlc`, BOLT 2.

    Mutable, compared by value. lnd `UpdateFulfillHTLC`.

    Args:
        chan_id: the channel.
        id: the HTLC's number.
        payment_preimage: 32 bytes.
        extra_data: the TLV stream after the fields, raw.

    Raises:
        ValueError: a value has the wrong type or is out of its range; also when set later.
    """

    MSG_TYPE: ClassVar[int] = 130

    chan_id: ChannelID = channel_id()
    id: int = uint64()
    payment_preimage: bytes = fixed_bytes(32)
    extra_data: bytes = tlv_stream()


@define(repr=False)
class UpdateFailHTLC(WireMessage):
    """An HTLC that failed, with a reason for its sender: `update_fail_htlc`, BOLT 2.

    Mutable, compared by value. lnd `UpdateFailHTLC`.

    Args:
        chan_id: the channel.
        id: the HTLC's number.
        reason: the failure under the onion encryption of every hop so far (BOLT 4), usually
            292 bytes; or the 260 clear bytes of `encode_failure` if the sender is this node.
        extra_data: the TLV stream after the fields, raw.

    Raises:
        ValueError: a value has the wrong type or is out of its range; also when set later.
    """

    MSG_TYPE: ClassVar[int] = 131

    chan_id: ChannelID = channel_id()
    id: int = uint64()
    reason: bytes = variable_bytes()
    extra_data: bytes = tlv_stream()


@define(repr=False)
class UpdateFailMalformedHTLC(WireMessage):
    """An HTLC whose onion the peer cannot read: `update_fail_malformed_htlc`, BOLT 2.

    Mutable, compared by value. lnd `UpdateFailMalformedHTLC`.

    Args:
        chan_id: the channel.
        id: the HTLC's number.
        sha_onion_blob: SHA-256 of the onion received, 32 bytes.
        failure_code: a code of BOLT 4 with the BADONION flag (not checked, as in lnd).
        extra_data: the TLV stream after the fields, raw.

    Raises:
        ValueError: a value has the wrong type or is out of its range; also when set later.
    """

    MSG_TYPE: ClassVar[int] = 135

    chan_id: ChannelID = channel_id()
    id: int = uint64()
    sha_onion_blob: bytes = fixed_bytes(32)
    failure_code: int = uint16()
    extra_data: bytes = tlv_stream()
