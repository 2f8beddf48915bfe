"""One thread for each clock, which rings whoever asked for it."""

from __future__ import annotations

import gc
import logging
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

from lnmailbox.testing.threads import PATIENCE, Call, blocked, run_threads
from lnmailbox import ManualClock, SystemClock, WallClock
from lnmailbox.alarms import Alarm, Watch, _begin_anew

SECOND = 1_000_000_000


class Sleeper:
    """An owner of an alarm, who notes when and on which thread it rang."""

    def __init__(self, clock: ManualClock, then: Callable[[], object] | None = None) -> None:
        self.clock = clock
        self.then = then
        self.rings: queue.Queue[tuple[float, threading.Thread]] = queue.Queue()
        self.alarm = Alarm(Watch.of(clock), self.ring)

    def ring(self) -> None:
        self.rings.put((self.clock.now_ns() / SECOND, threading.current_thread()))
        if self.then is not None:
            self.then()

    def set(self, seconds: float) -> None:
        self.alarm.set(round(seconds * SECOND))

    def rung_at(self) -> float:
        """Wait for the next ring, and return the time it came."""
        return self.rings.get(timeout=PATIENCE)[0]


class WatchedClock(ManualClock):
    """A clock that tells the deadlines it is asked to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines: queue.Queue[float | None] = queue.Queue()

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        self.deadlines.put(None if deadline_ns is None else deadline_ns / SECOND)
        super().wait(condition, deadline_ns)

    def waited_for(self) -> float | None:
        return self.deadlines.get(timeout=PATIENCE)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def watchers() -> list[threading.Thread]:
    """Return the threads of all watches."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("lnmailbox-courier-watch-")
    ]


def test_an_alarm_rings_at_its_deadline(clock: ManualClock):
    """Not before, once, on a daemon thread with a telling name, which then ends."""
    sleeper, other = Sleeper(clock), Sleeper(clock)
    sleeper.set(10)
    other.set(9)
    clock.advance(9)

    assert 9 == other.rung_at()
    assert sleeper.rings.empty()

    clock.advance(1)
    time, thread = sleeper.rings.get(timeout=PATIENCE)
    thread.join(PATIENCE)

    assert 10 == time
    assert ("lnmailbox-courier-watch-ManualClock", True) == (thread.name, thread.daemon)
    assert [] == watchers()
    assert sleeper.rings.empty()


def test_a_deadline_that_has_passed_rings_at_once():
    """This very moment counts as passed."""
    clock = ManualClock(100)
    sleeper = Sleeper(clock)
    for deadline in (100, 99.5, 0):
        sleeper.set(deadline)

        assert 100 == sleeper.rung_at()


def test_alarms_ring_in_the_order_of_their_deadlines(clock: ManualClock):
    """Those with the same one in the order they were set."""
    order: queue.Queue[int] = queue.Queue()
    sleepers = [Sleeper(clock, lambda n=n: order.put(n)) for n in range(6)]  # type: ignore[misc]
    for number, deadline in enumerate([5, 3, 5, 1, 3, 4]):
        sleepers[number].set(deadline)
    clock.advance(5)

    assert [3, 1, 4, 5, 0, 2] == [order.get(timeout=PATIENCE) for _ in sleepers]


def test_an_alarm_can_be_set_to_an_earlier_time():
    """The thread that waits for the later one is woken, and the alarm rings once."""
    clock = WatchedClock()
    sleeper = Sleeper(clock)
    sleeper.set(10)

    assert 10 == clock.waited_for()

    sleeper.set(5)

    assert 5 == clock.waited_for()

    clock.advance(5)

    assert 5 == sleeper.rung_at()

    fence = Sleeper(clock)
    fence.set(20)
    clock.advance(15)

    assert 20 == fence.rung_at()
    assert sleeper.rings.empty()


def test_an_alarm_can_be_set_to_a_later_time(clock: ManualClock):
    """The earlier one is void."""
    sleeper, fence = Sleeper(clock), Sleeper(clock)
    sleeper.set(5)
    sleeper.set(10)
    fence.set(5)
    clock.advance(5)

    assert 5 == fence.rung_at()
    assert sleeper.rings.empty()

    clock.advance(5)

    assert 10 == sleeper.rung_at()


def test_an_alarm_that_is_set_to_the_same_time_again_rings_once(clock: ManualClock):
    """Also if it was cancelled in between."""
    sleeper, fence = Sleeper(clock), Sleeper(clock)
    fence.set(5)
    sleeper.set(5)
    sleeper.set(5)
    sleeper.alarm.cancel()
    sleeper.set(5)
    clock.advance(5)

    assert 5 == sleeper.rung_at()
    assert 5 == fence.rung_at()

    fence.set(6)
    clock.advance(1)

    assert 6 == fence.rung_at()
    assert sleeper.rings.empty()


