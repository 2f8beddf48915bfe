"""`select`: what it takes, in which turn, and what becomes of the rest."""

from __future__ import annotations

import queue
import random

import pytest

from lnmailbox import MailBoxShuttingDown, select
from lnmailbox.receiving.outbox import LocalOutbox
from lnmailbox.testing import blocked, run_threads
from lnmailbox.testing.conformance.base import add, drain
from receivers import BAD_TIMEOUTS, Looks, make_mailbox


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def other():
    with make_mailbox() as box:
        yield box


# What it takes


def test_select_takes_one_item_and_leaves_the_others(box, other):
    packets = [add(number) for number in range(3)]
    other.add_packets(packets)

    assert (other.packet_outbox, packets[0]) == select(box.message_outbox, other.packet_outbox)
    assert packets[1:] == drain(other.packet_outbox)


def test_select_without_outboxes_is_a_mistake():
    with pytest.raises(ValueError) as caught:
        select()

    assert "select needs at least one outbox" == str(caught.value)


@pytest.mark.parametrize("position", [0, 1])
def test_select_says_what_it_wants(box, position):
    """And takes nothing. A mailbox in place of its outbox is the likely mistake."""
    box.add_message("hello")
    arguments = [box.message_outbox]
    arguments.insert(position, box)

    with pytest.raises(TypeError) as caught:
        select(*arguments)

    assert (
        "expected an outbox, such as mailbox.packet_outbox or mailbox.message_outbox, "
        "got <MemoryMailBox of mailbox 539268x845x1, running>"
    ) == str(caught.value)
    assert ["hello"] == drain(box.message_outbox)


@pytest.mark.parametrize("timeout", BAD_TIMEOUTS)
def test_a_wrong_timeout_is_refused_before_anything_is_taken(box, timeout):
    box.add_message("hello")

    with pytest.raises(ValueError, match="^timeout must be a finite number of seconds >= 0"):
        select(box.message_outbox, timeout=timeout)

    assert ["hello"] == drain(box.message_outbox)


@pytest.mark.parametrize("timeout", [0, 0.0, 0.001])
def test_select_without_an_item_in_time_raises_empty(box, timeout):
    with pytest.raises(queue.Empty):
        select(box.message_outbox, box.packet_outbox, timeout=timeout)


def test_a_select_that_may_not_wait_does_not_register(box, monkeypatch):
    """It costs a look at each outbox."""
    monkeypatch.setattr(LocalOutbox, "_add_listener", None)

    with pytest.raises(queue.Empty):
        select(box.message_outbox, box.packet_outbox, timeout=0)


# Starting and stopping


def test_stopped_outboxes_are_passed_over(box, other):
    """Wherever they stand: if one is not stopped there is hope."""
    box.stop()
    other.add_message("hello")

    assert (other.message_outbox, "hello") == select(box.message_outbox, other.message_outbox)
    for outboxes in (
        (box.message_outbox, other.message_outbox),
        (other.packet_outbox, box.packet_outbox),
    ):
        with pytest.raises(queue.Empty):
            select(*outboxes, timeout=0)


@pytest.mark.parametrize("timeout", [0, None])
def test_select_from_stopped_outboxes_only_says_so(box, other, timeout):
    box.add_message("hello")
    box.stop()
    other.stop()

    with pytest.raises(MailBoxShuttingDown):
        select(box.message_outbox, box.packet_outbox, other.packet_outbox, timeout=timeout)


@pytest.mark.parametrize("started", [True, False])
def test_a_waiting_select_ends_when_the_last_mailbox_stops(other, started):
    box = make_mailbox(started=started)
    call = blocked(select, box.message_outbox, box.packet_outbox, other.packet_outbox)

    other.stop()
    call.wait_until_blocked()
    box.stop()

    with pytest.raises(MailBoxShuttingDown):
        call.result()


# Fairness


@pytest.mark.parametrize("seed", range(5))
def test_no_outbox_is_preferred_twice_to_another_one_that_look(seed):
    """In whatever groups they are given, and with mail that comes and goes."""
    randomly = random.Random(seed)
    boxes = {box.message_outbox: box for box in (make_mailbox() for _ in range(5))}
    preferred = {outbox: set() for outbox in boxes}
    for _ in range(400):
        boxes[randomly.choice(list(boxes))].add_message("hello")
        group = randomly.sample(list(boxes), randomly.randint(1, 5))
        if all(outbox.empty() for outbox in group):
            continue

        taken, _ = select(*group, timeout=0)

        preferred[taken] = set()
        for outbox in group:
            if outbox is not taken and not outbox.empty():
                assert taken not in preferred[outbox]
                preferred[outbox].add(taken)


def test_threads_with_alternating_groups_are_fair_each():
    """The calls of one thread don't prefer an outbox twice to one that nobody serves meanwhile."""
    boxes = [make_mailbox() for _ in range(4)]
    for box in boxes:
        for number in range(2_000):
            box.add_message(number)
    a, b, c, d = outboxes = [box.message_outbox for box in boxes]

    def mail_left():
        return {outbox: outbox.qsize() for outbox in outboxes}

    def serve(*groups):
        preferred = {outbox: set() for outbox in outboxes}
        known = mail_left()
        for turn in range(300):
            group = groups[turn % len(groups)]
            before = mail_left()
            taken, _ = select(*group)
            after = mail_left()
            for outbox in outboxes:
                if not known[outbox] == before[outbox] == after[outbox]:
                    preferred[outbox] = set()  # somebody served it
                elif outbox in group:
                    assert taken not in preferred[outbox]
                    preferred[outbox].add(taken)
            known = after

    run_threads(lambda: serve((a, b), (b, c, d)), lambda: serve((d, a), (c, a, b), (a, b, c, d)))


# Several receivers


def test_a_receiver_woken_on_one_outbox_that_took_from_another_leaves_the_wake_up(box, other):
    """Three receivers, two of them on one outbox each: four items are enough for all."""
    both = blocked(select, box.message_outbox, other.message_outbox)
    here = blocked(box.message_outbox.get)
    there = blocked(other.message_outbox.get)

    for source in (box, other, box, other):
        source.add_message("hello")

    assert ["hello"] * 3 == [both.result()[1], here.result(), there.result()]
    assert 1 == box.message_outbox.qsize() + other.message_outbox.qsize()


def test_a_select_whose_item_was_taken_by_somebody_else_waits_for_the_next(box, monkeypatch):
    """Between the moment when it saw that there was one and the moment when it wanted it."""
    looks = Looks(monkeypatch)
    call = blocked(select, box.message_outbox, box.message_outbox, box.packet_outbox)
    looks.afterwards = box.message_outbox.get

    box.add_message("first")
    call.wait_until_blocked()
    box.add_message("second")

    assert (box.message_outbox, "second") == call.result()
