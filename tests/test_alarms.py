"""One thread for each clock, which rings whoever asked for it."""

from __future__ import annotations

import gc
import logging
import queue
import sys
import threading
import weakref
from contextlib import suppress
from unittest.mock import Mock

import pytest

from lnmailbox import ManualClock, SystemClock, WallClock
from lnmailbox.bell import Timeout
from lnmailbox.failing import alarms, workers
from lnmailbox.failing.alarms import Alarm, Watch
from lnmailbox.failing.complaints import Complaints
from lnmailbox.testing import PATIENCE, Call, Gate, blocked, run_threads
from lnmailbox.testing.switch import raiser

SECOND = 1_000_000_000

NO_THREAD = [RuntimeError("can't start new thread"), MemoryError()]


class Sleeper:
    """An owner of an alarm, who notes when and on which thread it rang."""

    def __init__(self, clock, then=lambda: None):
        self.clock = clock
        self.then = then
        self.rings = queue.Queue()
        self.alarm = Alarm(Watch.of(clock), Sleeper.ring, self)
        self.cancel = self.alarm.cancel

    def ring(self):
        self.rings.put((self.clock.now_ns() / SECOND, threading.current_thread()))
        self.then()

    def set(self, seconds):
        return self.alarm.set(round(seconds * SECOND))

    def rung_at(self):
        """Wait for the next ring, and return the time it came."""
        return self.rings.get(timeout=PATIENCE)[0]


class WatchedClock(ManualClock):
    """A clock that tells the deadlines it is asked to wait for."""

    def __init__(self):
        super().__init__()
        self.deadlines = queue.Queue()

    def wait(self, condition, deadline_ns):
        self.deadlines.put(deadline_ns / SECOND)
        super().wait(condition, deadline_ns)

    def wait_until_waited_for(self, seconds):
        while self.deadlines.get(timeout=PATIENCE) != seconds:
            pass


@pytest.fixture(autouse=True)
def no_pause_and_nothing_told_yet(monkeypatch):
    monkeypatch.setattr(workers, "_PAUSE", 0)
    for module in (alarms, workers):
        logger = logging.getLogger(module.__name__)
        monkeypatch.setattr(module, "_complaints", Complaints(logger))


@pytest.fixture
def clock():
    return ManualClock()


def watchers():
    """Return the threads of all watches."""
    return [t for t in threading.enumerate() if t.name.startswith("lnmailbox-courier-watch-")]


def no_watchers_after_a_while():
    for thread in watchers():
        thread.join(PATIENCE)
    return not watchers()


def test_an_alarm_rings_at_its_deadline(clock):
    """Not before, once, on a daemon thread with a telling name, which then ends."""
    sleeper, other = Sleeper(clock), Sleeper(clock)
    sleeper.set(10)
    other.set(9)
    clock.advance(9)

    assert 9 == other.rung_at()
    assert sleeper.rings.empty()

    clock.advance(1)
    time, thread = sleeper.rings.get(timeout=PATIENCE)

    assert 10 == time
    assert ("lnmailbox-courier-watch-ManualClock", True) == (thread.name, thread.daemon)
    assert no_watchers_after_a_while()
    assert sleeper.rings.empty()


def test_a_deadline_that_has_passed_rings_at_once():
    """This very moment counts as passed; `ring_soon` does not depend on the time."""
    sleeper = Sleeper(ManualClock(100))
    for deadline in (100, 99.5, 0):
        sleeper.set(deadline)

        assert 100 == sleeper.rung_at()

    sleeper.alarm.ring_soon()

    assert 100 == sleeper.rung_at()


def test_alarms_ring_in_the_order_of_their_deadlines(clock):
    """Those with the same one in the order they were set."""
    order = queue.Queue()
    sleepers = [Sleeper(clock, lambda n=n: order.put(n)) for n in range(6)]
    for sleeper, deadline in zip(sleepers, [5, 3, 5, 1, 3, 4], strict=True):
        sleeper.set(deadline)
    clock.advance(5)

    assert [3, 1, 4, 5, 0, 2] == [order.get(timeout=PATIENCE) for _ in sleepers]


