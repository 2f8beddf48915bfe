"""Contract 27 and 3: calls from many threads at once, and interrupts."""

from __future__ import annotations

import queue
import random
import signal
import sys
import threading
from contextlib import contextmanager

import pytest

from ... import MailBoxShuttingDown
from ..threads import PATIENCE, Call, blocked, run_threads
from .base import EXPIRY, MailBoxTests, add, drain, key, numbers, said, settle
from .order import both_ways


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
            accepted, received = [], []

            def produce(box=box, accepted=accepted):
                try:
                    for number in range(200):
                        box.add_packet(settle(number))
                        accepted.append(number)
                except MailBoxShuttingDown:
                    pass

            def receive(box=box, received=received):
                received.extend(numbers(box.packet_outbox))

            run_threads(produce, receive, box.stop)

            assert accepted[: len(received)] == received
            assert len(accepted) == sum(box.ack_packet(key(number)) for number in range(200))


class InterruptTests(MailBoxTests):
    @pytest.fixture
    def strike(self):
        """Lets SIGINT raise KeyboardInterrupt inside `receive_here`, and nowhere else.

        When `get` has returned, the packet is the caller's, and the interrupt the caller's
        problem.
        """
        if threading.current_thread() is not threading.main_thread():
            pytest.skip("only the main thread can be interrupted")
        main = threading.main_thread().ident
        assert main is not None

        def handle(_, frame):
            if is_receiving(frame):
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, handle)
        yield lambda: signal.pthread_kill(main, signal.SIGINT)
        signal.signal(signal.SIGINT, before)

    @pytest.mark.parametrize("how", ["get", "get with timeout", "get_batch", "iteration"])
    def test_an_interrupted_receive_consumes_nothing(self, box, strike, how):
        """Contract 3: the next receiver gets the next item."""
        for add_item, make, outbox in both_ways(box):
            receive = {
                "get": outbox.get,
                "get with timeout": lambda outbox=outbox: outbox.get(timeout=1e12),
                "get_batch": lambda outbox=outbox: outbox.get_batch(2),
                "iteration": lambda outbox=outbox: next(iter(outbox)),
            }[how]
            with when_main_waits(strike) as helper, pytest.raises(KeyboardInterrupt):
                receive_here(receive)
            helper.result()

            add_item(make(1))

            assert said([make(1)]) == said([outbox.get(timeout=PATIENCE)])

    def test_an_interrupted_receiver_leaves_the_others_waiting(self, box, strike):
        """Contract 3: receivers that came before it and after it get what comes."""
        before = blocked(box.packet_outbox.get)

        def more():
            calls.append(blocked(box.packet_outbox.get))
            strike()

        calls = [before]
        with when_main_waits(more) as helper, pytest.raises(KeyboardInterrupt):
            receive_here(box.packet_outbox.get)
        helper.result()
        box.add_packet(settle(1))
        box.add_packet(settle(2))

        assert [1, 2] == sorted(numbers(call.result() for call in calls))

    def test_an_interrupted_receiver_passes_its_wake_up_on(self, box, strike):
        """Contract 3: item and interrupt come together, and one of two receivers gets it."""
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
                    got = receive_here(box.packet_outbox.get)
                except KeyboardInterrupt:
                    pass
            helper.result()
            if got is not None:
                box.add_packet(settle(1000 + number))
            left = second[0].result().incoming_htlc_id

            assert (number if got is None else 1000 + number) == left
            assert got is None or number == got.incoming_htlc_id
            assert [] == drain(box.packet_outbox)


def receive_here(receive):
    return receive()


def is_receiving(frame):
    """Whether this frame was called by `receive_here`, directly or not."""
    while (frame := frame.f_back) is not None:
        if frame.f_code is receive_here.__code__:
            return True
    return False


@contextmanager
def when_main_waits(action):
    """Run `action` on a thread as soon as the main thread stands still in an outbox."""
    main = threading.main_thread().ident
    assert main is not None

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
