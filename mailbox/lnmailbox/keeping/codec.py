"""Packets as bytes, for a journal: a form with a version and a checksum, in place of a pickle.

`docs/journal.md` describes the form byte by byte. What a byte of it means never changes: a new
field needs a new version, and this module goes on reading the old ones.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from ..failure import ErrorEncrypter, FailureDetail, LinkError
from ..packet import (
    NODE_ID_LENGTH,
    AddRef,
    CircuitKey,
    HTLCPacket,
    PaymentCircuit,
    SettleFailRef,
)
from ..wire import (
    FailureMessage,
    Message,
    ShortChannelID,
    UnknownFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
    WireMessage,
)
from ..wire.checks import is_uint
from ..wire.failure_kinds import find_kind
from ..wire.reader import Reader
from ..wire.shown import shown
from .encrypters import EncrypterKind, Encrypters, prefixed, take_name, take_prefixed

__all__ = ["JournalCodec", "PacketCodec"]

VERSION = 1

_CHECKSUM_SIZE = 4

# Which parts follow the head, and what is true.
_LOCAL_FAILURE = 1 << 0
_HAS_SOURCE = 1 << 1
_CONVERTED_ERROR = 1 << 2
_IS_RESOLUTION = 1 << 3
_NODE_ID = 1 << 4
_HTLC = 1 << 5
_SOURCE_REF = 1 << 6
_DEST_REF = 1 << 7
_OBFUSCATOR = 1 << 8
_LINK_FAILURE = 1 << 9
_DETAIL = 1 << 10
_CIRCUIT = 1 << 11
_KEYSTONE = 1 << 12
_LOADED_FROM_DISK = 1 << 13
_CIRCUIT_ENCRYPTER = 1 << 14
_SAME_ENCRYPTER = 1 << 15

_HEAD = struct.Struct(">BHQQQQQQQQII")
_ADD_REF = struct.Struct(">QH")
_SETTLE_FAIL_REF = struct.Struct(">QQH")
_CIRCUIT_FIELDS = struct.Struct(">QHQQ32sQQ")
_KEY = struct.Struct(">QQ")

# What has been read off 8 bytes is in range.
_short_chan_id: Callable[[int], ShortChannelID] = partial(int.__new__, ShortChannelID)

_UINT64_MAX = (1 << 64) - 1

_MESSAGES: dict[int, type[WireMessage]] = {
    cls.MSG_TYPE: cls
    for cls in (UpdateAddHTLC, UpdateFulfillHTLC, UpdateFailHTLC, UpdateFailMalformedHTLC)
}


class JournalCodec(Protocol):
    """What a journal needs in order to keep packets: `PacketCodec`, or one of your own."""

    def encode(self, packet: HTLCPacket) -> bytes:
        """Return `packet` as bytes.

        Called in the adding thread, outside every lock. What it raises comes out of `add_packet`,
        and nothing has changed.
        """
        ...

    def decode(self, data: bytes) -> HTLCPacket:
        """Return the packet that an `encode`, of this version or an older one, made into `data`.

        Raises:
            ValueError: `data` is damaged, or of a form that this version does not know.
        """
        ...


class PacketCodec:
    """The default codec: keeps every field of `HTLCPacket`.

    Immutable: any thread may use it. Nothing blocks.

    Args:
        encrypters: the kinds of `obfuscator`, and of a circuit's `error_encrypter`, that may be
            kept, beside `lnmailbox.sphinx.SphinxErrorEncrypter`; or a registry of them.

    Raises:
        ValueError: two kinds have the same name or the same class.
    """

    def __init__(self, encrypters: Iterable[EncrypterKind] | Encrypters = ()) -> None:
        if not isinstance(encrypters, Encrypters):
            encrypters = Encrypters(encrypters)
        self._encrypters = encrypters

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with encrypters: {self._encrypters}>"

    def encode(self, packet: HTLCPacket) -> bytes:
        """Return `packet` as bytes, in the newest version of the form.

        Raises:
            TypeError: the packet or a part of it is of a class that has no form: a subclass, an
                encrypter of a kind that was not registered, a failure of your own.
            ValueError: a part is too long (`htlc` as `Message.encode`, failures and encrypters
                above 65535 bytes), or a number in a circuit or a ref does not fit.
        """
        _require(packet, HTLCPacket, "packet")
        flags = 0
        parts = []
        hop: int | bytes = packet.outgoing_hop
        if not isinstance(hop, int):
            flags |= _NODE_ID
            parts.append(hop)
            hop = 0
        if packet.htlc is not None:
            flags |= _HTLC
            parts.append(_encoded_htlc(packet.htlc))
        if packet.source_ref is not None:
            flags |= _SOURCE_REF
            parts.append(_encoded_add_ref(packet.source_ref))
        if packet.dest_ref is not None:
            flags |= _DEST_REF
            parts.append(_encoded_settle_fail_ref(packet.dest_ref))
        if packet.obfuscator is not None:
            flags |= _OBFUSCATOR
            parts.append(self._encrypters.encode(packet.obfuscator, "HTLCPacket.obfuscator"))
        if packet.link_failure is not None:
            flags |= _LINK_FAILURE | _encode_link_failure(packet.link_failure, parts)
        if packet.circuit is not None:
            flags |= _CIRCUIT | self._encode_circuit(packet.circuit, packet.obfuscator, parts)
        # Nearly always they are false.
        if packet.local_failure is not False:
            flags |= _LOCAL_FAILURE & _mask(packet.local_failure, "HTLCPacket.local_failure")
        if packet.has_source is not False:
            flags |= _HAS_SOURCE & _mask(packet.has_source, "HTLCPacket.has_source")
        if packet.converted_error is not False:
            flags |= _CONVERTED_ERROR & _mask(packet.converted_error, "HTLCPacket.converted_error")
        if packet.is_resolution is not False:
            flags |= _IS_RESOLUTION & _mask(packet.is_resolution, "HTLCPacket.is_resolution")
        head = _HEAD.pack(
            VERSION,
            flags,
            packet.incoming_chan_id,
            packet.incoming_htlc_id,
            packet.outgoing_chan_id,
            packet.outgoing_htlc_id,
            hop,
            packet.original_outgoing_chan_id,
            packet.amount,
            packet.incoming_amount,
            packet.incoming_timeout,
            packet.outgoing_timeout,
        )
        data = b"".join((head, *parts))
        return data + zlib.crc32(data).to_bytes(_CHECKSUM_SIZE, "big")

    def decode(self, data: bytes) -> HTLCPacket:
        """Return a packet equal to the one that `encode` was given, field by field.

        A circuit's `error_encrypter` that was the packet's `obfuscator` is so again.

        Raises:
            ValueError: `data` is damaged, cut off or too long; a newer version wrote it; or an
                encrypter in it is of a kind that was not registered.
            TypeError: `data` is not bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a packet's data must be bytes, got {shown(data)}")
        end = len(data) - _CHECKSUM_SIZE
        if end > 0 and data[0] > VERSION:
            raise ValueError(
                f"a packet in form {data[0]}, this lnmailbox reads forms up to {VERSION}: a newer "
                "lnmailbox wrote it, or it is damaged"
            )
        if end < _HEAD.size or zlib.crc32(data[:end]) != int.from_bytes(data[end:], "big"):
            raise ValueError(f"a damaged packet: its checksum is wrong, got {shown(data)}")
        if data[0] != VERSION:
            raise ValueError(f"a packet in form {data[0]}, there is no such form")
        return self._decode(data, end)

    def _decode(self, data: bytes, end: int) -> HTLCPacket:
        (
            _,
            flags,
            incoming_chan_id,
            incoming_htlc_id,
            outgoing_chan_id,
            outgoing_htlc_id,
            hop,
            original_outgoing_chan_id,
            amount,
            incoming_amount,
            incoming_timeout,
            outgoing_timeout,
        ) = _HEAD.unpack_from(data)
        reader = Reader(data[_HEAD.size : end], "HTLCPacket")
        outgoing_hop: ShortChannelID | bytes = _short_chan_id(hop)
        if flags & _NODE_ID:
            outgoing_hop = reader.take(NODE_ID_LENGTH, "outgoing_hop")
        htlc = _htlc(reader) if flags & _HTLC else None
        source_ref = _add_ref(reader) if flags & _SOURCE_REF else None
        dest_ref = _settle_fail_ref(reader) if flags & _DEST_REF else None
        obfuscator = self._encrypters.decode(reader, "obfuscator") if flags & _OBFUSCATOR else None
        link_failure = _link_failure(reader, flags) if flags & _LINK_FAILURE else None
        circuit = self._circuit(reader, flags, obfuscator) if flags & _CIRCUIT else None
        if reader.left:
            raise reader.error("end", f"{reader.left} bytes follow the packet")
        return HTLCPacket(
            incoming_chan_id=_short_chan_id(incoming_chan_id),
            incoming_htlc_id=incoming_htlc_id,
            outgoing_chan_id=_short_chan_id(outgoing_chan_id),
            outgoing_htlc_id=outgoing_htlc_id,
            outgoing_hop=outgoing_hop,
            original_outgoing_chan_id=_short_chan_id(original_outgoing_chan_id),
            amount=amount,
            incoming_amount=incoming_amount,
            htlc=htlc,
            circuit=circuit,
            source_ref=source_ref,
            dest_ref=dest_ref,
            obfuscator=obfuscator,
            local_failure=bool(flags & _LOCAL_FAILURE),
            link_failure=link_failure,
            has_source=bool(flags & _HAS_SOURCE),
            converted_error=bool(flags & _CONVERTED_ERROR),
            is_resolution=bool(flags & _IS_RESOLUTION),
            incoming_timeout=incoming_timeout,
            outgoing_timeout=outgoing_timeout,
        )

    def _encode_circuit(
        self, circuit: PaymentCircuit, obfuscator: ErrorEncrypter | None, parts: list[bytes]
    ) -> int:
        """Append a circuit to `parts` and return its flags."""
        _require(circuit, PaymentCircuit, "HTLCPacket.circuit")
        _require(circuit.add_ref, AddRef, "PaymentCircuit.add_ref")
        in_key = _checked_key(circuit.incoming, "PaymentCircuit.incoming")
        parts.append(
            _CIRCUIT_FIELDS.pack(
                circuit.add_ref.height,
                circuit.add_ref.index,
                *in_key,
                circuit.payment_hash,
                circuit.incoming_amount,
                circuit.outgoing_amount,
            )
        )
        flags = 0
        if circuit.outgoing is not None:
            flags |= _KEYSTONE
            parts.append(_KEY.pack(*_checked_key(circuit.outgoing, "PaymentCircuit.outgoing")))
        if circuit.loaded_from_disk is not False:
            flags |= _LOADED_FROM_DISK & _mask(
                circuit.loaded_from_disk, "PaymentCircuit.loaded_from_disk"
            )
        encrypter = circuit.error_encrypter
        if encrypter is not None:
            if encrypter is obfuscator:
                flags |= _SAME_ENCRYPTER
            else:
                flags |= _CIRCUIT_ENCRYPTER
                parts.append(self._encrypters.encode(encrypter, "PaymentCircuit.error_encrypter"))
        return flags

    def _circuit(
        self, reader: Reader, flags: int, obfuscator: ErrorEncrypter | None
    ) -> PaymentCircuit:
        height, index, chan_id, htlc_id, payment_hash, incoming_amount, outgoing_amount = (
            _CIRCUIT_FIELDS.unpack(reader.take(_CIRCUIT_FIELDS.size, "circuit"))
        )
        outgoing = None
        if flags & _KEYSTONE:
            outgoing = _key(*_KEY.unpack(reader.take(_KEY.size, "circuit.outgoing")))
        encrypter = obfuscator if flags & _SAME_ENCRYPTER else None
        if flags & _CIRCUIT_ENCRYPTER:
            encrypter = self._encrypters.decode(reader, "circuit.error_encrypter")
        return PaymentCircuit(
            add_ref=AddRef(height, index),
            incoming=_key(chan_id, htlc_id),
            outgoing=outgoing,
            payment_hash=payment_hash,
            incoming_amount=incoming_amount,
            outgoing_amount=outgoing_amount,
            error_encrypter=encrypter,
            loaded_from_disk=bool(flags & _LOADED_FROM_DISK),
        )


