"""A JSON object as an event: lnd's `HtlcEvent`, or the reason why the object is none.

The shapes are those of `routerrpc.HtlcEvent` in lnd's `router.proto`, in all the spellings in
which lnd and gRPC tools write them.
"""

from __future__ import annotations

import enum
import re
import sys
from typing import Any

import attrs

from lnmailbox.wire import ShortChannelID

from .failure_names import FAILURE_DETAILS
from .fields import UINT32_MAX, NoEvent, in_snake_case, names_of, shown, uint

__all__ = [
    "COUNTED_ONLY",
    "NO_FIELD",
    "EventParser",
    "HtlcEvent",
    "Kind",
    "Origin",
    "is_like_add",
    "was_add",
]

NO_FIELD = "no event field"
"""Why an object is no event, nor a damaged one."""

_MAX_CHANNELS = 10_000
_ADD_NAMES = ("forward_event", "forwardEvent", "chan_id_in", "chanIdIn")
_OF_ADD = re.compile(f'"(?:{"|".join(_ADD_NAMES)})"')
_FAILURE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


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

_KINDS = {kind.value: kind for kind in Kind}
_ORIGINS: dict[object, Origin] = {None: Origin.UNKNOWN, **{each.value: each for each in Origin}}
_NUMBERED_ORIGINS = tuple(Origin)


# Not frozen: setting the fields of a frozen class takes longer than all the rest of a line.
@attrs.define
class HtlcEvent:
    """One event of the log; nobody changes one. Fields that the line leaves out are zero."""

    line: int
    """Number of the line in the file on which it begins, from 1."""
    origin: Origin
    kind: Kind
    timestamp_ns: int = 0
    """Unix time in ns; that of the event before it if it has none."""
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
    failure_detail: str = ""
    """lnd's name of it (`routerrpc.FailureDetail`) if a link failed the HTLC, else empty."""


class EventParser:
    """Makes events of JSON objects. It remembers the ids of channels, and the time."""

    def __init__(self) -> None:
        self._last_ns = 0
        self._channels: dict[object, ShortChannelID] = {None: ShortChannelID()}

    def parse(self, fields: dict[str, Any], line: int) -> tuple[HtlcEvent, bool]:
        """Return the event that an object holds, and whether it is without a time of its own.

        Unknown fields are ignored, as a newer lnd may have more; null is the same as absent.

        Raises:
            NoEvent: the object has none of the shapes that the replay knows.
        """
        if type(result := fields.get("result")) is dict:
            fields = result  # lnd's REST stream
        kind, body = _kind(fields)
        if kind is None:
            kind, body = _kind(fields := in_snake_case(fields))
            if kind is None:
                raise NoEvent(NO_FIELD, names_of(fields))
        if type(body) is not dict:
            raise NoEvent(f"{kind.value} is no object", shown(body))
        get = fields.get
        value = get("event_type")
        try:
            origin = _ORIGINS[value]
        except (KeyError, TypeError):
            origin = _numbered_origin(value)
        value = get("timestamp_ns")
        timestamp_ns = 0 if value is None else uint(value, "timestamp_ns")
        is_timeless = not timestamp_ns
        if is_timeless:
            timestamp_ns = self._last_ns
        value = get("incoming_htlc_id")
        incoming_id = 0 if value is None else uint(value, "incoming_htlc_id")
        value = get("outgoing_htlc_id")
        outgoing_id = 0 if value is None else uint(value, "outgoing_htlc_id")
        value = get("incoming_channel_id")
        try:
            incoming = self._channels[value]
        except (KeyError, TypeError):
            incoming = self.channel(value, "incoming_channel_id")
        value = get("outgoing_channel_id")
        try:
            outgoing = self._channels[value]
        except (KeyError, TypeError):
            outgoing = self.channel(value, "outgoing_channel_id")
        event = HtlcEvent(
            line, origin, kind, timestamp_ns, incoming, incoming_id, outgoing, outgoing_id
        )
        if kind is not Kind.FINAL and kind is not Kind.SUBSCRIBED:
            if body:
                _read_body(event, body)
            _check_htlc(event)
        self._last_ns = timestamp_ns
        return event, is_timeless

    def channel(self, value: object, name: str) -> ShortChannelID:
        """Return the channel with this id, a number or its digits; None is zero.

        Raises:
            NoEvent: it is no 64-bit number.
        """
        channel = ShortChannelID.from_int(0 if value is None else uint(value, name))
        if len(self._channels) >= _MAX_CHANNELS:
            self._channels.clear()
        if type(value) is not int:  # for a dict, 1 is the same as 1.0 and True
            self._channels[value] = channel
        return channel


