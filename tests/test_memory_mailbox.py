"""The mailbox in memory, beyond the conformance suite: threads, logs, memory."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import tracemalloc
import weakref
from contextlib import suppress

import pytest

from lnmailbox import MailSelector, ManualClock, MemoryMailBox, WallClock
from lnmailbox.failing.alarms import Watch
from lnmailbox.testing import PATIENCE, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import (
    CHANNEL,
    EXPIRY,
    MailBoxTests,
    add,
    drain,
    key,
    message,
    settle,
)
from lnmailbox.testing.switch import raiser


class MemoryTests(MailBoxTests):
    def make_mailbox(self, config):
        return MemoryMailBox(config)


class TestThreads(MemoryTests):
    @pytest.fixture
    def threads_now(self):
        """The names of the threads that were not there before the test."""
        before = set(threading.enumerate())
        return lambda: sorted(thread.name for thread in set(threading.enumerate()) - before)

    def test_an_idle_mailbox_owns_no_thread(self, box, threads_now):
        """Not even with mail, or with a receiver that waits in its own thread."""
        box.add_message(message(1))
        box.add_packet(settle(1))

        assert [] == threads_now()

        drain(box.packet_outbox)
        call = blocked(box.packet_outbox.get)

        assert 1 == len(threads_now())

        box.add_packet(settle(2))
        call.result()

    def test_a_hundred_waiting_mailboxes_share_one_thread(self, new_box, threads_now):
        """It watches their clock; and it ends with the last of them."""
        boxes = [new_box() for _ in range(100)]
        for number, box in enumerate(boxes):
            box.start()
            box.add_packet(add(number))

        assert ["lnmailbox-courier-watch-ManualClock"] == threads_now()

        for box in boxes:
            box.stop()

        assert [] == threads_now()

    def test_mailboxes_whose_clocks_are_equal_share_a_thread(self, new_box, threads_now):
        """Every `WallClock()` is the same time; manual clocks are not."""
        clocks = [WallClock(), WallClock(), ManualClock(), ManualClock()]
        boxes = [new_box(clock=clock) for clock in clocks]
        for box in boxes:
            box.start()
            box.add_packet(add(1))

        kinds = ["ManualClock", "ManualClock", "WallClock"]
        assert [f"lnmailbox-courier-watch-{kind}" for kind in kinds] == threads_now()

    def test_a_courier_lives_for_its_errands_only(self, box, switch, clock):
        """It is named after the channel, carries all that is overdue, and ends."""
        couriers = []
        switch.when["forward_packets"] = lambda: couriers.append(threading.current_thread())
        box.add_packets([add(1), add(2)])

        clock.advance(EXPIRY)

        assert [1, 2] == switch.next_fails(2)
        assert couriers[0] is couriers[1]
        assert "lnmailbox-courier-539268x845x1" == couriers[0].name
        couriers[0].join(PATIENCE)
        assert not couriers[0].is_alive()

        box.add_packet(add(3))
        clock.advance(EXPIRY)

        assert [3] == switch.next_fails(1)
        assert couriers[2] is not couriers[0]


class TestLogging(MemoryTests):
    def test_an_expiry_is_told_with_the_keystone(self, box, switch, clock, caplog):
        """At DEBUG: it is no error that a link is away."""
        caplog.set_level(logging.DEBUG, logger="lnmailbox")
        box.add_packet(add(1, outgoing_chan_id=CHANNEL, outgoing_htlc_id=5))
        box.add_packet(add(2))
        box.fail_add(add(2))

        clock.advance(EXPIRY)

        assert [2, 1] == switch.next_fails(2)
        keystone = "(Chan ID=701000x12x3, HTLC ID=1) --> (Chan ID=539268x845x1, HTLC ID=5)"
        told = ("lnmailbox.failing.desk", logging.DEBUG, f"Add {keystone} expired")
        assert [told] == caplog.record_tuples

    @pytest.mark.parametrize(
        "callback, text",
        [
            ("encrypt_first_hop", "Add {} can't be failed and stays in the mailbox"),
            ("forward_packets", "the switch did not accept the failure of Add {}"),
        ],
    )
    @pytest.mark.parametrize("error", [ValueError("no key"), KeyboardInterrupt("no key")])
    def test_an_error_in_a_callback_is_told_with_its_traceback(
        self, box, switch, caplog, callback, text, error
    ):
        """At ERROR, with the Add's key; also if the caller gets it."""
        switch.when[callback] = raiser(error)
        box.add_packet(add(1, obfuscator=switch))

        with suppress(KeyboardInterrupt):
            assert (callback == "forward_packets") is box.fail_add(add(1))

        [record] = caplog.records
        assert "lnmailbox.failing.desk" == record.name
        assert logging.ERROR == record.levelno
        assert text.format(key(1)) == record.getMessage()
        assert error is record.exc_info[1]
        assert "raise_it" in caplog.text

    def test_a_program_that_configures_no_logging_sees_errors_and_warnings(self):
        """On stderr, by Python's last resort: a switch that refuses a fail must be heard of."""
        script = """
from lnmailbox import MailBoxConfig, MemoryMailBox
from lnmailbox.testing.conformance.base import CHANNEL, add
config = MailBoxConfig(
    short_chan_id=CHANNEL, fetch_update=lambda _: 7, forward_packets=lambda quit, packet: 1 / 0
)
with MemoryMailBox(config) as box:
    box.add_packet(add(1))
    box.fail_add(add(1))
"""
        command = [sys.executable, "-W", "error", "-c", script]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stderr

        assert "can't encode a failure with 7, and take a smaller one" in printed
        assert f"the switch did not accept the failure of Add {key(1)}" in printed
        assert "ZeroDivisionError" in printed


