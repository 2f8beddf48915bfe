"""The threads that carry back what nobody collected."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import weakref
from unittest.mock import Mock

import pytest

from lnmailbox.bell import FOREVER, Timeout
from lnmailbox.failing import courier, workers
from lnmailbox.failing.complaints import Complaints
from lnmailbox.failing.courier import Courier, Couriers
from lnmailbox.testing import PATIENCE, Call, Gate, blocked, run_threads
from lnmailbox.testing.switch import raiser

NO_THREAD = [RuntimeError("can't start new thread"), MemoryError()]


class Desk:
    """A desk that does `work`, and notes on which threads."""

    def __init__(self, work=lambda: None, name="1x2x3"):
        self.name = name
        self.is_open = True
        self.work = work
        self.threads = []
        self.served = queue.Queue()
        self.try_again_later = Mock()

    def carry(self):
        self.threads.append(threading.current_thread())
        try:
            self.work()
        finally:
            self.served.put(None)

    def wait_until_served(self):
        self.served.get(timeout=PATIENCE)


def blocked_desk(pool):
    """Return a desk that is being served, and the gate that it stands at."""
    gate = Gate()
    desk = Desk(gate.pass_through)
    pool.send(desk)
    gate.wait_until_reached()
    return desk, gate


def close(pool, desk):
    desk.is_open = False
    pool.join(desk)


@pytest.fixture
def pool():
    pool = Couriers()
    yield pool
    wait_until_idle(pool)
    assert no_couriers_after_a_while()


@pytest.fixture(autouse=True)
def no_pause_and_nothing_told_yet(monkeypatch):
    monkeypatch.setattr(workers, "_PAUSE", 0)
    for module in (courier, workers):
        logger = logging.getLogger(module.__name__)
        monkeypatch.setattr(module, "_complaints", Complaints(logger))


def wait_until_idle(pool):
    pool.wait_until_idle(Timeout(PATIENCE))
    assert pool.are_idle()


def couriers():
    return [thread for thread in threading.enumerate() if isinstance(thread, Courier)]


def no_couriers_after_a_while():
    for thread in couriers():
        thread.join(PATIENCE)
    return not couriers()


class TestServing:
    def test_a_courier_serves_a_desk_and_ends(self, pool):
        """It is a daemon thread with a telling name."""
        desk = Desk()

        assert pool.send(desk)

        wait_until_idle(pool)
        assert no_couriers_after_a_while()
        [thread] = desk.threads
        assert ("lnmailbox-courier-1x2x3", True) == (thread.name, thread.daemon)

    def test_one_courier_at_a_time_serves_a_desk(self, pool):
        """One that gets more work meanwhile is served once more."""
        desk, gate = blocked_desk(pool)

        assert [True] * 3 == [pool.send(desk) for _ in range(3)]

        assert 1 == len(couriers())
        gate.open()
        wait_until_idle(pool)
        assert 2 == len(desk.threads)

    def test_desks_are_served_in_the_order_in_which_they_came(self):
        """The next desk is served by the first courier that is free."""
        pool, order = Couriers(limit=1), []
        first, gate = blocked_desk(pool)
        desks = [Desk(lambda n=n: order.append(n), str(n)) for n in range(5)]
        for desk in [*desks, first, *desks]:
            pool.send(desk)
        gate.open()
        wait_until_idle(pool)

        assert [0, 1, 2, 3, 4] == order
        assert 2 == len(first.threads)
        assert {first.threads[0]} == {desk.threads[0] for desk in desks}
        assert "lnmailbox-courier-1x2x3" == first.threads[0].name

    def test_desks_that_block_hold_up_the_others_when_the_pool_is_exhausted(self):
        """Not before. When one is let through, all go on."""
        pool, quick, gates = Couriers(limit=3), [Desk() for _ in range(50)], []
        for _ in range(3):
            pool.send(quick[0])
            quick[0].wait_until_served()
            gates.append(blocked_desk(pool)[1])

        assert [True] * 49 == [pool.send(desk) for desk in quick[1:]]

        pool.wait_until_idle(Timeout(0.001))
        assert not pool.are_idle()
        assert 3 == len(couriers())
        assert [] == quick[1].threads
        gates[1].open()
        for desk in quick[1:]:
            desk.wait_until_served()
        call = blocked(pool.wait_until_idle, FOREVER)
        for gate in gates:
            gate.open()
        call.result()

    def test_no_work_is_lost_while_couriers_come_and_go(self):
        """Four threads send for four desks; each is served after the last time."""
        pool, sent, seen = Couriers(limit=2), [0] * 4, [0] * 4

        def look(n):
            seen[n] = sent[n]

        def send(n):
            for _ in range(200):
                sent[n] += 1
                pool.send(desks[n])
                if sent[n] % 10 == 0:
                    pool.wait_until_idle(Timeout(0.001))

        desks = [Desk(lambda n=n: look(n)) for n in range(4)]
        run_threads(*(lambda n=n: send(n) for n in range(4)))
        wait_until_idle(pool)

        assert sent == seen
        assert no_couriers_after_a_while()

    def test_a_desk_does_not_live_on_through_its_courier(self, pool):
        """Neither through one that serves another, nor through one that has ended."""
        desk = Desk()
        pool.send(desk)
        _, gate = blocked_desk(pool)
        close(pool, desk)
        desk.threads.clear()
        gone = threading.Event()
        weakref.finalize(desk, gone.set)
        del desk

        assert gone.wait(PATIENCE)
        gate.open()

    def test_a_pool_does_not_live_on_through_its_couriers(self):
        """Not even as garbage."""
        pool, desk = Couriers(), Desk()
        pool.send(desk)
        wait_until_idle(pool)
        desk.threads.pop().join(PATIENCE)
        gone = weakref.ref(pool)
        gc.disable()
        try:
            del pool

            assert gone() is None
        finally:
            gc.enable()


class TestErrors:
    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("broken_log", [True, False])
    def test_a_desk_that_fails_is_told_so(self, pool, error, broken_log, caplog, monkeypatch):
        """The error is logged, once with its traceback, and other desks are served."""
        desk, other = Desk(raiser(error("lost the way"), times=3)), Desk()
        if broken_log:
            monkeypatch.setattr(logging.Logger, "log", raiser(SystemExit))
        for _ in range(4):
            pool.send(desk)
            pool.send(other)
            wait_until_idle(pool)

        assert 3 == desk.try_again_later.call_count
        assert (4, 4) == (len(desk.threads), len(other.threads))
        if not broken_log:
            text = "lnmailbox-courier-1x2x3 was interrupted in its work"
            assert [(courier.__name__, logging.ERROR, text)] == caplog.record_tuples
            assert f"{error.__name__}: lost the way" in caplog.text

    def test_a_desk_is_told_until_it_has_understood(self, pool):
        """Setting its alarm needs memory, and may fail."""
        desk = Desk(raiser(ValueError))
        desk.try_again_later = Mock(side_effect=[MemoryError, MemoryError, None])
        pool.send(desk)
        wait_until_idle(pool)

        assert 1 == len(desk.threads)
        assert 3 == desk.try_again_later.call_count

    def test_a_desk_is_served_though_its_courier_is_interrupted_before_it_begins(
        self, pool, monkeypatch
    ):
        """It has left the queue by then."""
        desk, next_desk, faults = Desk(), Couriers._next, iter([MemoryError])

        def find_and_fail(*arguments):
            found = next_desk(*arguments)
            for error in faults:
                raise error
            return found

        monkeypatch.setattr(Couriers, "_next", find_and_fail)
        pool.send(desk)
        wait_until_idle(pool)

        assert 1 == len(desk.threads)

    @pytest.mark.parametrize("error", NO_THREAD)
    def test_a_desk_for_which_no_thread_can_be_had_has_to_try_again(
        self, pool, error, monkeypatch, caplog
    ):
        """Until then a courier that is there may come to it."""
        desk = Desk()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", Mock(side_effect=error))

            assert [False, False] == [pool.send(desk), pool.send(desk)]
            assert pool.are_idle()
        assert 1 == len(caplog.records)

        first, gate = blocked_desk(pool)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", Mock(side_effect=error))
            assert not pool.send(desk)

        gate.open()
        wait_until_idle(pool)
        assert first.threads == desk.threads

    def test_a_courier_that_dies_before_it_begins_is_not_relied_upon(self, pool, monkeypatch):
        """It can: the interpreter needs memory in order to call it."""
        desk, other = Desk(), Desk()
        monkeypatch.setattr(threading, "excepthook", lambda _: None)
        with monkeypatch.context() as patch:
            patch.setattr(Courier, "run", Mock(side_effect=MemoryError))
            pool.send(desk)
            for dead in list(pool._couriers):
                dead.join(PATIENCE)

        assert pool.send(other)

        wait_until_idle(pool)
        assert (1, 1) == (len(desk.threads), len(other.threads))
        close(pool, desk)


class TestJoining:
    def test_a_desk_that_is_closed_is_not_served(self):
        """Not even if it was sent for before."""
        pool, waiting, late = Couriers(limit=1), Desk(), Desk()
        first, gate = blocked_desk(pool)
        pool.send(first)
        pool.send(waiting)
        close(pool, waiting)
        first.is_open = late.is_open = False

        assert pool.send(late)

        gate.open()
        close(pool, first)
        assert [1, 0, 0] == [len(desk.threads) for desk in (first, waiting, late)]
        assert [] == couriers()

    def test_it_waits_for_the_courier_and_for_its_end(self, pool, monkeypatch):
        """Whether that works, has just finished, or has just been started: no thread is left."""
        run, ending = Courier.run, threading.Event()
        monkeypatch.setattr(Courier, "run", lambda it: (run(it), ending.wait(PATIENCE)))
        desk, gate = blocked_desk(pool)
        calls = [blocked(close, pool, desk) for _ in range(3)]
        gate.open()
        calls[0].wait_until_blocked()
        ending.set()
        for call in calls:
            call.result()

        assert [] == couriers()
        for number in range(50):
            desk = Desk()
            pool.send(desk)
            if number % 2:
                wait_until_idle(pool)
            close(pool, desk)
            assert [] == couriers()

    def test_it_does_not_wait_for_other_desks(self):
        """However busy the couriers are that served this one."""
        pool, busy = Couriers(limit=2), True

        def go_on():
            if busy:
                pool.send(other)

        other = Desk(go_on)
        pool.send(other)
        for _ in range(20):
            desk = Desk()
            pool.send(desk)
            Call(close, pool, desk).result()
        _, gate = blocked_desk(pool)

        Call(close, pool, desk).result()

        busy = False
        gate.open()
        wait_until_idle(pool)
        assert no_couriers_after_a_while()

    def test_a_courier_does_not_wait_for_itself(self, pool):
        """A callback may stop the mailbox that it is of."""
        desk = Desk(lambda: close(pool, desk))
        pool.send(desk)
        wait_until_idle(pool)

        assert 1 == len(desk.threads)

    def test_a_courier_that_leaves_meanwhile_is_waited_for(self, pool, monkeypatch):
        """It serves the desk when the waiting begins, and lingers when it is looked at next."""
        desk, gate = blocked_desk(pool)
        hang_bell = Couriers._hang_bell

        def finish_first(*arguments):
            monkeypatch.setattr(Couriers, "_hang_bell", hang_bell)
            gate.open()
            wait_until_idle(pool)
            return hang_bell(*arguments)

        monkeypatch.setattr(Couriers, "_hang_bell", finish_first)
        close(pool, desk)

        assert [] == couriers()

    def test_a_courier_waits_for_another_unless_that_waits(self, pool):
        """It can't know what the other waits for: that might be itself. Other threads wait."""

        def wait_for(desk):
            close(pool, desk)
            return True

        last, gate = blocked_desk(pool)
        gates = [Gate(), Gate()]
        middle = Desk(lambda: (gates[0].pass_through(), wait_for(last), gates[1].pass_through()))
        first, second = Desk(lambda: wait_for(middle)), Desk(lambda: wait_for(middle))
        pool.send(middle)
        gates[0].wait_until_reached()
        pool.send(first)
        while not (first.threads and first.threads[0].waits):
            pool.wait_until_idle(Timeout(0.001))
        gates[0].open()  # now it begins to wait
        first.wait_until_served()
        call = blocked(pool.join, middle)
        gate.open()
        gates[1].wait_until_reached()  # now it does not wait any more
        pool.send(second)
        while not (second.threads and second.threads[0].waits):
            pool.wait_until_idle(Timeout(0.001))

        assert second.served.empty()
        assert not call.done
        gates[1].open()
        second.wait_until_served()
        call.result()

    @pytest.mark.parametrize("number", [2, 3, 5])
    @pytest.mark.parametrize("pools", [1, 2])
    def test_couriers_that_wait_for_each_other_all_go_on(self, number, pools):
        """In pairs, in rings, and each for every other; of one clock and across two."""

        def join(index, gate, desks, all_of_them):
            gate.wait(PATIENCE)
            for other in range(number) if all_of_them else [(index + 1) % number]:
                close(several[other % pools], desks[other])

        several = [Couriers() for _ in range(pools)]
        for attempt in range(20):
            gate = threading.Barrier(number)
            desks = []
            for index in range(number):
                arguments = index, gate, desks, attempt % 2 == 1
                desks.append(Desk(lambda arguments=arguments: join(*arguments)))
            for index, desk in enumerate(desks):
                several[index % pools].send(desk)
            for pool in several:
                wait_until_idle(pool)

            assert [1] * number == [len(desk.threads) for desk in desks]

    def test_a_thread_that_has_the_lock_waits_for_nobody(self, pool):
        """A finalizer that stops a mailbox may come then, and couriers wait for its thread."""
        desk, gate = blocked_desk(pool)

        with courier._lock:
            close(pool, desk)

        assert 1 == len(couriers())
        gate.open()

    def test_a_forked_child_has_no_couriers_to_wait_for(self, pool, monkeypatch):
        """Its parent's are not there, and one of them may have the lock."""
        desk, gate = blocked_desk(pool)
        monkeypatch.setattr(courier, "_lock", courier._lock)
        lock = courier._lock

        courier._begin_anew()

        assert lock is not courier._lock
        close(pool, desk)
        gate.open()
        assert no_couriers_after_a_while()
