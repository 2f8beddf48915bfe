"""Contract 5 to 10: acks, resets, duplicates, and the classes that are packets."""

from __future__ import annotations

import attrs
import pytest

from ... import MailBoxError, PacketAlreadyExists, UnknownHTLCType
from ...wire import (
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
)
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
    said,
    settle,
)


class SubclassedAdd(UpdateAddHTLC):
    pass


class SubclassedSettle(UpdateFulfillHTLC):
    pass


class SubclassedFail(UpdateFailHTLC):
    pass


UNKNOWN = [
    UpdateFailMalformedHTLC(id=1),
    None,
    SubclassedAdd(id=1),
    SubclassedSettle(id=1),
    SubclassedFail(id=1),
    UpdateAddHTLC,
    "UpdateAddHTLC",
]


class AckTests(MailBoxTests):
    @pytest.mark.parametrize("kind", [settle, fail, add])
    @pytest.mark.parametrize("delivered", [True, False])
    def test_an_acked_packet_is_gone(self, box, kind, delivered):
        """Contract 5: delivered or not, it never comes again; a second ack finds nothing."""
        box.add_packet(kind(1))
        if delivered:
            drain(box.packet_outbox)

        assert True is box.ack_packet(key(1))
        assert False is box.ack_packet(key(1))
        assert [] == drain(box.packet_outbox)

        box.reset_packets()

        assert [] == drain(box.packet_outbox)

    @pytest.mark.parametrize("kind", [settle, add])
    @pytest.mark.parametrize("acked", [1, 2, 3, 4, 5])
    def test_an_ack_removes_a_packet_wherever_it_stands(self, box, kind, acked):
        """Contract 5: with two packets delivered and three not, the others keep their order."""
        for number in range(1, 6):
            box.add_packet(kind(number))
        box.packet_outbox.get_batch(2)

        assert box.ack_packet(key(acked))

        assert [n for n in (3, 4, 5) if n != acked] == numbers(drain(box.packet_outbox))
        box.reset_packets()
        assert [n for n in range(1, 6) if n != acked] == numbers(drain(box.packet_outbox))

    def test_an_ack_of_what_is_not_there_says_so(self, box):
        """Contract 5: in an empty mailbox, and beside other packets."""
        assert False is box.ack_packet(key(1))

        box.add_packet(settle(2))
        box.add_packet(add(3))

        assert False is box.ack_packet(key(1))
        assert [2, 3] == numbers(drain(box.packet_outbox))

    def test_an_ack_takes_the_reply_first_and_then_the_add(self, box):
        """Contract 5."""
        box.add_packet(add(1))
        box.add_packet(settle(1))

        assert box.ack_packet(key(1))
        assert not box.has_packet(key(1))
        assert 1 == box.statistics().adds_unacked

        assert box.ack_packet(key(1))
        assert 0 == box.statistics().adds_unacked
        assert not box.ack_packet(key(1))

    def test_a_receiver_that_waits_does_not_get_what_was_acked(self, box):
        """Contract 5: the packet that comes next goes to it."""
        box.add_packet(settle(1))
        drain(box.packet_outbox)
        call = blocked(box.packet_outbox.get)

        assert box.ack_packet(key(1))
        box.reset_packets()
        box.add_packet(settle(2))

        assert 2 == call.result().incoming_htlc_id

    @pytest.mark.parametrize("kind", [settle, fail, add])
    @pytest.mark.parametrize("delivered", [True, False])
    def test_a_second_packet_with_a_key_is_refused(self, box, kind, delivered):
        """Contract 6: and nothing changes; it may be an equal packet or the very same one."""
        packet = kind(1)
        box.add_packet(packet)
        if delivered:
            drain(box.packet_outbox)
        before = box.statistics()

        for second in (kind(1), packet):
            with pytest.raises(PacketAlreadyExists) as caught:
                box.add_packet(second)
            assert isinstance(caught.value, MailBoxError)

        after = box.statistics()
        assert attrs.evolve(before, packets_refused=after.packets_refused) == after
        box.reset_packets()
        assert [1] == numbers(drain(box.packet_outbox))

    def test_a_settle_and_a_fail_can_not_share_a_key(self, box):
        """Contract 6: they are one class, the replies."""
        box.add_packet(settle(1))
        with pytest.raises(PacketAlreadyExists):
            box.add_packet(fail(1))

        box.add_packet(fail(2))
        with pytest.raises(PacketAlreadyExists):
            box.add_packet(settle(2))

        assert [1, 2] == numbers(drain(box.packet_outbox))

    def test_an_add_and_a_reply_may_share_a_key(self, box):
        """Contract 6."""
        box.add_packet(add(1))
        box.add_packet(settle(1))

        assert said([settle(1), add(1)]) == said(drain(box.packet_outbox))

    @pytest.mark.parametrize("kind", [settle, add])
    def test_a_key_is_free_again_after_the_ack(self, box, kind):
        """Contract 6: the new packet goes to the end."""
        for number in (1, 2):
            box.add_packet(kind(number))
        box.ack_packet(key(1))

        box.add_packet(kind(1))

        assert [2, 1] == numbers(drain(box.packet_outbox))

    def test_a_key_is_free_again_after_the_add_was_failed(self, box):
        """Contract 6."""
        box.add_packet(add(1))
        assert box.fail_add(add(1))

        box.add_packet(add(1))

        assert [1] == numbers(drain(box.packet_outbox))

    @pytest.mark.parametrize("kind", [settle, fail])
    def test_failing_an_add_leaves_a_reply_alone(self, box, switch, kind):
        """Contract 7: a Settle under the key is somebody's money."""
        box.add_packet(kind(1))

        assert False is box.fail_add(add(1))
        assert False is box.fail_add(kind(1))

        assert [] == switch.fails_so_far()
        assert box.has_packet(key(1))
        assert [1] == numbers(drain(box.packet_outbox))

    @pytest.mark.parametrize("delivered", [True, False])
    def test_failing_an_add_that_shares_its_key_leaves_the_reply(self, box, switch, delivered):
        """Contract 7: the Add goes, the reply stays."""
        box.add_packets([add(1), settle(1)])
        if delivered:
            drain(box.packet_outbox)

        assert True is box.fail_add(add(1))

        assert [1] == switch.fails_so_far()
        box.reset_packets()
        assert said([settle(1)]) == said(drain(box.packet_outbox))
        assert box.has_packet(key(1))

    def test_an_expired_add_that_shares_its_key_leaves_the_reply(self, box, switch, clock):
        """Contract 7."""
        box.add_packets([add(1), settle(1)])

        clock.advance(EXPIRY)

        assert [1] == switch.next_fails(1)
        assert said([settle(1)]) == said(drain(box.packet_outbox))

    def test_a_mailbox_has_replies_until_they_are_acked(self, box):
        """Contract 8: delivered or not; Adds don't count."""
        assert False is box.has_packet(key(1))

        box.add_packet(add(1))

        assert False is box.has_packet(key(1))

        box.add_packet(settle(1))
        box.add_packet(fail(2))

        assert True is box.has_packet(key(1))
        assert True is box.has_packet(key(2))

        drain(box.packet_outbox)

        assert True is box.has_packet(key(1))

        box.ack_packet(key(1))

        assert False is box.has_packet(key(1))
        assert True is box.has_packet(key(2))

    def test_a_reset_replays_what_is_unacked_in_the_order_it_came(self, box):
        """Contract 9: the delivered and the undelivered, and again after the next reset."""
        for number in range(10):
            box.add_packet(add(number) if number % 2 else settle(number))
        box.packet_outbox.get_batch(7)  # all the replies and two Adds
        for number in (2, 5, 1):
            box.ack_packet(key(number))

        for _ in range(3):
            box.reset_packets()
            assert [0, 4, 6, 8, 3, 7, 9] == numbers(drain(box.packet_outbox))

    def test_a_reset_in_the_middle_begins_again_at_the_first(self, box):
        """Contract 9: and packets that are added afterwards come after it."""
        for number in range(6):
            box.add_packet(add(number))
        for taken in (1, 3, 0, 6):
            assert taken == len(box.packet_outbox.get_batch(taken) if taken else [])
            box.reset_packets()
        box.add_packet(add(6))

        assert [0, 1, 2, 3, 4, 5, 6] == numbers(drain(box.packet_outbox))

    def test_a_reset_of_packets_leaves_messages_alone_and_the_other_way_round(self, box):
        """Contract 9."""
        box.add_message(message(1))
        box.add_packet(settle(1))

        box.reset_packets()

        assert message(1) == box.message_outbox.get_nowait()

        box.add_message(message(2))
        drain(box.packet_outbox)
        box.reset_messages()

        assert [] == drain(box.message_outbox)
        assert [] == drain(box.packet_outbox)

    def test_a_reset_of_messages_is_complete_when_it_returns(self, box):
        """Contract 9: the next receiver gets the first message after it."""
        for number in range(1000):
            box.add_message(message(number))
        box.message_outbox.get_batch(10)

        box.reset_messages()

        assert 0 == box.statistics().messages
        call = blocked(box.message_outbox.get)
        box.add_message(message(1000))
        assert message(1000) == call.result()

    def test_resets_of_an_empty_mailbox_do_nothing(self, box):
        """Contract 9."""
        box.reset_messages()
        box.reset_packets()

        assert [] == drain(box.message_outbox)
        assert [] == drain(box.packet_outbox)

    @pytest.mark.parametrize("htlc", UNKNOWN, ids=repr)
    def test_what_is_neither_an_add_nor_a_reply_is_refused(self, box, htlc):
        """Contract 10: by exact class; and nothing changes."""
        before = box.statistics()

        with pytest.raises(UnknownHTLCType, match=r"^unknown htlc type: ") as caught:
            box.add_packet(packet(1, htlc))

        assert isinstance(caught.value, MailBoxError)
        assert before == box.statistics()
        assert [] == drain(box.packet_outbox)
        assert not box.ack_packet(key(1))

    def test_no_message_is_none(self, box):
        """A message that is None could not be told from no message."""
        with pytest.raises(TypeError):
            box.add_message(None)

        assert [] == drain(box.message_outbox)

    @pytest.mark.parametrize("method", ["ack_packet", "nack_packet", "has_packet", "ack_packets"])
    @pytest.mark.parametrize(
        "no_key", [settle(1), 1, None, "1", []], ids=["packet", "1", "None", "text", "list"]
    )
    def test_a_key_that_can_not_be_one_is_refused(self, box, method, no_key):
        """Contract 5: or a packet would come again and again, for ever acked in vain."""
        box.add_packet(settle(1))
        drain(box.packet_outbox)

        with pytest.raises(TypeError):
            getattr(box, method)([key(9), no_key] if method == "ack_packets" else no_key)

        assert box.has_packet(key(1))

    def test_a_key_alone_is_not_several_keys(self, box):
        """Contract 5: although it is a tuple."""
        box.add_packet(settle(1))

        with pytest.raises(TypeError):
            box.ack_packets(key(1))

        assert box.has_packet(key(1))
