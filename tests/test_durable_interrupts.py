"""Durable mailboxes, interrupted at every moment: memory and the file agree afterwards."""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import suppress
from itertools import count

import pytest

from durable_world import CHANGES, DurableWorld
from lnmailbox.failing import courier
from long_runs import DOES_MANY
from moments import Interrupt, Moment
from operations import EXPECTED, is_between, outcome, repeat


@pytest.fixture(autouse=True)
def quick_threads(monkeypatch, caplog):
    """Couriers without work end at once, and nobody listens to complaints."""
    monkeypatch.setattr(courier, "_LINGER", 0.0)
    caplog.set_level(logging.CRITICAL, "lnmailbox")
    yield
    gc.collect()  # of what is not closed, this says so while it is ignored


pytestmark = [
    pytest.mark.skipif(
        sys.version_info[:2] == (3, 11) and sys.gettrace() is not None,
        reason="with a tracer, Python 3.11 looks for signals until there is none",
    ),
    # A moment lies between the making of a connection and its assignment.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]


@pytest.mark.parametrize("name", CHANGES if DOES_MANY else list(CHANGES)[:6])
def test_an_interrupted_change_is_done_or_undone_on_disk_too(name):
    row = CHANGES[name]
    before, after = (outcome(row, times=times, world_of=DurableWorld) for times in (0, 1))
    for number in count(1):
        moment = Moment(number)
        with DurableWorld() as world:
            row.state(world)
            with suppress(Interrupt, *EXPECTED):
                moment.run(lambda world=world: row.operation(world))

            world.check()
            world.settle()
            state = world.state()
            world.check_file(moment.place)
            repeat(row, world)
            world.check()
            world.settle()
            world.check_file(moment.place)
            world.finish()

        if not moment.place:
            assert after == state
            break
        if row.partly:
            assert is_between(state, before, after), moment.place
        else:
            assert state in (before, after), moment.place
    assert number > 1
