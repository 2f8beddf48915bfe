"""Scenarios of expiring, failing and stopping; see `scenario_world`."""

from __future__ import annotations

from typing import Any

from lnmailbox.testing.conformance.base import EXPIRY, add
from scenario_world import World, scenario
from scheduler import Run


@scenario
def expiry_against_a_waiting_reader(run: Run) -> None:
    """An Add is delivered or fails, and never both."""
    world = World(run)
    run.spawn(world.collect(batches=True), may_wait=True)
    run.play(lambda: world.add(1, 2), lambda: world.clock.advance(EXPIRY))

    assert [1, 2] == sorted(world.got + world.fails)
    assert world.fails == sorted(world.fails)
    world.account(1, 2)
    world.stop()


@scenario
def fail_add_against_expiry_against_ack(run: Run) -> None:
    """Exactly one of them has the Add."""
    world = World(run)
    world.add(1, 2)
    _, failed, _ = run.play(
        lambda: world.clock.advance(EXPIRY), lambda: world.box.fail_add(add(1)), world.ack(1)
    )

    assert not failed or 1 in world.fails
    now = world.box.statistics()
    assert 0 == now.adds_unacked
    assert len(world.fails) == now.adds_failed
    world.account(1, 2)
    world.stop()


@scenario
def giving_up_against_a_reset(run: Run) -> None:
    """An Add whose failure can't be encrypted at first is failed once, later."""
    world = World(run)
    errors = [ValueError(), ValueError()]

    def fail_at_first() -> None:
        if errors:
            raise errors.pop()

    world.encrypt = fail_at_first
    world.add(1, 2)
    run.play(
        lambda: world.clock.advance(EXPIRY),
        lambda: world.box.fail_add(add(1)),
        world.box.reset_packets,
    )
    for _ in range(3):
        world.check()
        run.play(lambda: world.clock.advance(100 * EXPIRY))

    assert [1, 2] == sorted(world.fails)
    world.account(1, 2)
    world.stop()


@scenario
def two_stops_against_everything(run: Run) -> None:
    """Every call ends, no thread is left, and what was added has ended or is unacked."""
    world = World(run)
    box = world.box
    world.add(1, 2)
    added = [1, 2]

    def adder() -> None:
        box.add_packet(add(3))
        added.append(3)

    run.play(
        box.stop,
        box.stop,
        world.collect(),
        world.unless_stopped(adder, box.reset_packets),
        world.unless_stopped(lambda: box.fail_add(add(1)), world.ack(2)),
        lambda: world.clock.advance(EXPIRY),
    )

    assert [] == [task.name for task in run.tasks if not task.is_over]
    world.account(*added)
    world.check()


@scenario
def stops_from_callbacks(run: Run) -> None:
    """Two mailboxes whose couriers stop each other's come to an end, and `quit` is heard."""
    world = World(run, boxes=2)
    one, other = world.boxes
    world.add(1)
    other.add_packet(add(2))

    def stop_both(quit_: Any) -> None:
        other.stop()
        one.stop()
        assert quit_.wait()

    world.forward = stop_both
    run.play(lambda: world.clock.advance(EXPIRY))
    run.play(one.stop, other.stop)

    assert [] == [task.name for task in run.tasks if not task.is_over]
    world.account(1, 2)
    world.check()


@scenario
def quit_against_stop(run: Run) -> None:
    """A callback that waits for `quit` is woken by `stop`, which waits for it."""
    world = World(run)
    world.add(1)
    world.forward = lambda quit_: quit_.wait()
    run.play(
        world.box.stop, lambda: world.clock.advance(EXPIRY), lambda: world.box.fail_add(add(1))
    )

    assert [] == [task.name for task in run.tasks if not task.is_over]
    world.account(1)
    world.check()


@scenario
def a_courier_that_ends_against_one_that_starts(run: Run) -> None:
    """Work that comes when the last courier is about to end finds another one."""
    world = World(run, boxes=2)
    world.add(1)
    run.play(
        lambda: world.clock.advance(EXPIRY),
        lambda: (world.boxes[1].add_packet(add(2)), world.clock.advance(EXPIRY)),
        lambda: world.add(3),
    )
    run.play(lambda: world.clock.advance(EXPIRY))

    assert [1, 2, 3] == sorted(world.fails)
    world.account(1, 2, 3)
    world.stop()
