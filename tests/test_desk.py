"""Failing Adds back, whatever goes wrong: none is lost, failed twice, or forgotten."""

from __future__ import annotations

import gc
import logging
import queue
import sys
import threading
import weakref
from contextlib import ExitStack, suppress
from itertools import count
from unittest.mock import Mock

import pytest

from lnmailbox import MailBoxConfig, ManualClock, MemoryMailBox
from lnmailbox.failing import workers
from lnmailbox.failing.alarms import Alarm, Watch
from lnmailbox.failing.courier import MAX_COURIERS, Couriers
from lnmailbox.keeping.shelf import Shelf
from lnmailbox.testing import PATIENCE, Call, Gate, Switch, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, add, drain, key, numbers
from lnmailbox.testing.switch import raiser

LONGEST = 64 * EXPIRY  # between two attempts to fail an Add

NO_THREAD = [RuntimeError("can't start new thread"), MemoryError()]


class Node:
    """Mailboxes with one clock and one switch."""

    def __init__(self):
        self.clock = ManualClock()
        self.switch = Switch()

    def new_box(self, **options):
        defaults = {
            "short_chan_id": CHANNEL,
            "fetch_update": self.switch.fetch_update,
            "forward_packets": self.switch.forward_packets,
            "clock": self.clock,
            "expiry": EXPIRY,
        }
        box = MemoryMailBox(MailBoxConfig(**{**defaults, **options}))
        box.start()
        return box

    def advance(self, seconds=EXPIRY):
        self.clock.advance(seconds)
        wait_until_quiet(self.clock)

    def fails(self):
        return sorted(self.switch.fails_so_far())


@pytest.fixture
def node(monkeypatch):
    monkeypatch.setattr(workers, "_PAUSE", 0)
    return Node()


@pytest.fixture
def box(node):
    with node.new_box() as box:
        yield box


class Encrypter:
    """An obfuscator that fails some times."""

    def __init__(self, failures=1):
        self.failures = failures
        self.attempts = 0

    def encrypt_first_hop(self, failure):
        self.attempts += 1
        if self.attempts <= self.failures:
            raise ValueError("no key")
        return b""


class Fault:
    """Raises an error once, at the n-th moment: in a call of this room, or after one to C."""

    def __init__(self, number, error):
        self._left = count(number, -1)
        self._error = error
        self.place = None

    def __call__(self, frame, event, _):
        code, module = frame.f_code, frame.f_globals["__name__"]
        if (
            event in ("call", "c_return")
            and module.startswith(("lnmailbox.failing.", "lnmailbox.keeping."))
            and module != "lnmailbox.failing.complaints"
            and code.co_name not in ("run", "persist")
            and next(self._left) == 1
        ):
            self.place = f"{event} in {code.co_filename}:{frame.f_lineno}"
            raise self._error


