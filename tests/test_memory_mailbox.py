"""What is particular to the mailbox in memory; what it shares with others is in `conformance`."""

from __future__ import annotations

import logging
import sys
import threading
import tracemalloc
from contextlib import ExitStack, suppress
from itertools import product

import pytest

from conformance.base import CHANNEL, EXPIRY, Switch, add, drain, key, numbers, raiser, settle
from lnmailbox.testing.threads import PATIENCE, blocked
from lnmailbox import MailBoxConfig, ManualClock, MemoryMailBox, WallClock


@pytest.fixture
def clock():
    return ManualClock(start=5_000.0)


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def new_box(clock, switch):
    """Makes started mailboxes, and stops them at the end."""
    with ExitStack() as stack:

        def make(**options):
            defaults = {
                "short_chan_id": CHANNEL,
                "fetch_update": switch.fetch_update,
                "forward_packets": switch.forward_packets,
                "clock": clock,
                "expiry": EXPIRY,
            }
            return stack.enter_context(MemoryMailBox(MailBoxConfig(**{**defaults, **options})))

        yield make


@pytest.fixture
def box(new_box):
    return new_box()


@pytest.fixture
def threads_now():
    """The names of the threads that were not there before the test."""
    before = set(threading.enumerate())
    return lambda: sorted(thread.name for thread in set(threading.enumerate()) - before)


def test_a_mailbox_says_which_channel_it_is_of_and_whether_it_runs(clock, switch):
    box = MemoryMailBox(
        MailBoxConfig(
            short_chan_id=CHANNEL,
            fetch_update=switch.fetch_update,
            forward_packets=switch.forward_packets,
        )
    )

    assert "<MemoryMailBox 539268x845x1, not started>" == repr(box)
    box.start()
    assert "<MemoryMailBox 539268x845x1, running>" == repr(box)
    box.stop()
    assert "<MemoryMailBox 539268x845x1, stopped>" == repr(box)


class TestThreads:
    def test_an_idle_mailbox_owns_no_thread(self, new_box, threads_now):
        """Started, with messages and replies, and with a receiver's thread that waits."""
        box = new_box()
        box.add_message("ping")
        box.add_packet(settle(1))

        assert [] == threads_now()

        drain(box.packet_outbox)
        call = blocked(box.packet_outbox.get)

        assert 1 == len(threads_now())  # the receiver's own

        box.add_packet(settle(2))
        call.result()

    def test_a_hundred_waiting_mailboxes_share_one_thread(self, new_box, threads_now, clock):
        """It watches their clock; and it ends with the last of them."""
        boxes = [new_box() for _ in range(100)]
        for number, box in enumerate(boxes):
            box.add_packet(add(number))

        assert ["lnmailbox-courier-watch-ManualClock"] == threads_now()

        for box in boxes:
            box.stop()

        assert [] == threads_now()

    def test_mailboxes_whose_clocks_are_equal_share_a_thread(self, new_box, threads_now):
        """`WallClock()` is the same time wherever it was made; manual clocks are not."""
        for clock in (WallClock(), WallClock(), ManualClock(), ManualClock()):
            new_box(clock=clock).add_packet(add(1))

        assert [
            "lnmailbox-courier-watch-ManualClock",
            "lnmailbox-courier-watch-ManualClock",
            "lnmailbox-courier-watch-WallClock",
        ] == threads_now()

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

    @pytest.mark.parametrize("together", [True, False])
    def test_an_add_that_nobody_could_watch_is_not_added(self, box, clock, monkeypatch, together):
        """Where no thread can be started, the caller is told; later it works again."""
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)

            with pytest.raises(RuntimeError, match="can't start new thread"):
                box.add_packets([settle(2), add(1)]) if together else box.add_packet(add(1))

            assert [] == drain(box.packet_outbox)
            assert 0 == box.statistics().adds_unacked
            assert 0 == box.statistics().replies_unacked
            box.add_packet(settle(3))  # needs no watch

        box.add_packet(add(1))
        assert [3, 1] == numbers(drain(box.packet_outbox))

    def test_a_courier_that_can_not_be_started_is_tried_again_a_second_later(
        self, box, switch, clock, monkeypatch, caplog
    ):
        """The Add stays overdue till then, and the failure is logged."""
        tried = threading.Event()
        start = threading.Thread.start

        def refuse_couriers(thread):
            if thread.name == "lnmailbox-courier-539268x845x1":
                tried.set()
                no_thread(thread)
            start(thread)

        box.add_packet(add(1))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse_couriers)
            clock.advance(EXPIRY)
            assert tried.wait(PATIENCE)
            assert [] == drain(box.packet_outbox)
            assert 1 == box.statistics().adds_overdue

        clock.advance(1)

        assert [1] == switch.next_fails(1)
        assert ["an alarm's owner failed"] == [record.getMessage() for record in caplog.records]


