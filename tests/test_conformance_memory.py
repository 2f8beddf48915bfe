"""The conformance tests on the mailbox in memory."""

from __future__ import annotations

from lnmailbox.testing import MailBoxConformance
from lnmailbox import MailBox, MailBoxConfig, MemoryMailBox


class TestMemoryMailBox(MailBoxConformance):
    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        return MemoryMailBox(config)
