"""Outcomes of replays, made up for the tests of what tells them."""

from __future__ import annotations

from typing import Any

from lnmailbox.replay.playing.history import Htlc, Result
from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outcome import EndedHtlc, Ending, HeldReply, Outcome
from lnmailbox.replay.reading.events import Kind
from lnmailbox.wire import ShortChannelID

__all__ = ["NS", "OWN", "START", "A", "B", "ended", "held", "htlc", "outcome"]

NS = 1_000_000_000
START = 1_760_000_000 * NS  # 2025-10-09 08:53:20 UTC
A = ShortChannelID(880000, 1, 1)
B = ShortChannelID(9, 9, 9)
OWN = ShortChannelID()


def htlc(**fields: Any) -> Htlc:
    """An HTLC from B to A, of 1,000 sat and a fee of 2 sat."""
    own = fields.get("incoming_channel") == OWN
    return Htlc(
        **{
            "incoming_channel": B,
            "incoming_htlc_id": 0 if own else 41,
            "outgoing_channel": A,
            "outgoing_htlc_id": 3,
            "has_add": True,
            "incoming_amount": 0 if own else 1_002_000,
            "outgoing_amount": 1_000_000,
            "incoming_timelock": 885_120,
            "outgoing_timelock": 885_080,
            "result": Result.SETTLED,
            **fields,
        }
    )


def ended(seconds: float, ending: Ending = Ending.EXPIRED, **fields: Any) -> EndedHtlc:
    """That HTLC after its end in the replay."""
    return EndedHtlc(at_ns=round(seconds * NS), ending=ending, htlc=htlc(**fields), start_ns=START)


def held(seconds: float, *, is_settle: bool = True, **fields: Any) -> HeldReply:
    """A reply to that HTLC that did not get home."""
    return HeldReply(htlc=htlc(**fields), since_ns=round(seconds * NS), is_settle=is_settle)


def outcome(**fields: Any) -> Outcome:
    """A replay of two hours in which nothing was wrong, unless the fields say so."""
    channels = {
        B: Counts(adds=1200, adds_delivered=1190, adds_refused=4, adds_expired=5, adds_waiting=1),
        A: Counts(replies=7, replies_delivered=7, acked=7),
    }
    channels = fields.pop("channels", channels)
    return Outcome(
        **{
            "events": {Kind.ADD: 1200, Kind.FINAL: 34},
            "start_ns": START,
            "end_ns": 7_322_900_000_000,
            "channels": channels,
            "total": sum(channels.values(), Counts()),
            "failed": [],
            "held": [],
            "replies_unborn": 0,
            "refusals": {},
            "handoffs": 17,
            "warnings": [],
            "adds_left_out": 0,
            "was_given_up": False,
            "was_interrupted": False,
            **fields,
        }
    )