def no_thread(thread):
    raise RuntimeError("can't start new thread")


class TestListeners:
    """What `select` relies on: news of everything that may have made an item deliverable."""

    def test_listeners_hear_of_everything_that_may_be_mail(self, new_box, switch):
        box = new_box()
        heard = []
        for outbox in (box.message_outbox, box.packet_outbox):
            outbox.add_listener(heard.append)

        def news_of(operation, *arguments):
            heard.clear()
            operation(*arguments)
            return heard

        assert [box.message_outbox] == news_of(box.add_message, "ping")
        assert [box.packet_outbox] == news_of(box.add_packet, settle(1))
        assert [box.packet_outbox] == news_of(box.add_packet, add(1, obfuscator=switch))
        assert [box.packet_outbox] == news_of(box.add_packets, [settle(2)])
        drain(box.packet_outbox)
        assert [box.packet_outbox] == news_of(box.nack_packet, key(1))
        assert [] == news_of(box.nack_packet, key(99))
        assert [box.packet_outbox] == news_of(box.reset_packets)
        switch.when["encrypt_first_hop"] = raiser(ValueError)
        assert [box.packet_outbox] == news_of(box.fail_add, add(1))
        assert [box.message_outbox, box.packet_outbox] == news_of(box.stop)

    def test_listeners_hear_of_the_start(self, switch):
        box = MemoryMailBox(
            MailBoxConfig(
                short_chan_id=CHANNEL,
                fetch_update=switch.fetch_update,
                forward_packets=switch.forward_packets,
            )
        )
        heard = []
        box.packet_outbox.add_listener(heard.append)

        with box:
            assert [box.packet_outbox] == heard

    def test_an_outbox_knows_whether_there_is_mail(self, box, switch, clock):
        """An Add that has expired is none."""
        assert False is box.packet_outbox.poll()
        assert False is box.message_outbox.poll()

        box.add_message("ping")
        box.add_packet(add(1))

        assert True is box.message_outbox.poll()
        assert True is box.packet_outbox.poll()

        clock.advance(EXPIRY)

        assert False is box.packet_outbox.poll()
        assert [1] == switch.next_fails(1)

        box.add_packet(settle(2))

        assert True is box.packet_outbox.poll()

        box.stop()

        assert box.packet_outbox.poll() is None

    def test_what_nobody_received_is_put_back_in_its_place(self, box, switch, clock):
        """By identity: the link had it in hand, and may have changed its key. It still expires."""
        packets = [settle(1), settle(2), add(3), add(4)]
        box.add_packets(packets)
        taken = box.packet_outbox.get_batch(3)
        taken[0].incoming_htlc_id = 99

        box.packet_outbox.put_back(taken)

        assert packets == drain(box.packet_outbox)
        box.packet_outbox.put_back(packets[2:])
        clock.advance(EXPIRY)
        assert [3, 4] == switch.next_fails(2)


class TestFailing:
    def test_an_add_that_is_acked_as_soon_as_it_is_claimed_is_not_failed(
        self, box, switch, monkeypatch
    ):
        """Between the claim and the callbacks: none of these is called."""
        fail_claimed = box._fail_claimed

        def ack_first(claimed):
            assert box.ack_packet(key(1))
            return fail_claimed(claimed)

        monkeypatch.setattr(box, "_fail_claimed", ack_first)
        box.add_packet(add(1))

        assert False is box.fail_add(add(1))

        assert [] == switch.updates_fetched
        assert [] == switch.fails_so_far()
        assert {} == box._adds._claimed

    def test_a_key_that_can_not_be_one_leaves_the_mailbox_usable(self, box):
        """An error lets go of the lock: another thread gets it."""
        for operation in (box.ack_packet, box.nack_packet, box.has_packet):
            with pytest.raises(TypeError, match="unhashable"):
                operation([])

        call = blocked(box.packet_outbox.get)
        box.add_packet(settle(1))

        assert 1 == call.result().incoming_htlc_id


