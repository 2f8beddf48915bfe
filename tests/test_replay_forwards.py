"""Forwarding histories: each forward is an Add and a Settle, known by an id."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox.replay.reading.events import EventParser, HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.fields import NoEvent
from lnmailbox.replay.reading.forwards import ForwardParser
from lnmailbox.wire import ShortChannelID

OLD = {
    "timestamp": "1760000001",
    "chan_id_in": "970868767460425728",
    "chan_id_out": "972073832071102466",
    "amt_in": "1001",
    "amt_out": "1000",
    "fee": "1",
    "fee_msat": "1234",
}
NEW = {
    **OLD,
    "amt_in_msat": "1001235",
    "amt_out_msat": "1000001",
    "timestamp_ns": "1760000001351796119",
    "peer_alias_in": "a",
    "peer_alias_out": "b",
    "incoming_htlc_id": "161",
    "outgoing_htlc_id": "351",
}


def parser() -> ForwardParser:
    return ForwardParser(EventParser().channel)


def add(**fields: Any) -> HtlcEvent:
    return parser().parse({**OLD, **fields}, 1)[0]


def test_a_forward_is_an_add_and_a_settle() -> None:
    """At the same instant, and with the same ids; the amounts are the Add's."""
    ids: dict[str, Any] = {
        "line": 7,
        "origin": Origin.FORWARD,
        "timestamp_ns": 1760000001351796119,
        "incoming_channel": ShortChannelID(883000, 2048, 0),
        "incoming_htlc_id": 161,
        "outgoing_channel": ShortChannelID(884096, 13, 2),
        "outgoing_htlc_id": 351,
    }

    expected = (
        HtlcEvent(kind=Kind.ADD, incoming_amount=1001235, outgoing_amount=1000001, **ids),
        HtlcEvent(kind=Kind.SETTLE, **ids),
    )
    assert expected == parser().parse(NEW, 7)


def test_an_old_lnd_tells_seconds_and_sat() -> None:
    """The fee in msat makes the incoming amount exact, unless it is not told."""
    assert 1760000001 * 10**9 == add().timestamp_ns
    assert (1001234, 1000000) == (add().incoming_amount, add().outgoing_amount)
    assert 1001000 == add(fee_msat=None).incoming_amount
    assert 0 == add(fee_msat=None, amt_in=None).incoming_amount
    assert 0 == add(amt_out=None, fee_msat=0).outgoing_amount


def test_a_negative_fee_wraps_round() -> None:
    """As an unsigned number has it that lnd made of a negative one."""
    assert 999000 == add(fee_msat=2**64 - 1000).incoming_amount


def test_a_forward_without_id_has_the_same_in_every_history() -> None:
    """It is made of what is told, and no channel has an HTLC with that number."""
    assert add().incoming_htlc_id == add(peer_alias_in="x").incoming_htlc_id
    assert add().incoming_htlc_id >= 1 << 63
    ids = {
        add(**{name: OLD[name] + "1"}).incoming_htlc_id
        for name in ("timestamp", "chan_id_in", "chan_id_out", "amt_out", "fee_msat")
    }
    assert 6 == len({add().incoming_htlc_id, *ids})


def test_equal_forwards_without_id_are_told_apart_by_their_order() -> None:
    """Two shards of a payment may have the same amounts in the same second."""
    one = parser()
    ids = [one.parse({**OLD, "timestamp": at}, 1)[0].incoming_htlc_id for at in (5, 5, 5, 6, 6)]
    other = parser()
    again = [other.parse({**OLD, "timestamp": at}, 9)[0].incoming_htlc_id for at in (5, 5, 5, 6)]

    assert 5 == len(set(ids))
    assert ids[:4] == again
    assert 1 == len(one._equal)  # those of one instant


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"chan_id_in": "0"}, "a forward needs a chan_id_in and a chan_id_out"),
        ({"chan_id_out": None}, "a forward needs a chan_id_in and a chan_id_out"),
        ({"timestamp": None}, "a forward needs a timestamp_ns"),
        ({"timestamp": 2**63}, "a forward needs a timestamp_ns"),
        ({"timestamp_ns": 0}, "a forward needs a timestamp_ns"),
        (
            {"amt_out_msat": "1.5"},
            'amt_out_msat is no number from 0 to 18446744073709551615: "1.5"',
        ),
    ],
)
def test_a_forward_without_channels_or_time_is_none(fields: dict[str, Any], said: str) -> None:
    """The reason names the field."""
    with pytest.raises(NoEvent) as raised:
        add(**fields)

    assert said == str(raised.value)
