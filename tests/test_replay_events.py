"""Reading lines: what is an event, and what is said about a line that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lnmailbox.replay.events import HtlcEvent, Kind, LogWarning, Origin, parse_line, read_events
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


def parsed(**fields: Any) -> HtlcEvent:
    return parse_line(json.dumps(fields).encode(), 1)


def test_a_forward_is_read_with_all_its_fields() -> None:
    """Every field of lnd's event has its place, numbers that are strings included."""
    event = parse_line(json.dumps(FORWARD).encode() + b"\r\n", 12)

    expected = HtlcEvent(
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
    assert expected == event


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


def test_unknown_fields_are_ignored() -> None:
    """A newer lnd may say more than this one knows."""
    assert parse_line(json.dumps(FORWARD).encode(), 1) == parsed(**FORWARD, failure_hint="new")


@pytest.mark.parametrize("kind", ["final_htlc_event", "subscribed_event"])
def test_what_is_only_counted_needs_nothing_else(kind: str) -> None:
    """Final events and notices are events without channel, time and type."""
    assert kind == parsed(**{kind: {}}).kind.value


@pytest.mark.parametrize(
    "line, said",
    [
        (b"\xff{}", "not UTF-8: invalid start byte at byte 0"),
        (b"{", "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
        (b'{"timestamp_ns": ' + b"1" * 5000 + b"}", "not JSON: "),
        (b"[]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b"{}", "exactly one of lnd's event fields, here: none"),
        (
            b'{"settle_event": {}, "forward_event": {}}',
            "exactly one of lnd's event fields, here: forward_event and settle_event",
        ),
        (b'{"settle_event": true}', "settle_event is no object: true"),
        (b'{"settle_event": {"info": "none"}}', 'info is no object: "none"'),
        (b'{"settle_event": {}, "event_type": "KEYSEND"}', 'unknown event_type "KEYSEND"'),
        (b'{"settle_event": {}, "event_type": ["SEND"]}', 'unknown event_type ["SEND"]'),
        (b'{"settle_event": {}, "event_type": 3}', "unknown event_type 3"),
        (b'{"settle_event": {}}', "UNKNOWN with settle_event is nothing that lnd reports"),
        (
            b'{"event_type": "RECEIVE", "incoming_channel_id": 1, "forward_event": {}}',
            "RECEIVE with forward_event is nothing that lnd reports",
        ),
        (
            b'{"event_type": "FORWARD", "outgoing_channel_id": 1, "settle_event": {}}',
            "FORWARD with settle_event needs an incoming_channel_id",
        ),
        (
            b'{"event_type": "RECEIVE", "settle_event": {}}',
            "RECEIVE with settle_event needs an incoming_channel_id",
        ),
        (
            b'{"event_type": "FORWARD", "incoming_channel_id": 1, "forward_event": {}}',
            "FORWARD with forward_event needs an outgoing_channel_id",
        ),
        (
            b'{"event_type": "SEND", "link_fail_event": {}}',
            "SEND with link_fail_event needs an outgoing_channel_id",
        ),
    ],
)
def test_any_other_shape_is_named(line: bytes, said: str) -> None:
    """A line that is no event raises ValueError with the reason."""
    with pytest.raises(ValueError) as raised:
        parse_line(line, 1)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    "value", [-1, 2**64, 1.0, True, "", " 1", "1_0", "-1", "٣", "1" * 21, [], {}, "x" * 100]
)
def test_a_number_is_digits_within_64_bits(value: Any) -> None:
    """Neither signs, blanks, fractions, booleans nor other digits than ASCII's are a number."""
    with pytest.raises(ValueError, match="timestamp_ns is no number from 0 to") as raised:
        parsed(final_htlc_event={}, timestamp_ns=value)

    assert len(str(raised.value)) < 140


def test_a_timelock_has_32_bits() -> None:
    """Block heights are smaller numbers than the others."""
    with pytest.raises(ValueError, match="outgoing_timelock is no number from 0 to 4294967295"):
        parsed(
            event_type="SEND",
            outgoing_channel_id=1,
            forward_event={"info": {"outgoing_timelock": 2**32}},
        )


def test_a_bad_line_is_a_warning_and_the_others_are_read() -> None:
    """A warning has the number of its line; blank lines count as lines and are no event."""
    lines = [b'{"subscribed_event": {}}\n', b"\n", b"oops\n", b'{"final_htlc_event": {}}']

    events, warnings = read_events(lines)

    assert [(1, Kind.SUBSCRIBED), (4, Kind.FINAL)] == [(e.line, e.kind) for e in events]
    assert ["line 3: not JSON: Expecting value: line 1 column 1 (char 0)"] == [
        str(warning) for warning in warnings
    ]


def test_a_warning_may_be_about_no_line() -> None:
    """Without a line its text is all there is."""
    assert "too late" == str(LogWarning("too late"))
