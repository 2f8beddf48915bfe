"""Whatever fails, at every step: each packet is in one place, and what is due is done later."""

from __future__ import annotations

import gc
import logging
import threading
from contextlib import suppress
from itertools import count

import pytest

from broken_log import raising_log
from durable_world import CHANGES, DurableWorld
from lnmailbox import ManualClock
from lnmailbox.failing import courier, workers
from lnmailbox.failing.alarms import _Watcher
from lnmailbox.failing.courier import Courier
from lnmailbox.testing import wait_until_quiet
from lnmailbox.testing.conformance.base import CALLBACKS, EXPIRY
from lnmailbox.testing.switch import raiser
from long_runs import DOES_MANY
from moments import Moment
from operations import (
    EXPECTED,
    OPERATIONS,
    World,
    calm,
    expired,
    failing,
    is_between,
    outcome,
    repeat,
    stuck,
)

# A moment lies between the making of a connection and its assignment.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

ON_DISK = {
    f"{name}, on disk": row
    for name, row in CHANGES.items()
    if DOES_MANY
    or name.startswith(("ack_packet of a claimed", "fail_add of an", "unacked", "back"))
}
CASES = {
    **{name: (row, World) for name, row in OPERATIONS.items()},
    **{name: (row, DurableWorld) for name, row in ON_DISK.items()},
}
CHANGING = [
    name for name in OPERATIONS if name.startswith(("add_", "bind", "fail", "reset", "st"))
]


@pytest.fixture(autouse=True)
def quick_threads(monkeypatch, caplog):
    """Threads that try again or end do so at once, and nobody listens to complaints."""
    monkeypatch.setattr(workers, "_PAUSE", 0.0)
    monkeypatch.setattr(courier, "_LINGER", 0.0)
    caplog.set_level(logging.CRITICAL, "lnmailbox")
    yield
    gc.collect()  # of what is not closed, this says so while it is ignored


@pytest.mark.parametrize("failures", [1, 2, 1000])
@pytest.mark.parametrize("name", CASES)
def test_an_operation_does_its_part_without_threads(monkeypatch, name, failures):
    """Once there are threads again, the next Add finds somebody to look after all of them."""
    row, world_of = CASES[name]
    after = outcome(row, times=1, world_of=world_of)
    fail = raiser(MemoryError if failures == 2 else RuntimeError, times=failures)
    start = threading.Thread.start

    def start_or_fail(thread):
        if isinstance(thread, (Courier, _Watcher)):
            fail()
        start(thread)

    with world_of() as world:
        row.state(world)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start_or_fail)
            repeat(row, world)
            world.check()
        world.pass_by()
        for _ in range(3):
            world.settle()
            world.clock.advance(1)  # the time after which a courier is wanted again

        assert is_between(world.state(), after, after)
        world.check_file(name)

        world.finish()


@pytest.mark.parametrize(
    "name, error",
    [(name, MemoryError) for name in [*CHANGING, *ON_DISK]]
    + [(name, SystemExit) for name in [*CHANGING, *list(ON_DISK)[::4]]],
)
def test_an_operation_without_memory_or_with_an_exit_is_done_or_undone(name, error):
    """As `test_an_interrupted_operation_is_done_or_undone`, with errors that are caught more."""
    row, world_of = CASES[name]
    before, after = (outcome(row, times=times, world_of=world_of) for times in (0, 1))
    for number in count(1):
        moment = Moment(number, error)
        with world_of() as world:
            row.state(world)
            with suppress(error, *EXPECTED):
                moment.run(lambda world=world: row.operation(world))
            world.check()
            world.pass_by()
            world.settle()

            assert is_between(world.state(), before, after), moment.place
            world.check_file(moment.place)

            world.finish()
            world.check_file(moment.place)
        if not moment.place:
            break
    assert number > 1


@pytest.mark.parametrize("where", ["filter", "handler"])
@pytest.mark.parametrize("name", CASES)
def test_a_log_that_raises_changes_nothing(name, where):
    row, world_of = CASES[name]
    after = outcome(row, times=1, world_of=world_of)
    with raising_log(where), world_of() as world:
        row.state(world)
        repeat(row, world)
        world.check()
        world.settle()

        assert after == world.state()
        world.check_file(name)

        world.finish()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("name", OPERATIONS)
def test_callbacks_that_raise_lose_nothing(name, error):
    """Each of them once. What is not failed then is failed later."""
    row = OPERATIONS[name]
    with World() as world:
        row.state(world)
        break_callbacks(world, error)
        with suppress(error):
            repeat(row, world)
        break_callbacks(world, error)
        world.check()
        for _ in range(4):
            world.clock.advance(64 * EXPIRY)
            world.gate.open()
            wait_until_quiet(world.clock)

        assert {"LINK"} >= set(adds(world)) or not world.box._life.running

        world.finish()


def adds(world):
    """Return where the Adds are."""
    return [place for what, place in world.state().items() if what in range(2, 100, 2)]


def break_callbacks(world, error):
    for callback in CALLBACKS:
        if callback != "fetch_update":
            world.switch.when[callback] = raiser(error, times=1)
        else:
            world.switch.when.setdefault(callback, raiser(error, times=1))


class BrokenClock(ManualClock):
    """Raises at the n-th look from now on, in the main thread or in all others."""

    left = 0
    in_main = True

    def now_ns(self):
        if (threading.current_thread() is threading.main_thread()) is self.in_main:
            self.left -= 1
            if self.left == 0:
                raise OSError
        return super().now_ns()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_clock_that_raises_leaves_an_operation_done_or_undone(name):
    row = OPERATIONS[name]
    before, after = (outcome(row, times=times) for times in (0, 1))
    for look in count(1):
        with World(BrokenClock(start=1000.0)) as world:
            row.state(world)
            world.clock.left = look
            with suppress(OSError):
                repeat(row, world)
            is_over = world.clock.left > 0
            world.clock.left = 0
            world.check()
            world.settle()

            assert is_between(world.state(), before, after)

            repeat(row, world)
            world.settle()
            world.finish()
        if is_over:
            break


@pytest.mark.parametrize("state", [calm, failing, stuck, expired])
def test_a_clock_that_raises_in_a_thread_stops_nobody_from_trying_again(state):
    for look in count(1):
        with World(BrokenClock(start=1000.0)) as world:
            state(world)
            world.clock.in_main = False
            world.clock.left = look
            for _ in range(4):
                world.clock.advance(64 * EXPIRY)
                world.settle()

            assert {"LINK"} >= set(adds(world))

            world.finish()
            is_over = world.clock.left > 0
        if is_over:
            break
    assert look > 1
