"""Small logs of HTLC events, for the tests of commands."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["NOTICE", "SETTLED", "event", "forward"]

NOTICE = '{"event_type": "UNKNOWN", "subscribed_event": {}}\n'


def event(seconds: float, kind: str, **fields: Any) -> str:
    """A line about a forward from channel 1x1x1 to channel 2x2x2."""
    body = fields.pop("body", {"info": {"incoming_amt_msat": "1100", "outgoing_amt_msat": "1000"}})
    return (
        json.dumps(
            {
                "event_type": "FORWARD",
                "incoming_channel_id": str(1 << 40 | 1 << 16 | 1),
                "incoming_htlc_id": "7",
                "outgoing_channel_id": str(2 << 40 | 2 << 16 | 2),
                "outgoing_htlc_id": "9",
                "timestamp_ns": str(round((1_760_000_000 + seconds) * 10**9)),
                kind: body,
                **fields,
            }
        )
        + "\n"
    )


def forward(number: int, start: float, end: float) -> list[str]:
    """The lines of a forward that settles."""
    ids = {"incoming_htlc_id": f"{number}", "outgoing_htlc_id": f"{number}"}
    return [event(start, "forward_event", **ids), event(end, "settle_event", **ids)]


SETTLED = NOTICE + event(0, "forward_event") + event(2, "settle_event")
