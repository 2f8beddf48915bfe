"""The result of every HTLC in the log, and its time: the script that the replay plays.

Here is everything that the log alone decides: which events belong together, which repeat one
another, and which of them lead to a packet. Nothing here knows of mailboxes or outages.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

import attrs

from lnmailbox.wire import ShortChannelID

from .events import COUNTED_ONLY, HtlcEvent, Kind, Origin
from .warnings import LogWarning

__all__ = ["History", "Htlc", "Result", "Step", "read_history"]

_LAST_HTLC_ID = (1 << 64) - 1


class Result(enum.Enum):
    """How the log says that an HTLC ended."""

    SETTLED = "settled"
    FAILED = "failed"
    REFUSED = "refused"
    """The outgoing link did not take it (`link_fail_event`)."""


_RESULTS = {
    Kind.SETTLE: Result.SETTLED,
    Kind.FAIL: Result.FAILED,
    Kind.LINK_FAIL: Result.FAILED,
}

_Key = tuple[bool, ShortChannelID, int]
"""Own payment or not; then the ids by which its events say that they belong together."""


@attrs.define(eq=False, kw_only=True)
class Htlc:
    """One HTLC as the log tells of it; compared by identity."""

    incoming_channel: ShortChannelID
    """Zero (lnd: `hop.Source`) for the node's own payment: then nobody waits for a reply."""
    incoming_htlc_id: int
    outgoing_channel: ShortChannelID
    outgoing_htlc_id: int
    has_add: bool
    """Whether the log shows the Add: not for payments to this node, nor for older HTLCs."""
    incoming_amount: int = 0
    """In msat, like `outgoing_amount`."""
    outgoing_amount: int = 0
    incoming_timelock: int = 0
    outgoing_timelock: int = 0
    result: Result | None = None
    """None while the log leaves it open."""

    @property
    def fee(self) -> int:
        """The fee of forwarding it, in msat; 0 for an own payment and for unknown amounts."""
        return max(0, self.incoming_amount - self.outgoing_amount)


@attrs.frozen
class Step:
    """At `at_ns` after the first event, `htlc` was added, or had the result it has."""

    at_ns: int
    htlc: Htlc
    is_add: bool


@attrs.frozen
class History:
    """A log, understood."""

    events: dict[Kind, int]
    """How many events of each kind it has, those that are only counted included."""
    steps: list[Step]
    """In the order of the log, never going back in time."""
    end_ns: int
    """When the last event was, in ns since the first."""
    channels: list[ShortChannelID]
    """Every channel that sends or gets a packet, sorted."""
    warnings: list[LogWarning]


def read_history(events: Sequence[HtlcEvent]) -> History:
    """Return the HTLCs that the events tell of.

    A forward is known by its incoming channel and HTLC id, an own payment by the outgoing ones.
    lnd may report an event again after a restart: a repeated event is left out, with a
    warning. An event that is older than the one before it, or has no timestamp, counts as
    simultaneous with that one, with a warning too.
    """
    reader = _Reader(events)
    for event in events:
        at_ns = reader.time_of(event)
        if event.kind in COUNTED_ONLY:
            continue
        if event.kind is Kind.ADD:
            reader.add(event, at_ns)
        else:
            reader.end(event, at_ns)
    counts = Counter(event.kind for event in events)
    channels = {step.htlc.outgoing_channel for step in reader.steps if step.htlc.has_add}
    channels |= {step.htlc.incoming_channel for step in reader.steps}
    return History(
        events={kind: counts[kind] for kind in Kind if kind in counts},
        steps=reader.steps,
        end_ns=reader.now_ns - reader.first_ns,
        channels=sorted(channels - {ShortChannelID()}),
        warnings=reader.warnings,
    )


class _Reader:
    def __init__(self, events: Sequence[HtlcEvent]) -> None:
        self.first_ns = next((event.timestamp_ns for event in events if event.timestamp_ns), 0)
        self.now_ns = self.first_ns
        self.steps: list[Step] = []
        self.warnings: list[LogWarning] = []
        self._has_time = False
        self._htlcs: dict[_Key, Htlc] = {}
        self._nameless = 0

    def time_of(self, event: HtlcEvent) -> int:
        if event.timestamp_ns >= self.now_ns:
            self.now_ns = event.timestamp_ns
            self._has_time = True
        elif event.timestamp_ns:
            back = (self.now_ns - event.timestamp_ns) / 1_000_000_000
            self._warn(event, f"{back:.9f} s older than an event before it; taken as simultaneous")
        elif self._has_time and event.kind not in COUNTED_ONLY:
            self._warn(event, "no timestamp_ns; taken as simultaneous with the event before it")
        return self.now_ns - self.first_ns

    def add(self, event: HtlcEvent, at_ns: int) -> None:
        key = _key(event)
        if key in self._htlcs:
            self._warn(event, f"{_name(event)} occurred before; left out")
        else:
            self._htlcs[key] = self._new_add(event, at_ns)

    def end(self, event: HtlcEvent, at_ns: int) -> None:
        key = _key(event)
        htlc = self._htlcs.get(key)
        if event.origin is Origin.RECEIVE:
            refused = False  # lnd reports a failure of the incoming link: there is no other
        else:
            refused = event.kind is Kind.LINK_FAIL
        if refused and event.origin is Origin.SEND and not event.outgoing_htlc_id:
            # A link gives no HTLC id to what it refuses, so that many refused payments are 0.
            if htlc is None or htlc.result is not None:
                htlc = self._new_add(event, at_ns)
                htlc.outgoing_htlc_id = _LAST_HTLC_ID - self._nameless
                self._nameless += 1
        elif htlc is None:
            htlc = self._htlcs[key] = self._new_add(event, at_ns) if refused else _htlc(event)
        if htlc.result is not None:
            self._warn(event, f"{_name(event)} had ended before; left out")
            return
        htlc.result = Result.REFUSED if refused else _RESULTS[event.kind]
        self.steps.append(Step(at_ns, htlc, is_add=False))

    def _new_add(self, event: HtlcEvent, at_ns: int) -> Htlc:
        htlc = _htlc(event, has_add=True)
        self.steps.append(Step(at_ns, htlc, is_add=True))
        return htlc

    def _warn(self, event: HtlcEvent, text: str) -> None:
        self.warnings.append(LogWarning(text, line=event.line))


def _key(event: HtlcEvent) -> _Key:
    if event.origin is Origin.SEND:
        return True, event.outgoing_channel, event.outgoing_htlc_id
    return False, event.incoming_channel, event.incoming_htlc_id


def _name(event: HtlcEvent) -> str:
    is_send, channel, htlc_id = _key(event)
    return f"own HTLC {channel}/{htlc_id}" if is_send else f"HTLC {channel}/{htlc_id}"


def _htlc(event: HtlcEvent, *, has_add: bool = False) -> Htlc:
    is_send = event.origin is Origin.SEND
    return Htlc(
        incoming_channel=ShortChannelID() if is_send else event.incoming_channel,
        incoming_htlc_id=0 if is_send else event.incoming_htlc_id,
        outgoing_channel=event.outgoing_channel,
        outgoing_htlc_id=event.outgoing_htlc_id,
        has_add=has_add,
        incoming_amount=event.incoming_amount,
        outgoing_amount=event.outgoing_amount,
        incoming_timelock=event.incoming_timelock,
        outgoing_timelock=event.outgoing_timelock,
    )
