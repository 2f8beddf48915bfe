"""The packet that tells the switch that an Add could not be delivered (lnd: `FailAdd`)."""

from __future__ import annotations

import logging
from functools import lru_cache

from ..contract import FetchUpdate
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
    fetch_update: FetchUpdate,
    complaints: Complaints,
) -> HTLCPacket:
    """Return the packet that fails the Add `packet`, which was added under `key`.

    Calls `fetch_update` and the packet's obfuscator. If the failure cannot be encoded, a smaller
    one is taken.

    Raises:
        Exception: whatever the encoding of the smallest failure, or the encryption, raises.
    """
    failure, plain = _largest_encodable(short_chan_id, fetch_update, complaints)
    encrypter = packet.obfuscator
    reason = plain if encrypter is None else encrypter.encrypt_first_hop(failure)
    return HTLCPacket(
        incoming_chan_id=key.chan_id,
        incoming_htlc_id=key.htlc_id,
        outgoing_chan_id=packet.outgoing_chan_id,
        outgoing_htlc_id=packet.outgoing_htlc_id,
        circuit=packet.circuit,
        source_ref=packet.source_ref,
        obfuscator=encrypter,
        has_source=True,
        local_failure=encrypter is None,
        link_failure=LinkError(failure, FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD),
        htlc=UpdateFailHTLC(reason=reason),
    )


def _largest_encodable(
    short_chan_id: ShortChannelID, fetch_update: FetchUpdate, complaints: Complaints
) -> tuple[FailureMessage, bytes]:
    try:
        update = fetch_update(short_chan_id)
    except Exception as error:
        complaints.mention("no channel update for %s: %s", short_chan_id, error)
    else:
        for wanted in (update, None):
            try:
                return _channel_failure(wanted)
            except Exception:
                complaints.report(
                    "can't encode a failure with %s, and take a smaller one",
                    shown(wanted),
                    level=logging.WARNING,
                )
    from ..wire import TemporaryNodeFailure

    smallest = TemporaryNodeFailure()
    return smallest, encode_failure(smallest)


@lru_cache(maxsize=64)  # for when many Adds of a channel fail: saves 4 of 20 us for each
def _channel_failure(update: ChannelUpdate | None) -> tuple[FailureMessage, bytes]:
    from ..wire import TemporaryChannelFailure

    failure = TemporaryChannelFailure(update)
    return failure, encode_failure(failure)
