"""The result of every HTLC in the log, and its time: the script that the replay plays.

Here is everything that the log alone decides: which events belong together, which repeat one
another, and which of them lead to a packet. Nothing here knows of mailboxes or outages.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import attrs

from lnmailbox.wire import ShortChannelID

from ..reading.events import COUNTED_ONLY, HtlcEvent, Kind, Origin
from ..reading.warnings import LogWarnings

__all__ = ["LOOK_AHEAD", "REMEMBERED", "History", "Htlc", "Progress", "Result", "Step"]

LOOK_AHEAD = 10_000
"""How many steps the log is read ahead of the step that is played."""

REMEMBERED = 65_536
"""How many HTLCs are known after their end, the last ones, so that repeats can be left out."""

_PROGRESS_EVERY = 10_000

_LAST_HTLC_ID = (1 << 64) - 1
_NO_CHANNEL = ShortChannelID()


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

_Key = tuple[bool, int, int]
"""Own payment or not; then the ids by which its events say that they belong together."""


@attrs.define(eq=False)
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
    """A block height, like `outgoing_timelock`; 0 if unknown."""
    outgoing_timelock: int = 0
    result: Result | None = None
    """None while the log leaves it open, as far as it is read."""
    is_played: bool = False
    """Whether its Add is among the steps that were taken from the history."""

    @property
    def fee(self) -> int:
        """The fee of forwarding it, in msat; 0 for an own payment and for unknown amounts."""
        return max(0, self.incoming_amount - self.outgoing_amount)


class Step(NamedTuple):
    """At `at_ns` after the first event, `htlc` was added, or had the result it has."""

    at_ns: int
    htlc: Htlc
    is_add: bool


@attrs.frozen
class Progress:
    """How far a log is read."""

    events: int
    start_ns: int
    """The time of the first event, as Unix time in ns."""
    virtual_ns: int
    """The time of the last event, in ns since the first."""


class History:
    """A log, understood while it is read: a stream of events becomes a stream of steps.

    A forward is known by its incoming channel and HTLC id, an own payment by the outgoing ones.
    lnd may report an event again after a restart: a repeated event is left out, with a
    warning, if its HTLC is open or among the last `REMEMBERED` that ended. Later, a repeated Add
    is a new HTLC, and a repeated result that of an HTLC older than the log. An event that is
    older than the one before it, or has no timestamp, counts as simultaneous with that one,
    with a warning too.

    A failure of the outgoing link is a refusal if it comes within `LOOK_AHEAD` steps of its Add.
    After that, the replay has played the Add, and takes the failure for the peer's.

    Args:
        events: the log.
        warnings: gets what is left out or taken differently.
        window: Unix times in ns; events before the first one or not before the second one are
            not part of the history. An HTLC that was added before is then older than the log.
        on_progress: called every 10,000 events.

    Attributes:
        events: how many events of each kind were read, those that are only counted included.
        refusals: how many failures of a link there were, by lnd's `failure_detail`.
        start_ns: the Unix time of the first event that has one; 0 before that.
        end_ns: when the last event was, in ns since the first.
    """

    def __init__(
        self,
        events: Iterable[HtlcEvent],
        warnings: LogWarnings,
        window: tuple[int | None, int | None] = (None, None),
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.events: Counter[Kind] = Counter()
        self.refusals: Counter[str] = Counter()
        self.start_ns = 0
        self.end_ns = 0
        self._log = iter(events)
        self._warnings = warnings
        self._from_ns = window[0] or 0
        self._to_ns = window[1]
        self._on_progress = on_progress
        self._now_ns = 0
        self._ahead: deque[Step] = deque()
        self._open: dict[_Key, Htlc] = {}
        # What has ended, the oldest first.
        self._ended: set[_Key] = set()
        self._endings: deque[_Key] = deque()
        self._nameless = 0

    def steps(self) -> Iterator[Step]:
        """Yield what happens, in the order of the log, never going back in time.

        After an interrupt that ended it, `rest` goes on.
        """
        ahead = self._ahead
        for read, event in enumerate(self._log, 1):
            if not self._take(event):
                break
            if read % _PROGRESS_EVERY == 0 and self._on_progress is not None:
                self._on_progress(Progress(read, self.start_ns, self.end_ns))
            while len(ahead) > LOOK_AHEAD:
                yield self._next()
        yield from self.rest()

    def rest(self) -> Iterator[Step]:
        """Yield the steps that are read already, and let the log end there."""
        while self._ahead:
            yield self._next()

    def _next(self) -> Step:
        step = self._ahead.popleft()
        step.htlc.is_played = True
        return step

    def _take(self, event: HtlcEvent) -> bool:
        """Understand an event; return False if it is after the window."""
        time_ns = event.timestamp_ns
        kind = event.kind
        if time_ns > self._now_ns:
            if self._to_ns is not None and time_ns >= self._to_ns:
                return False
            self._now_ns = time_ns
            if time_ns < self._from_ns:
                return True
            if not self.start_ns:
                self.start_ns = time_ns
            self.end_ns = time_ns - self.start_ns
        elif self._now_ns < self._from_ns:
            return True
        elif time_ns < self._now_ns:
            self._warn_of_time(event)
        self.events[kind] += 1
        if kind in COUNTED_ONLY:
            pass
        elif kind is Kind.ADD:
            self._add(event)
        else:
            self._end(event)
        return True

    def _warn_of_time(self, event: HtlcEvent) -> None:
        if event.timestamp_ns:
            self._warnings.add(
                "older than an event before it; taken as simultaneous",
                event.line,
                f"{(self._now_ns - event.timestamp_ns) / 1_000_000_000:.9f} s",
            )
        elif event.kind not in COUNTED_ONLY:
            self._warnings.add(
                "no timestamp_ns; taken as simultaneous with the event before it", event.line
            )

    def _add(self, event: HtlcEvent) -> None:
        key = _key(event)
        if key in self._open or key in self._ended:
            self._warnings.add("HTLC occurred before; left out", event.line, _name(key))
        else:
            self._open[key] = self._new_add(event)

    def _end(self, event: HtlcEvent) -> None:
        key = _key(event)
        # Without an outgoing channel it is a failure of the incoming link: there was no Add.
        refused = event.kind is Kind.LINK_FAIL and bool(event.outgoing_channel)
        if refused and event.origin is Origin.SEND and not event.outgoing_htlc_id:
            # A link gives no HTLC id to what it refuses, so that many refused payments are 0. None
            # is the channel's first HTLC: lnd reports an Add once it has an id, and that is never
            # refused then.
            htlc = self._new_add(event)
            htlc.outgoing_htlc_id = _LAST_HTLC_ID - self._nameless
            self._nameless += 1
        elif (open_htlc := self._open.pop(key, None)) is not None:
            htlc = open_htlc
            self._remember(key)
        elif key in self._ended:
            self._warnings.add("HTLC had ended before; left out", event.line, _name(key))
            return
        else:
            htlc = self._new_add(event) if refused else _htlc(event, has_add=False)
            self._remember(key)
        if event.kind is Kind.LINK_FAIL:
            self.refusals[event.failure_detail] += 1
        if not refused:
            htlc.result = _RESULTS[event.kind]
        elif htlc.is_played:
            self._warnings.add(
                "link_fail_event long after its forward_event; taken as a forward_fail_event",
                event.line,
                _name(key),
            )
            htlc.result = Result.FAILED
        else:
            htlc.result = Result.REFUSED
        self._ahead.append(Step(self.end_ns, htlc, False))

    def _new_add(self, event: HtlcEvent) -> Htlc:
        htlc = _htlc(event, has_add=True)
        self._ahead.append(Step(self.end_ns, htlc, True))
        return htlc

    def _remember(self, key: _Key) -> None:
        self._ended.add(key)
        self._endings.append(key)
        if len(self._endings) > REMEMBERED:
            self._ended.remove(self._endings.popleft())


def _key(event: HtlcEvent) -> _Key:
    if event.origin is Origin.SEND:
        return True, event.outgoing_channel, event.outgoing_htlc_id
    return False, event.incoming_channel, event.incoming_htlc_id


def _name(key: _Key) -> str:
    is_send, channel, htlc_id = key
    return f"own HTLC {channel}/{htlc_id}" if is_send else f"HTLC {channel}/{htlc_id}"


def _htlc(event: HtlcEvent, *, has_add: bool) -> Htlc:
    is_send = event.origin is Origin.SEND
    return Htlc(
        _NO_CHANNEL if is_send else event.incoming_channel,
        0 if is_send else event.incoming_htlc_id,
        event.outgoing_channel,
        event.outgoing_htlc_id,
        has_add,
        event.incoming_amount,
        event.outgoing_amount,
        event.incoming_timelock,
        event.outgoing_timelock,
    )
