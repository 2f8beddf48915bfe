"""The promises of mailboxes and outboxes, and their configuration."""

from .config import (
    FetchUpdate,
    ForwardPackets,
    MailBoxConfig,
    Quit,
    SwitchConfig,
    require_short_chan_id,
)
from .mailbox import MailBox, MailBoxStatistics
from .outbox import Hand, Listener, Outbox

__all__ = [
    "FetchUpdate",
    "ForwardPackets",
    "Hand",
    "Listener",
    "MailBox",
    "MailBoxConfig",
    "MailBoxStatistics",
    "Outbox",
    "Quit",
    "SwitchConfig",
    "require_short_chan_id",
]
