"""The conformance tests on the mailbox in memory."""

from __future__ import annotations

from lnmailbox import MailBox, MailBoxConfig, MemoryMailBox
from lnmailbox.testing import IdentityConformance, MailBoxConformance


class TestMemoryMailBox(IdentityConformance, MailBoxConformance):
    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        return MemoryMailBox(config)
