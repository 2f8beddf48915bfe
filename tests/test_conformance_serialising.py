"""The conformance tests on a mailbox that hands over copies, and can be opened again."""

from __future__ import annotations

from lnmailbox import MailBox, MailBoxConfig
from lnmailbox.testing import MailBoxConformance
from serialising_mailbox import SerialisingMailBox


class TestSerialisingMailBox(MailBoxConformance):
    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        return SerialisingMailBox(config)

    def reopen(self, mailbox: MailBox) -> MailBox:
        assert isinstance(mailbox, SerialisingMailBox)
        mailbox.stop()
        return SerialisingMailBox(mailbox._config, mailbox.left())