def test_a_ring_may_set_the_alarm_again(clock: ManualClock):
    """And the same thread goes on."""
    sleeper = Sleeper(clock)
    sleeper.then = lambda: sleeper.set(clock.now_ns() / SECOND + 1)
    sleeper.set(1)
    threads = set()
    for second in (1, 2, 3):
        clock.advance(1)
        time, thread = sleeper.rings.get(timeout=PATIENCE)
        threads.add(thread)

        assert second == time

    assert 1 == len(threads)

    sleeper.then = None
    sleeper.alarm.cancel()


def test_a_cancelled_alarm_does_not_ring(clock: ManualClock):
    """It can be set again afterwards."""
    sleeper, fence = Sleeper(clock), Sleeper(clock)
    fence.set(5)
    sleeper.set(5)
    sleeper.alarm.cancel()
    clock.advance(5)

    assert 5 == fence.rung_at()
    assert sleeper.rings.empty()

    sleeper.set(6)
    clock.advance(1)

    assert 6 == sleeper.rung_at()


def test_no_thread_is_left_when_the_last_alarm_is_cancelled(clock: ManualClock):
    """At the moment the call returns; while others are set the thread stays."""
    first, second = Sleeper(clock), Sleeper(clock)
    first.set(5)
    second.set(6)

    assert 1 == len(watchers())

    first.alarm.cancel()

    assert 1 == len(watchers())

    second.alarm.cancel()

    assert [] == watchers()


def test_cancelling_is_idempotent_and_needs_no_alarm(clock: ManualClock):
    """Whether the alarm was never set, was cancelled, or has rung."""
    sleeper, other = Sleeper(clock), Sleeper(clock)
    sleeper.alarm.cancel()
    other.set(5)
    sleeper.alarm.cancel()

    assert 1 == len(watchers())

    sleeper.set(1)
    clock.advance(1)

    assert 1 == sleeper.rung_at()

    sleeper.alarm.cancel()
    sleeper.alarm.cancel()

    assert 1 == len(watchers())

    other.alarm.cancel()

    assert [] == watchers()


def test_a_cancel_waits_for_the_ring_that_is_under_way(clock: ManualClock):
    """Where no other alarm is set: the thread must end."""
    gate = threading.Event()
    sleeper = Sleeper(clock, gate.wait)
    sleeper.set(0)
    sleeper.rung_at()
    call = blocked(sleeper.alarm.cancel)
    gate.set()
    call.result()

    assert [] == watchers()


def test_a_cancel_does_not_wait_for_a_ring_while_others_are_set(clock: ManualClock):
    """The thread goes on anyway."""
    gate = threading.Event()
    sleeper, other = Sleeper(clock, gate.wait), Sleeper(clock)
    sleeper.set(0)
    sleeper.rung_at()
    other.set(5)
    Call(sleeper.alarm.cancel).result()
    gate.set()
    other.alarm.cancel()

    assert [] == watchers()


def test_an_alarm_can_be_cancelled_by_its_own_ring(clock: ManualClock):
    """The thread does not wait for itself."""
    sleeper = Sleeper(clock)
    sleeper.then = lambda: (sleeper.set(5), sleeper.alarm.cancel())  # type: ignore[func-returns-value]
    sleeper.set(0)
    _, thread = sleeper.rings.get(timeout=PATIENCE)
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_thread_that_was_told_to_end_is_replaced(clock: ManualClock):
    """It may still be in the ring that cancelled the last alarm and then set one."""
    sleeper = Sleeper(clock)
    sleeper.then = lambda: (sleeper.alarm.cancel(), sleeper.set(5))  # type: ignore[func-returns-value]
    sleeper.set(0)
    _, first = sleeper.rings.get(timeout=PATIENCE)
    first.join(PATIENCE)
    sleeper.then = None
    clock.advance(5)
    time, second = sleeper.rings.get(timeout=PATIENCE)

    assert 5 == time
    assert first is not second
    assert not first.is_alive()


