"""lnd's mailbox between switch and link, for threaded Python programs."""

from __future__ import annotations

import logging

from .clock import Clock, ManualClock, SystemClock, WallClock
from .contract import MailBox, MailBoxConfig, MailBoxStatistics
from .errors import (
    MailBoxError,
    MailBoxShuttingDown,
    PacketAlreadyExists,
    UnknownHTLCType,
    WireQueueFull,
)
from .failure import ErrorEncrypter, FailureDetail, LinkError
from .mail_orchestrator import MailOrchestrator, MailOrchestratorConfig
from .memory_mailbox import MemoryMailBox
from .outbox import Outbox
from .packet import AddRef, CircuitKey, HTLCPacket, Keystone, PaymentCircuit, SettleFailRef
from .selector import MailSelector, select

__all__ = [
    "AddRef",
    "CircuitKey",
    "Clock",
    "ErrorEncrypter",
    "FailureDetail",
    "HTLCPacket",
    "Keystone",
    "LinkError",
    "MailBox",
    "MailBoxConfig",
    "MailBoxError",
    "MailBoxShuttingDown",
    "MailBoxStatistics",
    "MailOrchestrator",
    "MailOrchestratorConfig",
    "MailSelector",
    "ManualClock",
    "MemoryMailBox",
    "Outbox",
    "PacketAlreadyExists",
    "PaymentCircuit",
    "SettleFailRef",
    "SystemClock",
    "UnknownHTLCType",
    "WallClock",
    "WireQueueFull",
    "select",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
