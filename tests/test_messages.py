"""The queue of wire messages, alone."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from lnmailbox.contract import Hand
from lnmailbox.keeping.messages import MessageQueue
from lnmailbox.testing.conformance.base import message
from moments import Interrupt, Moment

MAIL = [message(number) for number in range(6)]


def filled() -> MessageQueue:
    queue = MessageQueue()
    for one in MAIL:
        queue.add(one)
    return queue


def drained(queue: MessageQueue) -> list[Any]:
    return list(iter(queue.take, None))


def test_messages_are_taken_in_order_and_then_there_is_none():
    """First in, first out, and each is the object that was put in."""
    queue = filled()

    assert queue.has_mail()
    assert 6 == len(queue)
    assert all(one is queue.take() for one in MAIL)
    assert queue.take() is None
    assert not queue.has_mail()
    assert 0 == len(queue)


@pytest.mark.parametrize("size, taken", [(1, 1), (2, 2), (6, 6), (7, 6)])
def test_a_hand_is_filled_up_to_the_size_asked_for(size: int, taken: int):
    """What it has already counts, and fewer come if there are no more."""
    queue = filled()
    hand: Hand[Any] = Hand([queue.take()])

    queue.take_into(hand, size)

    assert MAIL[:taken] == hand
    assert MAIL[taken:] == drained(queue)


def test_messages_that_nobody_received_come_first_again():
    """In the order they had, before what has waited since."""
    queue = filled()
    hand: Hand[Any] = Hand()
    queue.take_into(hand, 3)

    queue.put_back(hand, queue.round)

    assert MAIL == drained(queue)


def test_what_was_taken_before_a_clear_is_not_put_back_after_it():
    """It is dropped, as everything was; what has come since then is there."""
    queue = filled()
    hand: Hand[Any] = Hand()
    since = queue.round
    queue.take_into(hand, 3)
    queue.clear()
    queue.add(MAIL[5])

    queue.put_back(hand, since)

    assert MAIL[5:] == drained(queue)


@pytest.mark.parametrize("name", ["add", "take", "take_into", "clear"])
def test_an_interrupt_finds_each_message_in_one_place(name: str):
    """At every moment: it is in the queue or in the hand, and `put_back` undoes the taking."""
    for number in count(1):
        queue, moment = filled(), Moment(number)
        hand: Hand[Any] = Hand()
        since = queue.round
        arguments = {"add": (message(6),), "take_into": (hand, 4)}.get(name, ())
        with suppress(Interrupt):
            moment.run(lambda: getattr(queue, name)(*arguments))  # noqa: B023
        if not moment.place:
            break
        queue.put_back([one for one in hand if one is not None], since)

        done = {"add": [*MAIL, message(6)], "clear": []}.get(name, MAIL)
        assert drained(queue) in (MAIL, done)

    assert number > 1
