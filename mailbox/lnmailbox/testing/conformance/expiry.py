"""Contract 11 and 12: Adds expire in time, and are not delivered then."""

from __future__ import annotations

import queue

import pytest

from ..quiet import wait_until_quiet
from ..switch import Gate
from ..threads import PATIENCE, Call, blocked, run_threads
from .base import EXPIRY, NANOSECOND, MailBoxTests, add, drain, key, message, numbers, settle


class ExpiryTests(MailBoxTests):
    def test_an_add_is_delivered_until_the_last_nanosecond(self, box, clock):
        """Contract 11."""
        box.add_packet(add(1))
        clock.advance(EXPIRY - NANOSECOND)

        assert [1] == numbers(drain(box.packet_outbox))

    def test_an_add_expires_at_its_deadline(self, box, switch, clock):
        """Contract 11 and 12: inclusive, and from then on it is not delivered."""
        box.add_packet(add(1))
        clock.advance(EXPIRY - NANOSECOND)
        clock.advance(NANOSECOND)

        assert [] == drain(box.packet_outbox)
        assert [1] == switch.next_fails(1)
        assert [] == drain(box.packet_outbox)

    def test_an_add_expires_without_any_receiver(self, box, switch, clock):
        """Contract 11: nobody looks at the outbox."""
        box.add_packet(add(1))

        clock.advance(EXPIRY)

        assert [1] == switch.next_fails(1)
        assert 0 == box.statistics().adds_unacked

    def test_adds_expire_behind_a_reply_that_nobody_takes(self, box, switch, clock):
        """Contract 11: and the reply stays."""
        box.add_packets([settle(1), add(2), add(3)])

        clock.advance(EXPIRY)

        assert [2, 3] == switch.next_fails(2)
        assert [1] == numbers(drain(box.packet_outbox))

    def test_each_add_has_its_own_deadline(self, box, switch, clock):
        """Contract 11: counted from its `add_packet`."""
        box.add_packet(add(1))
        clock.advance(EXPIRY / 2)
        box.add_packet(add(2))
        clock.advance(EXPIRY / 2)

        assert [1] == switch.next_fails(1)

        clock.advance(EXPIRY / 2 - NANOSECOND)

        assert [2] == numbers(drain(box.packet_outbox))

        box.add_packet(add(3))
        clock.advance(EXPIRY)

        assert [3] == switch.next_fails(1)

    def test_an_add_that_may_not_wait_at_all_is_failed(self, new_box, switch):
        """Contract 11: an expiry of 0 s is a deadline of now."""
        box = new_box(expiry=0.0)
        box.start()
        call = blocked(box.packet_outbox.get)

        box.add_packet(add(1))
        box.add_packet(settle(2))

        assert [1] == switch.next_fails(1)
        assert 2 == call.result().incoming_htlc_id

    def test_an_add_may_wait_for_thousands_of_years(self, new_box, clock):
        """Contract 11: no deadline is too far away to be waited for."""
        box = new_box(expiry=1e12)
        box.start()
        box.add_packet(add(1))

        clock.advance(1e12 - 1)

        assert [1] == numbers(drain(box.packet_outbox))

    def test_time_counts_before_the_start_and_nothing_expires_until_then(
        self, new_box, switch, clock
    ):
        """Contract 11 and 18: at the start, what is due goes back, and the rest is delivered."""
        box = new_box()
        box.add_packets([add(1), add(2)])
        clock.advance(EXPIRY / 2)
        box.add_packet(add(3))
        clock.advance(EXPIRY / 2)
        call = blocked(box.packet_outbox.get)

        assert 3 == box.statistics().adds_unacked
        assert 1 == box.packet_outbox.qsize()
        wait_until_quiet(clock)
        assert [] == switch.fails_so_far()

        box.start()

        assert 3 == call.result().incoming_htlc_id
        assert [1, 2] == switch.next_fails(2)

    @pytest.mark.parametrize("give_back", ["reset_packets", "nack_packet"])
    def test_a_receiver_that_waits_does_not_get_an_expired_add(
        self, box, switch, clock, give_back
    ):
        """Contract 12."""
        box.add_packet(add(1))
        drain(box.packet_outbox)
        clock.advance(EXPIRY)
        call = blocked(box.packet_outbox.get)

        box.reset_packets() if give_back == "reset_packets" else box.nack_packet(key(1))

        assert [1] == switch.next_fails(1)
        box.add_packet(settle(2))
        assert 2 == call.result().incoming_htlc_id

    def test_a_delivered_add_does_not_expire(self, box, switch, clock):
        """Contract 12: until a reset makes it undelivered again, and then at once."""
        box.add_packets([add(1), add(2)])
        assert [1] == numbers(box.packet_outbox.get_batch(1))

        clock.advance(EXPIRY)

        assert [2] == switch.next_fails(1)

        clock.advance(100 * EXPIRY)
        box.add_packet(add(3))
        clock.advance(EXPIRY)

        assert [3] == switch.next_fails(1)

        box.reset_packets()

        assert [1] == switch.next_fails(1)
        assert [] == drain(box.packet_outbox)

    @pytest.mark.parametrize("give_back", ["reset_packets", "nack_packet"])
    def test_an_add_that_is_given_back_keeps_its_deadline(self, box, switch, clock, give_back):
        """Contract 9 and 12: to the nanosecond."""
        box.add_packets([add(1), add(2)])
        clock.advance(EXPIRY / 2)
        for _ in range(2):
            drain(box.packet_outbox)
            box.reset_packets()
        drain(box.packet_outbox)
        if give_back == "reset_packets":
            box.reset_packets()
        else:
            assert box.nack_packet(key(1))
            assert box.nack_packet(key(2))
        clock.advance(EXPIRY / 2 - NANOSECOND)

        assert [1] == numbers(box.packet_outbox.get_batch(1))

        clock.advance(NANOSECOND)

        assert [2] == switch.next_fails(1)

    def test_adds_that_a_reset_makes_expire_go_back_in_the_order_of_the_queue(
        self, box, switch, clock
    ):
        """Contract 12 and 13."""
        for number in (4, 2, 9, 1):
            box.add_packet(add(number))
        drain(box.packet_outbox)
        box.ack_packet(key(9))
        clock.advance(EXPIRY)

        box.reset_packets()

        assert [4, 2, 1] == switch.next_fails(3)

    def test_an_expired_add_that_waits_to_be_failed_is_not_delivered(self, box, switch, clock):
        """Contract 12: nor after a reset, and not given back either."""
        gate = Gate()
        switch.when["forward_packets"] = gate.pass_through
        box.add_packets([add(1), add(2)])
        clock.advance(EXPIRY)
        gate.wait_until_reached()

        assert [] == drain(box.packet_outbox)
        assert not box.nack_packet(key(2))
        box.reset_packets()
        assert [] == drain(box.packet_outbox)

        gate.open()

        assert [1, 2] == switch.next_fails(2)

    @pytest.mark.parametrize("together", [True, False])
    def test_an_expired_add_that_is_acked_in_time_is_not_failed(
        self, box, switch, clock, together
    ):
        """Contract 5 and 13: it is in the mailbox until its fail is made."""
        gate = Gate()
        switch.when["forward_packets"] = gate.pass_through
        box.add_packets(map(add, (1, 2, 3)))
        clock.advance(EXPIRY)
        gate.wait_until_reached()

        acked = box.ack_packets([key(2)]) if together else box.ack_packet(key(2))

        assert 1 == acked  # or True, which is the same

        gate.open()

        assert [1, 3] == switch.next_fails(2)

    def test_an_expired_add_can_be_failed_by_hand(self, box, switch, clock):
        """Contract 13: by one of those who try."""
        gate = Gate()
        switch.when["fetch_update"] = gate.pass_through
        box.add_packets(map(add, (1, 2, 3)))
        clock.advance(EXPIRY)
        gate.wait_until_reached()
        switch.when.clear()

        assert False is box.fail_add(add(1))
        assert True is box.fail_add(add(2))

        gate.open()

        assert [2, 1, 3] == switch.next_fails(3)
        assert 3 == box.statistics().adds_failed

    def test_while_the_switch_is_busy_nothing_else_stalls(self, new_box, switch, clock):
        """Contract 11, 12, 27: a blocked `forward_packets` holds up later fails, and only them."""
        box, other = new_box(), new_box()
        box.start()
        other.start()
        gate = Gate()
        switch.when["forward_packets"] = gate.pass_through
        box.add_packet(add(1))
        clock.advance(EXPIRY)
        gate.wait_until_reached()
        switch.when.clear()

        box.add_message(message(1))
        assert message(1) == box.message_outbox.get()
        box.reset_messages()
        box.add_packets([add(2), settle(3)])
        box.add_packet(add(4))
        assert [3, 2, 4] == numbers(drain(box.packet_outbox))
        assert box.nack_packet(key(4))
        box.reset_packets()
        assert [3, 2, 4] == numbers(drain(box.packet_outbox))
        assert box.ack_packet(key(2))
        assert 1 == box.ack_packets([key(3)])
        assert box.fail_add(add(4))
        assert [4] == switch.fails_so_far()
        assert not box.has_packet(key(3))
        assert 0 == box.statistics().adds_unacked
        call = blocked(box.packet_outbox.get)
        box.add_packet(settle(5))
        assert 5 == call.result().incoming_htlc_id

        box.add_packet(add(6))
        other.add_packet(add(7))
        clock.advance(EXPIRY)
        assert [7] == switch.next_fails(1)
        other.stop()
        with pytest.raises(queue.Empty):
            box.packet_outbox.get_nowait()

        gate.open()
        assert [1, 6] == switch.next_fails(2)

    def test_an_add_is_delivered_or_failed_and_never_both(self, new_box, clock):
        """Contract 11, 12, 27: whatever the receivers and the clock do at the same time."""
        count = 2000
        ended = queue.Queue()

        def fail(_, packet):
            ended.put(("failed", packet.incoming_htlc_id))

        def deliver():
            for packet in box.packet_outbox:
                ended.put(("delivered", packet.incoming_htlc_id))

        def produce():
            for number in range(count):
                box.add_packet(add(number))

        def pass_time():
            for _ in range(count // 4):
                clock.advance(EXPIRY / 3)

        box = new_box(forward_packets=fail)
        box.start()
        receivers = [Call(deliver), Call(deliver)]
        run_threads(produce, pass_time)
        clock.advance(EXPIRY)
        ends = [ended.get(timeout=PATIENCE) for _ in range(count)]
        box.stop()
        for receiver in receivers:
            receiver.result()

        assert ended.empty()
        assert list(range(count)) == sorted(number for _, number in ends)