def _require(value: object, wanted: type, field: str) -> None:
    if type(value) is not wanted:
        raise TypeError(f"{field} must be of class {wanted.__name__}, got {shown(value)}")


def _mask(value: object, field: str) -> int:
    """Return all ones, if `value` is true and not something like it."""
    if value is not True:
        raise TypeError(f"{field} must be a bool, got {shown(value)}")
    return -1


def _encoded_htlc(htlc: Message) -> bytes:
    if _MESSAGES.get(getattr(htlc, "MSG_TYPE", -1)) is not type(htlc):
        raise TypeError(
            "HTLCPacket.htlc cannot be kept: it must be one of "
            f"{', '.join(cls.__name__ for cls in _MESSAGES.values())}, got {shown(htlc)}"
        )
    return prefixed(htlc.encode(), "HTLCPacket.htlc")


def _htlc(reader: Reader) -> Message:
    data = take_prefixed(reader, "htlc")
    cls = _MESSAGES.get(int.from_bytes(data[:2], "big"))
    if cls is None:
        raise reader.error("htlc", f"there is no message {shown(data)}")
    return cls.decode(data)


def _encoded_add_ref(ref: AddRef) -> bytes:
    _require(ref, AddRef, "HTLCPacket.source_ref")
    return _ADD_REF.pack(ref.height, ref.index)


