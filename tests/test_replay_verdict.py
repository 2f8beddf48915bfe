"""What the accounting says, and about what."""

from __future__ import annotations

import pytest

from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.telling.verdict import exit_status, is_complete, not_played, verdict
from outcomes import A, outcome


def test_a_whole_replay_that_holds_has_lost_nothing() -> None:
    """Status 0."""
    whole = outcome()

    assert is_complete(whole)
    assert [] == not_played(whole)
    assert "No packet was lost, duplicated or out of order." == verdict(whole)
    assert 0 == exit_status(whole)


@pytest.mark.parametrize(
    "part, status, said",
    [
        ({"was_interrupted": True}, 130, "Interrupted: what comes later in the log"),
        ({"adds_left_out": 1_234}, 0, "Left out: 1,234 Adds of the log"),
    ],
)
def test_nothing_is_claimed_about_what_was_not_played(part, status: int, said: str) -> None:
    """The sentence is about the rest only."""
    some = outcome(**part)

    [sentence] = not_played(some)
    assert sentence.startswith(said)
    assert not is_complete(some)
    assert verdict(some).startswith("Of what was played, no packet was lost")
    assert status == exit_status(some)


@pytest.mark.parametrize(
    "part",
    [
        {"was_given_up": True},
        {"channels": {A: Counts(lost=1)}},
        {"channels": {A: Counts(lost=1)}, "was_interrupted": True},
    ],
)
def test_accounts_that_do_not_hold_are_our_error(part) -> None:
    """Status 1, interrupted or not."""
    broken = outcome(**part)

    assert "error of lnmailbox" in verdict(broken)
    assert "o packet was lost" not in verdict(broken)
    assert 1 == exit_status(broken)
