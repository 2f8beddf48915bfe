"""One line of a log, read: lnd's `HtlcEvent` as JSON, or the reason why the line is none.

The shapes are those of `routerrpc.HtlcEvent` in lnd's `router.proto`.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable
from typing import Any

import attrs

from lnmailbox.wire import ShortChannelID

__all__ = ["HtlcEvent", "Kind", "LogWarning", "Origin", "parse_line", "read_events"]

_UINT32_MAX = (1 << 32) - 1
_UINT64_MAX = (1 << 64) - 1
_DIGITS = re.compile(r"[0-9]{1,20}")


class Origin(enum.Enum):
    """The origin of a payment (lnd: `HtlcEvent.EventType`)."""

    UNKNOWN = "UNKNOWN"
    SEND = "SEND"
    RECEIVE = "RECEIVE"
    FORWARD = "FORWARD"


class Kind(enum.Enum):
    """The kind of an event; its value is the name of the field that tells it."""

    ADD = "forward_event"
    FAIL = "forward_fail_event"
    SETTLE = "settle_event"
    LINK_FAIL = "link_fail_event"
    FINAL = "final_htlc_event"
    SUBSCRIBED = "subscribed_event"


COUNTED_ONLY = (Kind.FINAL, Kind.SUBSCRIBED)


@attrs.frozen(kw_only=True)
class HtlcEvent:
    """One event of the log. Fields that the line leaves out are zero."""

    line: int
    """Number of the line in the file, from 1."""
    origin: Origin
    kind: Kind
    timestamp_ns: int = 0
    """Unix time in ns."""
    incoming_channel: ShortChannelID = ShortChannelID()
    """Zero for the node's own payments."""
    incoming_htlc_id: int = 0
    outgoing_channel: ShortChannelID = ShortChannelID()
    """Zero if the payment is to the node itself."""
    outgoing_htlc_id: int = 0
    incoming_amount: int = 0
    """In msat, like `outgoing_amount`. Only Adds and failures of a link carry amounts."""
    outgoing_amount: int = 0
    incoming_timelock: int = 0
    """A block height, like `outgoing_timelock`."""
    outgoing_timelock: int = 0
    wire_failure: str = ""
    failure_detail: str = ""


@attrs.frozen
class LogWarning:
    """Something in the input that the replay leaves out or takes differently."""

    text: str
    line: int | None = None
    """Number of the line in the file, from 1; None if it is not about one line."""

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


def read_events(lines: Iterable[bytes]) -> tuple[list[HtlcEvent], list[LogWarning]]:
    """Read a log, one JSON object a line; blank lines do not count.

    A line that is no event becomes a warning and nothing else.
    """
    events = []
    warnings = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                events.append(parse_line(line, number))
            except ValueError as error:
                warnings.append(LogWarning(str(error), number))
    return events, warnings


def parse_line(line: bytes, number: int) -> HtlcEvent:
    """Return the event that a line holds.

    Unknown fields are ignored, as a newer lnd may have more; null is the same as absent.

    Args:
        line: UTF-8, with or without the end of line.
        number: which line it is.

    Raises:
        ValueError: the line is not UTF-8, no JSON object, or of none of the shapes that the
            replay knows; the text says which, without the line number.
    """
    fields = _json_object(line)
    kinds = [kind for kind in Kind if fields.get(kind.value) is not None]
    if len(kinds) != 1:
        named = " and ".join(kind.value for kind in kinds) or "none"
        raise ValueError(f"an event has exactly one of lnd's event fields, here: {named}")
    kind = kinds[0]
    body = _object(fields, kind.value)
    info = _object(body, "info")
    event = HtlcEvent(
        line=number,
        origin=_origin(fields),
        kind=kind,
        timestamp_ns=_uint(fields, "timestamp_ns"),
        incoming_channel=ShortChannelID.from_int(_uint(fields, "incoming_channel_id")),
        incoming_htlc_id=_uint(fields, "incoming_htlc_id"),
        outgoing_channel=ShortChannelID.from_int(_uint(fields, "outgoing_channel_id")),
        outgoing_htlc_id=_uint(fields, "outgoing_htlc_id"),
        incoming_amount=_uint(info, "incoming_amt_msat"),
        outgoing_amount=_uint(info, "outgoing_amt_msat"),
        incoming_timelock=_uint(info, "incoming_timelock", _UINT32_MAX),
        outgoing_timelock=_uint(info, "outgoing_timelock", _UINT32_MAX),
    )
    if kind not in COUNTED_ONLY:
        _check_htlc(event)
    return event


def _check_htlc(event: HtlcEvent) -> None:
    what = f"{event.origin.value} with {event.kind.value}"
    if event.origin is Origin.UNKNOWN or (
        event.origin is Origin.RECEIVE and event.kind is Kind.ADD
    ):
        raise ValueError(f"{what} is nothing that lnd reports")
    if event.origin is not Origin.SEND and not event.incoming_channel:
        raise ValueError(f"{what} needs an incoming_channel_id")
    if event.origin is not Origin.RECEIVE and not event.outgoing_channel:
        raise ValueError(f"{what} needs an outgoing_channel_id")


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _origin(fields: dict[str, Any]) -> Origin:
    name = fields.get("event_type")
    if name is None:
        return Origin.UNKNOWN
    try:
        return Origin(name)
    except ValueError:
        raise ValueError(f"unknown event_type {_shown(name)}") from None


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no object: {_shown(value)}")
    return value


def _uint(fields: dict[str, Any], name: str, maximum: int = _UINT64_MAX) -> int:
    value = fields.get(name)
    if value is None:
        return 0
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= maximum:
        raise ValueError(f"{name} is no number from 0 to {maximum}: {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
