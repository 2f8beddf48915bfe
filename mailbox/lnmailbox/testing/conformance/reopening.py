"""For mailboxes that outlive a process: their packets, in the next one.

The tests are skipped for kinds whose `reopen` returns None.
"""

from __future__ import annotations

import queue

import pytest

from ... import PacketAlreadyExists
from ..quiet import wait_until_quiet
from .base import EXPIRY, MailBoxTests, add, drain, fail, key, numbers, said, settle
from .order import full


class ReopeningTests(MailBoxTests):
    @pytest.fixture
    def reopened(self, made):
        """Ends a mailbox, and returns the one that comes after it, started."""

        def reopen(box):
            new = self.reopen(box)
            if new is None:
                pytest.skip("this kind of mailbox ends with its process")
            made.add(new)
            new.start()
            return new

        return reopen

    def test_unacked_packets_are_replayed_in_order_after_a_reset(self, box, switch, reopened):
        """Delivered or not before, as they went in, and before all that is added later."""
        packets = [full(4, settle), fail(2), full(3, add, obfuscator=switch), add(1)]
        expected = said(packets)
        box.add_packets(packets)
        box.packet_outbox.get_batch(3)

        box = reopened(box)
        box.add_packets([add(5), settle(6)])

        assert [6, 5] == numbers(drain(box.packet_outbox))
        box.reset_packets()
        replayed = drain(box.packet_outbox)
        assert expected == said([*replayed[:2], *replayed[3:5]])
        assert [4, 2, 6, 3, 1, 5] == numbers(replayed)

    def test_unacked_packets_are_held_until_a_reset(self, box, switch, clock, reopened):
        """Only the link knows which of them it had: they count as delivered."""
        box.add_packets([add(1), settle(2), add(3)])
        box = reopened(box)
        clock.advance(2 * EXPIRY)
        wait_until_quiet(clock)

        assert [] == switch.fails_so_far()
        with pytest.raises(queue.Empty):
            box.packet_outbox.get_nowait()
        statistics = box.statistics()
        assert (2, 0) == (statistics.adds_unacked, statistics.adds_undelivered)
        assert (1, 0) == (statistics.replies_unacked, statistics.replies_undelivered)

        box.reset_packets()

        assert [1, 3] == switch.next_fails(2)
        assert [2] == numbers(drain(box.packet_outbox))

    def test_a_held_packet_can_be_given_back_alone(self, box, reopened):
        """By `nack_packet`."""
        box.add_packets([add(1), add(2)])
        box = reopened(box)

        assert box.nack_packet(key(2))

        assert [2] == numbers(drain(box.packet_outbox))

    def test_an_ack_is_final(self, box, reopened):
        """Before the end, and of a held packet after it."""
        box.add_packets([add(1), settle(1), add(2), settle(3), add(4)])
        assert 2 == box.ack_packets([key(1), key(2)])
        box = reopened(box)
        box.reset_packets()

        assert [3, 1, 4] == numbers(drain(box.packet_outbox))

        assert box.ack_packet(key(1))
        box = reopened(box)
        assert box.ack_packet(key(3))
        assert not box.ack_packet(key(1))
        box.reset_packets()

        assert [4] == numbers(drain(box.packet_outbox))

    def test_a_failed_add_is_gone(self, box, switch, reopened):
        """It is not delivered again; its Fail may be sent twice. A held one can be failed."""
        box.add_packets([add(1), add(2)])
        box.fail_add(add(1))
        box = reopened(box)

        assert not box.fail_add(add(1))
        assert box.fail_add(add(2))

        assert {1, 2} == set(switch.fails_so_far())
        box.reset_packets()
        assert [] == drain(box.packet_outbox)

    def test_the_key_of_a_held_packet_is_taken(self, box, reopened):
        box.add_packets([add(1), settle(2)])
        box = reopened(box)

        assert box.has_packet(key(2))
        for packet in (add(1), fail(2)):
            with pytest.raises(PacketAlreadyExists):
                box.add_packet(packet)

        box.ack_packets([key(1), key(2)])
        box.add_packets([add(1), fail(2)])
        assert [2, 1] == numbers(drain(box.packet_outbox))
