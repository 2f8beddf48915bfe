"""The three clocks, and what mailboxes make of them."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from freezegun import freeze_time

from lnmailbox import (
    Clock,
    HTLCPacket,
    MailBoxConfig,
    ManualClock,
    MemoryMailBox,
    SystemClock,
    WallClock,
)
from lnmailbox.clock import seconds_to_ns
from lnmailbox.contract import Quit
from lnmailbox.testing.threads import PATIENCE, Call, blocked, run_threads
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC

SECOND = 1_000_000_000

NOT_A_SPAN = [-1, -0.5, float("nan"), float("inf"), float("-inf"), 1e300, "1", True, None, [1]]


class RecordingCondition(threading.Condition):
    """A condition that waits for nothing, and records how long it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


def waits(clock: Clock, deadline_ns: int | None) -> list[float | None]:
    """Return the timeouts with which the clock waits for a deadline."""
    condition = RecordingCondition()
    with condition:
        clock.wait(condition, deadline_ns)
    return condition.waits


def wait_until(clock: Clock, deadline_ns: int | None, condition: threading.Condition) -> int:
    """Wait as a watch does, and return the time at the end."""
    with condition:
        while deadline_ns is None or clock.now_ns() < deadline_ns:
            clock.wait(condition, deadline_ns)
            if deadline_ns is None:
                break
    return clock.now_ns()


class Switch:
    """A mailbox on a clock, and a queue for what it fails back."""

    def __init__(self, clock: Clock, expiry: float = 60.0) -> None:
        self.failed: queue.Queue[HTLCPacket] = queue.Queue()
        self.box = MemoryMailBox(
            MailBoxConfig(
                short_chan_id=ShortChannelID(1, 2, 3),
                fetch_update=self.fetch_update,
                forward_packets=self.forward_packets,
                clock=clock,
                expiry=expiry,
            )
        )

    def fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        raise LookupError(short_chan_id)

    def forward_packets(self, quit: Quit, /, *packets: HTLCPacket) -> None:  # noqa: A002
        for packet in packets:
            self.failed.put(packet)

    def add(self, htlc_id: int) -> None:
        self.box.add_packet(HTLCPacket(incoming_htlc_id=htlc_id, htlc=UpdateAddHTLC()))

    def next_failed(self) -> int:
        return self.failed.get(timeout=PATIENCE).incoming_htlc_id


@pytest.fixture
def switch_on() -> Iterator[Callable[..., Switch]]:
    """A function that makes a switch with a running mailbox, which is stopped at the end."""
    boxes = []

    def make(clock: Clock, **config: Any) -> Switch:
        switch = Switch(clock, **config)
        boxes.append(switch.box)
        switch.box.start()
        return switch

    yield make

    for box in boxes:
        box.stop()


def moves(clock: Clock) -> bool:
    """Tell whether the clock goes on by itself while this thread is busy."""
    before = clock.now_ns()
    return any(clock.now_ns() > before for _ in range(1_000_000))


# Spans


@pytest.mark.parametrize(
    "seconds, nanoseconds",
    [
        (0, 0),
        (60.0, 60 * SECOND),
        (0.1, 100_000_000),
        (1e-9, 1),
        (4e-10, 0),
        (2**62, 2**62 * SECOND),
    ],
)
def test_a_span_in_seconds_becomes_whole_nanoseconds(seconds: float, nanoseconds: int):
    """Rounded to the nearest one."""
    assert nanoseconds == seconds_to_ns("span", seconds)
    assert int is type(seconds_to_ns("span", seconds))


@pytest.mark.parametrize("bad", NOT_A_SPAN)
def test_what_is_no_span_is_named_in_the_error(bad: Any):
    """With the name of the argument and the value that was given."""
    with pytest.raises(ValueError) as caught:
        seconds_to_ns("expiry", bad)

    assert f"expiry must be a finite number of seconds >= 0, got {bad!r}" == str(caught.value)


# The system's clock


def test_the_system_clock_never_goes_back():
    """It counts whole nanoseconds, and moves by itself."""
    clock = SystemClock()
    times = [clock.now_ns() for _ in range(1000)]

    assert sorted(times) == times
    assert {int} == {type(now) for now in times}
    assert moves(clock)


def test_the_clocks_without_a_state_are_equal():
    """So mailboxes that were given two of them share a thread all the same."""
    assert SystemClock() == SystemClock()
    assert WallClock() == WallClock()
    assert 2 == len({SystemClock(), SystemClock(), WallClock(), WallClock()})


def test_a_manual_clock_equals_itself_only():
    """Two of them move apart."""
    clock = ManualClock()

    assert clock == clock
    assert clock != ManualClock()


