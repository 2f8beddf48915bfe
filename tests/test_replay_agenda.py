"""The order in which things happen in a replay."""

from __future__ import annotations

from functools import partial

from lnmailbox.replay.agenda import Agenda, Rank


def test_time_comes_first_then_rank_then_the_order_of_noting() -> None:
    """What is due at one instant: expiries, commitments, outages, the log, each as noted."""
    agenda = Agenda()
    done: list[str] = []
    agenda.note(2, Rank.EXPIRY, partial(done.append, "later"))
    for rank in reversed(Rank):
        agenda.note(1, rank, partial(done.append, rank.name))
        agenda.note(1, rank, partial(done.append, f"{rank.name} again"))

    times = []
    for at_ns, action in agenda.until(2):
        times.append(at_ns)
        action()

    assert [1] * 8 + [2] == times
    in_order = ["EXPIRY", "COMMITMENT", "OUTAGE", "LOG"]
    assert [*(text for name in in_order for text in (name, f"{name} again")), "later"] == done


def test_what_is_noted_meanwhile_has_its_turn() -> None:
    """An action may note another for the same instant."""
    agenda = Agenda()
    done: list[str] = []
    agenda.note(
        1, Rank.LOG, lambda: agenda.note(1, Rank.EXPIRY, lambda: done.append("noted meanwhile"))
    )

    for _, action in agenda.until(1):
        action()

    assert ["noted meanwhile"] == done


def test_the_end_is_included_and_what_is_later_stays() -> None:
    """The agenda can be gone through in parts."""
    agenda = Agenda()
    for at_ns in (1, 2, 3):
        agenda.note(at_ns, Rank.LOG, lambda: None)

    assert [1, 2] == [at_ns for at_ns, _ in agenda.until(2)]
    assert [3] == [at_ns for at_ns, _ in agenda.until(9)]
