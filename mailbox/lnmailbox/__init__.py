"""lnd's mailbox between switch and link, for threaded Python programs."""

from __future__ import annotations

from .clock import Clock, ManualClock, SystemClock, WallClock
from .contract import MailBox, MailBoxConfig, MailBoxStatistics, Outbox
from .errors import (
    MailBoxError,
    MailBoxShuttingDown,
    PacketAlreadyExists,
    UnknownHTLCType,
    WireQueueFull,
)
from .failure import ErrorEncrypter, FailureDetail, LinkError
from .mailboxes.memory import MemoryMailBox
from .packet import AddRef, CircuitKey, HTLCPacket, Keystone, PaymentCircuit, SettleFailRef
from .receiving.select import select
from .receiving.selector import MailSelector
from .routing.orchestrator import MailOrchestrator, MailOrchestratorConfig

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
