"""Clocks that jump by a year, go back, or stand still, under a mailbox with mail in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import permutations

import pytest

from lnmailbox import MailBoxConfig, ManualClock, MemoryMailBox, WallClock
from lnmailbox.failing.alarms import Watch
from lnmailbox.testing import Switch, wait_until_quiet
from lnmailbox.testing.conformance.base import (
    CHANNEL,
    EXPIRY,
    add,
    drain,
    key,
    message,
    numbers,
    settle,
)
from receivers import wait_until

YEAR = 365 * 86_400.0


class LooseClock(ManualClock):
    """A manual clock that can be set to any time."""

    def jump(self, seconds: float) -> None:
        with self._lock:
            self._now_ns += round(seconds * 10**9)
        self.advance(0)


class World:
    """Adds at the link, waiting, and stuck; a reply and a message."""

    def __init__(self, clock: LooseClock | None = None) -> None:
        self.clock = clock or LooseClock(start=10 * YEAR)
        self.switch = Switch()
        self.box = MemoryMailBox(
            MailBoxConfig(
                short_chan_id=CHANNEL,
                fetch_update=self.switch.fetch_update,
                forward_packets=self.switch.forward_packets,
                clock=self.clock,
                expiry=EXPIRY,
            )
        )
        self.box.start()
        self.box.add_message(message(1))
        self.box.add_packet(add(2))
        assert [2] == numbers(drain(self.box.packet_outbox))
        self.box.add_packets([settle(1), add(4), add(6)])

    def jump(self, seconds: float) -> list[int]:
        """Let the clock jump; return what has been failed since."""
        self.clock.jump(seconds)
        return self.fails()

    def fails(self) -> list[int]:
        wait_until_quiet(self.clock)
        self.check()
        return self.switch.fails_so_far()

    def check(self) -> None:
        for shelf in (self.box._adds, self.box._replies):
            shelf._check()
        statistics = self.box.statistics()
        assert 0 <= statistics.oldest_add_age
        assert 0 <= statistics.oldest_reply_age
        assert self.box.describe()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.box.stop()


def test_after_a_year_everything_that_waits_has_expired_once(world):
    """In order. What the link has, and what is no Add, is there."""
    assert [4, 6] == world.jump(YEAR)
    assert [] == world.jump(YEAR)
    assert [1] == numbers(drain(world.box.packet_outbox))
    assert [message(1)] == drain(world.box.message_outbox)

    world.box.add_packet(add(8))
    assert [8] == numbers(drain(world.box.packet_outbox))
    world.box.reset_packets()
    assert [2] == world.fails()
    assert [1, 8] == numbers(drain(world.box.packet_outbox))


def test_a_clock_that_goes_back_by_a_year_gives_what_waits_a_year_more(world):
    """What comes later has its own minute, and is failed at its own time."""
    assert [] == world.jump(-YEAR)
    world.box.add_packet(add(8))

    assert [] == world.jump(EXPIRY - 1)
    assert [8] == world.jump(1)
    assert [] == world.jump(YEAR - EXPIRY - 1)
    assert [4, 6] == world.jump(EXPIRY + 1)
    assert 3 == world.box.statistics().adds_expired


def test_what_is_overdue_when_the_clock_goes_back_is_failed_all_the_same(world):
    """It could not be encrypted. The clock that measures its retry has gone back, too."""
    failures = iter([ValueError("no key")])

    def fail_once() -> None:
        for error in failures:
            raise error

    world.switch.when["encrypt_first_hop"] = fail_once
    world.box.add_packet(add(8, obfuscator=world.switch))
    assert [4, 6] == world.jump(EXPIRY)
    assert 1 == world.box.statistics().adds_overdue

    assert [] == world.jump(-YEAR)
    world.box.reset_packets()

    assert [1, 2, 8] == numbers(drain(world.box.packet_outbox))
    world.box.nack_packet(key(8))
    assert [8] == world.jump(YEAR + EXPIRY)


@pytest.mark.parametrize("jumps", list(permutations([YEAR, -YEAR, 0.0])))
def test_whatever_the_clock_does_each_add_is_delivered_or_failed_once(jumps):
    world = World()
    failed = []
    for number, jump in enumerate(jumps):
        world.box.add_packet(add(10 + 2 * number))
        failed += world.jump(jump)
    delivered = numbers(drain(world.box.packet_outbox))
    world.box.reset_packets()
    later = world.jump(2 * YEAR)
    world.box.stop()

    assert [1, 4, 6, 10, 12, 14] == sorted([*failed, *delivered])
    assert [2, 4, 6, 10, 12, 14] == sorted([*failed, *later])
    assert [1] == numbers(world.box.unacked())


def test_by_a_clock_that_stands_still_nothing_expires_and_nobody_looks_at_it_again(world):
    """Adding and delivering go on. The watch's thread sleeps, as there is nothing to come."""
    watch = Watch.of(world.clock)
    wait_until(lambda: world.clock._waiting)
    looks = Counted(world.clock)
    for number in range(10, 500, 2):
        world.box.add_packet(add(number))
    taken = numbers(world.box.packet_outbox.get_batch(1_000))

    assert [1, 4, 6, *range(10, 500, 2)] == taken
    assert [] == world.fails()
    assert watch._thread is not None
    assert 0 == looks.in_threads(watch._thread)


class Counted:
    """Counts the looks at a clock, by thread."""

    def __init__(self, clock: ManualClock) -> None:
        self.seen: list[threading.Thread] = []
        now = clock.now_ns

        def look() -> int:
            self.seen.append(threading.current_thread())
            return now()

        clock.now_ns = look  # type: ignore[method-assign]

    def in_threads(self, thread: threading.Thread) -> int:
        return self.seen.count(thread)


def test_a_wall_clock_that_jumps_a_year_back_and_forth_fails_what_is_due_then():
    """Frozen, and moved by hand: the date is all it knows."""
    freezegun = pytest.importorskip("freezegun")
    switch = Switch()
    with freezegun.freeze_time("2026-01-01") as frozen:
        box = MemoryMailBox(
            MailBoxConfig(
                short_chan_id=CHANNEL,
                fetch_update=switch.fetch_update,
                forward_packets=switch.forward_packets,
                clock=WallClock(),
                expiry=EXPIRY,
            )
        )
        box.start()
        box.add_packet(add(2))
        frozen.move_to("2025-01-01")
        box.add_packet(add(4))
        frozen.move_to("2025-01-01 00:01:00")
        assert 4 == switch.next_fail().incoming_htlc_id
        frozen.move_to("2027-01-01")
        assert 2 == switch.next_fail().incoming_htlc_id
        box.stop()
    assert 0 == box.statistics().adds_unacked
