"""Threads that share a `MailSelector`, its locks, and interrupts in the middle of its work."""

from __future__ import annotations

import queue
import random
from itertools import chain

import pytest

from lnmailbox import MailSelector
from lnmailbox.bell import Bell
from lnmailbox.receiving.outbox import LocalOutbox
from lnmailbox.testing import PATIENCE, Call, Gate, blocked, run_threads
from lnmailbox.testing.conformance.base import add
from receivers import Looks, each_moment, make_mailbox, wait_until


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def selector():
    with MailSelector() as selector:
        yield selector


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


def test_threads_that_share_a_selector_are_all_told(box, selector):
    key = selector.register(box.message_outbox)
    calls = [blocked(selector.select) for _ in range(4)]

    box.add_message("hello")

    assert [[key]] * 4 == [call.result() for call in calls]


def test_wake_makes_each_thread_return_once(box, selector):
    """At once or at its next call, however often it was called meanwhile."""
    selector.register(box.message_outbox)
    calls = [blocked(selector.select) for _ in range(4)]
    selector.wake()
    assert [[]] * 4 == [call.result() for call in calls]
    selector.wake()

    def twice():
        return [selector.select(), Call(selector.select).result(), selector.select(0.001)]

    assert [[[], [], []]] * 3 == run_threads(twice, twice, twice)
    call = blocked(lambda: [selector.select(), selector.select()])
    selector.wake()
    assert [[], []] == call.result()


def test_close_ends_the_wait_of_every_thread(box, selector):
    selector.register(box.message_outbox)
    calls = [blocked(selector.select) for _ in range(2)]

    selector.close()

    for call in calls:
        with pytest.raises(RuntimeError, match="^the selector is closed$"):
            call.result()


# While a thread is looking


def test_mail_that_comes_while_a_thread_is_looking_is_not_overlooked(box, selector, looks):
    """Looked, found nothing, and mail came: that thread looks again before it waits."""
    key = selector.register(box.message_outbox)
    looks.afterwards = lambda: box.add_message("hello")

    assert [key] == selector.select(PATIENCE)
    assert 2 == looks.count


def test_a_thread_that_is_looking_hides_nothing_from_another_one(box, selector, looks):
    """What has mail is reported to all, not only to the one that looks at it."""
    key = selector.register(box.message_outbox)
    box.add_message("hello")
    gate = Gate()
    looks.afterwards = gate.pass_through
    call = Call(selector.select)
    gate.wait_until_reached()

    assert [key] == selector.select(0)
    gate.open()
    assert [key] == call.result()


@pytest.mark.parametrize("stopped", [False, True])
def test_an_outbox_unregistered_while_a_thread_is_looking_is_forgotten(
    box, selector, looks, stopped
):
    """It is not reported, and does not count as one that is stopped."""
    key = selector.register(box.packet_outbox)
    assert [] == selector.select(0)
    with make_mailbox() as other:
        selector.register(other.message_outbox)
        other.add_message("hello")
        looks.afterwards = lambda: selector.unregister(other.message_outbox)
        if stopped:
            other.stop()

        assert [] == selector.select(0)
    box.add_packet(add(1))
    assert [key] == selector.select(PATIENCE)


def test_a_selector_closed_while_a_thread_is_looking_reports_nothing(box, selector, looks):
    selector.register(box.message_outbox)
    box.add_message("hello")
    looks.afterwards = selector.close

    with pytest.raises(RuntimeError, match="^the selector is closed$"):
        selector.select()


def test_mail_that_others_take_first_does_not_hold_a_select_beyond_its_time(
    box, selector, monkeypatch
):
    """News without end, and never an item: the time limit still holds."""

    def tease(outbox):
        outbox._ring_locked()
        return False

    monkeypatch.setattr(LocalOutbox, "_look", tease)
    selector.register(box.message_outbox)

    assert [] == Call(selector.select, 0.01).result()
    assert [] == selector.select(0)


def test_a_registration_overtaken_by_its_end_leaves_nothing_behind(box, selector, monkeypatch):
    """Unregistered by another thread before the outbox knows it: forgotten with the next mail."""
    add_listener = LocalOutbox._add_listener

    def overtaken(outbox, listener):
        selector.unregister(outbox)
        add_listener(outbox, listener)

    monkeypatch.setattr(LocalOutbox, "_add_listener", overtaken)
    selector.register(box.message_outbox)

    box.add_message("hello")

    assert {} == box.message_outbox._listeners
    assert [] == selector.select(0)


# Locks


@pytest.mark.parametrize(
    "use",
    [
        lambda selector, outbox: selector.select(0),
        lambda selector, outbox: selector.unregister(outbox),
        lambda selector, outbox: selector.register(outbox),
        lambda selector, outbox: selector.close(),
    ],
    ids="select unregister register close".split(),
)
def test_no_thread_waits_for_a_mailbox_while_it_has_the_selector(box, selector, use):
    """Listeners take the selector's lock under a mailbox's; the other way round is forbidden."""
    if use.__code__.co_names[0] != "register":
        selector.register(box.message_outbox)
    with box._lock:
        call = Call(use, selector, box.message_outbox)
        try:
            call.wait_until_blocked()
        except AssertionError:
            pass  # it needs no mailbox's lock

        Call(selector.wake).result()

    call.result()


# Interrupts


def test_a_select_that_is_interrupted_has_not_been_woken(box, selector):
    """At any moment: the next one is, and still knows which outboxes have mail."""
    key = selector.register(box.message_outbox)
    box.add_message("hello")
    for place, result in each_moment(selector.select, selector.wake):
        assert ([key] if not place else None) == result, place
        hello = box.message_outbox.get()
        assert [] == selector.select(PATIENCE if place else 0), place
        box.add_message(hello)
        assert [key] == selector.select(PATIENCE), place


def test_interrupted_waits_leave_no_bells(selector, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Bell, "wait", interrupt)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            selector.select()

    assert [] == selector._bells


# Many at once


def test_outboxes_come_and_go_while_threads_wait_and_mail_flows():
    """Registering, unregistering, and closing in the end, beside two workers and a switch."""
    boxes = [make_mailbox() for _ in range(10)]
    count = 1_000
    selector = MailSelector()

    def work():
        taken = []
        while True:
            try:
                for key in selector.select():
                    taken += key.outbox.get_batch(2, block=False)
            except queue.Empty:
                pass
            except RuntimeError:
                return taken

    def switch():
        for number in range(count):
            boxes[number % 10].add_message(number)

    def move():
        randomly = random.Random(1)
        for _ in range(300):
            outbox = randomly.choice(boxes).message_outbox
            if outbox in selector.get_map():
                selector.unregister(outbox)
            else:
                selector.register(outbox)
        for box in boxes:
            if box.message_outbox not in selector.get_map():
                selector.register(box.message_outbox)

    workers = [Call(work), Call(work)]
    run_threads(switch, move)
    wait_until(lambda: all(box.message_outbox.empty() for box in boxes))
    selector.close()
    taken = [worker.result() for worker in workers]

    assert list(range(count)) == sorted(chain(*taken))
    assert [{}] * 10 == [box.message_outbox._listeners for box in boxes]
