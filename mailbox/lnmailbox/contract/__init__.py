"""The promises of mailboxes and outboxes, and their configuration."""

from .config import (
    FailUpdate,
    FetchUpdate,
    ForwardPackets,
    MailBoxConfig,
    Quit,
    SwitchConfig,
    require_callable,
    require_config,
    require_short_chan_id,
)
from .mailbox import MailBox
from .outbox import Hand, Listener, Outbox
from .statistics import MailBoxStatistics, MailOrchestratorStatistics, OutboxStatistics

__all__ = [
    "FailUpdate",
    "FetchUpdate",
    "ForwardPackets",
    "Hand",
    "Listener",
    "MailBox",
    "MailBoxConfig",
    "MailBoxStatistics",
    "MailOrchestratorStatistics",
    "Outbox",
    "OutboxStatistics",
    "Quit",
    "SwitchConfig",
    "require_callable",
    "require_config",
    "require_short_chan_id",
]
