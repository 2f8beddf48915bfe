"""The mailboxes of a replay, over a journal."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import attrs
import pytest

from durable import Boxes
from lnmailbox import JournalError
from lnmailbox.__main__ import main
from lnmailbox.replay import command
from lnmailbox.replay.playing.journaling import mailboxes
from lnmailbox.testing.conformance.base import add
from logs import SETTLED

Captured = pytest.CaptureFixture[str]
LOGGER = logging.getLogger("lnmailbox.failing.desk")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    file.write_text(SETTLED, encoding="utf-8")
    return file


def test_a_replay_needs_a_new_journal(log: Path, tmp_path: Path, capsys: Captured) -> None:
    """One with mail in it, or none at all, is refused."""
    node = Boxes(tmp_path / "journal")
    node.box().add_packet(add(1))
    node.close()

    for path, reason in ((node.path, "has mail in it"), (tmp_path, "can't open the journal")):
        assert 2 == main(["replay", str(log), "--journal", str(path)])
        assert reason in capsys.readouterr().err


def test_a_courier_that_cannot_keep_a_fail_makes_the_journal_unusable(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """It can only log that; the replay gives up, and the command says why. No traceback."""
    simulate = command.simulate

    def disk_full(*arguments: Any, **options: Any) -> Any:
        try:
            raise JournalError("not kept: the disk is full")
        except JournalError:
            LOGGER.exception("an Add stays in the mailbox")
        return attrs.evolve(simulate(*arguments, **options), was_given_up=True)

    monkeypatch.setattr(command, "simulate", disk_full)

    assert 2 == main(["replay", str(log), "--journal", str(tmp_path / "journal")])

    assert ("", "lnmailbox: not kept: the disk is full\n") == capsys.readouterr()


def test_other_messages_of_the_package_are_shown(tmp_path: Path, capsys: Captured) -> None:
    """As they would be without a listener, which is gone afterwards."""
    before = list(logging.getLogger("lnmailbox").handlers)

    with mailboxes(str(tmp_path / "journal")):
        LOGGER.warning("something odd")

    assert "lnmailbox: something odd\n" == capsys.readouterr().err
    assert before == logging.getLogger("lnmailbox").handlers
