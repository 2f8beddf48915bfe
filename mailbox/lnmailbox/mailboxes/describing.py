"""A mailbox in words, for people who look for what is stuck."""

from __future__ import annotations

from ..contract import MailBoxConfig, MailBoxStatistics

__all__ = ["describe_mailbox"]


def describe_mailbox(
    title: str, now: MailBoxStatistics, config: MailBoxConfig, trouble: str | None
) -> str:
    """Return a few lines, the first of which is the title."""
    lines = [title, f"  messages: {now.messages} wait, {now.message_bytes:,} bytes"]
    if now.messages_refused:
        lines[-1] += f"; {now.messages_refused} refused: the queue was full"
    lines += [
        _packets(
            "replies",
            now.replies_unacked,
            now.oldest_reply_age,
            undelivered=now.replies_undelivered,
            delivered=now.replies_delivered,
        ),
        _packets(
            "Adds",
            now.adds_unacked,
            now.oldest_add_age,
            undelivered=now.adds_undelivered,
            delivered=now.adds_delivered,
            overdue=now.adds_overdue,
            **{"being failed": now.adds_being_failed},
        ),
        f"  receivers: {now.receivers} threads, {now.listeners} coroutines and selectors",
    ]
    lines.append(
        f"  so far: {now.packets_acked} acked, {now.adds_failed} failed back, of which "
        f"{now.adds_expired} after {config.expiry:g} s"
    )
    if now.packets_held:
        lines.append(
            f"  waits for reset_packets: {now.packets_held} packets of an earlier process"
        )
    if now.forward_errors:
        lines.append(f"  the switch raised on {now.forward_errors} fail packets")
    if trouble:
        lines.append(f"  stuck: {trouble}")
    return "\n".join(lines)


def _packets(what: str, unacked: int, oldest: float, **places: int) -> str:
    if not unacked:
        return f"  {what}: none"
    parts = [f"{count} {place}" for place, count in places.items() if count]
    return f"  {what}: {unacked} unacked ({', '.join(parts)}), the oldest {oldest:.1f} s old"
