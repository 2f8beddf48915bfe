"""Many at once: `get_batch`, `add_packets`, `ack_packets`."""

from __future__ import annotations

import attrs
import pytest

from ... import PacketAlreadyExists, UnknownHTLCType
from ..threads import blocked
from .base import (
    EXPIRY,
    MailBoxTests,
    add,
    drain,
    fail,
    key,
    message,
    numbers,
    packet,
    settle,
)


class BatchTests(MailBoxTests):
    def test_a_batch_has_the_next_items_in_order(self, box):
        """Contract 1 and 2: replies before Adds, and no more than was asked for."""
        for number in range(1, 7):
            box.add_packet(add(number) if number % 2 else settle(number))
            box.add_message(message(number))

        assert [2, 4] == numbers(box.packet_outbox.get_batch(2))
        assert [6, 1, 3] == numbers(box.packet_outbox.get_batch(3))
        assert [5] == numbers(box.packet_outbox.get_batch(10))
        assert list(map(message, (1, 2, 3, 4))) == box.message_outbox.get_batch(4)
        assert list(map(message, (5, 6))) == box.message_outbox.get_batch(1_000_000)

    def test_a_batch_waits_for_its_first_item_only(self, box):
        """Contract 3."""
        for_packets = blocked(box.packet_outbox.get_batch, 5)
        for_messages = blocked(box.message_outbox.get_batch, 5, timeout=1e12)

        box.add_packet(settle(1))
        box.add_message(message(1))

        assert [1] == numbers(for_packets.result())
        assert [message(1)] == for_messages.result()

    def test_a_batch_takes_all_that_was_added_at_once(self, box):
        """Contract 3: the receiver that `add_packets` wakes finds all of them."""
        call = blocked(box.packet_outbox.get_batch, 5)

        box.add_packets([add(1), add(2), settle(3)])

        assert [3, 1, 2] == numbers(call.result())

    @pytest.mark.parametrize("size", [0, -1, 1.0, 2.5, "3", None])
    def test_a_batch_has_at_least_one_item(self, box, size):
        """Another size raises, and takes nothing."""
        box.add_packet(settle(1))

        with pytest.raises(ValueError, match=r"^max_items must be an integer >= 1, got "):
            box.packet_outbox.get_batch(size)

        assert [1] == numbers(drain(box.packet_outbox))

    def test_a_batch_has_no_add_that_has_expired(self, box, switch, clock):
        """Contract 12: only what follows it."""
        box.add_packets([add(1), add(2)])
        clock.advance(EXPIRY / 2)
        box.add_packet(add(3))
        clock.advance(EXPIRY / 2)

        assert [3] == numbers(box.packet_outbox.get_batch(5))
        assert [1, 2] == switch.next_fails(2)

    def test_packets_are_added_together_in_order(self, box):
        """Contract 1: as if one after the other."""
        box.add_packet(settle(1))

        box.add_packets(iter([add(2), settle(3), fail(4), add(5)]))

        assert [1, 3, 4, 2, 5] == numbers(drain(box.packet_outbox))
        box.reset_packets()
        assert [1, 3, 4, 2, 5] == numbers(drain(box.packet_outbox))

    def test_no_packets_are_added_without_a_trace(self, box):
        before = box.statistics()

        box.add_packets([])

        assert before == box.statistics()

    def test_an_add_and_a_reply_among_packets_may_share_a_key(self, box):
        """Contract 6: a key that is acked twice removes the reply and then the Add."""
        box.add_packets([add(1), settle(1)])

        assert 2 == box.ack_packets([key(1), key(1), key(1)])

    @pytest.mark.parametrize(
        "bad, error",
        [
            (add(1), PacketAlreadyExists),
            (settle(2), PacketAlreadyExists),
            (add(21), PacketAlreadyExists),
            (fail(22), PacketAlreadyExists),
            (packet(3, None), UnknownHTLCType),
        ],
        ids=["Add is there", "reply is there", "Add twice", "reply twice", "unknown"],
    )
    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_one_bad_packet_keeps_all_of_them_out(self, box, switch, clock, bad, error, position):
        """Contract 6 and 10: all or none; what did not get in does not expire either."""
        box.add_packets([add(1), settle(2)])
        before = box.statistics()
        packets = [add(21), settle(22)]
        packets.insert(position, bad)

        with pytest.raises(error):
            box.add_packets(packets)

        refused = int(error is PacketAlreadyExists)
        assert attrs.evolve(before, packets_refused=refused) == box.statistics()
        assert [2, 1] == numbers(drain(box.packet_outbox))
        box.add_packets([add(21), settle(22)])
        assert [22, 21] == numbers(drain(box.packet_outbox))

    def test_nothing_is_added_if_the_iterable_raises(self, box):
        """All or none."""
        before = box.statistics()

        def packets():
            yield add(1)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            box.add_packets(packets())

        assert before == box.statistics()

    def test_the_iterables_may_use_the_mailbox(self, box):
        """Contract 27: no code of the user runs under a lock."""
        box.add_packet(settle(1))

        def packets():
            for number in (2, 3):
                box.ack_packet(key(number - 1))
                yield settle(number)

        box.add_packets(packets())

        def keys():
            for number in (1, 2, 3):
                if box.has_packet(key(number)):
                    yield key(number)

        assert 2 == box.ack_packets(keys())
        assert 0 == box.statistics().replies_unacked

    def test_packets_that_are_added_together_wake_as_many_receivers(self, box):
        """Contract 3."""
        calls = [blocked(box.packet_outbox.get) for _ in range(3)]

        box.add_packets([add(1), settle(2), add(3)])

        assert [1, 2, 3] == sorted(numbers(call.result() for call in calls))

    def test_packets_that_are_added_together_expire_together(self, box, switch, clock):
        """Contract 11 and 13: in the order of the queue."""
        box.add_packets([add(1), settle(2), add(3), add(4)])

        clock.advance(EXPIRY)

        assert [1, 3, 4] == switch.next_fails(3)
        assert [2] == numbers(drain(box.packet_outbox))

    def test_acks_are_counted(self, box):
        """Contract 5: unknown keys and repeated ones add nothing."""
        box.add_packets([add(1), add(2), settle(3), add(4), settle(5)])
        assert [3, 5, 1] == numbers(box.packet_outbox.get_batch(3))

        assert 3 == box.ack_packets([key(1), key(1), key(99), key(3), key(4)])

        assert [2] == numbers(drain(box.packet_outbox))
        box.reset_packets()
        assert [5, 2] == numbers(drain(box.packet_outbox))

    def test_acks_of_adds_are_counted_if_there_are_no_replies(self, box):
        """Contract 5."""
        box.add_packets(map(add, range(10)))
        box.packet_outbox.get_batch(4)

        assert 6 == box.ack_packets(key(number) for number in (0, 2, 2, 5, 6, 8, 9, 77))

        assert [4, 7] == numbers(drain(box.packet_outbox))
        assert 0 == box.ack_packets([])
        assert 0 == box.ack_packets(iter([key(0)]))
