"""The outcome of a replay for people: text of at most 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lnmailbox.wire import ShortChannelID

from ..playing.history import Htlc
from ..playing.ledger import Counts
from ..playing.outcome import EndedHtlc, HeldReply, Outcome
from ..reading.forwards import MADE_UP_ID
from .tables import age, date, moment, paragraph, sat, table
from .verdict import not_played, verdict

__all__ = ["TOP", "text_report"]

TOP = 10
"""How many rows a table has, the rest being one line."""

_WAYS = ("delivered", "refused", "unroutable", "expired", "waiting")

LEGEND = """\
Words: an Add is an HTLC on its way out, a reply (Settle or Fail) its answer on the \
way back. delivered: the link committed to it. refused: the link took it and failed \
it, as in the log. unroutable: the peer was gone, and lnd fails an Add for it at \
once. expired: its link did not take it in time. waiting: in its mailbox at the end. \
own: payments of this node itself, without a \
fee to lose. lost: of forwards that the log shows as settled. A peer that is gone sends no Adds \
either: those that came in from it are played as in the log, and do not count as lost.\
"""


def text_report(outcome: Outcome, *, top: int = TOP) -> str:
    """Return the report.

    First come the replies that did not get home, then the log, the channels by what they lost,
    the failed HTLCs by what they cost, refusals, and the accounting.

    Args:
        outcome: what to tell.
        top: how many rows each table has; one line has the sum of the others.
    """
    sections = (
        _held(outcome, top),
        _log(outcome),
        _losses(outcome, top),
        _failed(outcome, top),
        _adds(outcome, top),
        _replies(outcome, top),
        _refusals(outcome, top),
        _accounting(outcome),
        paragraph(LEGEND),
    )
    return "\n\n".join(filter(None, ("\n".join(section) for section in sections)))


# The force-close risk


def _held(outcome: Outcome, top: int) -> Iterator[str]:
    held = outcome.held
    if not held:
        return
    settles = sum(reply.is_settle for reply in held)
    yield from paragraph(
        f"Replies that did not get home: {len(held):,}, of which Settles: {settles:,}. Their link"
        " had not taken them at the end. If a reply is still away near its timelock, the channel"
        " is closed by force; of a Settle, this node must then claim the HTLC on chain in time."
    )
    rows = [["incoming HTLC", "reply", "age", "timelock", "amount"]]
    rows += [_held_row(reply, outcome.end_ns) for reply in held[:top]]
    yield from table(rows, left=2)
    if rest := held[top:]:
        amount = sat(sum(reply.htlc.incoming_amount for reply in rest))
        lowest = min(reply.htlc.incoming_timelock or 1 << 32 for reply in rest)
        first = f", the first timelock {lowest:,}" if lowest < 1 << 32 else ""
        yield from paragraph(f"and {len(rest):,} younger ones: {amount}{first}")


def _held_row(reply: HeldReply, end_ns: int) -> list[str]:
    htlc = reply.htlc
    return [
        _incoming(htlc),
        "Settle" if reply.is_settle else "Fail",
        age(end_ns - reply.since_ns),
        f"{htlc.incoming_timelock:,}" if htlc.incoming_timelock else "unknown",
        sat(htlc.incoming_amount) if htlc.incoming_amount else "unknown",
    ]


def _incoming(htlc: Htlc) -> str:
    """The HTLC's incoming channel, and its id if lnd gave it one."""
    if htlc.incoming_htlc_id >= MADE_UP_ID:
        return str(htlc.incoming_channel)
    return f"{htlc.incoming_channel}/{htlc.incoming_htlc_id}"


# The log


def _log(outcome: Outcome) -> Iterator[str]:
    start, end = outcome.start_ns, outcome.start_ns + outcome.end_ns
    if start:
        yield f"{moment(start)} to {moment(end)} UTC: {age(outcome.end_ns)}"
    else:
        yield "The log has no times: all of it happens at once."
    kinds = ", ".join(
        f"{count:,} {kind.value.removesuffix('_event')}" for kind, count in outcome.events.items()
    )
    yield from paragraph(
        f"{len(outcome.channels):,} channels, {sum(outcome.events.values()):,} events: {kinds}"
    )
    total = outcome.total
    forwards = total.adds - total.own_adds
    yield from paragraph(
        f"{total.adds:,} Adds: {forwards:,} of forwards, {total.own_adds:,} of own payments"
    )


# What the outages cost


def _failures(counts: Counts) -> int:
    return counts.adds_unroutable + counts.adds_expired


def _by_loss(outcome: Outcome) -> list[tuple[ShortChannelID, Counts]]:
    """The channels, those that lost most first."""
    return sorted(
        outcome.channels.items(),
        key=lambda item: (
            -item[1].fees_lost_msat,
            -item[1].volume_failed_msat,
            -_failures(item[1]),
            item[0],
        ),
    )


def _losses(outcome: Outcome, top: int) -> Iterator[str]:
    if not _failures(outcome.total):
        return
    yield "What the outages cost, by outgoing channel:"
    hit = [(channel, counts) for channel, counts in _by_loss(outcome) if _failures(counts)]
    titles = ["channel", "unroutable", "expired", "own", "volume lost", "fees lost"]
    yield from _channel_table(titles, hit, outcome.total, top, _loss_row)


