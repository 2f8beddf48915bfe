"""The statistics of many mailboxes as one, and in words."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..contract import MailBox, MailBoxStatistics, MailOrchestratorStatistics

__all__ = ["NOTHING", "add_up", "counts_of", "describe_orchestrator"]

_AGES = ("oldest_reply_age", "oldest_add_age")
_TOTALS = (
    "messages_refused",
    "packets_refused",
    "packets_redelivered",
    "packets_acked",
    "adds_failed",
    "adds_expired",
    "encrypt_errors",
    "forward_errors",
)
_NAMES = [field.name for field in attrs.fields(MailBoxStatistics)]

NOTHING = MailBoxStatistics(**dict.fromkeys(_NAMES, 0))

_SHOWN = 10
"""How many mailboxes are described one by one."""


def add_up(statistics: Iterable[MailBoxStatistics]) -> MailBoxStatistics:
    """Return the sums, and of the ages the greatest."""
    sums = dict.fromkeys(_NAMES, 0)
    for one in statistics:
        for name in _NAMES:
            value = getattr(one, name)
            sums[name] = max(sums[name], value) if name in _AGES else sums[name] + value
    return MailBoxStatistics(**sums)


def counts_of(statistics: MailBoxStatistics) -> MailBoxStatistics:
    """Return what a mailbox has done, without what it holds."""
    return attrs.evolve(NOTHING, **{name: getattr(statistics, name) for name in _TOTALS})


def describe_orchestrator(
    title: str, now: MailOrchestratorStatistics, mailboxes: list[MailBox]
) -> str:
    """Return lines: the sums, then the mailboxes in which something is stuck."""
    total = now.total
    parked = f"{now.parked} packets for {now.parked_channels} channels"
    errors = total.encrypt_errors + total.forward_errors
    adds = f"{total.adds_unacked} unacked, the oldest {total.oldest_add_age:.1f} s"
    lines = [
        title,
        f"  live: {now.live} short channel ids",
        f"  parked: {parked}, {now.parked_refused} refused, {now.parked_expired} expired",
        f"  replies: {total.replies_unacked} unacked, the oldest {total.oldest_reply_age:.1f} s",
        f"  Adds: {adds}, {total.adds_overdue} overdue",
        f"  so far: {total.packets_acked} acked, {total.adds_failed} failed back, {errors} errors",
    ]
    if total.packets_held:
        lines.append(f"  wait for reset_packets: {total.packets_held} packets, since the start")
    seen = [(mailbox, mailbox.statistics()) for mailbox in mailboxes]
    stuck = [
        mailbox
        for mailbox, one in seen
        if one.adds_overdue or one.messages_refused or one.packets_held
    ]
    for mailbox in stuck[:_SHOWN]:
        lines += [f"  {line}" for line in mailbox.describe().splitlines()]
    if len(stuck) > _SHOWN:
        lines.append(f"  and {len(stuck) - _SHOWN} more mailboxes in which something is stuck")
    return "\n".join(lines)
