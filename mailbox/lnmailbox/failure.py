"""The failure of an HTLC at this node, and its encryption for the sender."""

from __future__ import annotations

import enum
from typing import Protocol

from .wire import FailureMessage

__all__ = ["ErrorEncrypter", "FailureDetail", "LinkError"]


class FailureDetail(enum.Enum):
    """A failure as only this node knows it; the value is its text (lnd: `OutgoingFailure`)."""

    OUTGOING_FAILURE_NONE = "no failure detail"
    OUTGOING_FAILURE_DECODE_ERROR = "could not decode wire failure"
    OUTGOING_FAILURE_LINK_NOT_ELIGIBLE = "link not eligible"
    OUTGOING_FAILURE_ON_CHAIN_TIMEOUT = "payment was resolved on-chain, then canceled back"
    OUTGOING_FAILURE_HTLC_EXCEEDS_MAX = "htlc exceeds maximum policy amount"
    OUTGOING_FAILURE_INSUFFICIENT_BALANCE = "insufficient bandwidth to route htlc"
    OUTGOING_FAILURE_CIRCULAR_ROUTE = "same incoming and outgoing channel"
    OUTGOING_FAILURE_INCOMPLETE_FORWARD = "failed after detecting incomplete forward"
    OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD = "could not add downstream htlc"
    OUTGOING_FAILURE_FORWARDS_DISABLED = "node configured to disallow forwards"


class LinkError(Exception):
    """An HTLC failed at this node (lnd: `LinkError`).

    `str()` is the detail's text, or the wire message's if there is no detail.

    Args:
        wire_message: the BOLT 4 failure, for the sender.
        detail: for this node only.
    """

    def __init__(self, wire_message: FailureMessage, detail: FailureDetail | None = None) -> None:
        super().__init__(wire_message, detail)
        self.wire_message = wire_message
        self.detail = detail

    def __str__(self) -> str:
        return str(self.wire_message if self.detail is None else self.detail.value)


class ErrorEncrypter(Protocol):
    """Wraps failures for the sender of an HTLC (lnd: `hop.ErrorEncrypter`)."""

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        """Return `failure` encoded and encrypted as the node at which it arose does.

        Called outside every lock. What it raises leaves the Add in its mailbox.
        """
        ...