def _numbered_origin(value: object) -> Origin:
    if type(value) is int and 0 <= value < len(_NUMBERED_ORIGINS):
        return _NUMBERED_ORIGINS[value]
    raise NoEvent("unknown event_type", shown(value))


def was_add(text: str) -> bool:
    """Return whether damaged text is from an Add."""
    return _OF_ADD.search(text) is not None


def is_like_add(fields: dict[str, Any]) -> bool:
    """Return whether an object that is no event would be an Add, if it were none the worse."""
    if type(result := fields.get("result")) is dict:
        fields = result
    return not fields.keys().isdisjoint(_ADD_NAMES)


def _kind(fields: dict[str, Any]) -> tuple[Kind | None, Any]:
    found = None
    body = None
    for name in fields:
        kind = _KINDS.get(name)
        if kind is not None and fields[name] is not None:
            if found is not None:
                raise NoEvent("several event fields", names_of(fields))
            found = kind
            body = fields[name]
    return found, body


def _read_body(event: HtlcEvent, body: dict[str, Any]) -> None:
    info = body.get("info")
    if info is not None:
        if type(info) is not dict:
            raise NoEvent("info is no object", shown(info))
        get = info.get
        value = get("incoming_amt_msat")
        if value is not None:
            event.incoming_amount = uint(value, "incoming_amt_msat")
        value = get("outgoing_amt_msat")
        if value is not None:
            event.outgoing_amount = uint(value, "outgoing_amt_msat")
        value = get("incoming_timelock")
        if value is not None:
            event.incoming_timelock = uint(value, "incoming_timelock", UINT32_MAX)
        value = get("outgoing_timelock")
        if value is not None:
            event.outgoing_timelock = uint(value, "outgoing_timelock", UINT32_MAX)
    if event.kind is Kind.LINK_FAIL:
        event.failure_detail = _failure_detail(body)


def _failure_detail(body: dict[str, Any]) -> str:
    value = body.get("failure_detail")
    if value is None:
        return ""
    if type(value) is str and _FAILURE_NAME.fullmatch(value):
        return sys.intern(value)
    if type(value) is int and 0 <= value <= UINT32_MAX:
        return FAILURE_DETAILS.get(value) or str(value)  # a newer lnd has more of them
    raise NoEvent("failure_detail is none of lnd's", shown(value))


def _check_htlc(event: HtlcEvent) -> None:
    origin = event.origin
    if origin is Origin.FORWARD:
        # The incoming link may fail what it cannot forward: then there is no outgoing one.
        if event.incoming_channel and (event.outgoing_channel or event.kind is Kind.LINK_FAIL):
            return
    elif origin is Origin.SEND:
        if event.outgoing_channel:
            return
    elif origin is Origin.RECEIVE and event.incoming_channel and event.kind is not Kind.ADD:
        return
    what = f"{origin.value} with {event.kind.value}"
    if origin is Origin.UNKNOWN or (origin is Origin.RECEIVE and event.kind is Kind.ADD):
        raise NoEvent(f"{what} is nothing that lnd reports")
    lacks_incoming = origin is not Origin.SEND and not event.incoming_channel
    raise NoEvent(f"{what} needs an {'incoming' if lacks_incoming else 'outgoing'}_channel_id")