def _loss_row(counts: Counts) -> list[str]:
    return [
        f"{counts.adds_unroutable:,}",
        f"{counts.adds_expired:,}",
        f"{counts.own_failed:,}",
        sat(counts.volume_failed_msat),
        sat(counts.fees_lost_msat),
    ]


def _failed(outcome: Outcome, top: int) -> Iterator[str]:
    failed = outcome.failed
    if not failed:
        return
    settled = [one for one in failed if one.is_settled]
    forwards = [one for one in settled if not one.is_own]
    forwards.sort(key=lambda one: (-one.fee_lost_msat, -one.htlc.outgoing_amount, one.at_ns))
    if forwards:
        yield "Forwards that failed in the replay, and settled in the log:"
        rows = [["when (UTC)", "channel", "incoming HTLC", "ending", "fee"]]
        rows += [_failed_row(one, outcome) for one in forwards[:top]]
        yield from table(rows, left=4)
        if rest := forwards[top:]:
            yield f"and {len(rest):,} more: {sat(sum(one.fee_lost_msat for one in rest))}"
    if own := [one for one in settled if one.is_own]:
        amount = sat(sum(one.htlc.outgoing_amount for one in own))
        yield f"Own payments that failed so: {len(own):,}, {amount}."
    if others := len(failed) - len(settled):
        yield f"Failed, but not settled in the log either: {others:,}. They cost nothing."


def _failed_row(failed: EndedHtlc, outcome: Outcome) -> list[str]:
    htlc = failed.htlc
    start_ns = outcome.start_ns
    is_one_year = date(start_ns).year == date(start_ns + outcome.end_ns).year
    when = moment(start_ns + failed.at_ns)
    return [
        when[5:] if is_one_year else when,
        str(htlc.outgoing_channel),
        _incoming(htlc),
        failed.ending.value,
        sat(htlc.fee),
    ]


# What passed


def _adds(outcome: Outcome, top: int) -> Iterator[str]:
    channels = [item for item in _by_loss(outcome) if item[1].adds]
    if channels:
        yield "Adds, by outgoing channel:"
        titles = ["channel", "Adds", *_WAYS]
        yield from _channel_table(titles, channels, outcome.total, top, _add_row)


def _add_row(counts: Counts) -> list[str]:
    return [f"{counts.adds:,}", *(f"{getattr(counts, f'adds_{way}'):,}" for way in _WAYS)]


def _replies(outcome: Outcome, top: int) -> Iterator[str]:
    channels = [item for item in outcome.channels.items() if item[1].replies]
    channels.sort(key=lambda item: (item[1].replies_delivered - item[1].replies, item[0]))
    if channels:
        yield "Replies, by incoming channel:"
        titles = ["channel", "replies", "delivered", "waiting"]
        yield from _channel_table(titles, channels, outcome.total, top, _reply_row)


def _reply_row(counts: Counts) -> list[str]:
    delivered = counts.replies_delivered
    return [f"{counts.replies:,}", f"{delivered:,}", f"{counts.replies - delivered:,}"]


def _refusals(outcome: Outcome, top: int) -> Iterator[str]:
    reasons = sorted(outcome.refusals.items(), key=lambda item: (-item[1], item[0]))
    if reasons:
        yield "Refused by the link, with lnd's reason:"
        rows = [[_named(reason), f"{count:,}"] for reason, count in reasons[:top]]
        if rest := reasons[top:]:
            rows.append([f"{len(rest):,} other reasons", f"{sum(n for _, n in rest):,}"])
        yield from table(rows, left=1)


def _named(reason: str) -> str:
    """The reason, which comes from the log, as text that no terminal obeys."""
    return ascii(reason)[1:-1][:40] or "not told"


def _channel_table(
    titles: list[str],
    channels: Sequence[tuple[ShortChannelID, Counts]],
    total: Counts,
    top: int,
    row: Callable[[Counts], list[str]],
) -> Iterator[str]:
    """The first channels, the sum of the others, and the total."""
    rows = [titles, *([str(channel), *row(counts)] for channel, counts in channels[:top])]
    if rest := channels[top:]:
        rows.append([f"{len(rest):,} others", *row(sum((c for _, c in rest), Counts()))])
    rows.append(["total", *row(total)])
    return table(rows, left=1)


# Whether it is true


def _accounting(outcome: Outcome) -> Iterator[str]:
    total = outcome.total
    ways = " + ".join(f"{getattr(total, f'adds_{way}'):,} {way}" for way in _WAYS)
    equation = f"{total.adds:,} = {ways}"
    yield from paragraph(
        f"{outcome.handoffs:,} packets passed from one thread to another;"
        f" {total.redelivered:,} were taken again after an outage."
    )
    if outcome.replies_unborn:
        yield from paragraph(
            f"{outcome.replies_unborn:,} results of the log had no reply yet: their Adds wait."
        )
    yield from not_played(outcome)
    if outcome.holds:
        yield from paragraph(f"Every Add ended in exactly one way: {equation}.")
    else:
        yield "THE ACCOUNTING DOES NOT HOLD."
        yield from paragraph(f"Adds: {equation}?")
        yield from paragraph(
            f"Packets: {total.lost:,} lost, {total.duplicated:,} duplicated,"
            f" {total.out_of_order:,} out of order."
        )
    yield verdict(outcome)
