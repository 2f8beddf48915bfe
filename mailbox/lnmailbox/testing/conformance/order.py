"""Contract 1 to 4: order, priority, delivery, content."""

from __future__ import annotations

import asyncio
import queue

import pytest

from ... import AddRef, PaymentCircuit, SettleFailRef, select
from ..threads import PATIENCE, Call, blocked, run_threads
from .base import (
    CHANNEL,
    EXPIRY,
    SOURCE,
    MailBoxTests,
    add,
    drain,
    fail,
    key,
    message,
    numbers,
    said,
    settle,
)

BAD_TIMEOUTS = [-1, -1e-9, float("nan"), float("inf"), -float("inf"), "1", True]


def both_ways(box):
    """Return how each of the two kinds of mail is added, made and received."""
    return [
        (box.add_message, message, box.message_outbox),
        (box.add_packet, settle, box.packet_outbox),
    ]


def full(number, kind, **fields):
    """Return a packet with something in every field but `link_failure`."""
    return kind(
        number,
        outgoing_chan_id=CHANNEL,
        outgoing_htlc_id=6,
        amount=1_000,
        incoming_amount=1_001,
        circuit=PaymentCircuit(incoming=key(number), incoming_amount=1_001, outgoing_amount=1_000),
        source_ref=AddRef(height=3, index=4),
        dest_ref=SettleFailRef(source=CHANNEL, height=8),
        local_failure=True,
        has_source=True,
        converted_error=True,
        is_resolution=True,
        incoming_timeout=800_040,
        outgoing_timeout=800_000,
        **fields,
    )