def test_an_alarm_can_be_set_to_an_earlier_time():
    """The thread that waits for the later one is woken. The alarm rings once."""
    clock = WatchedClock()
    sleeper, fence = Sleeper(clock), Sleeper(clock)
    fence.set(20)
    sleeper.set(10)
    clock.wait_until_waited_for(10)
    sleeper.set(5)
    clock.wait_until_waited_for(5)
    clock.advance(5)

    assert 5 == sleeper.rung_at()
    clock.advance(15)
    assert 20 == fence.rung_at()
    assert sleeper.rings.empty()


@pytest.mark.parametrize("again", [5, 10])
@pytest.mark.parametrize("cancelled", [True, False])
def test_an_alarm_that_is_set_again_rings_once(clock, again, cancelled):
    """At the earliest time that it was set to since it was cancelled."""
    sleeper, fence = Sleeper(clock), Sleeper(clock)
    fence.set(5)
    sleeper.set(5)
    if cancelled:
        sleeper.cancel()
    sleeper.set(again)
    clock.advance(5)

    assert 5 == fence.rung_at()
    fence.set(10)
    clock.advance(5)
    assert 10 == fence.rung_at()
    assert (again if cancelled else 5) == sleeper.rung_at()
    assert sleeper.rings.empty()


def test_the_last_alarm_that_is_cancelled_ends_the_thread(clock):
    """It has ended when the call returns. Cancelling is idempotent, and needs no set alarm."""
    first, second = Sleeper(clock), Sleeper(clock)
    first.cancel()
    first.set(5)
    second.set(6)
    for _ in range(2):
        first.cancel()

        assert 1 == len(watchers())

    second.cancel()

    assert [] == watchers()
    clock.advance(10)
    assert first.rings.empty()
    assert second.rings.empty()


def test_a_cancel_waits_for_rings_if_no_other_alarm_is_set(clock):
    """For all that are under way, because their threads must end."""
    gates = [Gate(), Gate()]
    first, second, other = [Sleeper(clock) for _ in range(3)]
    for sleeper, gate in zip([first, second], gates, strict=True):
        # The ring cancels the last alarm, so that its thread is replaced.
        sleeper.then = lambda s=sleeper, gate=gate: (s.set(9), s.cancel(), gate.pass_through())
        sleeper.set(0)
        gate.wait_until_reached()
    other.set(5)

    Call(first.cancel).result()

    assert not Watch.of(clock).wait_until_quiet(Timeout(0.001))
    call = blocked(other.cancel)
    gates[1].open()
    call.wait_until_blocked()
    gates[0].open()
    call.result()
    assert [] == watchers()


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_ring_that_fails_is_repeated(clock, caplog, error):
    """A second later, as often as it takes, and told once. The others ring."""
    failing, other = Sleeper(clock, raiser(error("overslept"), times=3)), Sleeper(clock)
    failing.set(5)
    other.set(5)
    clock.advance(5)

    assert 5 == failing.rung_at()
    assert 5 == other.rung_at()
    for second in (6, 7, 8):
        assert Watch.of(clock).wait_until_quiet(Timeout(PATIENCE))
        clock.advance(1)
        assert second == failing.rung_at()

    assert no_watchers_after_a_while()
    text = "an alarm's owner failed, and will be called again"
    assert [(alarms.__name__, logging.ERROR, text)] == caplog.record_tuples
    assert f"{error.__name__}: overslept" in caplog.text


def test_a_ring_that_fails_is_repeated_though_the_alarm_can_not_be_set(clock, monkeypatch):
    """For want of memory, say: then the thread pauses, and rings itself."""
    sleeper = Sleeper(clock, raiser(MemoryError, times=3))
    sleeper.set(5)
    monkeypatch.setattr(alarms, "heappush", Mock(side_effect=MemoryError))
    clock.advance(5)

    assert [5, 5, 5, 5] == [sleeper.rung_at() for _ in range(4)]
    assert no_watchers_after_a_while()
    assert sleeper.rings.empty()