class TestFaults:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    def test_an_error_at_any_moment_of_fail_add_loses_nothing(self, node, error, caplog):
        """The Add is in the mailbox, or gone, failed once and counted."""
        caplog.set_level(logging.CRITICAL, "lnmailbox")
        for number in count(1):
            node.switch = Switch()
            box, fault = node.new_box(), Fault(number, error)
            packets = [add(1), add(2, obfuscator=Encrypter())]
            box.add_packets(packets)
            sys.setprofile(fault)
            try:
                for packet in packets:
                    box.fail_add(packet)
            except error:
                pass
            finally:
                sys.setprofile(None)

            here = numbers(drain(box.packet_outbox))
            fails = node.fails()
            assert [1, 2] == sorted(here + fails), fault.place
            assert len(fails) == box.statistics().adds_failed, fault.place
            assert not box._desk._attempts or fault.place
            box.reset_packets()
            for _ in range(3):
                node.advance(LONGEST)
            assert sorted(here) == node.fails(), fault.place
            box._adds._check()
            box.stop()
            if fault.place is None:
                break
        assert number > 20

    def test_an_error_at_any_moment_of_a_carrying_thread_loses_nothing(self, node, caplog):
        """Be it the watch or a courier: each Add is failed once, if need be after the next Add."""
        caplog.set_level(logging.CRITICAL, "lnmailbox")
        for number in count(1):
            node.switch = Switch()
            box, fault = node.new_box(), Fault(number, [MemoryError, SystemExit][number % 2])
            threading.setprofile(fault)
            try:
                box.add_packets([add(1), add(2, obfuscator=Encrypter()), add(3)])
                node.advance()
            finally:
                threading.setprofile(None)
            for _ in range(2):
                node.advance(LONGEST)
            box.add_packet(add(4))
            for _ in range(2):
                node.advance(LONGEST)

            assert [1, 2, 3, 4] == node.fails(), fault.place
            assert 4 == box.statistics().adds_failed, fault.place
            assert {} == box._desk._attempts, fault.place
            box._adds._check()
            Call(box.stop).result()
            if fault.place is None:
                break
        assert number > 20

    @pytest.mark.parametrize("alarm_can_be_set", [True, False])
    def test_a_claim_that_can_not_be_given_up_is_given_up_later(
        self, node, box, monkeypatch, alarm_can_be_set
    ):
        """A second later by the alarm. If that can't be set either, the next Add sets it."""
        box.add_packet(add(1, obfuscator=Encrypter()))
        with monkeypatch.context() as patch:
            patch.setattr(Shelf, "give_up", Mock(side_effect=MemoryError))
            if not alarm_can_be_set:
                patch.setattr(Alarm, "set", Mock(side_effect=MemoryError))
            with pytest.raises(MemoryError):
                box.fail_add(add(1))

        assert [] == drain(box.packet_outbox)
        if alarm_can_be_set:
            node.advance(1)
            assert [1] == numbers(drain(box.packet_outbox))
        else:
            box.add_packet(add(2))
            node.advance()
            assert [1, 2] == node.fails()

    def test_an_expired_add_whose_claim_can_not_be_given_up_is_tried_again(
        self, node, box, monkeypatch
    ):
        """The courier does not rest before somebody will look after it."""
        give_up = Shelf.give_up
        faults = iter([MemoryError] * 4)

        def give_up_later(*arguments):
            for error in faults:
                raise error
            return give_up(*arguments)

        monkeypatch.setattr(Shelf, "give_up", give_up_later)
        box.add_packet(add(1, obfuscator=Encrypter()))
        node.advance()
        for _ in range(3):
            node.advance(1)

        node.advance(LONGEST)

        assert [1] == node.fails()

    def test_a_courier_stays_until_what_it_leaves_is_watched(self, node, box, monkeypatch):
        """The watch's thread may have ended, and another one may not be had at once."""
        set_alarm, refusals = Alarm.set, iter([False] * 4)

        def set_at_last(alarm, deadline):
            return next(refusals, True) and set_alarm(alarm, deadline)

        box.add_packet(add(1, obfuscator=Encrypter()))
        monkeypatch.setattr(Alarm, "set", set_at_last)
        node.advance()
        for _ in range(2):
            node.advance(LONGEST)

        assert [1] == node.fails()


class TestOverdue:
    """An Add that is overdue always has somebody who will try again."""

    @pytest.mark.parametrize("error", NO_THREAD)
    @pytest.mark.parametrize("chance", ["add", "reset", "nack", "receive", "other"])
    def test_who_comes_next_gets_the_watch_its_thread(self, node, box, monkeypatch, error, chance):
        """If none could be had in time: `add_packet` does not raise for want of it."""
        with node.new_box() as other:
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", Mock(side_effect=error))
                box.add_packets([add(1), add(2)])
                if chance == "nack":
                    box.packet_outbox.get()
                node.clock.advance(EXPIRY)

            {
                "add": lambda: box.add_packet(add(4)),
                "reset": box.reset_packets,
                "nack": lambda: box.nack_packet(key(1)),
                "receive": lambda: drain(box.packet_outbox),
                "other": lambda: other.add_packet(add(4)),
            }[chance]()

            wait_until_quiet(node.clock)
            assert [1, 2] == node.fails()

    @pytest.mark.parametrize("error", NO_THREAD)
    def test_the_alarm_tries_to_get_a_courier_each_second(self, node, box, monkeypatch, error):
        """Though the watch has a thread, there may be none for a courier."""
        box.add_packet(add(1))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", Mock(side_effect=error))
            node.advance()
            node.advance(1)
            assert [] == node.fails()
            assert 1 == box.statistics().adds_overdue

        node.advance(1)

        assert [1] == node.fails()

    def test_an_alarm_that_rings_for_what_was_acked_is_set_for_what_comes_next(self, node, box):
        """No courier is sent who would look after it."""
        box.add_packet(add(1))
        node.advance(EXPIRY / 2)
        box.add_packet(add(2))
        box.ack_packet(key(1))

        node.advance(EXPIRY / 2)
        assert [] == node.fails()
        node.advance(EXPIRY / 2)
        assert [2] == node.fails()

    @pytest.mark.parametrize("kind, method", [(Shelf, "expire"), (Couriers, "send")])
    def test_the_alarm_rings_again_if_its_owner_fails(self, node, box, monkeypatch, kind, method):
        """A second later."""
        box.add_packet(add(1))
        with monkeypatch.context() as patch:
            patch.setattr(kind, method, Mock(side_effect=MemoryError))
            node.advance()
            node.advance(1)
            assert [] == node.fails()

        node.advance(1)

        assert [1] == node.fails()

    def test_a_courier_that_fails_comes_again(self, node, box, monkeypatch):
        """A second later."""
        box.add_packet(add(1))
        with monkeypatch.context() as patch:
            patch.setattr(Shelf, "claim_overdue", Mock(side_effect=MemoryError))
            node.advance()
            assert [] == node.fails()

        node.advance(1)

        assert [1] == node.fails()