def _add_ref(reader: Reader) -> AddRef:
    return AddRef(*_ADD_REF.unpack(reader.take(_ADD_REF.size, "source_ref")))


def _encoded_settle_fail_ref(ref: SettleFailRef) -> bytes:
    _require(ref, SettleFailRef, "HTLCPacket.dest_ref")
    return _SETTLE_FAIL_REF.pack(ref.source, ref.height, ref.index)


def _settle_fail_ref(reader: Reader) -> SettleFailRef:
    source, height, index = _SETTLE_FAIL_REF.unpack(reader.take(_SETTLE_FAIL_REF.size, "dest_ref"))
    return SettleFailRef(_short_chan_id(source), height, index)


def _encode_link_failure(failure: LinkError, parts: list[bytes]) -> int:
    """Append a link failure to `parts` and return its flag, if it has a detail."""
    _require(failure, LinkError, "HTLCPacket.link_failure")
    message, detail = failure.wire_message, failure.detail
    is_ours = isinstance(message, FailureMessage)
    if not is_ours or type(message) is not (find_kind(message.code) or UnknownFailure):
        raise TypeError(
            "LinkError.wire_message cannot be kept: it must be a failure of lnmailbox.wire, got "
            f"{shown(message)}"
        )
    parts.append(prefixed(message.encode(), "LinkError.wire_message"))
    if detail is None:
        return 0
    _require(detail, FailureDetail, "LinkError.detail")
    name = detail.name.encode()
    parts.append(len(name).to_bytes(1, "big") + name)
    return _DETAIL


def _link_failure(reader: Reader, flags: int) -> LinkError:
    message = FailureMessage.decode(take_prefixed(reader, "link_failure"))
    if not flags & _DETAIL:
        return LinkError(message)
    name = take_name(reader, "link_failure detail")
    if name not in FailureDetail.__members__:
        raise reader.error("link_failure detail", f"there is no {name!r}")
    return LinkError(message, FailureDetail[name])


def _checked_key(key: CircuitKey, field: str) -> CircuitKey:
    _require(key, CircuitKey, field)
    if not all(is_uint(number, _UINT64_MAX) for number in key):
        raise ValueError(f"{field} must be two unsigned 64-bit integers, got {shown(key)}")
    return key


def _key(chan_id: int, htlc_id: int) -> CircuitKey:
    return CircuitKey(_short_chan_id(chan_id), htlc_id)
