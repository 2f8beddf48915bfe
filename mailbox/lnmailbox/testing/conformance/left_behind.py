"""Contract 19: threads and memory that a mailbox leaves behind, or rather does not."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from ..switch import Gate
from ..threads import PATIENCE
from .base import CHANNEL, EXPIRY, MailBoxTests, add, key, settle


def wait_for_threads_since(before):
    """Wait for the end of every thread that was started since."""
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


class LeftBehindTests(MailBoxTests):
    def test_a_courier_is_a_daemon_thread_with_a_telling_name(self, box, switch, clock):
        """Contract 19: it says what it is of, and the program can end without it."""
        couriers = []
        switch.when["fetch_update"] = lambda: couriers.append(threading.current_thread())
        box.add_packet(add(1))

        clock.advance(EXPIRY)

        assert [1] == switch.next_fails(1)
        [courier] = couriers
        assert courier is not threading.current_thread()
        assert courier.daemon
        assert str(CHANNEL) in courier.name

    def test_no_thread_is_left_by_a_stopped_mailbox(self, new_box, switch, clock):
        """Contract 17 and 19: when `stop` returns, the couriers have ended."""
        before = set(threading.enumerate())
        box = new_box()
        box.start()
        box.add_packets(map(add, range(5)))
        clock.advance(EXPIRY)
        switch.next_fails(1)

        box.stop()

        assert before >= set(threading.enumerate())

    def test_a_mailbox_that_nobody_references_is_collected(self, new_box, switch):
        """Contract 19: with its Adds, which nobody can fail any more, and without its threads."""
        before = set(threading.enumerate())
        box = new_box()
        box.start()
        waiting = add(1)
        box.add_packet(waiting)
        box.add_packet(settle(2))
        references = [weakref.ref(box), weakref.ref(waiting)]

        del box, waiting
        gc.collect()

        assert [None, None] == [reference() for reference in references]
        wait_for_threads_since(before)

    def test_a_mailbox_does_not_live_on_through_its_last_errand(self, new_box, switch, clock):
        """Contract 19: a courier that is in a callback when it is forgotten ends after it."""
        before = set(threading.enumerate())
        gate = Gate()
        couriers = []

        def remember_and_wait():
            couriers.append(threading.current_thread())
            gate.pass_through()

        switch.when["forward_packets"] = remember_and_wait
        box = new_box()
        box.start()
        box.add_packet(add(1))
        clock.advance(EXPIRY)
        gate.wait_until_reached()
        box.add_packet(add(2))
        reference = weakref.ref(box)
        del box

        gate.open()

        assert [1] == switch.next_fails(1)
        couriers.pop().join(PATIENCE)
        gc.collect()
        assert reference() is None
        wait_for_threads_since(before)

    @pytest.mark.parametrize("kind", [settle, add])
    @pytest.mark.parametrize("delivered", [True, False])
    def test_nothing_is_left_of_what_is_acked(self, box, kind, delivered):
        """Contract 5: 5,000 packets come and go, with a reader or without one."""
        references = []
        packet = None
        for number in range(5_000):
            packet = kind(number)
            box.add_packet(packet)
            if delivered:
                assert number == box.packet_outbox.get().incoming_htlc_id
            assert box.ack_packet(key(number))
            if number % 1000 == 0:
                references.append(weakref.ref(packet))

        del packet
        gc.collect()

        statistics = box.statistics()
        assert (0, 0) == (statistics.replies_unacked, statistics.adds_unacked)
        assert [None] * 5 == [reference() for reference in references]

    def test_a_failed_add_is_forgotten(self, box, switch):
        """Contract 13: once its fail packet has gone."""
        packet = add(1)
        box.add_packet(packet)
        reference = weakref.ref(packet)

        box.fail_add(packet)
        del packet
        gc.collect()

        assert reference() is None
