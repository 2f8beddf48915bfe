"""What mailboxes, outboxes and orchestrators say of themselves: frozen records of one moment."""

from __future__ import annotations

import attrs

__all__ = ["MailBoxStatistics", "MailOrchestratorStatistics", "OutboxStatistics"]


@attrs.frozen(kw_only=True)
class OutboxStatistics:
    """What waited in an outbox at one moment, and who waited for it."""

    waiting: int
    """Items that wait for a receiver."""
    receivers: int
    """Threads that wait for an item in `get` and the like."""
    listeners: int
    """Coroutines that wait for an item, and selectors in which the outbox is registered."""


@attrs.frozen(kw_only=True)
class MailBoxStatistics:
    """What a mailbox held at one moment, and what it has done since it was made."""

    messages: int
    """Wire messages that wait for a receiver."""
    message_bytes: int = 0
    """Their bytes, if the mailbox has a budget for them."""
    messages_refused: int = 0
    """Messages so far that raised `WireQueueFull`."""
    replies_unacked: int
    """Settles and Fails that are not acked."""
    replies_undelivered: int
    """Those of them that no receiver has had since the last reset."""
    replies_delivered: int = 0
    """Those of them that a link has."""
    oldest_reply_age: float = 0.0
    """Seconds since the oldest unacked reply was added; 0 if there is none."""
    adds_unacked: int
    """Adds that are neither acked nor failed."""
    adds_undelivered: int
    """Those of them that wait for a receiver, in time."""
    adds_delivered: int = 0
    """Those of them that a link has."""
    adds_overdue: int
    """Those of them past their deadline: about to be failed, or to be tried again."""
    adds_being_failed: int = 0
    """Those of them that somebody is failing at this moment."""
    oldest_add_age: float = 0.0
    """Seconds since the oldest unacked Add was added; 0 if there is none."""
    packets_held: int = 0
    """Packets that an earlier process left, and that count as delivered until `reset_packets`."""
    packets_refused: int = 0
    """How often `PacketAlreadyExists` was raised so far: once for a batch."""
    packets_redelivered: int = 0
    """Deliveries so far of packets that a receiver had had before."""
    packets_acked: int = 0
    """Packets so far that were acked."""
    adds_failed: int
    """Adds so far that were failed, by expiry or `fail_add`: each gave one fail packet."""
    adds_expired: int
    """Those of them that had expired."""
    encrypt_errors: int
    """How often an Add could not be failed because no failure could be encoded or encrypted."""
    forward_errors: int
    """How many fail packets `forward_packets` raised on."""
    receivers: int = 0
    """Threads that wait in one of the outboxes."""
    listeners: int = 0
    """Coroutines that wait for an outbox, and selectors in which one is registered."""


@attrs.frozen(kw_only=True)
class MailOrchestratorStatistics:
    """What an orchestrator's mailboxes held at one moment, in all, and what is parked."""

    mailboxes: int
    """Mailboxes that were not removed."""
    live: int
    """Short channel ids that lead to one of them."""
    parked: int
    """Packets that wait for their channel to go live."""
    parked_channels: int
    """Short channel ids for which packets are parked."""
    parked_refused: int = 0
    """Packets so far that raised `ParkedFull`."""
    parked_expired: int = 0
    """Parked Adds so far that were failed because no mailbox claimed them in time."""
    total: MailBoxStatistics
    """The sums over all mailboxes; the ages are those of the oldest."""
