"""lnd's `mailbox.go` line by line, flaws included: to read and to test against."""

from __future__ import annotations

from .beside import NotInLnd
from .mailbox import CourierMailBox, CourierOrchestrator

__all__ = ["CourierMailBox", "CourierOrchestrator", "NotInLnd"]