def test_a_clock_that_raises_is_asked_again(caplog):
    """After a pause; it is told once."""

    class BrokenClock(ManualClock):
        def now_ns(self):
            breaks()
            return super().now_ns()

    breaks = raiser(OSError("the spring is broken"), times=5)
    sleeper = Sleeper(BrokenClock())
    sleeper.set(0)

    assert 0 == sleeper.rung_at()
    text = "lnmailbox-courier-watch-BrokenClock failed, and will try again"
    assert [text] == [record.getMessage() for record in caplog.records]
    assert "OSError: the spring is broken" in caplog.text


@pytest.mark.parametrize("error", NO_THREAD)
def test_an_alarm_that_no_thread_can_serve_is_kept(clock, monkeypatch, caplog, error):
    """Each set of any alarm tries again, also one that changes nothing. Then all ring."""
    first, second = Sleeper(clock), Sleeper(clock)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", Mock(side_effect=error))

        assert [False] * 3 == [first.set(5), first.set(5), second.set(6)]
        assert 1 == len(caplog.records)

    assert first.set(9)

    clock.advance(6)
    assert 5 <= first.rung_at()
    assert 6 == second.rung_at()


def test_a_thread_that_was_told_to_end_goes_on_if_it_has_no_successor(clock, monkeypatch):
    """And a cancel that waits for its end does not wait any longer."""
    gate = Gate()
    sleeper, other = Sleeper(clock), Sleeper(clock)
    sleeper.then = lambda: (sleeper.set(9), sleeper.cancel(), gate.pass_through())
    sleeper.set(0)
    gate.wait_until_reached()
    call = blocked(other.cancel)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", Mock(side_effect=NO_THREAD[0]))

        assert not other.set(5)

    gate.open()
    call.result()
    clock.advance(5)
    assert 5 == other.rung_at()


def test_a_thread_that_dies_before_it_begins_is_replaced(clock, monkeypatch):
    """It can: the interpreter needs memory in order to call it."""
    sleeper = Sleeper(clock)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(alarms._Watcher, "run", Mock(side_effect=MemoryError))
        sleeper.set(5)
        Watch.of(clock)._thread.join(PATIENCE)

    sleeper.set(5)

    clock.advance(5)
    assert 5 == sleeper.rung_at()


def test_a_thread_whose_start_was_interrupted_serves_all_the_same(clock, monkeypatch):
    """Nobody noted that it was started."""
    sleeper = Sleeper(clock)
    start = threading.Thread.start

    def start_and_interrupt(thread):
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", start_and_interrupt)
        sleeper.set(5)
    clock.advance(5)

    assert 5 == sleeper.rung_at()
    assert no_watchers_after_a_while()


def test_an_alarm_does_not_keep_its_owner_alive():
    """Nobody is rung then, a thread with nothing to do ends, and no garbage is left."""
    clock = WatchedClock()
    sleeper = Sleeper(clock)
    sleeper.set(5)
    [thread] = watchers()
    clock.wait_until_waited_for(5)
    gone = [weakref.ref(sleeper), weakref.ref(sleeper.alarm), weakref.ref(sleeper.alarm._watch)]
    gc.collect()
    gc.disable()
    try:
        with Watch.of(clock)._lock:
            pass  # the thread has let go of it, and waits
        del sleeper
        thread.join(PATIENCE)
        del thread

        assert [None] * 3 == [reference() for reference in gone]
    finally:
        gc.enable()


@pytest.mark.parametrize("holder", ["the same thread", "another thread"])
def test_an_owner_may_go_while_the_lock_is_held(clock, holder):
    """By garbage collection, which waits for nobody: at worst the alarm rings for nobody."""
    sleeper, other = Sleeper(clock), Sleeper(clock)
    watch = Watch.of(clock)
    gate = Gate()

    def hold():
        with watch._lock:
            gate.pass_through()

    sleeper.set(5)
    other.set(5)
    if holder == "another thread":
        call = Call(hold)
        gate.wait_until_reached()
        del sleeper
        gate.open()
        call.result()
    else:
        with watch._lock:
            del sleeper
    clock.advance(5)

    assert 5 == other.rung_at()
    assert no_watchers_after_a_while()