def test_the_system_clock_waits_for_the_rest_of_the_time():
    """Without a deadline until it is notified, and for one that has passed not at all."""
    clock = SystemClock()
    now = clock.now_ns()

    assert [None] == waits(clock, None)
    assert [] == waits(clock, now)
    assert [] == waits(clock, now - SECOND)

    (timeout,) = waits(clock, now + 1000 * SECOND)

    assert timeout is not None
    assert 0 < timeout <= 1000


def test_a_wait_for_centuries_is_cut_to_what_the_platform_can_do():
    """The caller looks at the time again, and waits once more."""
    now = SystemClock().now_ns()

    assert [threading.TIMEOUT_MAX] == waits(SystemClock(), now + 10**30)


def test_a_wait_on_the_system_clock_ends_by_itself():
    """And another one when it is notified."""
    clock = SystemClock()
    deadline = clock.now_ns() + SECOND // 100
    condition = threading.Condition()

    assert Call(wait_until, clock, deadline, threading.Condition()).result() >= deadline

    call = blocked(wait_until, clock, None, condition)
    with condition:
        condition.notify()

    assert call.result() >= deadline


def test_freezing_the_time_does_not_stop_the_system_clock():
    """Nor does moving the frozen time move it."""
    clock = SystemClock()
    before = clock.now_ns()
    with freeze_time("2024-01-01") as frozen:
        assert moves(clock)
        frozen.tick(10 * 365 * 86400)
        assert moves(clock)
        after = clock.now_ns()

    assert before < after < before + 365 * 86400 * SECOND


def test_frozen_threads_agree_on_the_system_clock():
    """Near `Thread.run`, where freezegun shows the real time, and far from it."""
    clock = SystemClock()

    def deep(depth: int) -> int:
        return clock.now_ns() if depth == 0 else deep(depth - 1)

    with freeze_time("2024-01-01"):
        for depth in range(12):
            times = [deep(depth)]
            near: list[int] = []
            # The thread's target is the clock itself: there is no frame between them.
            thread = threading.Thread(target=lambda near=near: near.append(clock.now_ns()))
            thread.start()
            thread.join(PATIENCE)
            times += near
            times.append(Call(deep, depth).result())
            times.append(Call(clock.now_ns).result())
            times.append(deep(depth))

            assert sorted(times) == times
            assert times[-1] > times[0]


def test_receiving_with_a_timeout_ends_in_frozen_time(switch_on: Callable[..., Switch]):
    """In the main thread and in others."""
    with freeze_time("2024-01-01"):
        box = switch_on(SystemClock()).box

        for outbox in (box.packet_outbox, box.message_outbox):
            with pytest.raises(queue.Empty):
                outbox.get(timeout=0.01)
            with pytest.raises(queue.Empty):
                Call(outbox.get, timeout=0.01).result()


def test_adds_expire_in_frozen_time(switch_on: Callable[..., Switch]):
    """On the system clock, that is, whether they were added before the freeze or during it."""
    switch = switch_on(SystemClock(), expiry=0.02)
    switch.add(1)
    with freeze_time("2024-01-01"):
        assert 1 == switch.next_failed()

        switch.add(2)

        assert 2 == switch.next_failed()


def test_moving_the_frozen_time_expires_nothing_on_the_system_clock(
    switch_on: Callable[..., Switch],
):
    """A minute is a minute."""
    with freeze_time("2024-01-01") as frozen:
        switch = switch_on(SystemClock(), expiry=1000)
        switch.add(1)
        frozen.tick(86400)

        assert 1 == switch.box.packet_outbox.get_nowait().incoming_htlc_id


IMPORT_UNDER_FREEZE = """
import queue, threading
from freezegun import freeze_time

def moves(clock):
    before = clock.now_ns()
    return any(clock.now_ns() > before for _ in range(1_000_000))

with freeze_time("2024-01-01"):
    import lnmailbox
    clock = lnmailbox.SystemClock()
    assert moves(clock), "frozen meanwhile"
    box = lnmailbox.MemoryMailBox(
        lnmailbox.MailBoxConfig(
            short_chan_id=lnmailbox.wire.ShortChannelID(),
            fetch_update=print,
            forward_packets=print,
        )
    )
    with box:
        try:
            box.packet_outbox.get(timeout=0.01)
        except queue.Empty:
            pass
assert moves(clock), "frozen afterwards"
with freeze_time("2025-01-01"):
    assert moves(clock), "frozen by the next freeze"
"""


