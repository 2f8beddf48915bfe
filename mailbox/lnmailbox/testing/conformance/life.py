"""Contract 17 and 18: start and stop, and what is possible before and after."""

from __future__ import annotations

import queue
import threading

import pytest

from ... import MailBoxShuttingDown
from ..switch import Gate
from ..threads import PATIENCE, Call, blocked, run_threads
from .base import (
    CALLBACKS,
    CARRIERS,
    EXPIRY,
    MailBoxTests,
    add,
    drain,
    key,
    message,
    numbers,
    settle,
)


class LifeTests(MailBoxTests):
    def test_before_the_start_items_are_kept_and_nothing_is_delivered(self, new_box, clock):
        """Contract 18: receivers wait, and are woken by the start."""
        box = new_box()
        box.add_packets([add(1), settle(2)])
        box.add_message(message(1))

        for outbox in (box.message_outbox, box.packet_outbox):
            with pytest.raises(queue.Empty):
                outbox.get_nowait()
            with pytest.raises(queue.Empty):
                outbox.get(timeout=0.001)
            with pytest.raises(queue.Empty):
                outbox.get_batch(3, block=False)
        for_message = blocked(box.message_outbox.get)
        for_packets = blocked(box.packet_outbox.get_batch, 2)

        box.start()

        assert message(1) == for_message.result()
        assert [2, 1] == numbers(for_packets.result())

    def test_before_the_start_acks_and_resets_work(self, new_box):
        """Contract 18."""
        box = new_box()
        box.add_packets([add(1), settle(2), settle(3)])
        box.add_message(message(1))

        assert box.has_packet(key(2))
        assert box.ack_packet(key(2))
        assert not box.has_packet(key(2))
        assert not box.nack_packet(key(3))
        box.reset_messages()
        box.reset_packets()
        box.add_message(message(2))

        box.start()

        assert [message(2)] == drain(box.message_outbox)
        assert [3, 1] == numbers(drain(box.packet_outbox))

    def test_a_second_start_changes_nothing(self, box, switch, clock):
        """Contract 18: each item is still delivered once, each Add failed once."""
        box.add_packets([add(1), settle(2)])

        box.start()
        clock.advance(EXPIRY)
        box.start()

        assert [1] == switch.next_fails(1)
        assert [2] == numbers(drain(box.packet_outbox))
        box.stop()
        assert [] == switch.fails_so_far()

    def test_after_the_stop_nothing_is_accepted(self, box):
        """Contract 18: and the error says why."""
        box.add_packets([add(1), settle(2)])
        box.packet_outbox.get()
        box.add_message(message(1))
        box.stop()

        for refused in [
            lambda: box.add_message(message(2)),
            lambda: box.add_packet(settle(3)),
            lambda: box.add_packet(add(3)),
            lambda: box.add_packets([add(3)]),
            lambda: box.add_packets([]),
            lambda: box.nack_packet(key(2)),
            lambda: box.nack_packet(key(99)),
            box.reset_messages,
            box.reset_packets,
            box.start,
            box.message_outbox.get,
            box.packet_outbox.get,
            box.message_outbox.get_nowait,
            box.packet_outbox.get_nowait,
            lambda: box.message_outbox.get(timeout=0),
            lambda: box.packet_outbox.get(timeout=1e12),
            lambda: box.packet_outbox.get_batch(2),
            lambda: box.message_outbox.get_batch(2, block=False),
        ]:
            with pytest.raises(MailBoxShuttingDown, match=r"^mailbox is shutting down$"):
                refused()

        assert [] == list(box.message_outbox)
        assert [] == list(box.packet_outbox)

    def test_after_the_stop_what_is_unacked_can_be_acked(self, box):
        """Contract 18: `ack_packet` and `has_packet` still answer."""
        box.add_packets([add(1), settle(2), settle(3)])
        box.packet_outbox.get()
        box.stop()

        assert True is box.has_packet(key(2))
        assert True is box.ack_packet(key(2))
        assert False is box.has_packet(key(2))
        assert False is box.ack_packet(key(2))
        assert 2 == box.ack_packets([key(1), key(2), key(3)])

    def test_after_the_stop_nothing_expires(self, box, switch, clock):
        """Contract 17 and 18: not even what was due in that moment."""
        box.add_packet(add(1))
        box.stop()

        clock.advance(EXPIRY)

        assert [] == switch.fails_so_far()
        assert 1 == box.statistics().adds_unacked
        assert box.ack_packet(key(1))

    @pytest.mark.parametrize("started", [True, False])
    def test_a_stop_needs_no_start_and_may_be_repeated(self, new_box, started):
        """Contract 17 and 18: and a mailbox can not be started again."""
        box = new_box()
        if started:
            box.start()

        for _ in range(3):
            box.stop()
            box.signal_stop()
        with pytest.raises(MailBoxShuttingDown):
            box.start()
        with pytest.raises(MailBoxShuttingDown):
            box.add_message(message(1))

    @pytest.mark.parametrize("started", [True, False])
    def test_a_stop_wakes_every_receiver(self, new_box, started):
        """Contract 17: whatever they wait with."""
        box = new_box()
        if started:
            box.start()
        waiting = [
            blocked(receive)
            for outbox in (box.message_outbox, box.packet_outbox)
            for receive in (
                outbox.get,
                lambda outbox=outbox: outbox.get(timeout=1e12),
                lambda outbox=outbox: outbox.get_batch(3),
            )
        ]
        iterating = [blocked(list, outbox) for outbox in (box.message_outbox, box.packet_outbox)]

        box.stop()

        for call in waiting:
            with pytest.raises(MailBoxShuttingDown):
                call.result()
        assert [[], []] == [call.result() for call in iterating]

    def test_the_part_of_a_stop_that_does_not_block_ends_delivery(self, box, switch, clock):
        """Contract 17: `signal_stop` returns while a courier is busy; `stop` waits for it."""
        gate = Gate()
        switch.when["forward_packets"] = gate.pass_through
        box.add_packets([add(1), add(2)])
        clock.advance(EXPIRY)
        gate.wait_until_reached()
        assert not switch.quit.is_set()

        box.signal_stop()

        if switch.quit.is_set():  # an implementation may leave it all to `stop`
            with pytest.raises(MailBoxShuttingDown):
                box.packet_outbox.get()
        stopping = blocked(box.stop)
        assert switch.quit.is_set()
        with pytest.raises(MailBoxShuttingDown):
            box.packet_outbox.get()

        gate.open()

        stopping.result()
        assert [1] == switch.fails_so_far()

    def test_a_stop_waits_for_the_callback_that_a_courier_is_in(self, box, switch, clock):
        """Contract 17: which is told by `quit`; no further callback is called."""
        gate = Gate()
        waited = []

        def wait_for_quit():
            assert not switch.quit.is_set()
            assert not switch.quit.wait(0)
            gate.pass_through()
            waited.append(switch.quit.wait(PATIENCE))

        switch.when["forward_packets"] = wait_for_quit
        gate.open()
        box.add_packets([add(1), add(2)])
        clock.advance(EXPIRY)
        gate.wait_until_reached()

        box.stop()

        assert [True] == waited
        assert [1] == switch.fails_so_far()
        assert switch.quit.is_set()

    def test_quit_can_only_be_read(self, box, switch):
        """Contract 17: a callback that got hold of it can't stop the mailbox."""
        box.add_packet(add(1))
        box.fail_add(add(1))

        assert not hasattr(switch.quit, "set")
        assert not hasattr(switch.quit, "clear")

    @pytest.mark.parametrize("carrier", CARRIERS)
    @pytest.mark.parametrize("callback", CALLBACKS)
    @pytest.mark.parametrize("operation", ["stop", "signal_stop"])
    def test_a_callback_may_stop_its_mailbox(
        self, box, switch, clock, carrier, callback, operation
    ):
        """Contract 17: it returns, the callback goes on, and its fail packet still goes out."""
        switch.when[callback] = getattr(box, operation)
        box.add_packets([add(1, obfuscator=switch), add(2, obfuscator=switch)])

        if carrier == "fail_add":
            assert True is Call(box.fail_add, add(1)).result()
        else:
            clock.advance(EXPIRY)

        assert [1] == switch.next_fails(1)
        Call(box.stop).result()
        assert [] == switch.fails_so_far()
        assert switch.quit.is_set()
        with pytest.raises(MailBoxShuttingDown):
            box.add_message(message(1))

    def test_callbacks_may_stop_each_others_mailboxes(self, new_box, switch, clock):
        """Contract 17: two couriers that stop the other's mailbox both come back."""
        meeting = threading.Barrier(2, timeout=PATIENCE)
        returned = queue.Queue()

        def stop_the_other(_, packet):
            meeting.wait()
            boxes[1 - packet.incoming_htlc_id].stop()
            returned.put(packet.incoming_htlc_id)

        boxes = [new_box(forward_packets=stop_the_other) for _ in range(2)]
        for number, box in enumerate(boxes):
            box.start()
            box.add_packet(add(number))

        clock.advance(EXPIRY)

        assert {0, 1} == {returned.get(timeout=PATIENCE) for _ in boxes}

    def test_many_threads_may_stop_a_mailbox(self, box, switch, clock):
        """Contract 17 and 27: each returns once the couriers have ended."""
        gate = Gate()
        switch.when["forward_packets"] = gate.pass_through
        box.add_packet(add(1))
        clock.advance(EXPIRY)
        gate.wait_until_reached()
        stops = [blocked(box.stop) for _ in range(4)]

        gate.open()

        for call in stops:
            call.result()
        assert [1] == switch.fails_so_far()

    def test_a_mailbox_is_started_and_stopped_by_with(self, new_box):
        """Contract 17 and 18: also if the block raises, and the error goes on."""
        box = new_box()

        with pytest.raises(ZeroDivisionError), box as entered:  # noqa: PT012
            assert entered is box
            box.add_packet(settle(1))
            assert [1] == numbers(drain(box.packet_outbox))
            raise ZeroDivisionError

        with pytest.raises(MailBoxShuttingDown):
            box.packet_outbox.get_nowait()

    def test_eight_threads_may_start_and_stop_at_once(self, new_box):
        """Contract 17, 18 and 27: a start that comes late is told so."""
        for _ in range(20):
            box = new_box()
            box.add_packets([add(1), settle(2)])

            def start(box=box):
                try:
                    box.start()
                except MailBoxShuttingDown:
                    return

            run_threads(*[start, box.stop] * 4)

            with pytest.raises(MailBoxShuttingDown):
                box.start()
