"""Packets between switch and link, and their keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs

from .errors import UnknownHTLCType
from .failure import ErrorEncrypter, LinkError
from .wire import Message, ShortChannelID, UpdateAddHTLC, UpdateFailHTLC, UpdateFulfillHTLC
from .wire.fields import fixed_bytes, short_channel_id, uint16, uint32, uint64
from .wire.shown import shown, shown_fields

__all__ = [
    "AddRef",
    "CircuitKey",
    "HTLCPacket",
    "Keystone",
    "PaymentCircuit",
    "SettleFailRef",
    "is_add",
    "require_key",
    "require_packet",
    "require_reply",
]

NODE_ID_LENGTH = 33


class CircuitKey(NamedTuple):
    """The channel and the HTLC id that identify one HTLC (lnd: `channeldb.CircuitKey`)."""

    chan_id: ShortChannelID = ShortChannelID()
    htlc_id: int = 0

    def __str__(self) -> str:
        return f"(Chan ID={self.chan_id}, HTLC ID={self.htlc_id})"


class Keystone(NamedTuple):
    """The incoming and the outgoing key of a forwarded HTLC (lnd: `Keystone`)."""

    in_key: CircuitKey
    out_key: CircuitKey

    def __str__(self) -> str:
        return f"{self.in_key} --> {self.out_key}"


@attrs.frozen
class AddRef:
    """The place of an Add in the incoming link's forwarding packages (lnd: `channeldb.AddRef`)."""

    height: int = uint64()
    index: int = uint16()


@attrs.frozen
class SettleFailRef:
    """The place of a reply in the outgoing link's forwarding packages (lnd: `SettleFailRef`)."""

    source: ShortChannelID = short_channel_id()
    height: int = uint64()
    index: int = uint16()


def _hidden(value: object) -> str:
    return "..."


@attrs.define(kw_only=True)
class PaymentCircuit:
    """The switch's record of a forward; amounts in msat (lnd: `PaymentCircuit`).

    The `repr` leaves out fields that have their default, and hides the encrypter's secret.
    """

    add_ref: AddRef = AddRef()
    incoming: CircuitKey = attrs.field(default=CircuitKey(), repr=str)
    outgoing: CircuitKey | None = attrs.field(default=None, repr=str)
    payment_hash: bytes = fixed_bytes(32)
    incoming_amount: int = uint64()
    outgoing_amount: int = uint64()
    error_encrypter: ErrorEncrypter | None = attrs.field(default=None, repr=_hidden)
    loaded_from_disk: bool = False

    def __repr__(self) -> str:
        return shown_fields(self)

    @property
    def has_keystone(self) -> bool:
        """Whether the outgoing link has given the HTLC its id."""
        return self.outgoing is not None

    @property
    def in_key(self) -> CircuitKey:
        return self.incoming

    @property
    def out_key(self) -> CircuitKey:
        """The outgoing key; all zero while there is no keystone."""
        return CircuitKey() if self.outgoing is None else self.outgoing


def _renew_in_key(packet: HTLCPacket, attribute: attrs.Attribute[int], value: int) -> int:
    chan_id, htlc_id = packet.in_key
    if attribute.name == "incoming_chan_id":
        chan_id = ShortChannelID.from_int(value)
    else:
        htlc_id = value
    object.__setattr__(packet, "in_key", CircuitKey(chan_id, htlc_id))
    return value


def _check_hop(packet: HTLCPacket, attribute: attrs.Attribute[Any], value: Any) -> None:
    is_node_id = isinstance(value, bytes) and len(value) == NODE_ID_LENGTH
    if not (is_node_id or isinstance(value, ShortChannelID)):
        raise ValueError(
            f"HTLCPacket.outgoing_hop must be a ShortChannelID, or a node id of {NODE_ID_LENGTH} "
            f"bytes, got {shown(value)}"
        )


_KEY_PART = [attrs.setters.validate, _renew_in_key]


