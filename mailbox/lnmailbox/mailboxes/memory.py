"""The mailbox that keeps its mail in memory (lnd: `memoryMailBox`)."""

from __future__ import annotations

from ..contract import MailBoxConfig
from ..keeping.store import MemoryStore
from .base import BaseMailBox

__all__ = ["MemoryMailBox"]


class MemoryMailBox(BaseMailBox):
    """A `MailBox` whose mail lives as long as the process, in a deque and a dict per class.

    It hands over the very objects that were added. It owns no thread: its Adds' deadlines are
    watched by the thread of its clock, and a courier is started when Adds have expired. Memory is
    bounded by what is unacked.
    """

    def __init__(self, config: MailBoxConfig) -> None:
        super().__init__(config, MemoryStore(config.clock.now_ns))