def test_a_cancel_in_a_finalizer_waits_for_no_thread(clock, monkeypatch):
    """The thread needs the lock that the interrupted caller has, or is frozen at the end."""
    sleeper = Sleeper(clock)
    sleeper.set(10)
    with Watch.of(clock)._lock:
        sleeper.cancel()

    assert no_watchers_after_a_while()
    sleeper.set(10)
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    monkeypatch.setattr(threading.Thread, "join", lambda _: pytest.fail("waited for a thread"))
    sleeper.cancel()
    monkeypatch.undo()
    assert no_watchers_after_a_while()


def test_equal_clocks_have_one_watch(clock):
    """If they have a hash; two manual clocks are not equal."""

    class UnhashableClock(ManualClock):
        def __eq__(self, other):
            return True

        def __hash__(self):
            return hash([])  # as a frozen class does that has a list in a field

    unhashable = UnhashableClock()
    sleepers = [Sleeper(clock), Sleeper(unhashable)]

    assert Watch.of(SystemClock()) is Watch.of(SystemClock())
    assert Watch.of(WallClock()) is not Watch.of(SystemClock())
    assert [Watch.of(clock), Watch.of(unhashable)] == [s.alarm._watch for s in sleepers]
    assert Watch.of(clock) is not Watch.of(ManualClock())
    assert Watch.of(unhashable) is not Watch.of(UnhashableClock())


def test_void_deadlines_do_not_pile_up():
    """When the thread looks next, it drops them if they are too many."""
    clock = WatchedClock()
    standing, *others = [Sleeper(clock) for _ in range(50)]
    watch = Watch.of(clock)
    with watch._lock:
        for sleeper in (standing, *others):
            sleeper.set(10 if sleeper is standing else 1000)
    clock.wait_until_waited_for(10)
    with watch._lock:
        for sleeper in others:
            sleeper.cancel()
    clock.wait_until_waited_for(10)

    with watch._lock:
        assert [(10 * SECOND, standing.alarm)] == [(at, alarm) for at, _, alarm in watch._heap]
    standing.cancel()


def test_an_alarm_that_is_set_amid_something_else_is_kept(clock, monkeypatch):
    """A signal's handler, or a finalizer, may do that while others are set or dropped."""
    sleeper, other = Sleeper(clock), Sleeper(clock)
    watch = Watch.of(clock)
    push, is_valid = alarms.heappush, alarms._is_valid

    def push_and_set(*arguments):
        push(*arguments)
        monkeypatch.undo()
        sleeper.set(5)

    def set_and_see(entry):
        monkeypatch.undo()
        other.set(3)
        return is_valid(entry)

    monkeypatch.setattr(alarms, "heappush", push_and_set)
    sleeper.set(10)
    with watch._lock:
        monkeypatch.setattr(alarms, "_is_valid", set_and_see)
        watch._drop_void_locked()
    clock.advance(5)

    assert 5 == other.rung_at()
    assert 5 == sleeper.rung_at()


def test_no_ring_is_lost_while_threads_come_and_go(clock):
    """Several owners set and cancel at once, so that the thread often has nothing left to do."""

    def set_and_wait():
        sleeper = Sleeper(clock)
        for number in range(100):
            sleeper.set(0)
            sleeper.rung_at()
            if number % 3 == 0:
                sleeper.set(5)
                sleeper.cancel()
        return sleeper.rings.qsize()

    assert [0] * 4 == run_threads(*[set_and_wait] * 4, timeout=3 * PATIENCE)
    assert no_watchers_after_a_while()


def test_a_forked_child_has_watches_of_its_own(clock, monkeypatch):
    """Its parent's threads are not there, and its locks may be held by them."""
    monkeypatch.setattr(Watch, "_all", Watch._all)
    monkeypatch.setattr(Watch, "_lock_of_all", Watch._lock_of_all)
    before = Watch.of(clock)
    lock = before._lock
    with Watch._lock_of_all:
        alarms._begin_anew()

    assert before is not Watch.of(clock)
    assert lock is not before._lock