def test_a_ring_that_fails_is_logged_and_the_others_ring(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    """Of the same moment and of later ones, the failing owner's own included."""

    def fail() -> None:
        raise ValueError("overslept")

    failing, other = Sleeper(clock, fail), Sleeper(clock)
    failing.set(5)
    other.set(5)
    clock.advance(5)

    assert 5 == failing.rung_at()
    assert 5 == other.rung_at()
    assert [("lnmailbox.alarms", logging.ERROR, "an alarm's owner failed")] == caplog.record_tuples
    assert "ValueError: overslept" in caplog.text

    failing.then = None
    failing.set(6)
    clock.advance(1)

    assert 6 == failing.rung_at()


def test_an_alarm_does_not_keep_its_owner_alive():
    """When the owner is gone nobody is rung, and a thread with nothing to do ends."""
    clock = WatchedClock()
    sleeper = Sleeper(clock)
    sleeper.set(5)
    (thread,) = watchers()
    clock.waited_for()
    with Watch.of(clock)._lock:
        pass  # the thread has let go of it, and waits
    gone = weakref.ref(sleeper)
    del sleeper
    gc.collect()

    assert gone() is None

    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_an_owner_may_go_while_the_lock_is_held(clock: ManualClock):
    """Garbage collection can strike there: the alarm stays, and rings for nobody."""
    sleeper, other = Sleeper(clock), Sleeper(clock)
    sleeper.set(5)
    other.set(5)
    gone = weakref.ref(sleeper)
    with Watch.of(clock)._lock:
        del sleeper
        gc.collect()

        assert gone() is None

    clock.advance(5)

    assert 5 == other.rung_at()

    for thread in watchers():
        thread.join(PATIENCE)

    assert [] == watchers()


def test_equal_clocks_share_a_watch():
    """Clocks that are not equal have their own, as two manual ones do."""
    clock = ManualClock()

    assert Watch.of(SystemClock()) is Watch.of(SystemClock())
    assert Watch.of(WallClock()) is Watch.of(WallClock())
    assert Watch.of(SystemClock()) is not Watch.of(WallClock())
    assert Watch.of(clock) is Watch.of(clock)
    assert Watch.of(clock) is not Watch.of(ManualClock())


class UnhashableClock(ManualClock):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnhashableClock)


class ClockWithABrokenHash(UnhashableClock):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash([])  # as a frozen class does that has a list in a field


@pytest.mark.parametrize("kind", [UnhashableClock, ClockWithABrokenHash])
def test_a_clock_without_a_hash_is_known_by_its_identity(kind: type[ManualClock]):
    """Two that are equal can't be found to be so."""
    clock = kind()
    sleeper = Sleeper(clock)

    assert Watch.of(clock) is Watch.of(clock)
    assert Watch.of(clock) is not Watch.of(kind())

    sleeper.set(3)
    clock.advance(3)

    assert 3 == sleeper.rung_at()


def test_a_watch_that_nobody_uses_is_let_go():
    """With its clock, and the next one of that clock is new."""
    clock = ManualClock()
    watch = weakref.ref(Watch.of(clock))
    gone = weakref.ref(clock)
    gc.collect()

    assert watch() is None

    del clock
    gc.collect()

    assert gone() is None


class BrokenClock(ManualClock):
    """A clock whose `wait` raises while `broken` is set."""

    broken = False

    def wait(self, condition: threading.Condition, deadline_ns: int | None) -> None:
        if self.broken:
            raise OSError("the spring is broken")
        super().wait(condition, deadline_ns)


def test_a_clock_that_raises_ends_the_thread_until_an_alarm_is_set_again(
    monkeypatch: pytest.MonkeyPatch,
):
    """Then all that were set ring. The error is nobody's to catch, so the hook gets it."""
    errors: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.put(str(args.exc_value)))
    clock = BrokenClock()
    first, second = Sleeper(clock), Sleeper(clock)
    clock.broken = True
    first.set(5)

    assert "the spring is broken" == errors.get(timeout=PATIENCE)

    for thread in watchers():
        thread.join(PATIENCE)
    clock.broken = False
    clock.advance(5)

    assert first.rings.empty()

    second.set(6)

    assert 5 == first.rung_at()

    clock.advance(1)

    assert 6 == second.rung_at()
    assert errors.empty()


