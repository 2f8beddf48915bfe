"""A node's forwarding history as events: what `lncli fwdinghistory` and `/v1/switch` tell.

lnd keeps the settled forwards of its whole past (`lnrpc.ForwardingEvent` in `lightning.proto`).
Each becomes an Add and a Settle at the same instant, that of the Settle: the history does not
tell when the Add came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import attrs

from lnmailbox.wire import ShortChannelID

from .events import HtlcEvent, Kind, Origin
from .fields import UINT64_MAX, NoEvent, uint

__all__ = ["MADE_UP_ID", "ForwardParser"]

MADE_UP_ID = 1 << 63
"""From here on, HTLC ids are made up: no channel has as many HTLCs."""

_SECOND_NS = 1_000_000_000


class ForwardParser:
    """Makes events of the objects in a forwarding history.

    An lnd before 0.20 tells no HTLC ids. Then the incoming id is made of all that it tells, so
    that a forward has the same id in two histories that overlap. The highest bit of such ids is
    set: no channel has as many HTLCs. Forwards in which nothing differs, not even the time, are
    told apart by their order.

    Args:
        channel: makes a channel's id of a field's value and name.
    """

    def __init__(self, channel: Callable[[object, str], ShortChannelID]) -> None:
        self._channel = channel
        self._at_ns = 0
        self._equal: dict[tuple[int, ...], int] = {}

    def parse(self, fields: dict[str, Any], line: int) -> tuple[HtlcEvent, HtlcEvent]:
        """Return the Add and the Settle of a forward whose names are in snake_case.

        Raises:
            NoEvent: a field is no number, or one without which there is no forward is missing.
        """
        incoming = self._channel(fields["chan_id_in"], "chan_id_in")
        outgoing = self._channel(fields.get("chan_id_out"), "chan_id_out")
        if not incoming or not outgoing:
            raise NoEvent("a forward needs a chan_id_in and a chan_id_out")
        timestamp_ns = _number(fields, "timestamp_ns")
        if timestamp_ns is None:
            timestamp_ns = (_number(fields, "timestamp") or 0) * _SECOND_NS
        if not 0 < timestamp_ns <= UINT64_MAX:
            raise NoEvent("a forward needs a timestamp_ns")
        incoming_amount, outgoing_amount = _amounts(fields)
        add = HtlcEvent(
            line=line,
            origin=Origin.FORWARD,
            kind=Kind.ADD,
            timestamp_ns=timestamp_ns,
            incoming_channel=incoming,
            outgoing_channel=outgoing,
            outgoing_htlc_id=_number(fields, "outgoing_htlc_id") or 0,
            incoming_amount=incoming_amount,
            outgoing_amount=outgoing_amount,
        )
        htlc_id = _number(fields, "incoming_htlc_id")
        add.incoming_htlc_id = self._made_up_id(add) if htlc_id is None else htlc_id
        return add, attrs.evolve(add, kind=Kind.SETTLE, incoming_amount=0, outgoing_amount=0)

    def _made_up_id(self, add: HtlcEvent) -> int:
        if add.timestamp_ns != self._at_ns:
            self._at_ns = add.timestamp_ns
            self._equal.clear()
        told = (
            add.timestamp_ns,
            int(add.outgoing_channel),
            add.incoming_amount,
            add.outgoing_amount,
            int(add.incoming_channel),
        )
        number = self._equal.get(told, 0)
        self._equal[told] = number + 1
        digest = hashlib.blake2b(repr((told, number)).encode(), digest_size=8).digest()
        return MADE_UP_ID | int.from_bytes(digest, "big")


def _amounts(fields: dict[str, Any]) -> tuple[int, int]:
    """Return the incoming and the outgoing amount, in msat; an old lnd tells them in sat."""
    outgoing = _number(fields, "amt_out_msat")
    if outgoing is None:
        outgoing = (_number(fields, "amt_out") or 0) * 1000
    incoming = _number(fields, "amt_in_msat")
    if incoming is None:
        fee = _number(fields, "fee_msat")
        incoming = (_number(fields, "amt_in") or 0) * 1000 if fee is None else outgoing + fee
    return incoming & UINT64_MAX, outgoing & UINT64_MAX  # a negative fee is one that wraps round


def _number(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return None if value is None else uint(value, name)
