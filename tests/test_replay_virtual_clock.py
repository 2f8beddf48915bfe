"""The clock of a replay: it moves when it is told, and wakes those whose time has come."""

from __future__ import annotations

import threading

from lnmailbox.replay.playing.virtual_clock import VirtualClock
from lnmailbox.testing.threads import PATIENCE, Call


class Waiter:
    """Waits for a time in a thread, and counts how often it was woken."""

    def __init__(self, clock: VirtualClock, deadline_ns: int | None) -> None:
        self.condition = threading.Condition()
        self.woken = 0
        self._clock = clock
        self._deadline_ns = deadline_ns
        self._told = False
        self.call = Call(self._wait)

    def tell(self) -> None:
        with self.condition:
            self._told = True
            self.condition.notify_all()

    def _wait(self) -> None:
        with self.condition:
            while not self._told and (
                self._deadline_ns is None or self._clock.now_ns() < self._deadline_ns
            ):
                self._clock.wait(self.condition, self._deadline_ns)
                self.woken += 1


def test_it_moves_to_the_nanosecond() -> None:
    """Over centuries too."""
    clock = VirtualClock()
    assert 0 == clock.now_ns()

    for at_ns in (1, 2**64 - 1):
        clock.move_to(at_ns)

        assert at_ns == clock.now_ns()


def test_a_wait_for_a_time_that_has_come_does_not_block() -> None:
    """The deadline is inclusive."""
    clock = VirtualClock()
    clock.move_to(5)
    condition = threading.Condition()

    with condition:
        clock.wait(condition, 5)
        clock.wait(condition, 4)


def test_only_those_are_woken_whose_time_has_come() -> None:
    """The others sleep on, however often the clock is moved."""
    clock = VirtualClock()
    late, early, never = (Waiter(clock, deadline) for deadline in (1000, 10, None))
    for waiter in (late, early, never):
        waiter.call.wait_until_blocked()

    for at_ns in range(1, 100):
        clock.move_to(at_ns)
    early.call.result(PATIENCE)
    assert 1 == early.woken

    clock.move_to(1000)
    late.call.result(PATIENCE)
    assert 1 == late.woken

    never.tell()
    never.call.result(PATIENCE)
    assert 1 == never.woken


def test_a_wait_ends_with_a_notification_too() -> None:
    """And then the clock knows nothing of it any more."""
    clock = VirtualClock()
    waiter = Waiter(clock, 10)
    waiter.call.wait_until_blocked()

    waiter.tell()
    waiter.call.result(PATIENCE)
    clock.move_to(10)

    assert 1 == waiter.woken