class TestMemory(MemoryTests):
    @pytest.mark.parametrize("kind", [settle, add])
    def test_memory_is_bounded_by_the_unacked_packets(self, box, kind):
        """30,000 packets that nobody received leave less than one byte each."""

        def add_and_ack(count):
            for number in range(count):
                box.add_packet(kind(number))
                box.ack_packet(key(number))

        add_and_ack(1000)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            add_and_ack(30_000)
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

        assert after - before < 30_000

    def test_acked_packets_behind_an_unacked_one_leave_nothing(self, box):
        """Empty slots do not pile up."""
        box.add_packets([settle(1), add(1)])
        for number in range(2, 10_000):
            box.add_packets([settle(number), add(number)])
            assert 2 == box.ack_packets([key(number)] * 2)

        for shelf in (box._replies, box._adds):
            assert 1 == len(shelf.unacked)
            assert len(shelf._round.waiting) < 10
            shelf._check()

    def test_failed_and_expired_adds_leave_nothing(self, box, switch, clock):
        box.add_packets(map(add, range(1000)))
        for number in range(500):
            box.fail_add(add(number))
        clock.advance(EXPIRY)
        switch.next_fails(1000)

        assert {} == box._adds.unacked
        assert len(box._adds._round.waiting) < 10
        box._adds._check()

    def test_mailboxes_that_are_dropped_without_stop_leave_nothing(
        self, new_box, switch, clock, monkeypatch
    ):
        """Some of them while a courier is in a callback, with listeners and with mail."""
        monkeypatch.setattr(Watch, "_PATIENCE", PATIENCE)  # the machine may be busy
        before = set(threading.enumerate())
        gate = Gate()
        switch.when["forward_packets"] = gate.pass_through
        gone = []
        boxes = [new_box() for _ in range(100)]
        for number, box in enumerate(boxes):
            box.start()
            box.add_message(message(number))
            box.add_packets([settle(1), add(2)])
            MailSelector().register(box.packet_outbox)
            gone += [weakref.ref(box), weakref.ref(box.packet_outbox), weakref.ref(box._desk)]
        clock.advance(EXPIRY)
        gate.wait_until_reached()
        for box in boxes:
            box.add_packet(add(4))

        del box, boxes
        gate.open()
        wait_until_quiet(clock)
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)
        gc.collect()

        assert [None] * 300 == [reference() for reference in gone]
        assert before >= set(threading.enumerate())
        assert [] == Watch.of(clock)._heap
