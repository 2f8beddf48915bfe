"""Contract 27 and 3: any thread may call anything at any time, and be interrupted."""

from __future__ import annotations

import queue
import random
import signal
import sys
import threading
from contextlib import contextmanager

import pytest

from lnmailbox import MailBoxShuttingDown

from ..threads import PATIENCE, Call, blocked, run_threads
from .base import EXPIRY, MailBoxTests, add, drain, key, numbers, settle


class ThreadTests(MailBoxTests):
    @pytest.mark.parametrize("seed", range(5))
    def test_whatever_threads_do_each_add_ends_once(self, new_box, clock, seed):
        """Contract 27, 5, 12, 13: acked by the link, failed back, or still there. One of them."""
        count = 1200
        failed, acked = queue.Queue(), queue.Queue()

        def forward(_, packet):
            failed.put(packet.incoming_htlc_id)

        def produce(first):
            for number in range(first, count, 2):
                box.add_packet(add(number))

        def receive(number):
            chance = random.Random(f"{seed} {number}")
            while True:
                try:
                    packet = box.packet_outbox.get()
                except MailBoxShuttingDown:
                    return
                use = chance.randrange(4)
                if use == 0 and box.ack_packet(packet.in_key):
                    acked.put(packet.incoming_htlc_id)
                elif use == 1:
                    box.fail_add(packet)
                elif use == 2:
                    try:
                        box.nack_packet(packet.in_key)
                    except MailBoxShuttingDown:
                        return

        def disturb():
            for _ in range(100):
                box.reset_packets()
                clock.advance(EXPIRY / 30)

        box = new_box(forward_packets=forward)
        box.start()
        links = [Call(receive, number) for number in range(3)]
        run_threads(lambda: produce(0), lambda: produce(1), disturb)
        box.stop()
        for link in links:
            link.result()

        acks, fails = list(acked.queue), list(failed.queue)
        left = [number for number in range(count) if box.ack_packet(key(number))]
        assert list(range(count)) == sorted(acks + fails + left)
        assert len(fails) == box.statistics().adds_failed

    def test_an_ack_and_a_delivery_at_the_same_time(self, box):
        """Contract 5: a packet that was delivered was delivered before its ack."""
        for number in range(300):
            box.add_packet(settle(number))

            def take():
                return drain(box.packet_outbox)

            taken, was_there = run_threads(take, lambda number=number: box.ack_packet(key(number)))

            assert was_there
            assert numbers(taken) in ([], [number])
            assert [] == drain(box.packet_outbox)

    def test_two_acks_at_the_same_time(self, box):
        """Contract 5: one of them removes the packet."""
        for number in range(300):
            box.add_packet(add(number))

            removed = run_threads(*[lambda number=number: box.ack_packet(key(number))] * 3)

            assert [False, False, True] == sorted(removed)

    def test_two_packets_with_a_key_at_the_same_time(self, box):
        """Contract 6: one gets in."""
        for number in range(300):

            def put(number=number):
                try:
                    box.add_packet(settle(number))
                except Exception as error:
                    return type(error).__name__
                return "added"

            assert ["PacketAlreadyExists", "added"] == sorted(run_threads(put, put))

    def test_a_stop_at_any_time_loses_nothing(self, new_box):
        """Contract 3 and 18: what was accepted is with a receiver or in the mailbox."""
        for _ in range(30):
            box = new_box()
            box.start()

            def produce(box=box):
                for number in range(200):
                    try:
                        box.add_packet(settle(number))
                    except MailBoxShuttingDown:
                        return number
                return 200

            def receive(box=box):
                return numbers(box.packet_outbox)

            accepted, received, _ = run_threads(produce, receive, box.stop)

            assert list(range(len(received))) == received
            assert accepted == sum(box.ack_packet(key(number)) for number in range(200))
            assert len(received) <= accepted


class InterruptTests(MailBoxTests):
    @pytest.fixture
    def strike(self):
        """Lets SIGINT raise KeyboardInterrupt in this test's main thread, inside receiving only.

        Between the return of `get` and the assignment of its result the packet is the caller's,
        and the interrupt the caller's problem. So a signal that comes then is only recorded.
        """
        if threading.current_thread() is not threading.main_thread():
            pytest.skip("only the main thread can be interrupted")
        main = threading.main_thread().ident

        def handle(_, frame):
            if is_receiving(frame):
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, handle)
        yield lambda: signal.pthread_kill(main, signal.SIGINT)
        signal.signal(signal.SIGINT, before)

    @pytest.mark.parametrize("how", ["get", "get with timeout", "get_batch", "iteration"])
    def test_an_interrupted_receive_consumes_nothing(self, box, strike, how):
        """Contract 3: KeyboardInterrupt, and what comes then goes to the next receiver."""
        for outbox, add_item in [
            (box.packet_outbox, box.add_packet),
            (box.message_outbox, box.add_message),
        ]:
            receive = {
                "get": outbox.get,
                "get with timeout": lambda outbox=outbox: outbox.get(timeout=1e12),
                "get_batch": lambda outbox=outbox: outbox.get_batch(2),
                "iteration": lambda outbox=outbox: next(iter(outbox)),
            }[how]
            with when_main_waits(strike) as helper, pytest.raises(KeyboardInterrupt):
                receive()
            helper.result()
            item = settle(1)

            add_item(item)

            assert item is outbox.get(timeout=PATIENCE)

    def test_an_interrupted_receiver_leaves_the_others_waiting(self, box, strike):
        """Contract 3: those who waited before it and after it get what comes."""
        before = blocked(box.packet_outbox.get)

        def more():
            calls.append(blocked(box.packet_outbox.get))
            strike()

        calls = [before]
        with when_main_waits(more) as helper, pytest.raises(KeyboardInterrupt):
            box.packet_outbox.get()
        helper.result()
        packets = [settle(1), settle(2)]
        for packet in packets:
            box.add_packet(packet)

        assert set(packets) == {call.result() for call in calls}

    def test_an_interrupted_receiver_passes_its_wake_up_on(self, box, strike):
        """Contract 3: item and interrupt together; who of the two receivers gets it is open."""
        for number in range(50):
            second = []

            def both(number=number, second=second):
                second.append(Call(box.packet_outbox.get))
                second[0].wait_until_blocked()
                box.add_packet(settle(number))
                strike()

            got = None
            with when_main_waits(both) as helper:
                try:
                    got = box.packet_outbox.get()
                except KeyboardInterrupt:
                    pass
            helper.result()
            if got is not None:
                box.add_packet(settle(1000 + number))
            left = second[0].result().incoming_htlc_id

            assert (number if got is None else 1000 + number) == left
            assert got is None or number == got.incoming_htlc_id
            assert [] == drain(box.packet_outbox)


def is_receiving(frame):
    """Whether the package is in this stack of calls; in these tests that is an outbox."""
    while frame is not None:
        if frame.f_globals["__name__"].split(".")[0] == "lnmailbox":
            return True
        frame = frame.f_back
    return False


@contextmanager
def when_main_waits(action):
    """Run `action` on a thread as soon as the main thread stands still in an outbox."""
    main = threading.main_thread().ident

    def run():
        looks, seen = 0, None
        pause = threading.Event()
        while looks < 5:
            pause.wait(0.002)  # between two looks, as in `Call.wait_until_blocked`
            frame = sys._current_frames()[main]
            place = (frame, frame.f_lasti)
            still = place == seen and is_receiving(frame)
            looks, seen = looks + 1 if still else 0, place
        action()

    yield Call(run)
