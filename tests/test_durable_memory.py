"""Durable mailboxes without memory, threads or a log that works: memory and the file agree."""

from __future__ import annotations

import gc
import logging
import threading
from contextlib import suppress
from itertools import count

import pytest

from broken_log import raising_log
from durable_world import CHANGES, DurableWorld
from lnmailbox.failing import courier, workers
from lnmailbox.failing.alarms import _Watcher
from lnmailbox.failing.courier import Courier
from lnmailbox.testing.switch import raiser
from long_runs import DOES_MANY
from moments import Moment
from operations import EXPECTED, is_between, outcome, repeat

# A moment lies between the making of a connection and its assignment.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

SOME = [
    name
    for name in CHANGES
    if DOES_MANY
    or name.startswith(("ack_packet of a claimed", "fail_add of an", "unacked", "back"))
]


@pytest.fixture(autouse=True)
def quick_threads(monkeypatch, caplog):
    """Threads that try again or end do so at once, and nobody listens to complaints."""
    monkeypatch.setattr(workers, "_PAUSE", 0.0)
    monkeypatch.setattr(courier, "_LINGER", 0.0)
    caplog.set_level(logging.CRITICAL, "lnmailbox")
    yield
    gc.collect()  # of what is not closed, this says so while it is ignored


@pytest.mark.parametrize(
    "name, error",
    [(name, MemoryError) for name in SOME] + [(name, SystemExit) for name in SOME[::4]],
)
def test_a_change_without_memory_or_with_an_exit_is_done_or_undone_on_disk_too(name, error):
    """At every moment. Then the next change finds everything in order."""
    row = CHANGES[name]
    before, after = (outcome(row, times=times, world_of=DurableWorld) for times in (0, 1))
    for number in count(1):
        moment = Moment(number, error)
        with DurableWorld() as world:
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


@pytest.mark.parametrize("failures", [1, 2, 1000])
@pytest.mark.parametrize("name", SOME)
def test_a_change_does_its_part_without_threads(monkeypatch, name, failures):
    """Once there are threads again, the next Add finds somebody to look after all of them."""
    row = CHANGES[name]
    after = outcome(row, times=1, world_of=DurableWorld)
    fail = raiser(MemoryError if failures == 2 else RuntimeError, times=failures)
    start = threading.Thread.start

    def start_or_fail(thread):
        if isinstance(thread, (Courier, _Watcher)):
            fail()
        start(thread)

    with DurableWorld() as world:
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


@pytest.mark.parametrize("where", ["filter", "handler"])
@pytest.mark.parametrize("name", SOME)
def test_a_log_that_raises_changes_nothing_on_disk(name, where):
    row = CHANGES[name]
    after = outcome(row, times=1, world_of=DurableWorld)
    with raising_log(where), DurableWorld() as world:
        row.state(world)
        repeat(row, world)
        world.check()
        world.settle()

        assert after == world.state()
        world.check_file(name)

        world.finish()
