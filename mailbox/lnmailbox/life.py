"""The lock, the state and the name of a mailbox, which its parts share."""

from __future__ import annotations

import threading

from .errors import MailBoxShuttingDown
from .wire import ShortChannelID

__all__ = ["Life"]


class Life:
    """A mailbox's lock, state and name. It changes under the lock only.

    `with life.lock` is the way to hold the lock. It takes 160 ns longer than `acquire` and
    `release`, a quarter of an `add_message`. So the methods that are called for each item (`get`,
    `add_message`, `add_packet`, `ack_packet`) call these, inside a `try`. After an error they call
    `release` before anything else: an interrupt may come at the beginning of every function. The
    lock is reentrant because only such a lock knows who holds it.
    """

    __slots__ = ("lock", "running", "short_chan_id", "stopped")

    def __init__(self, short_chan_id: ShortChannelID) -> None:
        self.lock = threading.RLock()
        self.running = False
        self.stopped = False
        self.short_chan_id = short_chan_id

    def __str__(self) -> str:
        state = "stopped" if self.stopped else "running" if self.running else "not started"
        return f"mailbox {self.short_chan_id}, {state}"

    def require_not_stopped(self) -> None:
        """Raise `MailBoxShuttingDown` if the mailbox was stopped."""
        if self.stopped:
            raise MailBoxShuttingDown