class TestLogging:
    def test_an_expiry_is_told_with_the_keystone(self, box, switch, clock, caplog):
        """At DEBUG: it is no error that a link is away."""
        caplog.set_level(logging.DEBUG, logger="lnmailbox")
        box.add_packet(add(1, outgoing_chan_id=CHANNEL, outgoing_htlc_id=5))
        box.add_packet(add(2))
        box.fail_add(add(2))

        clock.advance(EXPIRY)

        assert [2, 1] == switch.next_fails(2)
        keystone = "(Chan ID=701000x12x3, HTLC ID=1) --> (Chan ID=539268x845x1, HTLC ID=5)"
        assert [
            ("lnmailbox.memory_mailbox", logging.DEBUG, f"Add {keystone} expired")
        ] == caplog.record_tuples

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
        """At ERROR, with the Add's key; also where the caller gets it."""
        switch.when[callback] = raiser(error)
        box.add_packet(add(1, obfuscator=switch))

        with suppress(KeyboardInterrupt):
            assert (callback == "forward_packets") is box.fail_add(add(1))

        [record] = caplog.records
        assert "lnmailbox.memory_mailbox" == record.name
        assert logging.ERROR == record.levelno
        assert text.format(key(1)) == record.getMessage()
        assert error is record.exc_info[1]
        assert "raise_it" in caplog.text

    def test_a_program_that_does_not_log_sees_nothing(self):
        """The package's logger has a handler that drops everything."""
        handlers = logging.getLogger("lnmailbox").handlers

        assert [logging.NullHandler] == [type(handler) for handler in handlers]


class TestMemory:
    @pytest.mark.parametrize("kind", [settle, add])
    def test_memory_is_bounded_by_what_is_unacked(self, box, kind):
        """100,000 packets that nobody received leave less than one byte each."""

        def add_and_ack(count):
            for number in range(count):
                box.add_packet(kind(number))
                box.ack_packet(key(number))

        add_and_ack(1000)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            add_and_ack(100_000)
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

        assert after - before < 100_000

    def test_what_is_acked_behind_an_unacked_packet_leaves_nothing(self, box):
        """The one that stays in front keeps no others."""
        box.add_packets([settle(1), add(1)])
        for number in range(2, 10_000):
            box.add_packets([settle(number), add(number)])
            assert 2 == box.ack_packets([key(number)] * 2)

        for queue in (box._replies, box._adds):
            assert 1 == len(queue.unacked)
            assert len(queue.waiting) <= 2
            queue._check()

    def test_what_was_failed_or_has_expired_leaves_nothing(self, box, switch, clock):
        box.add_packets(map(add, range(1000)))
        for number in range(500):
            box.fail_add(add(number))
        clock.advance(EXPIRY)
        switch.next_fails(1000)

        assert {} == box._adds.unacked
        assert 0 == len(box._adds.waiting)
        box._adds._check()


