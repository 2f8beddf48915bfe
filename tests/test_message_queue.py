"""The queue of wire messages, alone."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox.message_queue import MessageQueue
from lnmailbox.wire import UpdateAddHTLC


def messages(count: int) -> list[UpdateAddHTLC]:
    return [UpdateAddHTLC(id=number) for number in range(count)]


def test_messages_are_taken_in_order_and_then_there_is_none():
    """First in, first out, and each is the object that was put in."""
    queue = MessageQueue()
    first, second = messages(2)
    queue.waiting.extend([first, second])

    assert queue.has_mail()
    assert 2 == len(queue)
    assert first is queue.take()
    assert second is queue.take()
    assert queue.take() is None
    assert not queue.has_mail()
    assert 0 == len(queue)


@pytest.mark.parametrize("size, batched", [(1, 1), (2, 2), (5, 5), (6, 6), (7, 6)])
def test_a_batch_of_messages_grows_to_the_size_asked_for(size: int, batched: int):
    """What the batch has already counts, and fewer come if there are no more."""
    queue = MessageQueue()
    mail = messages(6)
    queue.waiting.extend(mail[1:])
    batch: list[Any] = [mail[0]]

    queue.take_into(batch, size)

    assert mail[:batched] == batch
    assert mail[batched:] == list(queue.waiting)


def test_messages_that_nobody_received_come_first_again():
    """In the order they had, before what has waited since."""
    queue = MessageQueue()
    mail = messages(5)
    queue.waiting.extend(mail)
    batch: list[Any] = []
    queue.take_into(batch, 3)

    queue.put_back(batch)

    assert mail == list(queue.waiting)
