"""The queue of wire messages, alone."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from lnmailbox import WireQueueFull
from lnmailbox.contract import Hand
from lnmailbox.keeping.messages import MessageQueue, wire_size
from lnmailbox.testing.conformance.base import message, raises
from lnmailbox.wire import UpdateAddHTLC
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

    assert queue.look()
    assert 6 == len(queue)
    assert all(one is queue.take() for one in MAIL)
    assert queue.take() is None
    assert not queue.look()
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


@pytest.mark.parametrize(
    "mail, size",
    [
        (b"", 0),
        (bytes(7), 7),
        (bytearray(3), 3),
        (memoryview(bytes(5)), 5),
        (UpdateAddHTLC(), 2 + 32 + 8 + 8 + 32 + 4 + 1366),
    ],
    ids=repr,
)
def test_a_size_is_that_on_the_wire(mail: Any, size: int):
    """What a message says of itself, or the length of bytes."""
    assert size == wire_size(mail)


@pytest.mark.parametrize("mail", ["text", [1, 2], 5, object()], ids=repr)
def test_what_has_no_size_is_named(mail: Any):
    """A list has a length, but nobody knows what of."""
    with pytest.raises(TypeError) as caught:
        wire_size(mail)

    assert str(caught.value).endswith(f"if max_wire_bytes is not None, got {mail!r}")


def test_bytes_are_counted_while_they_wait():
    """Through every way in and out."""
    queue = MessageQueue()
    for number, one in enumerate(MAIL):
        queue.add(one, number)
    hand: Hand[Any] = Hand()

    assert 15 == queue.bytes
    queue.take()
    queue.take()
    assert 14 == queue.bytes
    queue.take_into(hand, 2)
    assert 9 == queue.bytes
    queue.clear()
    assert 0 == queue.bytes


def test_what_is_put_back_needs_no_budget():
    """It was accepted already. So a queue may have more than it would take."""
    queue = MessageQueue(max_messages=2, max_bytes=10)
    queue.add(MAIL[0], 6)
    queue.add(MAIL[1], 4)
    hand: Hand[Any] = Hand()
    since = queue.round
    queue.take_into(hand, 2)
    queue.add(MAIL[2], 10)

    queue.put_back(hand, since)

    assert (3, 10) == (len(queue), queue.bytes)
    assert MAIL[:3] == drained(queue)
    assert 0 == queue.bytes


@pytest.mark.parametrize("latch", [True, False])
def test_a_refusal_says_what_waits_and_then_that_it_lasts(latch: bool):
    """It is counted, and nothing is queued."""
    queue = MessageQueue(max_messages=9, max_bytes=100, latch=latch)
    queue.add(MAIL[0], 70)
    first = r"^mailbox wire message queue is full: 1 messages and 70 bytes wait, and one of 31 mo"
    second = "refused one, and all that follow until reset_messages$" if latch else first

    assert not queue.is_latched
    with pytest.raises(WireQueueFull, match=first):
        queue.add(MAIL[1], 31)
    with pytest.raises(WireQueueFull, match=second):
        queue.add(MAIL[1], 31)

    assert latch is queue.is_latched
    assert 2 == queue.refused
    assert MAIL[:1] == drained(queue)
    assert latch is not could_add(queue)

    queue.clear()

    assert could_add(queue)
    assert not queue.is_latched


def could_add(queue: MessageQueue) -> bool:
    try:
        queue.add(MAIL[2], 1)
    except WireQueueFull:
        return False
    return True


def test_a_queue_for_no_messages_is_full_from_the_first_and_can_be_cleared():
    """The latch is none here: what it is set to is the limit."""
    queue = MessageQueue(max_messages=0)

    assert raises(WireQueueFull, queue.add, MAIL[0])

    queue.clear()

    assert raises(WireQueueFull, queue.add, MAIL[0])
