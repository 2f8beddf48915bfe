"""The packets that the switch of a replay makes from the log."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from lnmailbox import CircuitKey, ErrorEncrypter, HTLCPacket, LinkError
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.encrypters import EncrypterKind
from lnmailbox.wire import (
    ChannelID,
    FailureMessage,
    ShortChannelID,
    UnknownNextPeer,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
    encode_failure,
)

from .history import Htlc, Result

__all__ = [
    "CODEC",
    "AddKey",
    "add_packet",
    "channel_id",
    "circuit_key",
    "failed_key",
    "reply_packet",
    "unroutable_packet",
]

AddKey = tuple[ShortChannelID, CircuitKey]
"""By which an Add is known: the outgoing channel, and the incoming key."""


def channel_id(channel: ShortChannelID) -> ChannelID:
    """Return 32 bytes to know a channel by; the log has no funding outpoint to take them from."""
    return ChannelID(hashlib.sha256(str(channel).encode()).digest())


def circuit_key(htlc: Htlc) -> CircuitKey:
    """Return the key of an HTLC's packets; for an own payment, from its outgoing HTLC id."""
    if htlc.incoming_channel:
        return CircuitKey(htlc.incoming_channel, htlc.incoming_htlc_id)
    return CircuitKey(htlc.incoming_channel, htlc.outgoing_htlc_id)


def add_packet(htlc: Htlc) -> HTLCPacket:
    """Return the Add for the outgoing channel. The outgoing HTLC id is for the link to set."""
    key = circuit_key(htlc)
    encrypter: ErrorEncrypter | None = _Tagger() if htlc.incoming_channel else None
    return HTLCPacket(
        incoming_chan_id=key.chan_id,
        incoming_htlc_id=key.htlc_id,
        incoming_amount=htlc.incoming_amount,
        incoming_timeout=htlc.incoming_timelock,
        outgoing_chan_id=htlc.outgoing_channel,
        outgoing_timeout=htlc.outgoing_timelock,
        amount=htlc.outgoing_amount,
        obfuscator=encrypter,
        htlc=UpdateAddHTLC(amount=htlc.outgoing_amount, expiry=htlc.outgoing_timelock),
    )


def reply_packet(htlc: Htlc) -> HTLCPacket:
    """Return the Settle or Fail for the incoming channel, as the HTLC's result asks for."""
    settled = htlc.result is Result.SETTLED
    return HTLCPacket(
        incoming_chan_id=htlc.incoming_channel,
        incoming_htlc_id=htlc.incoming_htlc_id,
        incoming_amount=htlc.incoming_amount,
        outgoing_chan_id=htlc.outgoing_channel,
        outgoing_htlc_id=htlc.outgoing_htlc_id,
        amount=htlc.outgoing_amount,
        htlc=UpdateFulfillHTLC() if settled else UpdateFailHTLC(),
    )


def unroutable_packet(htlc: Htlc) -> HTLCPacket:
    """Return the Fail of an Add whose peer is gone (lnd: `failAddPacket`)."""
    return HTLCPacket(
        incoming_chan_id=htlc.incoming_channel,
        incoming_htlc_id=htlc.incoming_htlc_id,
        incoming_amount=htlc.incoming_amount,
        incoming_timeout=htlc.incoming_timelock,
        outgoing_chan_id=htlc.outgoing_channel,
        outgoing_timeout=htlc.outgoing_timelock,
        amount=htlc.outgoing_amount,
        link_failure=LinkError(_PEER_GONE),
        htlc=UpdateFailHTLC(reason=_PEER_GONE_REASON),
    )


def failed_key(fail: HTLCPacket, adds: Collection[AddKey]) -> AddKey | None:
    """Return which of these Adds the packet fails; None if it is none of them."""
    if fail.outgoing_chan_id == ShortChannelID():  # lnd's have no outgoing ids
        return next((key for key in adds if key[1] == fail.in_key), None)
    key = (fail.outgoing_chan_id, fail.in_key)
    return key if key in adds else None


class _Tagger:
    """Stands in for the onion encryption: the failure stays readable."""

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        return b"to be encrypted: " + encode_failure(failure)


_PEER_GONE = UnknownNextPeer()
_PEER_GONE_REASON = _Tagger().encrypt_first_hop(_PEER_GONE)

CODEC = PacketCodec([EncrypterKind("replay", _Tagger, lambda _: b"", lambda _: _Tagger())])
"""Makes the packets of a replay into bytes, and back."""
