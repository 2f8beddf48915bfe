"""JSON objects as events: every spelling of one, and what is said about one that is none."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox.replay.reading.events import EventParser, HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.fields import NoEvent
from lnmailbox.wire import ShortChannelID

FORWARD = {
    "incoming_channel_id": "970868767460425728",
    "incoming_htlc_id": "161",
    "outgoing_channel_id": "972073832071102466",
    "outgoing_htlc_id": "351",
    "timestamp_ns": "1760000001351796119",
    "event_type": "FORWARD",
    "forward_event": {
        "info": {
            "incoming_timelock": 885148,
            "outgoing_timelock": 885000,
            "incoming_amt_msat": "9377128",
            "outgoing_amt_msat": "9373785",
        }
    },
}
CAMEL = {
    "incomingChannelId": "970868767460425728",
    "incomingHtlcId": "161",
    "outgoingChannelId": "972073832071102466",
    "outgoingHtlcId": "351",
    "timestampNs": "1760000001351796119",
    "eventType": "FORWARD",
    "forwardEvent": {
        "info": {
            "incomingTimelock": 885148,
            "outgoingTimelock": 885000,
            "incomingAmtMsat": "9377128",
            "outgoingAmtMsat": "9373785",
        }
    },
}
EXPECTED = HtlcEvent(
    line=12,
    origin=Origin.FORWARD,
    kind=Kind.ADD,
    timestamp_ns=1760000001351796119,
    incoming_channel=ShortChannelID(883000, 2048, 0),
    incoming_htlc_id=161,
    outgoing_channel=ShortChannelID(884096, 13, 2),
    outgoing_htlc_id=351,
    incoming_amount=9377128,
    outgoing_amount=9373785,
    incoming_timelock=885148,
    outgoing_timelock=885000,
)


def parsed(**fields: Any) -> HtlcEvent:
    event, _ = EventParser().parse(fields, 1)
    return event


def refused(**failure: Any) -> HtlcEvent:
    return parsed(event_type="SEND", outgoing_channel_id=5, link_fail_event=failure)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(FORWARD, id="lnd"),
        pytest.param(CAMEL, id="camelCase"),
        pytest.param({"result": FORWARD}, id="REST"),
        pytest.param({"error": None, "result": CAMEL}, id="a result in camelCase"),
        pytest.param({**FORWARD, "event_type": 3}, id="a type by its number"),
        pytest.param({**FORWARD, "settle_event": None, "hint": {"new": 1}}, id="unknown fields"),
        pytest.param({**FORWARD, "incoming_channel_id": 970868767460425728}, id="a plain number"),
    ],
)
def test_a_forward_is_read_in_every_spelling(fields: dict[str, Any]) -> None:
    """Each field has its place; what a newer lnd has more is ignored, and so is null."""
    event, is_timeless = EventParser().parse(fields, 12)

    assert EXPECTED == event
    assert not is_timeless


def test_numbers_may_be_numbers() -> None:
    """64-bit numbers count the same without quotes, to the last bit."""
    event = parsed(
        event_type="RECEIVE",
        incoming_channel_id=2**64 - 1,
        incoming_htlc_id=7,
        timestamp_ns=2**63 + 1,
        settle_event={},
    )

    assert 2**64 - 1 == event.incoming_channel
    assert 7 == event.incoming_htlc_id
    assert 2**63 + 1 == event.timestamp_ns


def test_what_is_absent_or_null_is_zero() -> None:
    """A field that lnd leaves out is zero, and null is the same as leaving it out."""
    event = parsed(
        event_type="SEND",
        outgoing_channel_id="5",
        outgoing_htlc_id=None,
        forward_event={"info": None},
        settle_event=None,
    )

    expected = HtlcEvent(
        line=1, origin=Origin.SEND, kind=Kind.ADD, outgoing_channel=ShortChannelID.from_int(5)
    )
    assert expected == event


def test_amounts_and_timelocks_may_be_absent_one_by_one() -> None:
    """Each of the four has its own default."""
    for name in FORWARD["forward_event"]["info"]:  # type: ignore[index]
        event = parsed(**{**FORWARD, "forward_event": {"info": {name: 3}}})

        amounts = {event.incoming_amount, event.outgoing_amount}
        assert {0, 3} == amounts | {event.incoming_timelock, event.outgoing_timelock}


def test_a_type_may_be_lnds_number() -> None:
    """The numbers are those of `HtlcEvent.EventType`."""
    events = [parsed(event_type=number, final_htlc_event={}) for number in range(4)]

    assert ["UNKNOWN", "SEND", "RECEIVE", "FORWARD"] == [event.origin.value for event in events]


@pytest.mark.parametrize("kind", ["final_htlc_event", "subscribed_event"])
def test_what_is_only_counted_needs_nothing_else(kind: str) -> None:
    """Final events and notices are events without channel, time and type."""
    assert kind == parsed(**{kind: {"settled": True}}).kind.value


def test_an_event_without_time_has_that_of_the_one_before_it() -> None:
    """And it is told that it is so. Before the first time it is zero."""
    parser = EventParser()
    first, is_first_timeless = parser.parse({"subscribed_event": {}}, 1)
    parser.parse({"final_htlc_event": {}, "timestamp_ns": "77"}, 2)
    third, is_third_timeless = parser.parse({"final_htlc_event": {}, "timestamp_ns": "0"}, 3)

    assert (0, True) == (first.timestamp_ns, is_first_timeless)
    assert (77, True) == (third.timestamp_ns, is_third_timeless)


def test_a_failure_of_a_link_tells_its_names() -> None:
    """By name or number; a name or a number that only a newer lnd knows is taken as it is."""
    assert "INSUFFICIENT_BALANCE" == refused(failure_detail="INSUFFICIENT_BALANCE").failure_detail
    assert "INSUFFICIENT_BALANCE" == refused(failure_detail=6).failure_detail
    assert "NEW_DETAIL_2" == refused(failure_detail="NEW_DETAIL_2").failure_detail
    assert "77" == refused(failure_detail=77).failure_detail
    assert "" == refused().failure_detail
    assert "" == parsed(**FORWARD).failure_detail


@pytest.mark.parametrize("value", ["", "lower", "X" * 65, "\x1b[31m", -1, 2**32, True, 1.0, []])
def test_a_name_of_a_failure_is_capitals(value: Any) -> None:
    """So that a report may show it as it is."""
    with pytest.raises(NoEvent, match="failure_detail is none of lnd's"):
        refused(failure_detail=value)


def test_the_ids_of_many_channels_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser forgets them when there are too many, and knows them again."""
    monkeypatch.setattr("lnmailbox.replay.reading.events._MAX_CHANNELS", 3)
    parser = EventParser()
    ids = ["1", None, "2", "3", "4", "1", None]

    events = [
        parser.parse({"final_htlc_event": {}, "incoming_channel_id": channel}, 1)[0]
        for channel in ids
    ]

    assert [1, 0, 2, 3, 4, 1, 0] == [event.incoming_channel for event in events]
    assert len(parser._channels) <= 3


