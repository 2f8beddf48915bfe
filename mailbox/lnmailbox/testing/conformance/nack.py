"""`nack_packet`: undoing the delivery of one packet."""

from __future__ import annotations

import pytest

from ..threads import blocked
from .base import MailBoxTests, add, drain, key, numbers, said, settle


class NackTests(MailBoxTests):
    @pytest.mark.parametrize("kind", [settle, add])
    def test_a_packet_that_is_given_back_takes_its_old_place(self, box, kind):
        """Contract 3: `nack_packet` undoes one delivery."""
        for number in range(1, 6):
            box.add_packet(kind(number))
        box.packet_outbox.get_batch(3)

        assert True is box.nack_packet(key(3))
        assert True is box.nack_packet(key(1))

        assert [1, 3, 4, 5] == numbers(drain(box.packet_outbox))

    def test_only_what_is_delivered_can_be_given_back(self, box):
        """Neither what is undelivered, nor what was acked, nor what was never there."""
        for number in (1, 2):
            box.add_packet(settle(number))
            box.add_packet(add(10 + number))
        assert [1] == numbers(box.packet_outbox.get_batch(1))
        box.ack_packet(key(1))

        for number in (1, 2, 11, 12, 99):
            assert False is box.nack_packet(key(number))

        assert [2, 11, 12] == numbers(drain(box.packet_outbox))

    def test_a_packet_can_be_given_back_as_often_as_it_is_delivered(self, box):
        """And once a time."""
        box.add_packet(settle(1))

        for _ in range(3):
            assert [1] == numbers(drain(box.packet_outbox))
            assert True is box.nack_packet(key(1))
            assert False is box.nack_packet(key(1))

    def test_what_was_given_back_and_acked_is_gone(self, box):
        """Contract 5."""
        box.add_packet(settle(1))
        drain(box.packet_outbox)
        box.nack_packet(key(1))

        assert box.ack_packet(key(1))
        assert [] == drain(box.packet_outbox)

    def test_the_reply_is_given_back_first_and_then_the_add(self, box):
        """As `ack_packet` looks for them."""
        box.add_packets([add(1), settle(1)])
        drain(box.packet_outbox)

        assert box.nack_packet(key(1))
        assert said([settle(1)]) == said(drain(box.packet_outbox))

        box.nack_packet(key(1))
        assert box.nack_packet(key(1))
        assert said([settle(1), add(1)]) == said(drain(box.packet_outbox))

    def test_a_receiver_is_woken_by_what_is_given_back(self, box):
        """Contract 3."""
        for given_back in (settle(1), add(2)):
            box.add_packet(given_back)
            box.packet_outbox.get()
            call = blocked(box.packet_outbox.get)

            assert box.nack_packet(given_back.in_key)

            assert said([given_back]) == said([call.result()])

    def test_a_reset_takes_in_what_was_given_back(self, box):
        """Contract 9: each packet is undelivered once, not twice."""
        for number in (1, 2, 3):
            box.add_packet(add(number))
        box.packet_outbox.get_batch(2)
        box.nack_packet(key(1))

        box.reset_packets()

        assert [1, 2, 3] == numbers(drain(box.packet_outbox))
