"""Running mailboxes and orchestrators, in memory and on disk, against plain models."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox import MailBoxConfig
from machines import Machine, MailBoxMachine, NodeMachine, run_steps
from machines_durable import DurableMachine, DurableNodeMachine
from serialising_mailbox import SerialisingMailBox


class MemoryMachine(MailBoxMachine):
    pass


class SerialisingMachine(MailBoxMachine):
    """A kind that can be opened again."""

    outlives = True
    renews_deadlines = True

    def make_mailbox(self, config: MailBoxConfig) -> Any:
        return SerialisingMailBox(config)

    def reopen_mailbox(self, box: Any) -> Any:
        box.stop()
        return SerialisingMailBox(box._config, box.left())


@pytest.mark.parametrize(
    "machine",
    [MemoryMachine, SerialisingMachine, NodeMachine, DurableMachine, DurableNodeMachine],
)
def test_random_steps_do_as_the_model_says(machine: type[Machine]):
    run_steps(machine)
