"""The promises: what mailboxes and outboxes do, and what they are told."""

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
