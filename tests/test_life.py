"""What the parts of a mailbox share: its lock, its state, its name."""

from __future__ import annotations

import pytest

from lnmailbox import MailBoxShuttingDown
from lnmailbox.life import Life
from lnmailbox.wire import ShortChannelID


def test_a_life_says_of_which_channel_it_is_and_whether_it_runs():
    life = Life(ShortChannelID(1, 2, 3))
    seen = [str(life)]
    life.running = True
    seen.append(str(life))
    life.running, life.stopped = False, True
    life.short_chan_id = ShortChannelID(4, 5, 6)
    seen.append(str(life))

    assert [
        "mailbox 1x2x3, not started",
        "mailbox 1x2x3, running",
        "mailbox 4x5x6, stopped",
    ] == seen


def test_a_stopped_mailbox_turns_away_whoever_needs_it():
    life = Life(ShortChannelID())
    life.require_not_stopped()
    life.stopped = True

    with pytest.raises(MailBoxShuttingDown):
        life.require_not_stopped()
