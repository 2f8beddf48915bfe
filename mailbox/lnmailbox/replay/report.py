"""The outcome of a replay, as text for people or as one JSON object."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence

import attrs

from .ledger import Counts
from .outcome import FailedBack, Outcome

__all__ = ["json_report", "text_report"]

_NS = 1_000_000_000

_COLUMNS = {
    "adds": ("Adds", "all"),
    "adds_delivered": ("", "delivered"),
    "adds_refused": ("", "refused"),
    "adds_expired": ("", "expired"),
    "adds_waiting": ("", "waiting"),
    "replies": ("Replies", "all"),
    "replies_delivered": ("", "delivered"),
    "redelivered": ("Both", "redelivered"),
    "acked": ("", "acked"),
}


def json_report(outcome: Outcome) -> str:
    """Return the counts as one JSON object: of all channels, and of each by `880000x1x1`."""
    return json.dumps(
        {
            "events": sum(outcome.events.values()),
            **attrs.asdict(outcome.total),
            "warnings": len(outcome.warnings),
            "channels": {
                str(channel): attrs.asdict(counts) for channel, counts in outcome.channels.items()
            },
        },
        indent=2,
    )


def text_report(outcome: Outcome) -> str:
    """Return the report for people: the channels, the cost of outages, and the accounting."""
    return "\n".join(_paragraphs(outcome))


def _paragraphs(outcome: Outcome) -> Iterator[str]:
    length = datetime.timedelta(seconds=outcome.end_ns // _NS)
    yield f"{len(outcome.channels):,} channels, {length} (h:min:s)"
    kinds = ", ".join(
        f"{count:,} {kind.value.removesuffix('_event')}" for kind, count in outcome.events.items()
    )
    yield f"{sum(outcome.events.values()):,} events: {kinds}"
    yield ""
    yield from _channels(outcome)
    yield ""
    if outcome.failed_back:
        yield from _failed_back(outcome)
        yield ""
    yield from _accounting(outcome)


def _channels(outcome: Outcome) -> Iterator[str]:
    rows = [["", *(group for group, _ in _COLUMNS.values())]]
    rows.append(["channel", *(title for _, title in _COLUMNS.values())])
    rows += [_row(str(channel), counts) for channel, counts in outcome.channels.items()]
    rows.append(_row("total", outcome.total))
    return _table(rows, left=1)


def _row(name: str, counts: Counts) -> list[str]:
    return [name, *(f"{getattr(counts, column):,}" for column in _COLUMNS)]


def _failed_back(outcome: Outcome) -> Iterator[str]:
    adds = outcome.failed_back
    yield "Adds failed back because their link was away too long:"
    rows = [["channel", "incoming HTLC", "in the log", "after s", "amount msat", "fee msat"]]
    rows += [_failed_row(failed) for failed in adds]
    yield from _table(rows, left=3)
    settled = sum(failed.is_settled for failed in adds)
    yield (
        f"The log shows {settled:,} of these {len(adds):,} as settled:"
        f" {outcome.total.fees_lost_msat:,} msat of fees lost."
    )


def _failed_row(failed: FailedBack) -> list[str]:
    htlc = failed.htlc
    own = not htlc.incoming_channel
    return [
        str(htlc.outgoing_channel),
        "own payment" if own else f"{htlc.incoming_channel}/{htlc.incoming_htlc_id}",
        "open" if htlc.result is None else htlc.result.value,
        f"{failed.at_ns / _NS:,.3f}",
        f"{htlc.outgoing_amount:,}",
        f"{htlc.fee:,}",
    ]


def _accounting(outcome: Outcome) -> Iterator[str]:
    total = outcome.total
    equation = (
        f"{total.adds:,} = {total.adds_delivered:,} delivered + {total.adds_refused:,} refused"
        f" + {total.adds_expired:,} expired + {total.adds_waiting:,} still waiting"
    )
    if outcome.holds:
        yield f"Every Add ended in exactly one way: {equation}."
        yield "Nothing was lost, duplicated or out of order."
        waiting = total.replies - total.replies_delivered
        if waiting:
            yield f"Replies that wait for a link still away: {waiting:,}."
        if outcome.replies_held:
            yield f"Replies that wait for the delivery of their Add: {outcome.replies_held:,}."
        return
    yield "THE ACCOUNTING DOES NOT HOLD."
    if outcome.was_given_up:
        yield "The replay was given up before its end."
    yield f"Adds: {equation}?"
    yield (
        f"Packets: {total.lost:,} lost, {total.duplicated:,} duplicated,"
        f" {total.out_of_order:,} out of order."
    )


def _table(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Align columns: the first `left` of them to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
