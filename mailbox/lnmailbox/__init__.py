"""lnd's mailbox between switch and link, for threaded Python programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    JournalError,
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

if TYPE_CHECKING:
    from .keeping.codec import JournalCodec, PacketCodec
    from .keeping.encrypters import EncrypterKind
    from .mailboxes.durable import DurableMailBox
    from .mailboxes.sqlite_journal import SQLiteJournal

__all__ = [
    "AddRef",
    "ChannelParty",
    "ChannelType",
    "CircuitKey",
    "Clock",
    "DurableMailBox",
    "EncrypterKind",
    "ErrorEncrypter",
    "FailureDetail",
    "HTLCPacket",
    "JournalCodec",
    "JournalError",
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
    "PacketCodec",
    "ParkedFull",
    "PaymentCircuit",
    "SQLiteJournal",
    "SettleFailRef",
    "SystemClock",
    "UnknownHTLCType",
    "WallClock",
    "WireQueueFull",
    "dust_closure",
    "select",
]

# Imported when the first of them is wanted: what a journal needs would add a sixth to the time of
# `import lnmailbox`.
_WITH_A_JOURNAL = {
    "DurableMailBox": "mailboxes.durable",
    "EncrypterKind": "keeping.encrypters",
    "JournalCodec": "keeping.codec",
    "PacketCodec": "keeping.codec",
    "SQLiteJournal": "mailboxes.sqlite_journal",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_A_JOURNAL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_WITH_A_JOURNAL[name]}"), name)
    globals()[name] = value
    return value
