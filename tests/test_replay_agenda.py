"""The order in which things happen in a replay."""

from __future__ import annotations

from itertools import count

from lnmailbox.replay.playing.agenda import NEVER, Agenda, Rank
from lnmailbox.replay.playing.outages import Absence, Change


def change(at_ns: int) -> Change:
    return Change(at_ns, None, Absence.DOWN, True)


def take_all(agenda: Agenda[str, str]) -> list[tuple[int, object]]:
    taken: list[tuple[int, object]] = []
    while agenda.next_ns != NEVER:
        at_ns = agenda.next_ns
        rank = agenda.rank()
        if rank is Rank.EXPIRY:
            taken.append((at_ns, agenda.take_expiries()))
        elif rank is Rank.COMMITMENT:
            taken.append((at_ns, agenda.take_commitment()))
        else:
            taken.append((at_ns, agenda.take_changes()))
    return taken


def test_time_comes_first_then_rank_then_the_order_of_noting() -> None:
    """What is due at one instant: all that expires, each commitment, all that changes."""
    agenda: Agenda[str, str] = Agenda(iter([change(1), change(1), change(2)]))
    agenda.note_expiry(2, "later")
    agenda.note_commitment(1, "first")
    agenda.note_expiry(1, "one")
    agenda.note_commitment(1, "second")
    agenda.note_expiry(1, "two")
    agenda.note_commitment(3, "last")

    assert [
        (1, ["one", "two"]),
        (1, "first"),
        (1, "second"),
        (1, [change(1), change(1)]),
        (2, ["later"]),
        (2, [change(2)]),
        (3, "last"),
    ] == take_all(agenda)


def test_an_agenda_without_entries_is_never_due() -> None:
    """Whatever the time."""
    agenda: Agenda[str, str] = Agenda(iter(()))

    assert NEVER == agenda.next_ns

    agenda.note_expiry(5, "x")

    assert 5 == agenda.next_ns


def test_changes_are_asked_for_one_at_a_time() -> None:
    """They may have no end."""
    asked = count()
    agenda: Agenda[str, str] = Agenda(change(next(asked)) for _ in count())

    assert [change(0)] == agenda.take_changes()
    assert [change(1)] == agenda.take_changes()

    assert 3 == next(asked)


def test_commitments_may_be_taken_before_their_time() -> None:
    """At the end of the log, when nothing else matters."""
    agenda: Agenda[str, str] = Agenda(iter([change(1)]))
    agenda.note_commitment(7, "x")

    assert agenda.has_commitments
    assert "x" == agenda.take_commitment()
    assert not agenda.has_commitments
    assert 1 == agenda.next_ns