@pytest.mark.parametrize("value", [True, 1.0])
def test_a_channel_that_was_a_number_is_no_other_thing(value: Any) -> None:
    """Though Python's 1 is equal to them."""
    parser = EventParser()
    parser.parse({"final_htlc_event": {}, "outgoing_channel_id": 1}, 1)

    with pytest.raises(NoEvent, match="outgoing_channel_id is no number"):
        parser.parse({"final_htlc_event": {}, "outgoing_channel_id": value}, 2)


def test_the_incoming_link_may_fail_what_it_cannot_forward() -> None:
    """Then lnd knows no outgoing channel."""
    event = parsed(event_type="FORWARD", incoming_channel_id=1, link_fail_event={})

    assert ShortChannelID() == event.outgoing_channel


@pytest.mark.parametrize(
    "fields, said",
    [
        ({}, "no event field: it is empty"),
        ({"a": 1, "b": 2}, 'no event field: its fields are "a", "b"'),
        ({"result": {"a": 1}}, 'no event field: its fields are "a"'),
        ({"result": 7}, 'no event field: its fields are "result"'),
        (
            {"settle_event": {}, "forward_event": {}},
            'several event fields: its fields are "settle_event", "forward_event"',
        ),
        ({"settle_event": True}, "settle_event is no object: true"),
        ({"settleEvent": []}, "settle_event is no object: []"),
        ({"event_type": "SEND", "settle_event": {"info": "none"}}, 'info is no object: "none"'),
        ({"settle_event": {}, "event_type": "KEYSEND"}, 'unknown event_type: "KEYSEND"'),
        ({"settle_event": {}, "event_type": ["SEND"]}, 'unknown event_type: ["SEND"]'),
        ({"settle_event": {}, "event_type": 4}, "unknown event_type: 4"),
        ({"settle_event": {}, "event_type": True}, "unknown event_type: true"),
        ({"settle_event": {}}, "UNKNOWN with settle_event is nothing that lnd reports"),
        (
            {"event_type": "RECEIVE", "incoming_channel_id": 1, "forward_event": {}},
            "RECEIVE with forward_event is nothing that lnd reports",
        ),
        (
            {"event_type": "FORWARD", "outgoing_channel_id": 1, "settle_event": {}},
            "FORWARD with settle_event needs an incoming_channel_id",
        ),
        (
            {"event_type": "RECEIVE", "settle_event": {}},
            "RECEIVE with settle_event needs an incoming_channel_id",
        ),
        (
            {"event_type": "FORWARD", "incoming_channel_id": 1, "forward_event": {}},
            "FORWARD with forward_event needs an outgoing_channel_id",
        ),
        (
            {"event_type": "SEND", "link_fail_event": {}},
            "SEND with link_fail_event needs an outgoing_channel_id",
        ),
        (
            {"final_htlc_event": {}, "incoming_channel_id": ["1"]},
            f'incoming_channel_id is no number from 0 to {2**64 - 1}: ["1"]',
        ),
        (
            {"final_htlc_event": {}, "timestamp_ns": "now"},
            f'timestamp_ns is no number from 0 to {2**64 - 1}: "now"',
        ),
        (
            {
                "event_type": "SEND",
                "outgoing_channel_id": 1,
                "forward_event": {"info": {"outgoing_timelock": 2**32}},
            },
            "outgoing_timelock is no number from 0 to 4294967295: 4294967296",
        ),
    ],
)
def test_any_other_shape_is_named(fields: dict[str, Any], said: str) -> None:
    """An object that is no event raises NoEvent with the reason."""
    with pytest.raises(NoEvent) as raised:
        parsed(**fields)

    assert said == str(raised.value)
