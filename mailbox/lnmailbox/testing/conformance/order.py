"""Contract 1 to 4: order, priority, what delivery means, identity."""

from __future__ import annotations

import queue
from itertools import count

import pytest

from lnmailbox.wire import UpdateAddHTLC

from ..threads import PATIENCE, Call, blocked, run_threads
from .base import EXPIRY, SOURCE, MailBoxTests, add, drain, fail, key, numbers, settle

BAD_TIMEOUTS = [-1, -1e-9, float("nan"), float("inf"), -float("inf"), "1", True]


class OrderTests(MailBoxTests):
    def test_messages_come_out_once_in_the_order_they_went_in(self, box):
        """Contract 1."""
        messages = [UpdateAddHTLC(id=number) for number in range(50)]
        for message in messages:
            box.add_message(message)

        received = drain(box.message_outbox)

        assert list(map(id, messages)) == list(map(id, received))

    @pytest.mark.parametrize("kind", [settle, fail, add])
    def test_packets_of_a_class_come_out_once_in_the_order_they_went_in(self, box, kind):
        """Contract 1."""
        packets = [kind(number) for number in (5, 3, 9, 1, 7)]
        for packet in packets:
            box.add_packet(packet)

        assert packets == drain(box.packet_outbox)

    def test_settles_and_fails_are_one_queue(self, box):
        """Contract 1: replies are in the order in which they came, whatever they say."""
        packets = [settle(1), fail(2), fail(3), settle(4)]
        for packet in packets:
            box.add_packet(packet)

        assert packets == drain(box.packet_outbox)

    def test_messages_and_packets_do_not_wait_for_each_other(self, box):
        """Contract 1: the two outboxes are independent."""
        box.add_message("ping")

        with pytest.raises(queue.Empty):
            box.packet_outbox.get_nowait()

        box.add_packet(settle(1))

        assert ["ping"] == drain(box.message_outbox)
        assert [1] == numbers(drain(box.packet_outbox))

    def test_one_item_goes_to_one_of_two_receivers(self, box):
        """Contract 1: the other one goes on waiting, and gets the next item."""
        for add_item, outbox in [
            (box.add_message, box.message_outbox),
            (box.add_packet, box.packet_outbox),
        ]:
            received = queue.Queue()
            calls = [
                blocked(lambda outbox=outbox, received=received: received.put(outbox.get()))
                for _ in range(2)
            ]
            first, second = settle(1), settle(2)

            add_item(first)

            assert first is received.get(timeout=PATIENCE)
            assert received.empty()

            add_item(second)

            for call in calls:
                call.result()
            assert second is received.get_nowait()
            assert received.empty()

    @pytest.mark.parametrize("what", ["messages", "replies", "Adds"])
    def test_many_producers_and_receivers_see_each_item_once_and_in_order(self, box, what):
        """Contract 1 and 27: 4 threads add, 4 receive; each sees every producer's order."""
        kind = add if what == "Adds" else settle
        add_item = box.add_message if what == "messages" else box.add_packet
        outbox = box.message_outbox if what == "messages" else box.packet_outbox
        each = 500
        received = queue.Queue()

        def produce(producer):
            for number in range(each):
                add_item(kind(producer * each + number))

        def receive(receiver):
            for packet in outbox:
                received.put((receiver, packet.incoming_htlc_id))

        receivers = [Call(receive, receiver) for receiver in range(4)]
        run_threads(*(lambda producer=producer: produce(producer) for producer in range(4)))
        seen = [received.get(timeout=PATIENCE) for _ in range(4 * each)]
        box.stop()
        for call in receivers:
            call.result()

        assert received.empty()
        assert list(range(4 * each)) == sorted(number for _, number in seen)
        for receiver in range(4):
            for producer in range(4):
                got = [n for r, n in seen if r == receiver and n // each == producer]
                assert sorted(got) == got

    def test_replies_go_before_adds(self, box):
        """Contract 2."""
        for packet in (add(1), settle(2), add(3), fail(4)):
            box.add_packet(packet)

        assert [2, 4, 1, 3] == numbers(drain(box.packet_outbox))

    def test_a_reply_that_comes_before_the_receiver_does_overtakes_every_add(self, box):
        """Contract 2: what is next is decided when it is taken, not when it was added."""
        box.add_packet(add(1))
        box.add_packet(add(2))

        assert 1 == box.packet_outbox.get().incoming_htlc_id

        box.add_packet(settle(3))

        assert 3 == box.packet_outbox.get().incoming_htlc_id
        assert 2 == box.packet_outbox.get().incoming_htlc_id

    def test_replies_go_before_adds_after_a_reset_too(self, box):
        """Contract 2 and 9."""
        for packet in (add(1), settle(2)):
            box.add_packet(packet)
        drain(box.packet_outbox)
        box.add_packet(settle(3))
        box.add_packet(add(4))

        box.reset_packets()

        assert [2, 3, 1, 4] == numbers(drain(box.packet_outbox))

    @pytest.mark.parametrize("timeout", [0, 0.0, 1e-9, 0.01])
    def test_a_receive_that_times_out_consumes_nothing(self, box, timeout):
        """Contract 3: by real time, also where the mailbox's clock stands still."""
        for add_item, outbox in [
            (box.add_message, box.message_outbox),
            (box.add_packet, box.packet_outbox),
        ]:
            item = settle(1)

            with pytest.raises(queue.Empty):
                outbox.get(timeout=timeout)
            with pytest.raises(queue.Empty):
                outbox.get_batch(3, timeout=timeout)

            add_item(item)

            assert item is outbox.get(timeout=timeout)

    def test_a_receive_that_does_not_block_is_empty_at_once(self, box):
        """Contract 3: as with `queue.Queue`."""
        for outbox in (box.message_outbox, box.packet_outbox):
            with pytest.raises(queue.Empty):
                outbox.get_nowait()
            with pytest.raises(queue.Empty):
                outbox.get(block=False)
            with pytest.raises(queue.Empty):
                outbox.get(False, 1e12)
            with pytest.raises(queue.Empty):
                outbox.get_batch(2, block=False)

    @pytest.mark.parametrize("timeout", [None, EXPIRY, 1e12])
    def test_a_receiver_waits_for_what_is_added(self, box, timeout):
        """Contract 3: for ever, or for thousands of years."""
        packet, message = settle(1), "ping"
        for_packet = blocked(box.packet_outbox.get, timeout=timeout)
        for_message = blocked(box.message_outbox.get, timeout=timeout)

        box.add_packet(packet)
        box.add_message(message)

        assert packet is for_packet.result()
        assert message is for_message.result()

    @pytest.mark.parametrize("timeout", BAD_TIMEOUTS)
    def test_a_timeout_that_is_no_span_of_time_is_refused(self, box, timeout):
        """Contract 3: receiving says ValueError instead of waiting for ever, or not at all."""
        for outbox in (box.message_outbox, box.packet_outbox):
            with pytest.raises(ValueError, match=r"^timeout must be a finite number of seconds"):
                outbox.get(timeout=timeout)
            with pytest.raises(ValueError, match=r"^timeout must be a finite number of seconds"):
                outbox.get_batch(2, timeout=timeout)

    def test_a_receiver_is_woken_by_a_packet_that_a_reset_gives_back(self, box):
        """Contract 3 and 9."""
        for packet in (settle(1), add(2)):
            box.add_packet(packet)
            assert packet is box.packet_outbox.get()
            call = blocked(box.packet_outbox.get)

            box.reset_packets()

            assert packet is call.result()
            assert box.ack_packet(packet.in_key)

    def test_a_reset_wakes_as_many_receivers_as_it_has_packets_for(self, box):
        """Contract 3 and 9."""
        packets = [settle(1), add(2), add(3)]
        for packet in packets:
            box.add_packet(packet)
        drain(box.packet_outbox)
        calls = [blocked(box.packet_outbox.get) for _ in packets]

        box.reset_packets()

        assert set(packets) == {call.result() for call in calls}

    def test_a_packet_is_handed_over_by_identity(self, box):
        """Contract 4: first, and again after a reset."""
        packets = [settle(1), add(2)]
        for packet in packets:
            box.add_packet(packet)

        first = drain(box.packet_outbox)
        box.reset_packets()
        second = drain(box.packet_outbox)

        assert list(map(id, packets)) == list(map(id, first)) == list(map(id, second))

    @pytest.mark.parametrize("kind", [settle, add])
    def test_a_mailbox_knows_a_packet_by_the_key_it_was_added_under(self, box, kind):
        """Contract 4: the link may change what it was given, its incoming ids included."""
        box.add_packet(kind(1))
        packet = box.packet_outbox.get()
        packet.outgoing_htlc_id = 77
        packet.incoming_htlc_id = 99

        box.reset_packets()

        assert packet is box.packet_outbox.get()
        assert not box.ack_packet(key(99))
        assert box.ack_packet(key(1))
        box.reset_packets()
        assert [] == drain(box.packet_outbox)

    def test_a_packet_that_was_changed_is_given_back_under_its_first_key(self, box):
        """Contract 4."""
        box.add_packet(settle(1))
        packet = box.packet_outbox.get()
        packet.incoming_htlc_id = 99

        assert box.has_packet(key(1))
        assert not box.has_packet(key(99))
        assert not box.nack_packet(key(99))
        assert box.nack_packet(key(1))
        assert packet is box.packet_outbox.get()

    def test_the_fail_of_a_changed_add_has_the_key_it_was_added_under(self, box, switch, clock):
        """Contract 4 and 14: the circuit upstream is known by that key."""
        box.add_packet(add(1))
        packet = box.packet_outbox.get()
        packet.incoming_htlc_id = 99
        clock.advance(EXPIRY)

        box.reset_packets()

        assert (SOURCE, 1) == switch.next_fail().in_key

    def test_an_iteration_gives_what_get_gives(self, box):
        """Contract 1: item after item, until the mailbox stops."""
        received = queue.Queue()

        def read(outbox):
            for item in outbox:
                received.put(item)
            return "ended"

        calls = [blocked(read, box.message_outbox), blocked(read, box.packet_outbox)]
        for number, packet in zip(count(), [settle(1), add(2), fail(3)]):
            box.add_message(number)
            assert number == received.get(timeout=PATIENCE)
            box.add_packet(packet)
            assert packet is received.get(timeout=PATIENCE)

        box.stop()

        assert ["ended", "ended"] == [call.result() for call in calls]
