"""`statistics()`: counts of the content, and totals; `unacked()` and `describe()`."""

from __future__ import annotations

from typing import Any

import attrs

from lnmailbox import MailBox, MailSelector, PacketAlreadyExists, UnknownHTLCType, WireQueueFull

from ..quiet import wait_until_quiet
from ..switch import Gate, raiser
from ..threads import blocked
from .base import (
    EXPIRY,
    MailBoxTests,
    add,
    drain,
    fail,
    key,
    message,
    packet,
    raises,
    said,
    settle,
)


def counted(box: MailBox) -> dict[str, Any]:
    """Return the statistics that are not 0."""
    return {name: value for name, value in attrs.asdict(box.statistics()).items() if value}


class StatisticsTests(MailBoxTests):
    def test_an_empty_mailbox_counts_zero(self, new_box):
        """Before the start as well, and after the stop."""
        box = new_box()

        assert {} == counted(box)

        box.stop()

        assert {} == counted(box)

    def test_statistics_count_what_is_unacked_and_where_it_is(self, box):
        """Step by step, through add, delivery, reset, nack and ack."""
        for number in range(3):
            box.add_message(message(number))
        sizes = [message(number).serialized_size() for number in range(3)]
        box.add_packets([settle(1), settle(2), add(3), add(4), add(5)])
        unacked = {"replies_unacked": 2, "adds_unacked": 3}
        undelivered = {"replies_undelivered": 2, "adds_undelivered": 3}
        messages = {"messages": 3, "message_bytes": sum(sizes)}
        assert unacked | undelivered | messages == counted(box)

        box.message_outbox.get()
        box.packet_outbox.get_batch(3)
        at_the_link = {"replies_delivered": 2, "adds_undelivered": 2, "adds_delivered": 1}
        messages = {"messages": 2, "message_bytes": sum(sizes[1:])}
        assert unacked | at_the_link | messages == counted(box)

        box.reset_messages()
        box.nack_packet(key(2))
        nacked = {"replies_undelivered": 1, "replies_delivered": 1}
        assert unacked | at_the_link | nacked == counted(box)

        drain(box.packet_outbox)
        box.reset_packets()
        assert unacked | undelivered | {"packets_redelivered": 1} == counted(box)

        drain(box.packet_outbox)
        assert 6 == box.statistics().packets_redelivered

        assert 3 == box.ack_packets([key(1), key(2), key(4)])
        acked = {"adds_unacked": 2, "adds_delivered": 2, "packets_acked": 3}
        assert acked | {"packets_redelivered": 6} == counted(box)

    def test_an_ack_counts_wherever_the_packet_is(self, box):
        """Delivered or not, one by one or together; what was not there does not count."""
        box.add_packets([settle(1), settle(2), add(3), add(4)])
        box.packet_outbox.get_batch(3)

        for number in (1, 4, 5):
            box.ack_packet(key(number))
        box.ack_packets([key(2), key(3), key(6)])

        assert {"packets_acked": 4} == counted(box)

    def test_statistics_count_what_was_failed_and_what_had_expired(self, box, switch, clock):
        """By hand, by expiry, and while a courier is at it."""
        gate = Gate()
        switch.when["fetch_update"] = gate.pass_through
        box.add_packets(map(add, (1, 2, 3)))
        clock.advance(EXPIRY)
        gate.wait_until_reached()

        busy = {"adds_unacked": 3, "adds_overdue": 2, "adds_being_failed": 1}
        assert busy | {"oldest_add_age": EXPIRY} == counted(box)

        gate.open()
        switch.next_fails(3)

        assert {"adds_failed": 3, "adds_expired": 3} == counted(box)

        box.add_packet(add(4))
        box.fail_add(add(4))

        assert {"adds_failed": 4, "adds_expired": 3} == counted(box)

    def test_an_add_past_its_deadline_is_overdue_by_the_clock(self, new_box, clock):
        """In a mailbox that does not run, nobody has noticed."""
        box = new_box()
        box.add_packet(add(1))
        clock.advance(EXPIRY / 2)
        box.add_packet(add(2))
        clock.advance(EXPIRY / 2)

        late = {"adds_unacked": 2, "adds_undelivered": 1, "adds_overdue": 1}
        assert late | {"oldest_add_age": EXPIRY} == counted(box)

    def test_an_add_that_can_not_be_failed_is_overdue(self, box, switch, clock):
        """And each attempt counts."""
        switch.when["encrypt_first_hop"] = raiser(ValueError)
        box.add_packet(add(1, obfuscator=switch))
        clock.advance(EXPIRY)
        wait_until_quiet(clock)

        stuck = {"adds_unacked": 1, "adds_overdue": 1, "oldest_add_age": EXPIRY}
        assert stuck | {"encrypt_errors": 1} == counted(box)

    def test_a_fail_that_the_switch_raises_on_is_an_error_and_a_failed_add(self, box, switch):
        switch.when["forward_packets"] = raiser(ConnectionError)
        box.add_packet(add(1))

        box.fail_add(add(1))

        assert {"adds_failed": 1, "forward_errors": 1} == counted(box)

    def test_the_age_is_that_of_the_oldest_unacked_packet(self, box, clock):
        """Of each class, in seconds; delivery and reset do not change it, and an ack does."""
        box.add_packets([settle(1), add(2)])
        clock.advance(10)
        box.add_packets([settle(3), add(4)])
        drain(box.packet_outbox)
        clock.advance(2.5)
        box.reset_packets()

        ages = box.statistics()
        assert (12.5, 12.5) == (ages.oldest_reply_age, ages.oldest_add_age)

        box.ack_packets([key(1), key(2), key(4)])

        ages = box.statistics()
        assert (2.5, 0.0) == (ages.oldest_reply_age, ages.oldest_add_age)

    def test_what_was_refused_is_counted(self, new_box):
        """A batch counts once; packets that are none do not count."""
        box = new_box(max_wire_messages=0)
        box.add_packets([add(1), settle(1)])

        assert raises(PacketAlreadyExists, box.add_packet, add(1))
        assert raises(PacketAlreadyExists, box.add_packet, fail(1))
        assert raises(PacketAlreadyExists, box.add_packets, [add(2), add(1), settle(1)])
        assert raises(UnknownHTLCType, box.add_packets, [add(2), packet(3, None)])
        assert raises(WireQueueFull, box.add_message, message(1))
        assert raises(WireQueueFull, box.add_message, message(2))

        refused = {"packets_refused": 3, "messages_refused": 2}
        here = dict.fromkeys(("replies_unacked", "replies_undelivered"), 1)
        here |= dict.fromkeys(("adds_unacked", "adds_undelivered"), 1)
        assert refused | here == counted(box)

    def test_those_who_wait_are_counted(self, box):
        """Threads, and the selectors in which an outbox is registered; until they have gone."""
        calls = [blocked(box.packet_outbox.get), blocked(box.message_outbox.get_batch, 5)]
        with MailSelector() as selector:
            selector.register(box.message_outbox)

            assert {"receivers": 2, "listeners": 1} == counted(box)
            counts = box.message_outbox.statistics()
            assert (0, 1, 1) == (counts.waiting, counts.receivers, counts.listeners)

            box.add_message(message(1))
            box.add_packet(settle(1))
            for call in calls:
                call.result()

        assert {"replies_unacked": 1, "replies_delivered": 1} == counted(box)
        box.add_message(message(2))
        assert 1 == box.message_outbox.statistics().waiting

    def test_the_unacked_packets_can_be_listed(self, box):
        """Replies, then Adds, each in order of arrival; after the stop as well."""
        assert [] == box.unacked()

        box.add_packets([add(1), settle(2), add(3), fail(4), add(5)])
        drain(box.packet_outbox)
        box.ack_packet(key(3))
        box.stop()

        assert said([settle(2), fail(4), add(1), add(5)]) == said(box.unacked())

    def test_a_description_is_a_few_lines(self, box, clock):
        """The first one names the mailbox."""
        box.add_packets([add(1), settle(2)])
        clock.advance(EXPIRY)

        first, *lines = box.describe().splitlines()

        assert repr(box) == first
        assert lines
