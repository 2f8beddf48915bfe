"""The errors a mailbox raises, all of them `MailBoxError`."""

from __future__ import annotations

import queue
import sys

if sys.version_info >= (3, 13):
    from queue import ShutDown as _ShutDown
else:
    _ShutDown = Exception

__all__ = [
    "JournalError",
    "MailBoxError",
    "MailBoxShuttingDown",
    "PacketAlreadyExists",
    "ParkedFull",
    "UnknownHTLCType",
    "WireQueueFull",
]


class MailBoxError(Exception):
    """The base class of all errors of this package."""


class MailBoxShuttingDown(MailBoxError, _ShutDown):
    """The mailbox, or the orchestrator, was stopped (lnd: `ErrMailBoxShuttingDown`).

    On Python 3.13 and newer it is a `queue.ShutDown` too.
    """

    def __init__(self, message: str = "mailbox is shutting down") -> None:
        super().__init__(message)


class PacketAlreadyExists(MailBoxError):
    """An unacked packet of the same class has this key (lnd: `ErrPacketAlreadyExists`)."""


class UnknownHTLCType(MailBoxError, TypeError):
    """The packet carries neither an Add nor a reply."""


class WireQueueFull(MailBoxError, queue.Full):
    """The budget for wire messages is used up (lnd: `errWireMessageQueueFull`)."""


class ParkedFull(MailBoxError, queue.Full):
    """As many packets are parked as may be, for one channel or for as many channels."""


class JournalError(MailBoxError):
    """A journal can't be opened, or what was to be kept is not on disk: with the reason."""
