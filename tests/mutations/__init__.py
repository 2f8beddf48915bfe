"""The mutations of the core, room by room: what each breaks, and where; see `mutants.py`."""

from __future__ import annotations

from .durable import DURABLE
from .failing import FAILING
from .keeping import KEEPING
from .mailboxes import MAILBOXES
from .receiving import RECEIVING
from .routing import ROUTING

__all__ = ["MUTANTS"]

MUTANTS = [*KEEPING, *RECEIVING, *MAILBOXES, *FAILING, *ROUTING, *DURABLE]
