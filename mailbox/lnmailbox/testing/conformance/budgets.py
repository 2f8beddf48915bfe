"""How many wire messages a mailbox takes, and how many bytes of them."""

from __future__ import annotations

import queue

import pytest

from lnmailbox import MailBox, MailBoxError, WireQueueFull

from ..threads import Call
from .base import MailBoxTests, drain, message, raises


class Unsized:
    """A message without a size."""


class Curious:
    """A message that asks the mailbox for its size."""

    asked: MailBox

    def serialized_size(self) -> int:
        return 7 + self.asked.statistics().messages


def sized(size: int) -> bytes:
    return bytes(size)


class BudgetTests(MailBoxTests):
    def test_a_mailbox_takes_1000_messages_and_4_mib_by_default(self, box):
        """The next one is refused."""
        for _ in range(1000):
            box.add_message(sized(0))
        assert raises(WireQueueFull, box.add_message, sized(0))

        box.reset_messages()
        box.add_message(sized(4 * 2**20))
        assert raises(WireQueueFull, box.add_message, sized(1))

    @pytest.mark.parametrize("limit", [0, 1, 3])
    def test_so_many_messages_may_wait_and_no_more(self, new_box, limit):
        """The one that is refused is not queued; the error is a `queue.Full`, too."""
        box = new_box(max_wire_messages=limit)
        box.start()
        for number in range(limit):
            box.add_message(message(number))

        with pytest.raises(WireQueueFull) as caught:
            box.add_message(message(limit))

        assert isinstance(caught.value, MailBoxError)
        assert isinstance(caught.value, queue.Full)
        assert list(map(message, range(limit))) == drain(box.message_outbox)

    def test_so_many_bytes_may_wait_and_no_more(self, new_box):
        """A message that fills the budget to the last byte is taken."""
        sizes = [message(number).serialized_size() for number in (5, 9)]
        box = new_box(max_wire_bytes=sum(sizes), latch_on_overflow=False)
        box.start()
        box.add_message(message(5))

        assert raises(WireQueueFull, box.add_message, message(10))

        box.add_message(message(9))
        assert sum(sizes) == box.statistics().message_bytes
        assert raises(WireQueueFull, box.add_message, sized(1))

        box.add_message(sized(0))
        assert [message(5), message(9), sized(0)] == drain(box.message_outbox)

    def test_after_a_refusal_everything_is_refused_until_the_reset(self, new_box):
        """Also what there is room for: a gap in the order could cost the channel."""
        box = new_box(max_wire_messages=2)
        box.start()
        for number in range(2):
            box.add_message(message(number))
        assert raises(WireQueueFull, box.add_message, message(2))

        assert list(map(message, range(2))) == drain(box.message_outbox)
        assert raises(WireQueueFull, box.add_message, message(3))
        assert [] == drain(box.message_outbox)

        box.reset_messages()
        box.add_message(message(4))
        assert [message(4)] == drain(box.message_outbox)

    @pytest.mark.parametrize("limit", ["max_wire_messages", "max_wire_bytes"])
    def test_a_mailbox_may_accept_again_what_there_is_room_for(self, new_box, limit):
        """With `latch_on_overflow=False`: each delivery makes room."""
        box = new_box(latch_on_overflow=False, **{limit: 2})
        box.start()
        for _ in range(2):
            box.add_message(sized(1))
        assert raises(WireQueueFull, box.add_message, sized(1))

        box.message_outbox.get()
        box.add_message(sized(1))
        assert raises(WireQueueFull, box.add_message, sized(1))

        assert [sized(1)] * 2 == box.message_outbox.get_batch(5)
        assert {0} == {box.statistics().messages, box.statistics().message_bytes}

    def test_a_reset_frees_the_budget(self, new_box):
        """Both of it."""
        box = new_box(max_wire_messages=2, max_wire_bytes=10)
        for _ in range(3):
            box.add_message(sized(5))
            box.add_message(sized(5))
            box.reset_messages()

        assert 0 == box.statistics().message_bytes

    def test_without_budgets_nothing_is_refused_and_nothing_measured(self, new_box):
        box = new_box(max_wire_messages=None, max_wire_bytes=None)
        box.start()
        for _ in range(1_500):
            box.add_message(Unsized())

        assert 1_500 == len(drain(box.message_outbox))
        assert 0 == box.statistics().message_bytes

    def test_a_message_without_a_size_is_a_mistake_if_there_is_a_budget_of_bytes(self, new_box):
        """At once, and nothing is queued or refused later on."""
        box = new_box(max_wire_messages=None)
        box.start()

        with pytest.raises(TypeError, match=r"^message must have serialized_size\(\) or be byt"):
            box.add_message(Unsized())

        box.add_message(message(1))
        assert [message(1)] == drain(box.message_outbox)

    def test_a_message_is_measured_with_no_lock_held(self, box):
        """Contract 27: no code of the user runs under a lock."""
        Curious.asked = box
        box.add_message(message(1))

        Call(box.add_message, Curious()).result()

        assert message(1).serialized_size() + 8 == box.statistics().message_bytes
