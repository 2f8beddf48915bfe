"""The outcome of a replay."""

from __future__ import annotations

import enum

import attrs

from lnmailbox.wire import ShortChannelID

from ..reading.events import Kind
from ..reading.warnings import LogWarning
from .history import Htlc, Result
from .ledger import Counts

__all__ = ["EndedHtlc", "Ending", "HeldReply", "Outcome"]


class Ending(enum.Enum):
    """How an Add ended in the replay."""

    DELIVERED = "delivered"
    """Its link committed to it. What became of it then is in the log."""
    REFUSED = "refused"
    """Its link failed it, as in the log."""
    UNROUTABLE = "unroutable"
    """The switch failed it at once: the peer was gone."""
    EXPIRED = "expired"
    """It waited in the mailbox for too long."""
    WAITING = "waiting"
    """It is in the mailbox at the end."""


@attrs.frozen
class EndedHtlc:
    """An HTLC whose Add has ended."""

    start_ns: int
    """The time of the first event, as Unix time in ns."""
    at_ns: int
    """When it ended, in ns since the first event. An Add expires at its deadline, or later if
    its link left later."""
    ending: Ending
    htlc: Htlc
    """`result` is how it ended in the log; None if it is open there."""

    @property
    def is_own(self) -> bool:
        """Whether it was the node's own payment."""
        return not self.htlc.incoming_channel

    @property
    def has_failed(self) -> bool:
        """Whether an outage ended it."""
        return self.ending is Ending.UNROUTABLE or self.ending is Ending.EXPIRED

    @property
    def is_settled(self) -> bool:
        """Whether it was settled in the log."""
        return self.htlc.result is Result.SETTLED

    @property
    def fee_lost_msat(self) -> int:
        """The fee that the log shows as earned, in msat, if an outage ended a forward; else 0."""
        return self.htlc.fee if self._is_lost_forward else 0

    @property
    def volume_failed_msat(self) -> int:
        """The outgoing amount of the same, in msat."""
        return self.htlc.outgoing_amount if self._is_lost_forward else 0

    @property
    def _is_lost_forward(self) -> bool:
        return self.has_failed and self.is_settled and not self.is_own


@attrs.frozen
class HeldReply:
    """A reply that its incoming link did not take by the end."""

    htlc: Htlc
    """At block height `incoming_timelock` the peer may force-close; 0 if that is unknown."""
    since_ns: int
    """Since when it waits, in ns since the first event."""
    is_settle: bool


@attrs.frozen(kw_only=True)
class Outcome:
    """The outcome of a replay."""

    events: dict[Kind, int]
    start_ns: int
    """The time of the first event, as Unix time in ns; 0 if no event has a time."""
    end_ns: int
    """How long the log is, or what was played of it, in ns of virtual time."""
    channels: dict[ShortChannelID, Counts]
    """By channel, sorted; an Add counts for its outgoing channel, a reply for the incoming one."""
    total: Counts
    failed: list[EndedHtlc]
    """The HTLCs that outages ended, in order of time."""
    held: list[HeldReply]
    """The oldest first."""
    replies_unborn: int
    """Results in the log without a reply, because their Adds still wait at the end."""
    refusals: dict[str, int]
    """How many failures of a link the log has, by lnd's `failure_detail`."""
    handoffs: int
    """How many packets passed from one thread to another: what links took, and what mailboxes
    failed back."""
    warnings: list[LogWarning]
    adds_left_out: int
    """Adds that are not in the log as it was read, because they were too late in it."""
    was_given_up: bool
    """Whether a mailbox stalled; a warning says which. Later events are not counted."""
    was_interrupted: bool
    """Whether it was interrupted, and ends there."""

    @property
    def holds(self) -> bool:
        """Whether the accounting holds, and no mailbox stalled."""
        return self.total.holds and not self.was_given_up
