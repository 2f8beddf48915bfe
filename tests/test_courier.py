"""The threads that carry back what nobody collected."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from lnmailbox.testing.threads import PATIENCE, blocked, run_threads
from lnmailbox import courier as courier_module
from lnmailbox.courier import Courier

Errand = Callable[[], object]


def courier(*errands: Errand, name: str = "courier") -> Courier:
    """Return a courier that is not started, with these errands to run."""
    left: Iterator[Errand] = iter(errands)
    return Courier(name, lambda: next(left, None))


def started(couriers: Iterable[Courier]) -> None:
    for one in couriers:
        one.start()


def ended(couriers: Iterable[Courier]) -> list[bool]:
    """Wait for the couriers' ends, with patience; return for each whether it came."""
    threads = list(couriers)
    for thread in threads:
        thread.join(PATIENCE)
    return [not thread.is_alive() for thread in threads]


def test_a_courier_runs_errands_until_there_are_none_left():
    """One after the other, on its own thread, which is a daemon and has a name."""
    seen: list[tuple[int, str, bool]] = []

    def errand(number: int) -> Errand:
        def run() -> None:
            me = threading.current_thread()
            seen.append((number, me.name, me.daemon))

        return run

    one = courier(errand(1), errand(2), errand(3), name="courier-1x2x3")
    one.start()

    assert [True] == ended([one])
    assert [(number, "courier-1x2x3", True) for number in (1, 2, 3)] == seen


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_errand_that_fails_does_not_end_the_courier(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
):
    """What it raised is logged with the courier's name and the traceback, and the next runs."""
    delivered = threading.Event()

    def fail() -> None:
        raise error("lost the way")

    one = courier(fail, fail, delivered.set, name="courier-1x2x3")
    one.start()

    assert [True] == ended([one])
    assert delivered.is_set()
    assert [("lnmailbox.courier", logging.ERROR, "courier-1x2x3: an errand failed")] * 2 == (
        caplog.record_tuples
    )
    assert [error] * 2 == [record.exc_info and record.exc_info[0] for record in caplog.records]


def test_an_ordinary_thread_waits_for_the_end():
    """However long the errand takes; afterwards joining returns at once."""
    gate = threading.Event()
    one = courier(gate.wait)
    one.start()
    call = blocked(one.join_courier)
    gate.set()
    call.result()

    assert not one.is_alive()

    one.join_courier()


def test_a_courier_does_not_wait_for_itself():
    """A callback may stop the mailbox whose errand it is."""
    finished: list[int] = []

    def join_myself() -> None:
        one.join_courier()

    one = courier(join_myself, lambda: finished.append(1))
    one.start()

    assert [True] == ended([one])
    assert [1] == finished


def test_a_courier_waits_for_the_end_of_another():
    """As an ordinary thread does: its callback goes on when the other has ended."""
    gate = threading.Event()
    order: list[str] = []
    other = courier(gate.wait, lambda: order.append("other ended"))

    def join_other() -> None:
        waiting.set()
        other.join_courier()
        order.append("gone on")

    waiting = threading.Event()
    one = courier(join_other)
    started([other, one])
    assert waiting.wait(PATIENCE)

    assert [] == order

    gate.set()

    assert [True, True] == ended([one, other])
    assert ["other ended", "gone on"] == order


def test_a_courier_that_has_ended_is_not_waited_for():
    """Also when a courier asks."""
    other = courier()
    other.start()

    assert [True] == ended([other])

    one = courier(other.join_courier)
    one.start()

    assert [True] == ended([one])


@pytest.mark.parametrize("number", [2, 3, 5])
def test_couriers_that_wait_for_each_other_all_go_on(number: int):
    """In pairs and in rings, whoever comes first, and many times over."""

    def join_after(gate: threading.Barrier, couriers: list[Courier], index: int) -> Errand:
        def run() -> None:
            gate.wait(PATIENCE)
            couriers[(index + 1) % number].join_courier()

        return run

    for _ in range(100):
        gate = threading.Barrier(number)
        couriers: list[Courier] = []
        couriers += [courier(join_after(gate, couriers, index)) for index in range(number)]
        started(couriers)

        assert [True] * number == ended(couriers)


def test_couriers_that_stop_everything_all_go_on():
    """Each waits for every other, as callbacks do that stop the orchestrator."""
    for _ in range(50):
        gate = threading.Barrier(4)
        couriers: list[Courier] = []

        def join_all(gate: threading.Barrier = gate, couriers: list[Courier] = couriers) -> None:
            gate.wait(PATIENCE)
            for other in couriers:
                other.join_courier()

        couriers += [courier(join_all, lambda: None) for _ in range(4)]
        started(couriers)
        run_threads(*(one.join_courier for one in couriers))

        assert [True] * 4 == ended(couriers)


def test_a_courier_does_not_wait_for_one_that_waits():
    """It can't know what for, and that might be itself."""
    gate = threading.Event()
    last = courier(gate.wait)
    middle = courier(last.join_courier)
    first = courier(middle.join_courier)
    started([last, middle, first])

    assert [True] == ended([first])
    assert middle.is_alive()

    gate.set()

    assert [True, True] == ended([last, middle])


def test_a_courier_stops_waiting_for_one_that_begins_to_wait():
    """It is told of it, and does not have to look again."""
    gate, last_gate = threading.Event(), threading.Event()
    last = courier(last_gate.wait)
    middle = courier(gate.wait, last.join_courier)
    first = courier(middle.join_courier)
    started([last, middle, first])
    while True:
        with courier_module._quiet:
            if first._waits:
                break
        first.join(0.001)
    gate.set()

    assert [True] == ended([first])
    assert middle.is_alive()

    last_gate.set()

    assert [True, True] == ended([last, middle])


def test_a_courier_that_dies_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch):
    """Its end counts, whatever the reason: here the source of its errands raises."""
    errors: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_type))
    gate = threading.Event()

    def no_more() -> None:
        gate.wait(PATIENCE)
        raise LookupError("no more")

    dying = Courier("dying", no_more)
    one = courier(dying.join_courier)
    started([dying, one])
    gate.set()

    assert [True, True] == ended([one, dying])
    assert [LookupError] == errors


def test_a_log_that_raises_does_not_end_a_courier(caplog: pytest.LogCaptureFixture):
    """A filter or a handler of the program's own may do that."""
    seen: list[int] = []

    def complain(record: logging.LogRecord) -> bool:
        raise RuntimeError("no log today")

    logger = logging.getLogger("lnmailbox.courier")
    logger.addFilter(complain)
    one = courier(lambda: 1 / 0, lambda: seen.append(2))
    try:
        one.start()

        assert [True] == ended([one])
        assert [2] == seen
    finally:
        logger.removeFilter(complain)


def test_at_the_interpreters_end_no_courier_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    """Daemon threads are frozen then, and would never end."""
    go = threading.Event()
    one = courier(lambda: go.wait(PATIENCE))
    one.start()
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)

    one.join_courier()

    assert one.is_alive()
    monkeypatch.undo()
    go.set()
    assert [True] == ended([one])
