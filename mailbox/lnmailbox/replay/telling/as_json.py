"""The outcome of a replay for programs: one JSON object, of the shape in docs/replay.schema.json.

Amounts are msat. Times are ns since 1970, or ns since the first event if the name says so. HTLC
ids are strings, as lnd's are: they have 64 bits, and many readers of JSON have 53.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from ..playing.history import Htlc
from ..playing.ledger import Counts
from ..playing.outcome import EndedHtlc, HeldReply, Outcome
from ..reading.warnings import LogWarning
from .tables import date
from .verdict import is_complete, not_played, verdict

__all__ = ["VERSION", "json_report", "warning_json"]

VERSION = 1
"""Of the shape; a change that readers must know of makes it higher."""


def json_report(outcome: Outcome) -> str:
    """Return all that the text report has, and more, as one JSON object."""
    return json.dumps(_report(outcome), indent=2)


def _report(outcome: Outcome) -> dict[str, Any]:
    start_ns, end_ns = outcome.start_ns, outcome.start_ns + outcome.end_ns
    return {
        "version": VERSION,
        "verdict": {
            "holds": outcome.holds,
            "is_complete": is_complete(outcome),
            "was_given_up": outcome.was_given_up,
            "was_interrupted": outcome.was_interrupted,
            "adds_left_out": outcome.adds_left_out,
            "text": " ".join([*not_played(outcome), verdict(outcome)]),
        },
        "log": {
            "start_ns": start_ns,
            "start": date(start_ns).isoformat(),
            "end_ns": end_ns,
            "end": date(end_ns).isoformat(),
            "events": {kind.value: count for kind, count in outcome.events.items()},
        },
        "held": [_held(reply, outcome) for reply in outcome.held],
        "total": _counts(outcome.total),
        "channels": {str(channel): _counts(c) for channel, c in outcome.channels.items()},
        "failed": [_failed(failed, start_ns) for failed in outcome.failed],
        "refusals": outcome.refusals,
        "replies_unborn": outcome.replies_unborn,
        "handoffs": outcome.handoffs,
        "warnings": [warning_json(warning) for warning in outcome.warnings],
    }


def _counts(counts: Counts) -> dict[str, int]:
    return attrs.asdict(counts)


def _held(reply: HeldReply, outcome: Outcome) -> dict[str, Any]:
    return {
        "reply": "settle" if reply.is_settle else "fail",
        "since_ns": outcome.start_ns + reply.since_ns,
        "age_ns": outcome.end_ns - reply.since_ns,
        **_htlc(reply.htlc),
    }


def _failed(failed: EndedHtlc, start_ns: int) -> dict[str, Any]:
    return {
        "at_ns": start_ns + failed.at_ns,
        "ending": failed.ending.value,
        **_htlc(failed.htlc),
        "fee_lost_msat": failed.fee_lost_msat,
    }


def _htlc(htlc: Htlc) -> dict[str, Any]:
    return {
        "incoming_channel": str(htlc.incoming_channel) if htlc.incoming_channel else None,
        "incoming_htlc_id": str(htlc.incoming_htlc_id),
        "incoming_amount_msat": htlc.incoming_amount,
        "incoming_timelock": htlc.incoming_timelock,
        "outgoing_channel": str(htlc.outgoing_channel) if htlc.outgoing_channel else None,
        "outgoing_htlc_id": str(htlc.outgoing_htlc_id),
        "outgoing_amount_msat": htlc.outgoing_amount,
        "outgoing_timelock": htlc.outgoing_timelock,
        "result": None if htlc.result is None else htlc.result.value,
        "fee_msat": htlc.fee,
    }


def warning_json(warning: LogWarning) -> dict[str, Any]:
    """Return a warning as an object."""
    return attrs.asdict(warning)
