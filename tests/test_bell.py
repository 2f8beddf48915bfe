"""Bells, and how long a thread waits for one."""

from __future__ import annotations

import threading

import pytest

from lnmailbox.bell import FOREVER, Bell, Timeout, ring_first
from lnmailbox.testing import blocked
from receivers import BAD_TIMEOUTS, each_moment


def has_rung(bell: Bell) -> bool:
    return bell._acquire(False)


def test_a_bell_wakes_the_thread_that_waits():
    bell = Bell()
    call = blocked(bell.wait, FOREVER)

    bell.ring()

    assert call.result() is None


def test_a_bell_that_has_rung_is_not_waited_for():
    bell = Bell()
    bell.ring()

    bell.wait(FOREVER)

    assert not has_rung(bell)  # the wait has used it up


@pytest.mark.parametrize("seconds", [0, 1e-9, 0.01])
def test_a_bell_is_waited_for_no_longer_than_the_time_allows(seconds):
    until = Timeout(seconds)

    Bell().wait(until)

    assert until.is_over()


def test_a_thread_that_waits_for_longer_than_a_lock_can_comes_back_early(monkeypatch):
    """The caller looks at the time, and waits again."""
    monkeypatch.setattr(threading, "TIMEOUT_MAX", 0.001)
    until = Timeout(1e200)

    Bell().wait(until)

    assert not until.is_over()


@pytest.mark.parametrize("count, rung", [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_the_first_bells_are_rung_and_leave_the_list(count, rung):
    bells = [Bell() for _ in range(3)]
    hung = bells[:]

    ring_first(hung, count)

    assert bells[rung:] == hung
    assert [True] * rung + [False] * (3 - rung) == [has_rung(bell) for bell in bells]


def test_an_interrupt_finds_each_bell_in_the_list_or_rung():
    """At any moment: none is lost, and none can be rung twice."""
    bells: list[Bell] = []
    hung: list[Bell] = []

    def prepare():
        bells[:] = hung[:] = [Bell() for _ in range(3)]

    ring_first([Bell()], 1)
    for place, _ in each_moment(lambda: ring_first(hung, 2), prepare):
        assert [bell not in hung for bell in bells] == [has_rung(bell) for bell in bells], place
    assert 1 == len(hung)


def test_a_timeout_has_so_many_seconds_left():
    assert FOREVER.seconds() is None
    assert not FOREVER.is_over()
    assert 0 == Timeout(0).seconds()
    assert Timeout(0).is_over()
    assert 999 < Timeout(1000).seconds() <= 1000
    assert not Timeout(1000).is_over()


@pytest.mark.parametrize("seconds", BAD_TIMEOUTS)
def test_a_timeout_is_a_span_of_time(seconds):
    with pytest.raises(ValueError) as caught:
        Timeout(seconds)

    text = f"timeout must be a finite number of seconds >= 0, got {seconds!r}"
    assert text == str(caught.value)
