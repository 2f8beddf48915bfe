"""`statistics()`: counts of the content, and totals."""

from __future__ import annotations

from ... import MailBoxStatistics
from ..switch import Gate
from .base import EXPIRY, MailBoxTests, add, drain, key, message, settle

NOTHING = {
    "messages": 0,
    "replies_unacked": 0,
    "replies_undelivered": 0,
    "adds_unacked": 0,
    "adds_undelivered": 0,
    "adds_overdue": 0,
    "adds_failed": 0,
    "adds_expired": 0,
    "encrypt_errors": 0,
    "forward_errors": 0,
}


def statistics(**fields):
    return MailBoxStatistics(**{**NOTHING, **fields})


class StatisticsTests(MailBoxTests):
    def test_an_empty_mailbox_counts_zero(self, new_box):
        """Before the start as well, and after the stop."""
        box = new_box()

        assert statistics() == box.statistics()

        box.stop()

        assert statistics() == box.statistics()

    def test_statistics_count_what_is_unacked_and_undelivered(self, box):
        """Step by step, through add, delivery, reset, nack and ack."""
        for number in range(3):
            box.add_message(message(number))
        box.add_packets([settle(1), settle(2), add(3), add(4), add(5)])
        assert (
            statistics(
                messages=3,
                replies_unacked=2,
                replies_undelivered=2,
                adds_unacked=3,
                adds_undelivered=3,
            )
            == box.statistics()
        )

        box.message_outbox.get()
        box.packet_outbox.get_batch(3)
        in_the_link = statistics(messages=2, replies_unacked=2, adds_unacked=3, adds_undelivered=2)
        assert in_the_link == box.statistics()

        box.nack_packet(key(2))
        assert 1 == box.statistics().replies_undelivered
        drain(box.packet_outbox)
        box.reset_packets()
        box.reset_messages()
        assert (
            statistics(
                replies_unacked=2, replies_undelivered=2, adds_unacked=3, adds_undelivered=3
            )
            == box.statistics()
        )

        box.ack_packets([key(1), key(2), key(4)])
        assert statistics(adds_unacked=2, adds_undelivered=2) == box.statistics()

    def test_statistics_count_what_was_failed_and_what_had_expired(self, box, switch, clock):
        """By hand, by expiry, and while a courier is at it."""
        gate = Gate()
        switch.when["fetch_update"] = gate.pass_through
        box.add_packets(map(add, (1, 2, 3)))
        clock.advance(EXPIRY)
        gate.wait_until_reached()

        assert statistics(adds_unacked=3, adds_overdue=2) == box.statistics()

        gate.open()
        switch.next_fails(3)

        assert statistics(adds_failed=3, adds_expired=3) == box.statistics()

        box.add_packet(add(4))
        box.fail_add(add(4))

        assert statistics(adds_failed=4, adds_expired=3) == box.statistics()