class TestTooLate:
    def test_an_add_that_is_acked_as_soon_as_it_is_claimed_is_not_failed(
        self, node, box, monkeypatch
    ):
        """No callback is called for it."""
        claim = Shelf.claim

        def claim_and_ack(shelf, *arguments):
            return claim(shelf, *arguments) and shelf.ack(key(1))

        monkeypatch.setattr(Shelf, "claim", claim_and_ack)
        box.add_packet(add(1))

        assert False is box.fail_add(add(1))
        assert [] == node.switch.updates_fetched

    def test_an_alarm_that_rings_after_the_stop_does_nothing(self, node, box):
        """A receiver that is interrupted then may still set it."""
        box.add_packet(add(1))
        box.stop()
        node.clock.advance(EXPIRY)
        box._desk.alarm.ring_soon()
        node.advance()

        assert [] == node.fails()
        assert 1 == box.statistics().adds_unacked

    def test_quit_is_set_for_a_fail_after_the_stop(self, node, box):
        """`forward_packets` must not wait then, though no callback had `quit` before."""
        box.add_packet(add(1))
        box.stop()

        assert True is box.fail_add(add(1))
        assert node.switch.quit.is_set()
        assert node.switch.quit.wait(0)

    def test_a_callback_that_waits_for_quit_is_woken_by_the_stop(self, node, box):
        """Though it waits with no time limit."""
        answers = []
        node.switch.when["forward_packets"] = lambda: answers.append(node.switch.quit.wait())
        box.add_packet(add(1))
        failing = blocked(box.fail_add, add(1))
        box.stop()

        assert failing.result()
        assert [True] == answers

    def test_a_callback_that_has_waited_for_quit_leaves_nothing(self, node, box):
        box.add_packet(add(1))
        box.fail_add(add(1))
        quit_signal = node.switch.quit

        assert not quit_signal.wait(0.001)
        assert not quit_signal.wait(-1)
        assert [] == quit_signal._bells

    def test_a_mailbox_that_is_dropped_leaves_nothing(self, node):
        """Not even for the garbage collector: no packets, no thread."""
        box, packet = node.new_box(), add(1)
        box.add_packet(packet)
        watch = Watch.of(node.clock)
        thread = watch._thread
        gone = [weakref.ref(what) for what in (box, packet, box._desk, box._desk.alarm)]
        gc.collect()
        gc.disable()
        try:
            del box, packet
            thread.join(PATIENCE)

            assert [None] * 4 == [reference() for reference in gone]
            assert not thread.is_alive()
            assert [] == watch._heap
        finally:
            gc.enable()


