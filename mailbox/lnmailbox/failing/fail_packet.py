"""The packet that tells the switch that an Add could not be delivered (lnd: `FailAdd`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..contract import SwitchConfig
from ..failure import FailureDetail, LinkError
from ..packet import CircuitKey, HTLCPacket
from ..wire import (
    ChannelUpdate,
    FailureMessage,
    ShortChannelID,
    UpdateFailHTLC,
    encode_failure,
)
from ..wire.shown import shown
from .complaints import Complaints

__all__ = ["make_fail_packet"]


def make_fail_packet(
    key: CircuitKey,
    packet: HTLCPacket,
    short_chan_id: ShortChannelID,
    switch: SwitchConfig,
    complaints: Complaints,
) -> HTLCPacket:
    """Return the packet that fails the Add `packet`, which was added under `key`.

    Calls the switch's `fail_update` or `fetch_update`, and the packet's obfuscator. If the failure
    cannot be encoded, a smaller one is taken.

    Raises:
        Exception: whatever the encoding of the smallest failure, or the encryption, raises.
    """
    failure, plain = _largest_encodable(packet, short_chan_id, switch, complaints)
    encrypter = packet.obfuscator
    reason = plain if encrypter is None else encrypter.encrypt_first_hop(failure)
    return HTLCPacket(
        incoming_chan_id=key.chan_id,
        incoming_htlc_id=key.htlc_id,
        outgoing_chan_id=packet.outgoing_chan_id,
        outgoing_htlc_id=packet.outgoing_htlc_id,
        outgoing_hop=packet.outgoing_hop,
        circuit=packet.circuit,
        source_ref=packet.source_ref,
        obfuscator=encrypter,
        has_source=True,
        local_failure=encrypter is None,
        link_failure=LinkError(failure, FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD),
        htlc=UpdateFailHTLC(reason=reason),
    )


_Encoded = tuple[FailureMessage, bytes]


def _largest_encodable(
    packet: HTLCPacket,
    short_chan_id: ShortChannelID,
    switch: SwitchConfig,
    complaints: Complaints,
) -> _Encoded:
    try:
        wanted = _wanted(packet, short_chan_id, switch)
    except Exception as error:
        complaints.mention("no channel update for %s: %s", short_chan_id, error)
    else:
        for encode, content in (wanted, (_channel_failure, None)):
            try:
                return encode(content)
            except Exception:
                complaints.report(
                    "can't encode a failure with %s, and take a smaller one",
                    shown(content),
                    level=logging.WARNING,
                )
    from ..wire import TemporaryNodeFailure

    return _encoded(TemporaryNodeFailure())


def _wanted(
    packet: HTLCPacket, short_chan_id: ShortChannelID, switch: SwitchConfig
) -> tuple[Callable[[Any], _Encoded], object]:
    """Return a function, and what it makes a failure of."""
    if packet.is_for_node:
        from ..wire import UnknownNextPeer

        # The sender asked for no channel. Its update would tell of a channel that is private.
        return _encoded, UnknownNextPeer()
    if switch.fail_update is not None:
        return _encoded, switch.fail_update(packet.original_outgoing_chan_id, short_chan_id)
    return _channel_failure, switch.fetch_update(short_chan_id)


# Both remember, for when many Adds of a channel fail: it saves 4 of 20 us for each.


@lru_cache(maxsize=64)
def _channel_failure(update: ChannelUpdate | None) -> _Encoded:
    from ..wire import TemporaryChannelFailure

    return _encoded(TemporaryChannelFailure(update))


@lru_cache(maxsize=64)
def _encoded(failure: FailureMessage) -> _Encoded:
    return failure, encode_failure(failure)