class Interrupted:
    """Runs a function with KeyboardInterrupt at its n-th moment in which a signal can strike.

    Those are the beginning of a function, the return of a call that is not Python, and a jump
    backwards, each in this package.
    """

    def __init__(self, moment):
        self.left = moment
        self.places = {}

    def run(self, function):
        """Return whether the moment came."""
        before = sys.gettrace(), sys.getprofile()
        try:
            sys.settrace(self._trace)
            sys.setprofile(self._profile)
            function()
        except KeyboardInterrupt:
            return True
        finally:
            sys.setprofile(before[1])
            sys.settrace(before[0])
        return False

    def _strike(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def _is_ours(self, frame):
        return frame.f_globals["__name__"].startswith("lnmailbox.")

    def _profile(self, frame, event, _):
        if self.left > 0 and event in ("call", "c_return") and self._is_ours(frame):
            self._strike()

    def _trace(self, frame, event, _):
        if not self._is_ours(frame):
            return None
        last = self.places.get(frame, 0)
        self.places[frame] = frame.f_lasti
        if self.left > 0 and event == "line" and frame.f_lasti < last:
            self._strike()
        return self._trace


def interrupt(*_):
    raise KeyboardInterrupt


class TestInterrupts:
    @pytest.mark.parametrize(
        "what, how",
        [
            *product(
                ["messages", "replies", "Adds", "both", "expired"],
                ["get", "get_nowait", "get_batch", "get_batch of many"],
            ),
        ],
    )
    def test_a_receive_that_is_interrupted_at_any_moment_consumes_nothing(
        self, new_box, clock, what, how
    ):
        """KeyboardInterrupt strikes; the next receiver finds everything in its old order."""
        items = {
            "messages": list("abcde"),
            "replies": [settle(1), settle(2), settle(3)],
            "Adds": [add(1), add(2), add(3)],
            "both": [settle(1), settle(2), add(3), add(4)],
            "expired": [add(3), add(4)],
        }[what]
        for moment in range(1, 1000):
            box = new_box()
            if what == "messages":
                outbox = box.message_outbox
                for item in items:
                    box.add_message(item)
            else:
                outbox = box.packet_outbox
                if what == "expired":
                    box.add_packets([add(1), add(2)])
                    clock.advance(EXPIRY)
                box.add_packets(items)
            receive = {
                "get": outbox.get,
                "get_nowait": outbox.get_nowait,
                "get_batch": lambda outbox=outbox: outbox.get_batch(2),
                "get_batch of many": lambda outbox=outbox: outbox.get_batch(10),
            }[how]

            interrupted = Interrupted(moment).run(receive)
            left = drain(outbox)

            box.stop()
            with box._lock:
                for queue in (box._replies, box._adds):
                    queue._check()
            if not interrupted:
                break
            assert items == left, f"at moment {moment}"
        assert moment > 3

    @pytest.mark.parametrize("kind", [settle, add])
    def test_adding_and_acking_that_are_interrupted_are_done_or_not(self, new_box, kind):
        """KeyboardInterrupt at any moment leaves a mailbox that works."""
        operations = {
            "add_packet": lambda box: box.add_packet(kind(2)),
            "add_packets": lambda box: box.add_packets([kind(2), kind(3)]),
            "ack_packet": lambda box: box.ack_packet(key(1)),
            "ack_packets": lambda box: box.ack_packets([key(1)]),
            "nack_packet": lambda box: box.nack_packet(key(0)),
            "reset_packets": lambda box: box.reset_packets(),
            "add_message": lambda box: box.add_message("b"),
            "has_packet": lambda box: box.has_packet(key(1)),
            "statistics": lambda box: box.statistics(),
        }
        for name, operation in operations.items():
            for moment in range(1, 1000):
                box = new_box()
                box.add_message("a")
                box.add_packets([kind(0), kind(1)])
                box.packet_outbox.get()

                interrupted = Interrupted(moment).run(lambda box=box: operation(box))  # noqa: B023

                for queue in (box._replies, box._adds):
                    queue._check()
                box.add_packet(kind(9))
                got = numbers(drain(box.packet_outbox))
                box.stop()
                done = {
                    "add_packet": [1, 2, 9],
                    "add_packets": [1, 2, 3, 9],
                    "ack_packet": [9],
                    "ack_packets": [9],
                    "nack_packet": [0, 1, 9],
                    "reset_packets": [0, 1, 9],
                }.get(name, [1, 9])
                if not interrupted:
                    assert done == got
                    break
                assert got in ([1, 9], done), f"{name} at moment {moment}"
            assert moment > 1, name

    @pytest.mark.parametrize("kind", ["message", "packet"])
    def test_an_interrupted_add_wakes_who_waits_for_it(self, box, monkeypatch, kind):
        """The item is there, though nobody was notified when KeyboardInterrupt struck."""
        outbox, add_item, item = {
            "message": (box.message_outbox, box.add_message, "a"),
            "packet": (box.packet_outbox, box.add_packet, add(1)),
        }[kind]
        receiver = blocked(outbox.get)
        heard = []
        outbox.add_listener(heard.append)
        monkeypatch.setattr(type(outbox), "notify_locked", interrupt)

        with pytest.raises(KeyboardInterrupt):
            add_item(item)

        assert item is receiver.result()
        assert [outbox] == heard

    def test_an_interrupt_of_fail_add_gives_the_add_back(self, box, switch, monkeypatch):
        """It strikes after the claim and before anything is done about it."""
        packet = add(1)
        box.add_packet(packet)
        with monkeypatch.context() as patch:
            patch.setattr(box, "_fail_claimed", interrupt)
            with pytest.raises(KeyboardInterrupt):
                box.fail_add(packet)

        assert packet is box.packet_outbox.get_nowait()
        assert box.fail_add(packet)
        assert [1] == switch.next_fails(1)

    def test_an_interrupt_of_fail_add_before_the_claim_changes_nothing(self, box, monkeypatch):
        packet = add(1)
        box.add_packet(packet)
        monkeypatch.setattr(type(box._adds), "claim", interrupt)

        with pytest.raises(KeyboardInterrupt):
            box.fail_add(packet)

        assert packet is box.packet_outbox.get_nowait()

    def test_an_add_that_is_removed_is_failed_though_an_interrupt_comes(self, box, switch):
        """Else the HTLC would be nowhere."""

        class Strike:
            def __iadd__(self, _):
                raise KeyboardInterrupt

        packet = add(1)
        box.add_packet(packet)
        box._adds_expired = Strike()

        with pytest.raises(KeyboardInterrupt):
            box.fail_add(packet)

        assert [1] == switch.next_fails(1)
        assert {} == box._adds.unacked
        box._adds._check()
