"""The conformance tests on mailboxes in a journal, which are killed and opened again."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest

from durable import kill, open_journal
from lnmailbox import MailBox, MailBoxConfig
from lnmailbox.testing import IdentityConformance, MailBoxConformance
from long_runs import DOES_MANY


class DurableTests(MailBoxConformance):
    options: ClassVar[dict[str, object]] = {}

    @pytest.fixture(autouse=True)
    def _journals(self, tmp_path, made):
        # `made` first: mailboxes are stopped before their journals are closed.
        self.path = tmp_path / "node.journal"
        self.journals = [open_journal(self.path, **self.options)]
        self.channels = 0
        yield
        for box in list(made):
            box.stop()
        for journal in self.journals:
            journal.close()

    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        self.channels += 1
        return self.journals[-1].mailbox(
            attrs.evolve(config, chan_id=self.channels.to_bytes(32, "big"))
        )

    def reopen(self, mailbox: MailBox) -> MailBox:
        old = self.journals[-1]
        if old.lazy_acks:
            old.flush()  # what happens with the next commit
        self.path = kill(old, self.path)
        self.journals.append(open_journal(self.path, **self.options))
        new = self.journals[-1].mailbox(mailbox._config)
        mailbox.stop()
        return new


class TestDurableMailBox(DurableTests, IdentityConformance):
    """Within a process it hands over the very objects."""


if DOES_MANY:

    class TestDurableMailBoxWithFullSync(DurableTests):
        options: ClassVar = {"sync": "full"}

    class TestDurableMailBoxWithLazyAcks(DurableTests):
        options: ClassVar = {"lazy_acks": True}
