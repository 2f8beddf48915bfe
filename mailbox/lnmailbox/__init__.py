"""lnd's mailbox between switch and link, for threaded Python programs."""

from __future__ import annotations

from .clock import Clock, ManualClock, SystemClock, WallClock
from .contract import (
    MailBox,
    MailBoxConfig,
    MailBoxStatistics,
    MailOrchestratorStatistics,
    Outbox,
    OutboxStatistics,
)
from .dust import ChannelParty, ChannelType, dust_closure
from .errors import (
    MailBoxError,
    MailBoxShuttingDown,
    PacketAlreadyExists,
    ParkedFull,
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
    "ChannelParty",
    "ChannelType",
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
    "MailOrchestratorStatistics",
    "MailSelector",
    "ManualClock",
    "MemoryMailBox",
    "Outbox",
    "OutboxStatistics",
    "PacketAlreadyExists",
    "ParkedFull",
    "PaymentCircuit",
    "SettleFailRef",
    "SystemClock",
    "UnknownHTLCType",
    "WallClock",
    "WireQueueFull",
    "dust_closure",
    "select",
]
