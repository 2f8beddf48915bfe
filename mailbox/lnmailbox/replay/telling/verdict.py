"""What a replay's accounting says, and about how much of the log."""

from __future__ import annotations

from ..playing.outcome import Outcome

__all__ = ["exit_status", "is_complete", "not_played", "verdict"]

_HELD, _BROKEN, _INTERRUPTED = 0, 1, 130  # 128 + SIGINT, as shells report it


def not_played(outcome: Outcome) -> list[str]:
    """Return a sentence for each part of the log that the replay says nothing about."""
    sentences = []
    if outcome.was_given_up:
        sentences.append("Given up before the end: a mailbox did not do what it must.")
    if outcome.was_interrupted:
        sentences.append("Interrupted: what comes later in the log was not played.")
    if outcome.adds_left_out:
        sentences.append(
            f"Left out: {outcome.adds_left_out:,} Adds of the log; the warnings say why."
        )
    return sentences


def is_complete(outcome: Outcome) -> bool:
    """Whether all Adds of the log were played, so that the report is about all of them."""
    return not not_played(outcome)


def verdict(outcome: Outcome) -> str:
    """Return one sentence about the accounting. It claims nothing about what was not played."""
    if not outcome.holds:
        return "This is an error of lnmailbox, not of the node: please report it."
    if is_complete(outcome):
        return "No packet was lost, duplicated or out of order."
    return "Of what was played, no packet was lost, duplicated or out of order."


def exit_status(outcome: Outcome) -> int:
    """Return 0 if the accounts hold and 1 if not; 130 if they hold and a person interrupted."""
    if not outcome.holds:
        return _BROKEN
    return _INTERRUPTED if outcome.was_interrupted else _HELD