class OrderTests(MailBoxTests):
    def test_messages_come_out_once_in_the_order_they_went_in(self, box):
        """Contract 1."""
        for number in range(50):
            box.add_message(message(number))

        assert list(map(message, range(50))) == drain(box.message_outbox)

    @pytest.mark.parametrize("kind", [settle, fail, add])
    def test_packets_of_a_class_come_out_once_in_the_order_they_went_in(self, box, kind):
        """Contract 1."""
        for number in (5, 3, 9, 1, 7):
            box.add_packet(kind(number))

        assert [5, 3, 9, 1, 7] == numbers(drain(box.packet_outbox))

    def test_settles_and_fails_are_one_queue(self, box):
        """Contract 1: replies come out in the order in which they came, of either class."""
        replies = [settle(1), fail(2), fail(3), settle(4)]
        for reply in replies:
            box.add_packet(reply)

        assert said(replies) == said(drain(box.packet_outbox))

    def test_messages_and_packets_do_not_wait_for_each_other(self, box):
        """Contract 1: the two outboxes are independent."""
        box.add_message(message(1))

        with pytest.raises(queue.Empty):
            box.packet_outbox.get_nowait()

        box.add_packet(settle(1))

        assert [message(1)] == drain(box.message_outbox)
        assert [1] == numbers(drain(box.packet_outbox))

    def test_one_item_goes_to_one_of_two_receivers(self, box):
        """Contract 1: the other receiver goes on waiting, and gets the next item."""
        for add_item, make, outbox in both_ways(box):
            received = queue.Queue()
            calls = [
                blocked(lambda outbox=outbox, received=received: received.put(outbox.get()))
                for _ in range(2)
            ]

            add_item(make(1))

            assert said([make(1)]) == said([received.get(timeout=PATIENCE)])
            assert received.empty()

            add_item(make(2))

            for call in calls:
                call.result()
            assert said([make(2)]) == said([received.get_nowait()])
            assert received.empty()

    @pytest.mark.parametrize("what", ["messages", "replies", "Adds"])
    def test_many_producers_and_receivers_see_each_item_once_and_in_order(self, new_box, what):
        """Contract 1 and 27: 4 threads add, 4 receive; each sees every producer's order."""
        box = new_box(max_wire_messages=None)
        box.start()
        add_item, make, number_of, outbox = {
            "messages": (box.add_message, message, lambda item: item.id, box.message_outbox),
            "replies": (box.add_packet, settle, lambda item: item.htlc.id, box.packet_outbox),
            "Adds": (box.add_packet, add, lambda item: item.htlc.id, box.packet_outbox),
        }[what]
        each = 500
        received = queue.Queue()

        def produce(producer):
            for number in range(each):
                add_item(make(producer * each + number))

        def receive(receiver):
            for item in outbox:
                received.put((receiver, number_of(item)))

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
        """Contract 2: the next packet is chosen when it is taken, not when it was added."""
        box.add_packet(add(1))
        box.add_packet(add(2))

        assert 1 == box.packet_outbox.get().incoming_htlc_id

        box.add_packet(settle(3))

        assert 3 == box.packet_outbox.get().incoming_htlc_id
        assert 2 == box.packet_outbox.get().incoming_htlc_id

    @pytest.mark.parametrize("timeout", [0, 0.0, 1e-9, 0.01])
    def test_a_receive_that_times_out_consumes_nothing(self, box, timeout):
        """Contract 3: it measures real time, and the mailbox's clock stands still."""
        for add_item, make, outbox in both_ways(box):
            with pytest.raises(queue.Empty):
                outbox.get(timeout=timeout)
            with pytest.raises(queue.Empty):
                outbox.get_batch(3, timeout=timeout)

            add_item(make(1))

            assert said([make(1)]) == said([outbox.get(timeout=timeout)])

    def test_a_receive_that_does_not_block_is_empty_at_once(self, box):
        """Contract 3: as with `queue.Queue`."""
        for outbox in (box.message_outbox, box.packet_outbox):
            for receive in (
                outbox.get_nowait,
                lambda outbox=outbox: outbox.get(block=False),
                lambda outbox=outbox: outbox.get(False, 1e12),
                lambda outbox=outbox: outbox.get_batch(2, block=False),
            ):
                with pytest.raises(queue.Empty):
                    receive()

    @pytest.mark.parametrize("timeout", [None, EXPIRY, 1e12])
    def test_a_receiver_waits_for_an_item(self, box, timeout):
        """Contract 3: for ever, or for thousands of years."""
        for add_item, make, outbox in both_ways(box):
            call = blocked(outbox.get, timeout=timeout)

            add_item(make(1))

            assert said([make(1)]) == said([call.result()])

    @pytest.mark.parametrize("timeout", BAD_TIMEOUTS)
    def test_a_timeout_that_is_no_span_of_time_is_refused(self, box, timeout):
        """Contract 3: receiving raises ValueError instead of waiting for ever, or not at all."""
        for outbox in (box.message_outbox, box.packet_outbox):
            with pytest.raises(ValueError, match=r"^timeout must be a finite number of seconds"):
                outbox.get(timeout=timeout)
            with pytest.raises(ValueError, match=r"^timeout must be a finite number of seconds"):
                outbox.get_batch(2, timeout=timeout)

    def test_a_reset_wakes_as_many_receivers_as_it_has_packets_for(self, box):
        """Contract 3 and 9."""
        for packet in (settle(1), add(2), add(3)):
            box.add_packet(packet)
        drain(box.packet_outbox)
        calls = [blocked(box.packet_outbox.get) for _ in range(3)]

        box.reset_packets()

        assert [1, 2, 3] == sorted(numbers(call.result() for call in calls))

    def test_a_packet_comes_out_as_it_went_in(self, box, switch):
        """Contract 4: field by field, first, and again after a reset."""
        packets = [full(1, settle), full(2, fail), full(3, add, obfuscator=switch)]
        expected = said(packets)
        for packet in packets:
            box.add_packet(packet)

        assert expected == said(drain(box.packet_outbox))

        box.reset_packets()

        assert expected == said(drain(box.packet_outbox))

    @pytest.mark.parametrize("kind", [settle, add])
    def test_a_mailbox_knows_a_packet_by_the_key_it_was_added_under(self, box, kind):
        """Contract 4: the link may change what it was given, its incoming ids included."""
        box.add_packet(kind(1))
        packet = box.packet_outbox.get()
        packet.outgoing_htlc_id = 77
        packet.incoming_htlc_id = 99

        assert (kind is settle) is box.has_packet(key(1))
        assert not box.has_packet(key(99))
        assert not box.nack_packet(key(99))
        assert box.nack_packet(key(1))
        assert 1 == box.packet_outbox.get().htlc.id

        box.reset_packets()

        assert 1 == box.packet_outbox.get().htlc.id
        assert not box.ack_packet(key(99))
        assert box.ack_packet(key(1))
        box.reset_packets()
        assert [] == drain(box.packet_outbox)

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
        for number in (1, 2, 3):
            for add_item, make, _ in both_ways(box):
                add_item(make(number))
                assert said([make(number)]) == said([received.get(timeout=PATIENCE)])

        box.stop()

        assert ["ended", "ended"] == [call.result() for call in calls]

    def test_a_coroutine_receives_what_a_thread_would(self, box):
        """Contract 1 to 3: at once or later; a call that is cancelled consumes nothing."""

        async def receive():
            for add_item, make, outbox in both_ways(box):
                add_item(make(1))
                assert said([make(1)]) == said([await outbox.async_get()])

                waiting = asyncio.ensure_future(outbox.async_get_batch(2))
                cancelled = asyncio.ensure_future(outbox.async_get())
                await asyncio.sleep(0)
                cancelled.cancel()
                await asyncio.to_thread(add_item, make(2))

                assert said([make(2)]) == said(await waiting)
                with pytest.raises(asyncio.CancelledError):
                    await cancelled
            box.stop()
            return [item async for item in box.packet_outbox]

        assert [] == asyncio.run(receive())

    def test_a_select_takes_one_item_of_one_outbox(self, box):
        """Contract 1 and 3."""
        outboxes = [box.message_outbox, box.packet_outbox]
        with pytest.raises(queue.Empty):
            select(*outboxes, timeout=0)
        call = blocked(select, *outboxes)

        box.add_packet(settle(1))
        box.add_message(message(1))

        outbox, item = call.result()
        [other] = {*outboxes} - {outbox}
        assert [0, 1] == [outbox.qsize(), other.qsize()]
        assert said([item, other.get()]) in (
            [message(1), *said([settle(1)])],
            [*said([settle(1)]), message(1)],
        )

    def test_an_outbox_tells_its_size(self, box, clock, switch):
        """With the caveats of `queue.Queue`; what was taken or has expired does not count."""
        box.add_message(message(1))
        box.add_packets([add(1), settle(2), settle(3)])

        assert [1, 3] == [box.message_outbox.qsize(), box.packet_outbox.qsize()]

        box.packet_outbox.get()
        clock.advance(EXPIRY)

        assert [False, False] == [box.message_outbox.empty(), box.packet_outbox.empty()]
        assert 1 == box.packet_outbox.qsize()
        assert [1] == switch.next_fails(1)
        drain(box.packet_outbox)
        assert box.packet_outbox.empty()


class IdentityTests(MailBoxTests):
    """For mailboxes that hand over the very objects."""

    def test_what_comes_out_is_the_very_object_that_went_in(self, box):
        """Contract 4: a packet also after a reset, when it was given back, and if changed."""
        sent, packets = message(1), [settle(2), add(3)]
        box.add_message(sent)
        box.add_packets(packets)

        assert sent is box.message_outbox.get()
        for undo in (box.reset_packets, lambda: [box.nack_packet(key(n)) for n in (2, 3)]):
            first = drain(box.packet_outbox)
            first[0].outgoing_htlc_id += 1
            undo()
            again = drain(box.packet_outbox)
            undo()

            assert list(map(id, packets)) == list(map(id, first)) == list(map(id, again))
        assert 2 == packets[0].outgoing_htlc_id
