"""What the port of lnd's mailbox has of Go: channels, `select`, conditions, lists."""

from __future__ import annotations

import threading

import pytest

from lnmailbox import ManualClock
from lnmailbox.reference.channel import (
    Channel,
    Cond,
    Deadline,
    Once,
    Receive,
    Send,
    _lock,
    _Parked,
    select,
    wait_for_rest,
)
from lnmailbox.reference.linked_list import LinkedList, count_from
from lnmailbox.testing.threads import PATIENCE, Call, blocked


def receive(channel):
    case = Receive(channel)
    assert select(case) is case
    return case.received


def send(channel, item):
    case = Send(channel, item)
    assert select(case) is case


def test_an_item_passes_when_sender_and_receiver_meet():
    """Whoever comes first waits for the other."""
    channel = Channel()
    sending = blocked(send, channel, "first")

    assert ["first"] == receive(channel)
    sending.result()

    receiving = blocked(receive, channel)
    send(channel, "second")
    assert ["second"] == receiving.result()


def test_senders_and_receivers_come_in_turn():
    channel = Channel()
    sending = [blocked(send, channel, number) for number in range(3)]

    assert [[0], [1], [2]] == [receive(channel) for _ in sending]

    for call in sending:
        call.result()
    receiving = [blocked(receive, channel) for _ in range(3)]
    for number in range(3):
        send(channel, number)
    assert [[0], [1], [2]] == [call.result() for call in receiving]


def test_a_channel_with_a_buffer_holds_so_many_items():
    channel = Channel(2)
    send(channel, 1)
    send(channel, 2)
    third = blocked(send, channel, 3)

    assert channel.has_offer()
    assert [1] == receive(channel)
    third.result()
    assert [[2], [3]] == [receive(channel), receive(channel)]
    assert not channel.has_offer()


def test_a_closed_channel_gives_nothing_for_ever():
    channel = Channel()
    receiving = [blocked(receive, channel) for _ in range(2)]

    channel.close()

    assert [[], []] == [call.result() for call in receiving]
    assert [] == receive(channel)
    assert channel.closed
    with pytest.raises(RuntimeError, match=r"^close of a closed channel$"):
        channel.close()
    with pytest.raises(RuntimeError, match=r"^send on a closed channel$"):
        send(channel, 1)


def test_a_select_performs_one_case_and_leaves_the_others():
    one, two = Channel(), Channel()
    from_one, from_two = Receive(one), Receive(two)
    call = blocked(select, from_one, from_two, Send(None, "never"))
    sending = Call(send, two, "item")

    assert call.result() is from_two
    sending.result()
    assert ([], ["item"]) == (from_one.received, from_two.received)
    assert None is select(Send(one, 1), wait=False)


def test_a_select_takes_any_of_the_cases_that_are_ready():
    """Also the deadline, when it has come."""
    chosen = set()
    for _ in range(200):
        empty, full = Channel(1), Channel(1)
        send(full, "item")
        names = {Send(empty, "item"): "send", Receive(full): "receive"}
        case = select(*names, deadline=Deadline.after(0))
        chosen.add("deadline" if case is None else names[case])

    assert {"send", "receive", "deadline"} == chosen


def test_a_select_does_not_wait_where_it_must_not():
    assert None is select(Receive(Channel()), wait=False)


def test_a_select_ends_at_its_deadline():
    """By the clock it was given; nothing moves but that."""
    clock, channel = ManualClock(), Channel()
    call = blocked(select, Receive(channel), deadline=Deadline(clock, 2_000_000_000))

    clock.advance(1)
    call.wait_until_blocked()
    clock.advance(1)

    assert None is call.result()
    assert None is select(Send(channel, 1), wait=False)


def test_who_comes_after_the_deadline_does_not_meet_the_select():
    """Though its thread may not have noticed: in Go a timer takes it out at once."""
    clock, channel = ManualClock(), Channel()
    notices = threading.Event()
    now_ns = clock.now_ns
    wait = clock.wait

    def wait_and_oversleep(condition, deadline_ns):
        wait(condition, deadline_ns)
        condition.release()
        try:
            assert notices.wait(PATIENCE)
        finally:
            condition.acquire()

    clock.wait = wait_and_oversleep
    call = Call(select, Send(channel, 1), deadline=Deadline(clock, now_ns() + 1))
    assert wait_for_rest(channel.is_offering, PATIENCE)

    clock.advance(1)

    assert not channel.has_offer()
    assert None is select(Receive(channel), wait=False)
    notices.set()
    assert None is call.result()


def test_a_select_in_real_time_ends_too():
    assert None is select(Receive(Channel()), deadline=Deadline.after(1_000))


def test_what_is_given_back_comes_first():
    """To a receiver that waits, else to the next one; ahead of a sender that waits."""
    channel = Channel()
    receiving = blocked(receive, channel)

    channel.give_back([1, 2])

    assert [1] == receiving.result()
    sending = blocked(send, channel, 3)
    assert [2] == receive(channel)
    assert [3] == receive(channel)
    sending.result()


def test_watchers_hear_of_offers_and_of_the_close():
    heard = threading.Semaphore(0)
    channel = Channel()
    channel.watchers.append(heard.release)

    sending = Call(send, channel, 1)
    assert heard.acquire(timeout=PATIENCE)
    assert [1] == receive(channel)
    sending.result()
    channel.close()
    assert heard.acquire(timeout=PATIENCE)


def test_a_condition_says_whether_its_thread_waits():
    cond = Cond(threading.Lock())
    assert not cond.waiting

    def wait():
        with cond:
            return cond.wait()

    call = Call(wait)
    assert wait_for_rest(lambda: cond.waiting, PATIENCE)

    cond.signal()

    assert not cond.waiting
    assert True is call.result()
    cond.signal()  # to nobody


def test_what_does_not_come_to_rest_is_not_waited_for_for_ever():
    assert False is wait_for_rest(lambda: False, 0.001)


def test_once_is_once_also_if_it_raises():
    once, calls = Once(), []

    def call_and_raise():
        calls.append("called")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        once.do(call_and_raise)
    once.do(call_and_raise)

    assert ["called"] == calls


def test_a_second_caller_of_once_waits_for_the_first():
    once, gate = Once(), threading.Event()
    first = blocked(once.do, gate.wait)
    second = blocked(once.do, gate.wait)

    gate.set()

    first.result()
    second.result()


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_list_loses_an_element_anywhere(removed):
    values = LinkedList()
    elements = [values.push_back(number) for number in range(3)]

    values.remove(elements[removed])

    left, element = [], values.front
    while element is not None:
        left.append(element.value)
        element = element.next
    assert [number for number in range(3) if number != removed] == left
    assert 2 == count_from(values.front)
    assert None is elements[removed].next
    values.push_back(3)
    assert 3 == count_from(values.front)


def test_a_list_may_become_empty():
    values = LinkedList()
    values.remove(values.push_back(1))

    assert values.front is None
    assert 0 == count_from(values.front)
    assert values.push_back(2) is values.front


def test_an_offer_that_is_taken_as_its_deadline_comes_is_received():
    """The receiver has seen it, so it gets it."""
    clock, carried = ManualClock(), Channel()
    send, receive = Send(carried, "item"), Receive(carried)
    _Parked((send,), Deadline(clock, 1_000_000_000))
    with _lock:
        assert receive.is_ready()
    clock.advance(1)

    with _lock:
        receive.perform()

    assert ["item"] == receive.received