class TestLogs:
    @pytest.fixture
    def log_filter(self, caplog):
        """What the loggers ask, also whether to tell what is no error."""
        caplog.set_level(logging.DEBUG, "lnmailbox")
        log_filter = Mock()
        loggers = [logging.getLogger(f"lnmailbox.failing.{name}") for name in ("desk", "courier")]
        for logger in loggers:
            logger.addFilter(log_filter)
        yield log_filter.filter
        for logger in loggers:
            logger.removeFilter(log_filter)

    @pytest.mark.parametrize("expired", [True, False])
    def test_a_log_that_raises_costs_nothing(self, node, box, log_filter, expired):
        """A program's own filter or handler may do that, at every level."""
        log_filter.side_effect = RuntimeError("no log today")
        node.switch.when["fetch_update"] = raiser(LookupError("unknown"), times=1)
        node.switch.when["forward_packets"] = raiser(ValueError("switch is full"), times=1)
        box.add_packets([add(1), add(2, obfuscator=Encrypter()), add(3)])

        if expired:
            node.advance()
            node.advance(LONGEST)
        else:
            tries = [box.fail_add(add(number)) for number in (1, 2, 2, 3)]
            assert [True, False, True, True] == tries

        assert log_filter.called
        assert [2, 3] == node.fails()
        assert (3, 1) == (box.statistics().adds_failed, box.statistics().forward_errors)

    @pytest.mark.parametrize("error", [RuntimeError("no log today"), KeyboardInterrupt()])
    def test_a_claim_belongs_to_who_made_it(self, node, box, log_filter, error):
        """While one attempt is being logged, another one is made: the first can't undo it."""
        gate, calls = Gate(), []

        def call_and_raise(record):
            node.switch.when["encrypt_first_hop"] = gate.pass_through
            calls.append(Call(box.fail_add, add(1)))
            gate.wait_until_reached()
            raise error

        log_filter.side_effect = call_and_raise
        node.switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))
        box.add_packet(add(1, obfuscator=node.switch))

        with suppress(KeyboardInterrupt):
            assert False is box.fail_add(add(1))

        assert [] == drain(box.packet_outbox)
        gate.open()
        assert [True] == [call.result() for call in calls]
        assert [1] == node.fails()


class TestBadChannels:
    def test_what_can_not_be_failed_is_tried_ever_more_seldom(self, node, caplog):
        """2,000 Adds for two minutes: eight attempts each, one traceback, four counts."""
        encrypter = Encrypter(failures=10**9)
        with node.new_box(expiry=0.5) as box:
            box.add_packets(add(number, obfuscator=encrypter) for number in range(2000))
            attempts = {}
            for second in range(1, 130):
                node.advance(1)
                attempts[second] = encrypter.attempts - sum(attempts.values())

            assert dict.fromkeys([1, 2, 4, 8, 16, 32, 64, 128], 2000) == {
                second: number for second, number in attempts.items() if number
            }
            texts = [record.getMessage()[-23:] for record in caplog.records]
            counts = [f"({10**n} times so far)" for n in (1, 2, 3, 4)]
            assert counts == [text.lstrip("mailbox ") for text in texts[1:]]
            assert 1 == sum(record.exc_info is not None for record in caplog.records)

            encrypter.failures = 0
            node.advance(64)
            assert list(range(2000)) == node.fails()

            box.add_packet(add(2000, obfuscator=Encrypter()))
            node.advance(1)
            node.advance(1)
            assert [2000] == node.fails()  # the delay is the first one again

    def test_2000_mailboxes_and_a_switch_that_blocks(self, node):
        """No more threads than there are couriers, and the watch. Let through, all are carried."""
        gate = Gate()
        node.switch.when["forward_packets"] = gate.pass_through
        before = threading.active_count()
        with ExitStack() as stack:
            for number in range(2000):
                stack.enter_context(node.new_box()).add_packet(add(number))
            node.clock.advance(EXPIRY)
            pool = Watch.of(node.clock).couriers
            while len(pool._waiting) + len(pool._serving) < 2000:
                gate.wait_until_reached()

            assert MAX_COURIERS == len(pool._serving)
            assert threading.active_count() - before <= MAX_COURIERS + 1

            gate.open()
            wait_until_quiet(node.clock)
            assert list(range(2000)) == node.fails()

    @pytest.mark.parametrize("by_hand", [True, False])
    @pytest.mark.parametrize("clocks", [1, 2])
    @pytest.mark.parametrize("number", [2, 3])
    def test_callbacks_may_stop_mailboxes_in_a_ring(self, node, number, clocks, by_hand):
        """Each stops the next one; of one clock or of two, by couriers or by `fail_add`."""
        meeting = threading.Barrier(number, timeout=PATIENCE)
        ended = queue.Queue()

        def stop_next(_, packet):
            meeting.wait()
            boxes[(packet.incoming_htlc_id + 1) % number].stop()
            ended.put(packet.incoming_htlc_id)

        times = [ManualClock() for _ in range(clocks)]
        boxes = [
            node.new_box(clock=times[n % clocks], forward_packets=stop_next) for n in range(number)
        ]
        for n, box in enumerate(boxes):
            box.add_packet(add(n))
        calls = [Call(boxes[0].fail_add, add(0))] if by_hand else []
        for clock in times:
            clock.advance(EXPIRY)

        assert set(range(number)) == {ended.get(timeout=PATIENCE) for _ in boxes}
        assert [True] * len(calls) == [call.result() for call in calls]
        for box in boxes:
            Call(box.stop).result()
