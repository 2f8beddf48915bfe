"""The scheduler of the interleavings: it finds what it is to find, and repeats it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import pytest

from exploring import STRATEGIES, Failed, explore, replay, shrink
from lnmailbox import bell
from lnmailbox.failing import courier
from scenarios import SCENARIOS
from scheduled import Condition, Lock, RLock, installed, run_once
from scheduler import Run, Stuck


@pytest.fixture(autouse=True)
def scheduler() -> Iterator[None]:
    with installed():
        yield


def first(*_):
    """Choose what runs already."""
    return 0


def lose_an_update(run):
    """Read a number and write it under a lock, but not at once."""
    lock, numbers = Lock(), [0]

    def count():
        with lock:
            number = numbers[0]
        with lock:
            numbers[0] = number + 1

    run.play(count, count)
    assert [2] == numbers


def lock_crosswise(run):
    one, other = RLock(), RLock()

    def nest(outer, inner):
        def nested():
            with outer, inner:
                pass

        return nested

    run.play(nest(one, other), nest(other, one))


def wait_without_a_look(run):
    """Wait for a notification that may have come before."""
    changed = Condition(RLock())

    def wait():
        with changed:
            changed.wait()

    def notify():
        with changed:
            changed.notify_all()

    run.play(wait, notify)


MISTAKES = [lose_an_update, lock_crosswise, wait_without_a_look]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_strategy_finds_a_mistake_that_most_schedules_do_not_show(strategy, mistake):
    """The order in which the threads are started shows none of them."""
    run_once(mistake, first)
    with pytest.raises(Failed, match=f"^{mistake.__name__}, run "):
        explore(mistake, strategy, 100)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_failure_tells_a_schedule_that_fails_again(mistake):
    with pytest.raises(Failed) as failed:
        explore(mistake, "random", 100)
    schedule = str(failed.value).split("'")[1]

    with pytest.raises(type(failed.value.__cause__)):
        replay(mistake, schedule)
    assert len(schedule) <= len("1:1 1:1")


def test_a_deadlock_names_those_who_wait():
    with pytest.raises(Failed) as failed:
        explore(lock_crosswise, "DFS", 100)

    assert "nested waits in vain; nested waits in vain" in str(failed.value)


def test_a_run_that_does_not_end_is_told():
    """Two threads that let each other go first for ever."""

    def forever(run):
        def spin():
            while True:
                run.point()

        run.play(spin, spin)

    with pytest.raises(Stuck, match="^no end after 20000 steps$"):
        run_once(forever, first)


def test_what_a_thread_raises_ends_the_run():
    """The others end too: no thread outlives this test."""

    def raise_beside_one_that_waits(run):
        lock = Lock()
        lock.acquire()
        run.play(lock.acquire, lambda: {}[0])

    with pytest.raises(KeyError):
        run_once(raise_beside_one_that_waits, first)


def test_a_thread_that_is_left_is_a_failure():
    def leave_one(run):
        lock = Lock()
        lock.acquire()
        run.play(lock.acquire, waiting=True)

    with pytest.raises(AssertionError):
        run_once(leave_one, first)


def order_of(strategy, count):
    """Return the orders in which two threads of two steps each have run."""
    orders = []

    def steps(run):
        order = []

        def step(name):
            def go():
                order.append(name)
                run.point()
                order.append(name)

            return go

        run.play(step("a"), step("b"))
        orders.append("".join(order))

    explore(steps, strategy, count)
    return orders


def test_dfs_tries_every_order_and_begins_with_the_plain_ones():
    orders = order_of("DFS", 1_000)

    assert {"aabb", "bbaa"} == set(orders[:2])
    assert {"aabb", "abab", "abba", "baab", "baba", "bbaa"} == set(orders)


def test_chance_tries_every_order():
    assert 6 == len(set(order_of("random", 500)))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_tries_the_same_schedules_again(strategy):
    assert order_of(strategy, 50) == order_of(strategy, 50)


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_schedule_does_the_same_again(name, lines):
    for choose in islice(STRATEGIES["random"](7), 5):
        run = run_once(SCENARIOS[name], choose, lines=lines)

        assert run.schedule == replay(SCENARIOS[name], run.schedule, lines=lines).schedule


def test_lines_are_more_chances_to_lose_a_turn():
    scenario = SCENARIOS["two_receivers_and_a_reset"]
    few, many = (run_once(scenario, first, lines=lines) for lines in (False, True))

    assert 3 * len(few.choices) < len(many.choices)


def test_a_shrunk_schedule_has_no_choice_to_spare():
    """The second thread has its turn when the first one has read."""
    assert "2:1" == shrink(lose_an_update, "0:1 1:1 0:1 0:1 0:1")


def test_a_timeout_is_over_when_nobody_can_go_on():
    """It takes no time, except by the clock of the run."""

    def time_out(run):
        lock = Lock()
        lock.acquire()

        assert [False] == run.play(lambda: lock.acquire(timeout=5))
        assert 5_000_000_000 == run.now == bell._now_ns()

    run_once(time_out, first)


def test_a_timeout_may_come_early():
    def time_out(run):
        lock = Lock()
        lock.acquire()
        got, _ = run.play(lambda: lock.acquire(timeout=5), lock.release)
        assert got

    assert run_once(time_out, first).choices
    with pytest.raises(Failed):
        explore(time_out, "DFS", 20)


def test_a_lock_can_be_released_by_another_thread_and_an_rlock_cannot():
    def release(run):
        lock, rlock = Lock(), RLock()
        run.play(lock.acquire)
        run.play(lock.release)
        with pytest.raises(RuntimeError, match="^release unlocked lock$"):
            lock.release()
        run.play(rlock.acquire)
        with pytest.raises(RuntimeError, match="^cannot release un-acquired lock$"):
            rlock.release()
        with pytest.raises(Stuck, match="^a lock is held though nobody can go on$"):
            rlock.acquire()

    run_once(release, first)


def test_an_rlock_is_free_after_as_many_releases():
    def nest(run):
        rlock = RLock()
        with rlock:
            with rlock:
                pass
            assert [False] == run.play(lambda: rlock.acquire(blocking=False))
        assert [True] == run.play(lambda: rlock.acquire(blocking=False))

    run_once(nest, first)


def test_the_package_has_its_own_locks_back():
    def look(run: Run) -> None:
        assert isinstance(courier._lock, RLock)

    run_once(look, first)
    before = threading.Lock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(courier, "_bells", None)
        with installed():
            assert bell.threading.Lock is Lock
        assert bell.threading.Lock is Lock  # that of this test's fixture

    assert before is threading.Lock