@attrs.define(eq=False, kw_only=True)
class HTLCPacket:
    """An HTLC update with the context that the switch needs (lnd: `htlcPacket`).

    Mutable, and compared by identity. Amounts are msat, timeouts block heights. The `repr` leaves
    out fields that have their default, and shows `...` for the circuit, which repeats the packet,
    and for the obfuscator, which holds a secret.

    Raises:
        ValueError: a number or `outgoing_hop`, here or when it is assigned, does not fit its type.
    """

    incoming_chan_id: ShortChannelID = short_channel_id(on_setattr=_KEY_PART)
    incoming_htlc_id: int = uint64(on_setattr=_KEY_PART)
    outgoing_chan_id: ShortChannelID = short_channel_id()
    outgoing_htlc_id: int = uint64()
    outgoing_hop: ShortChannelID | bytes = attrs.field(
        default=ShortChannelID(), validator=_check_hop
    )
    """The next hop as the sender's onion has it: a short channel id, or a node id, 33 bytes."""
    original_outgoing_chan_id: ShortChannelID = short_channel_id()
    """The outgoing id that the sender named, which may be an alias of `outgoing_chan_id`."""
    amount: int = uint64()
    incoming_amount: int = uint64()
    htlc: Message | None = None
    circuit: PaymentCircuit | None = attrs.field(default=None, repr=_hidden)
    source_ref: AddRef | None = None
    dest_ref: SettleFailRef | None = None
    obfuscator: ErrorEncrypter | None = attrs.field(default=None, repr=_hidden)
    local_failure: bool = False
    link_failure: LinkError | None = None
    has_source: bool = False
    converted_error: bool = False
    is_resolution: bool = False
    incoming_timeout: int = uint32()
    outgoing_timeout: int = uint32()
    in_key: CircuitKey = attrs.field(init=False, repr=False, on_setattr=attrs.setters.frozen)
    """The incoming key, kept in step with its two parts: a mailbox looks at it all the time."""

    def __attrs_post_init__(self) -> None:
        key = CircuitKey(self.incoming_chan_id, self.incoming_htlc_id)
        object.__setattr__(self, "in_key", key)

    def __repr__(self) -> str:
        return shown_fields(self)

    @property
    def out_key(self) -> CircuitKey:
        return CircuitKey(self.outgoing_chan_id, self.outgoing_htlc_id)

    @property
    def is_for_node(self) -> bool:
        """Whether `outgoing_hop` is a node id."""
        return not isinstance(self.outgoing_hop, ShortChannelID)

    @property
    def keystone(self) -> Keystone:
        return Keystone(self.in_key, self.out_key)


def is_add(packet: HTLCPacket) -> bool:
    """Tell an Add from a reply, by the exact class of `htlc`.

    Raises:
        UnknownHTLCType: it is neither.
    """
    if type(packet.htlc) is UpdateAddHTLC:
        return True
    require_reply(packet)
    return False


def require_reply(packet: HTLCPacket) -> None:
    """Raise `UnknownHTLCType` unless `htlc` is, by its exact class, a Settle or a Fail."""
    htlc_type = type(packet.htlc)
    if htlc_type is not UpdateFulfillHTLC and htlc_type is not UpdateFailHTLC:
        raise UnknownHTLCType(f"unknown htlc type: {htlc_type.__name__}")


def require_packet(value: object) -> None:
    """Raise TypeError unless `value` is an `HTLCPacket`."""
    if not isinstance(value, HTLCPacket):
        raise TypeError(f"packet must be an HTLCPacket, got {shown(value)}")


def require_key(value: object) -> None:
    """Raise TypeError if `value` can't be a packet's key: an equal tuple can."""
    if isinstance(value, HTLCPacket):
        raise TypeError(
            f"key must be a CircuitKey, got a packet: use its in_key, {value.in_key!r}"
        )
    if not isinstance(value, tuple) or len(value) != len(CircuitKey._fields):
        raise TypeError(f"key must be a CircuitKey, got {shown(value)}")