def test_an_alarm_that_no_thread_can_serve_says_so(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    """When there are threads again, the next set alarm starts one for both."""
    first, second = Sleeper(clock), Sleeper(clock)

    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            first.set(5)
    second.set(6)
    clock.advance(6)

    assert 6 == first.rung_at()
    assert 6 == second.rung_at()


def test_void_deadlines_do_not_pile_up(clock: ManualClock):
    """Setting and cancelling alarms for ever takes no more memory than a few."""
    standing, busy = Sleeper(clock), Sleeper(clock)
    standing.set(10**6)
    watch = Watch.of(clock)
    longest = 0
    for number in range(2000):
        busy.set(1000 + number % 7)
        busy.alarm.cancel()
        longest = max(longest, len(watch._heap))
    standing.alarm.cancel()

    assert longest <= 3
    assert [] == watch._heap


def test_no_ring_is_lost_while_the_thread_comes_and_goes(clock: ManualClock):
    """Several owners set and cancel at once, so that it often has nothing left to do."""

    def set_and_wait() -> int:
        sleeper = Sleeper(clock)
        for number in range(150):
            sleeper.set(0)
            sleeper.rung_at()
            if number % 3 == 0:
                sleeper.set(5)
                sleeper.alarm.cancel()
        return sleeper.rings.qsize()

    assert [0] * 4 == run_threads(*[set_and_wait] * 4, timeout=3 * PATIENCE)

    for thread in watchers():
        thread.join(PATIENCE)

    assert [] == watchers()


def test_no_ring_is_lost_while_time_moves(clock: ManualClock):
    """The alarm is set when the thread looks at the time, begins to wait, or waits."""
    rounds = 200
    gate = threading.Barrier(2)

    def set_and_wait() -> float:
        sleeper = Sleeper(clock)
        for number in range(1, rounds + 1):
            gate.wait(PATIENCE)
            sleeper.set(number)
            sleeper.rung_at()
        return clock.now_ns() / SECOND

    def advance() -> float:
        for _ in range(rounds):
            gate.wait(PATIENCE)
            clock.advance(1)
        return clock.now_ns() / SECOND

    assert [rounds, rounds] == run_threads(set_and_wait, advance, timeout=3 * PATIENCE)


def test_the_thread_ends_with_the_last_ring_although_void_deadlines_are_left(clock: ManualClock):
    """It does not wait for a time at which nobody wants to be rung."""
    sleeper = Sleeper(clock)
    sleeper.set(10)
    sleeper.set(5)
    clock.advance(5)
    _, thread = sleeper.rings.get(timeout=PATIENCE)
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_an_owner_that_goes_while_its_thread_holds_the_lock_is_forgotten_at_once(
    clock: ManualClock,
):
    """Garbage collection may do that to anybody who sets an alarm; nobody waits for anybody."""
    sleeper = Sleeper(clock)
    watch = Watch.of(clock)
    sleeper.set(10)
    [thread] = watchers()

    with watch._lock:
        del sleeper
        gc.collect()

    thread.join(PATIENCE)
    assert [] == watchers()


def test_an_owner_that_goes_while_another_thread_keeps_the_lock_is_rung_in_vain(
    clock: ManualClock,
):
    """Garbage collection does not wait for long: the other thread may be waiting for this one."""
    sleeper = Sleeper(clock)
    watch = Watch.of(clock)
    sleeper.set(10)
    [thread] = watchers()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with watch._lock:
            held.set()
            release.wait(PATIENCE)

    holder = Call(hold)
    assert held.wait(PATIENCE)
    del sleeper
    gc.collect()
    release.set()
    holder.result()
    clock.advance(10)

    thread.join(PATIENCE)
    assert [] == watchers()


def test_an_alarm_that_is_cancelled_under_the_lock_waits_for_no_thread(clock: ManualClock):
    """As a finalizer does that stops a mailbox: the thread can end only when it is done."""
    sleeper = Sleeper(clock)
    sleeper.set(10)
    [thread] = watchers()

    with sleeper.alarm._watch._lock:
        sleeper.alarm.cancel()

        assert thread.is_alive()

    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_at_the_interpreters_end_nobody_is_waited_for(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    """Daemon threads are frozen then, and would never end."""
    sleeper = Sleeper(clock)
    sleeper.set(10)
    [thread] = watchers()
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    monkeypatch.setattr(thread, "join", lambda: pytest.fail("waited for the thread"))

    sleeper.alarm.cancel()

    monkeypatch.undo()
    thread.join(PATIENCE)


def test_a_forked_child_has_watches_of_its_own(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    """Its parent's threads are not there, and its locks may be held by them."""
    monkeypatch.setattr(Watch, "_all", Watch._all)
    monkeypatch.setattr(Watch, "_lock_of_all", Watch._lock_of_all)
    before = Watch.of(clock)
    with Watch._lock_of_all:
        _begin_anew()

    assert before is not Watch.of(clock)


FORKING = """
import os, queue, warnings
from lnmailbox import HTLCPacket, MailBoxConfig, MemoryMailBox
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC

def expire():
    fails = queue.Queue()
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(1, 2, 3),
        fetch_update=lambda short_chan_id: ChannelUpdate(),
        forward_packets=lambda quit, *packets: fails.put(packets),
    )
    mailbox = MemoryMailBox(config)
    mailbox.start()
    mailbox.add_packet(HTLCPacket(htlc=UpdateAddHTLC()))
    return mailbox, fails

parents, _ = expire()
warnings.simplefilter("ignore")
child = os.fork()
if not child:
    mailbox, _ = expire()
    mailbox.stop()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_mailboxes_can_be_made_in_a_forked_child():
    """Beside one of the parent's on the same clock, which is dead there."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        check=False,
        capture_output=True,
        timeout=PATIENCE,
        text=True,
    )

    assert ("7", "") == (done.stdout.strip(), done.stderr)