def test_the_system_clock_moves_although_it_was_imported_in_frozen_time():
    """Meanwhile, afterwards, and in the next freeze; receiving with a timeout ends as well."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_UNDER_FREEZE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )

    assert (0, "") == (ended.returncode, ended.stderr)


# The wall clock


def test_the_wall_clock_counts_from_1970():
    """In nanoseconds, of which it knows the microseconds."""
    before = time.time_ns() // 1000 * 1000
    now = WallClock().now_ns()
    after = time.time_ns()

    assert before <= now <= after

    with freeze_time("2024-01-02 03:04:05.678901"):
        assert 1_704_164_645_678_901_000 == WallClock().now_ns()


def test_the_wall_clock_follows_the_frozen_time():
    """It stands still, ticks, jumps forward and back, in all threads at once."""
    clock = WallClock()
    with freeze_time("2024-01-01") as frozen:
        start = clock.now_ns()

        assert start == clock.now_ns() == Call(clock.now_ns).result()

        frozen.tick(1.5)

        assert start + SECOND * 3 // 2 == clock.now_ns() == Call(clock.now_ns).result()

        frozen.move_to("2024-01-02")

        assert start + 86400 * SECOND == clock.now_ns()

        frozen.move_to("2023-12-31")

        assert start - 86400 * SECOND == clock.now_ns() == Call(clock.now_ns).result()

    assert clock.now_ns() > start


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone can't be changed here")
@pytest.mark.parametrize(
    "change", ["2024-03-31 01:00:00", "2024-10-27 01:00:00"], ids=["summer begins", "summer ends"]
)
def test_daylight_saving_time_does_not_concern_the_wall_clock(
    change: str, monkeypatch: pytest.MonkeyPatch
):
    """A minute over the change of the local time is a minute."""
    clock = WallClock()
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        with freeze_time(change) as frozen:
            frozen.tick(-30)
            before = clock.now_ns()
            frozen.tick(60)

            assert before + 60 * SECOND == clock.now_ns()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_wall_clock_looks_at_the_time_again_within_a_tenth_of_a_second():
    """It waits for the rest of the time if that is less, and not at all for the past."""
    clock = WallClock()
    with freeze_time("2024-01-01"):
        now = clock.now_ns()

        assert [None] == waits(clock, None)
        assert [] == waits(clock, now)
        assert [] == waits(clock, now - SECOND)
        assert [0.001] == waits(clock, now + SECOND // 1000)

        for far in (SECOND, 10**30):
            (timeout,) = waits(clock, now + far)

            assert timeout is not None
            assert 0 < timeout <= 0.1


@pytest.mark.parametrize("way", ["tick", "move_to"])
def test_an_add_expires_when_the_wall_clock_jumps(way: str, switch_on: Callable[..., Switch]):
    """Nobody announces the jump, and the thread that waits for the deadline notices it."""
    with freeze_time("2024-01-01 00:00:00") as frozen:
        switch = switch_on(WallClock())
        for htlc_id in range(3):
            switch.add(htlc_id)
            if way == "tick":
                frozen.tick(60)
            else:
                frozen.move_to(f"2024-01-01 00:{htlc_id + 1:02}:00")

            assert htlc_id == switch.next_failed()


def test_an_add_lives_longer_when_the_wall_clock_is_set_back(switch_on: Callable[..., Switch]):
    """It expires when the deadline comes for the second time, and one added later before it."""
    with freeze_time("2024-01-01 12:00:00") as frozen:
        switch = switch_on(WallClock())
        switch.add(1)
        frozen.move_to("2024-01-01 11:00:00")
        switch.add(2)
        frozen.move_to("2024-01-01 11:01:00")

        assert 2 == switch.next_failed()
        assert switch.failed.empty()
        assert 1 == switch.box.statistics().adds_undelivered

        frozen.move_to("2024-01-01 12:01:00")

        assert 1 == switch.next_failed()


def test_what_is_due_by_the_wall_clock_is_not_delivered_before_anybody_noticed(
    switch_on: Callable[..., Switch],
):
    """The receiver looks at the clock itself."""
    with freeze_time("2024-01-01") as frozen:
        switch = switch_on(WallClock())
        switch.add(1)
        frozen.tick(60)

        with pytest.raises(queue.Empty):
            switch.box.packet_outbox.get_nowait()

        assert 1 == switch.next_failed()


# The manual clock


def test_a_manual_clock_moves_when_told_and_by_as_much():
    """Nanoseconds from the start that was given, and no rounding adds up."""
    clock = ManualClock(2.5)

    assert 2_500_000_000 == clock.now_ns() == clock.now_ns()

    for _ in range(10):
        clock.advance(0.1)
    clock.advance(0)
    clock.advance(1)

    assert 4_500_000_000 == clock.now_ns()
    assert 0 == ManualClock().now_ns()


def test_a_manual_clock_shows_its_time():
    """In seconds, as it is told."""
    clock = ManualClock(90)
    clock.advance(0.25)

    assert "<ManualClock at 90.25 s>" == repr(clock)


@pytest.mark.parametrize("bad", NOT_A_SPAN)
def test_a_manual_clock_refuses_what_is_no_span(bad: Any):
    """It names the argument and the value, and the time stays what it was."""
    clock = ManualClock(1)

    with pytest.raises(ValueError) as caught:
        clock.advance(bad)

    assert f"seconds must be a finite number of seconds >= 0, got {bad!r}" == str(caught.value)
    assert SECOND == clock.now_ns()

    with pytest.raises(ValueError) as caught:
        ManualClock(bad)

    assert f"start must be a finite number of seconds >= 0, got {bad!r}" == str(caught.value)


def test_a_manual_clock_does_not_wait_for_what_has_passed():
    """Also when the deadline is this very moment."""
    clock = ManualClock(10)

    assert [] == waits(clock, 10 * SECOND)
    assert [] == waits(clock, 0)
    assert [None] == waits(clock, 10 * SECOND + 1)
    assert [None] == waits(clock, None)


def test_advancing_a_manual_clock_wakes_who_waits():
    """Everybody, on one condition or on several; who waits for a later time waits again."""
    clock = ManualClock()
    shared = threading.Condition()
    soon = [
        blocked(wait_until, clock, 5 * SECOND, condition)
        for condition in (shared, shared, threading.Condition())
    ]
    late = blocked(wait_until, clock, 6 * SECOND, shared)

    clock.advance(5)

    assert [5 * SECOND] * 3 == [call.result() for call in soon]

    late.wait_until_blocked()
    clock.advance(1)

    assert 6 * SECOND == late.result()


def test_who_waits_on_a_manual_clock_can_be_notified():
    """Time does not move for that."""
    clock = ManualClock()
    condition = threading.Condition()
    call = blocked(wait_until, clock, None, condition)

    with condition:
        condition.notify()

    assert 0 == call.result()


def test_a_manual_clock_forgets_who_gave_up_waiting():
    """An interrupted wait leaves nothing behind that is woken for ever."""

    class Interrupted(RecordingCondition):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

        def notify_all(self) -> None:
            self.waits.append(timeout)

    timeout = None
    clock = ManualClock()
    condition = Interrupted()
    with condition, pytest.raises(KeyboardInterrupt):
        clock.wait(condition, SECOND)
    clock.advance(2)

    assert [] == condition.waits


def test_a_manual_clock_loses_no_deadline():
    """Each time one step makes one deadline pass, and whoever waits for it must wake.

    The step comes when the others look at the time, begin to wait, or wait: there is no second
    one that would make up for a lost one.
    """
    rounds, waiters = 300, 4
    clock = ManualClock()
    start = threading.Barrier(waiters + 1)

    def wait() -> int:
        condition = threading.Condition()
        for number in range(rounds):
            start.wait(PATIENCE)
            wait_until(clock, (number + 1) * SECOND, condition)
        return clock.now_ns()

    def advance() -> int:
        for _ in range(rounds):
            start.wait(PATIENCE)
            clock.advance(1)
        return clock.now_ns()

    results = run_threads(*[wait] * waiters, advance, timeout=3 * PATIENCE)

    assert [rounds * SECOND] * (waiters + 1) == results


def test_no_step_of_a_manual_clock_is_lost():
    """Several threads that advance it at once add up, while others wait for each second."""
    steps, advancers = 500, 4
    clock = ManualClock()

    def advance() -> int:
        for _ in range(steps):
            clock.advance(0.25)
        return 0

    def wait() -> int:
        condition = threading.Condition()
        woken = 0
        for second in range(1, steps + 1, 7):
            woken += wait_until(clock, second * SECOND, condition) >= second * SECOND
        return woken

    results = run_threads(*[advance] * advancers, wait, wait, timeout=3 * PATIENCE)

    assert steps * advancers * SECOND // 4 == clock.now_ns()
    assert [len(range(1, steps + 1, 7))] * 2 == results[advancers:]


def test_adds_expire_when_a_manual_clock_reaches_their_deadline(
    switch_on: Callable[..., Switch],
):
    """Not a nanosecond before, and without anybody receiving."""
    clock = ManualClock()
    switch = switch_on(clock, expiry=10)
    switch.add(1)
    clock.advance(9.999999999)
    switch.add(2)

    assert 2 == switch.box.statistics().adds_undelivered

    clock.advance(1e-9)

    assert 1 == switch.next_failed()
    assert 1 == switch.box.statistics().adds_undelivered
    assert switch.failed.empty()
