"""The outcome of a replay."""

from __future__ import annotations

import attrs

from lnmailbox.wire import ShortChannelID

from .events import Kind
from .history import Htlc, Result
from .ledger import Counts
from .warnings import LogWarning

__all__ = ["FailedBack", "Outcome"]


@attrs.frozen
class FailedBack:
    """An Add that went back because an outage outlasted it."""

    at_ns: int
    """Its deadline, in ns since the first event; later if a link left later."""
    htlc: Htlc

    @property
    def is_settled(self) -> bool:
        """Whether it was settled in the log, so that its fee is lost."""
        return self.htlc.result is Result.SETTLED


@attrs.frozen(kw_only=True)
class Outcome:
    """The outcome of a replay."""

    events: dict[Kind, int]
    end_ns: int
    """How long the log is, in ns of virtual time."""
    channels: dict[ShortChannelID, Counts]
    """By channel, sorted; an Add counts for its outgoing channel, a reply for the incoming one."""
    total: Counts
    failed_back: list[FailedBack]
    """In order of time."""
    replies_held: int
    """Results in the log without a reply, because their Adds still wait at the end."""
    warnings: list[LogWarning]
    was_given_up: bool
    """Whether a mailbox stalled; a warning says which. Later events are not counted."""

    @property
    def holds(self) -> bool:
        """Whether the replay was played to its end and the accounting holds."""
        return self.total.holds and not self.was_given_up
