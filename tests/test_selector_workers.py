"""Many workers on one selector: who is woken, who is told what, and that no wake-up is lost."""

from __future__ import annotations

import queue
import threading
from collections import Counter

import pytest

from lnmailbox import MailBoxConfig, MailBoxShuttingDown, MailSelector, MemoryMailBox
from lnmailbox.bell import Bell
from lnmailbox.receiving.outbox import LocalOutbox
from lnmailbox.receiving.selector import _Told
from lnmailbox.testing import Call, Gate, Switch, blocked, run_threads
from lnmailbox.testing.conformance.base import CHANNEL, add, raises, settle
from lnmailbox.testing.threads import PATIENCE
from receivers import Looks

SWITCH = Switch()


def make_box() -> MemoryMailBox:
    config = MailBoxConfig(
        short_chan_id=CHANNEL,
        fetch_update=SWITCH.fetch_update,
        forward_packets=SWITCH.forward_packets,
    )
    box = MemoryMailBox(config)
    box.start()
    return box


@pytest.fixture
def boxes():
    boxes = [make_box() for _ in range(3)]
    yield boxes
    for box in boxes:
        box.stop()


@pytest.fixture
def selector(boxes):
    """Each outbox has its number in its key."""
    with MailSelector() as selector:
        for number, box in enumerate(boxes):
            selector.register(box.packet_outbox, number)
        assert [] == selector.select(0)  # the first look at each is over
        yield selector


def told(keys):
    return [key.data for key in keys]


class Workers:
    """Threads that wait in `select`, and what they were told, in order.

    Each of them stays alive until `dismiss`.
    """

    def __init__(self, selector, count, **options):
        self.selector = selector
        self.told = queue.Queue()
        self._over = threading.Event()
        self._calls = [blocked(self._work, options) for _ in range(count)]

    def _work(self, options):
        try:
            self.told.put(told(self.selector.select(**options)))
        except MailBoxShuttingDown:
            self.told.put("stopped")
        assert self._over.wait(PATIENCE)

    def next(self):
        return self.told.get(timeout=PATIENCE)

    def are_waiting(self):
        """Return how many of them still wait, if nobody is on the way."""
        assert self.told.empty()
        return len(self.selector._bells)

    def dismiss(self):
        self._over.set()
        self.selector.wake()
        for call in self._calls:
            call.result()


# One is woken


def test_an_item_wakes_one_worker(boxes, selector):
    """The others go on waiting, though the item is still there."""
    workers = Workers(selector, 4)

    boxes[1].add_packet(settle(1))

    assert [1] == workers.next()
    assert 3 == workers.are_waiting()
    workers.dismiss()


def test_a_worker_who_leaves_items_wakes_the_next_one(boxes, selector):
    """A batch is one piece of news, and work for all."""
    workers = Workers(selector, 4)

    boxes[1].add_packets([settle(1), settle(2)])

    assert [[1]] * 4 == [workers.next() for _ in range(4)]
    workers.dismiss()


def test_news_that_a_woken_worker_will_see_wake_nobody_else(boxes, selector):
    """He passes on what he leaves."""
    bells = [Bell() for _ in range(3)]
    selector._bells.extend(bells)

    for box in boxes:
        box.add_packet(settle(1))

    assert bells[1:] == selector._bells


def test_news_that_come_during_a_look_wake_another_worker(boxes, selector, monkeypatch):
    """The one that looks may be told of other mail, and be busy with it for long."""
    workers = Workers(selector, 2)
    looks = Looks(monkeypatch)
    looks.afterwards = lambda: boxes[2].add_packet(settle(2))

    boxes[0].add_packet(settle(1))

    first, second = workers.next(), workers.next()
    assert [0] == first
    assert 2 in second
    workers.dismiss()


def test_news_that_come_after_others_were_dropped_wake_a_worker(boxes, selector):
    """Though the one who was woken for those may still be on his way."""
    selector._bells.append(Bell())
    boxes[0].add_packet(settle(1))
    selector.unregister(boxes[0].packet_outbox)
    workers = Workers(selector, 1)

    boxes[1].add_packet(settle(1))

    assert [1] == workers.next()
    workers.dismiss()


def test_workers_are_told_of_different_outboxes_while_there_are_enough(boxes, selector):
    """Those with mail take turns."""
    for box in boxes:
        box.add_packet(settle(1))

    assert [[0], [1], [2], [0]] == [told(selector.select(0, max_keys=1)) for _ in range(4)]
    assert [[1, 2], [0, 1], [2, 0]] == [told(selector.select(0, max_keys=2)) for _ in range(3)]
    assert [1, 2, 0] == told(selector.select(0, max_keys=3))
    assert [[2, 0, 1], [0, 1, 2]] == [told(selector.select(0, max_keys=9)) for _ in range(2)]


def test_an_outbox_without_mail_does_not_count_for_the_maximum(boxes, selector):
    """It is passed over, and looked at no more."""
    for box in boxes:
        box.add_packet(settle(1))
    boxes[0].packet_outbox.get()

    assert [1] == told(selector.select(0, max_keys=1))
    assert [2, 1] == told(selector.select(0, max_keys=2))


@pytest.mark.parametrize("bad", [0, -1, 1.0, "1"])
def test_a_maximum_of_keys_is_at_least_one(selector, bad):
    with pytest.raises(ValueError, match=f"^max_keys must be an integer >= 1, got {bad!r}$"):
        selector.select(0, max_keys=bad)


def test_no_worker_is_woken_for_a_packet_that_another_one_gets(boxes, selector):
    """As many returns from `select` as packets, if each is taken before the next one comes."""
    returns = Counter()
    done = queue.Queue()

    def work():
        try:
            while True:
                keys = selector.select(max_keys=1)
                returns[threading.get_ident()] += 1
                for key in keys:
                    done.put(key.outbox.get_nowait())
        except MailBoxShuttingDown:
            return

    calls = [blocked(work) for _ in range(4)]
    for number in range(60):
        packet = settle(number)
        boxes[number % 3].add_packet(packet)
        assert packet is done.get(timeout=PATIENCE)
    for box in boxes:
        box.stop()
    for call in calls:
        call.result()

    assert 60 == sum(returns.values())


# No wake-up is lost


def raise_once(monkeypatch, cls, name, *, before):
    """Let the first call of a method end in an interrupt."""
    method = getattr(cls, name)
    left = [KeyboardInterrupt]

    def interrupted(*args):
        if before and left:
            raise left.pop()
        result = method(*args)
        if left:
            raise left.pop()
        return result

    monkeypatch.setattr(cls, name, interrupted)


@pytest.mark.parametrize(
    "cls, name, before",
    [
        (Bell, "wait", False),
        (LocalOutbox, "_look", True),
        (LocalOutbox, "_look", False),
        (MailSelector, "_note", True),
        (MailSelector, "_note", False),
    ],
    ids=["woken", "before the look", "after the look", "before the note", "after the note"],
)
def test_the_wake_up_of_a_worker_who_is_interrupted_goes_to_another_one(
    boxes, selector, monkeypatch, cls, name, before
):
    """Wherever that is."""
    with monkeypatch.context() as patch:
        raise_once(patch, cls, name, before=before)
        first = blocked(selector.select)
        workers = Workers(selector, 1)

        boxes[2].add_packet(settle(1))

        assert raises(KeyboardInterrupt, first.result)
        assert [2] == workers.next()
    workers.dismiss()


def test_a_worker_who_is_woken_when_his_time_is_up_looks_first(boxes, selector, monkeypatch):
    """He is told; and when he ends without taking it, the next one is."""
    wait, gate = Bell.wait, Gate()

    def wait_and_dawdle(bell, until):
        wait(bell, until)
        if until.is_over():
            gate.pass_through()

    monkeypatch.setattr(Bell, "wait", wait_and_dawdle)
    late = Call(selector.select, timeout=0.01)
    gate.wait_until_reached()
    workers = Workers(selector, 1)
    boxes[0].add_packet(settle(1))
    assert 1 == workers.are_waiting()

    gate.open()

    assert [0] == told(late.result())
    assert [0] == workers.next()
    workers.dismiss()


def test_a_worker_whose_time_is_up_without_mail_leaves_no_bell(selector):
    assert [] == selector.select(0.001)
    assert [] == selector._bells


def test_an_outbox_that_is_unregistered_takes_no_wake_up_with_it(boxes, selector, monkeypatch):
    """One worker is looking at it, and mail comes for another outbox."""
    look, gate = LocalOutbox._look, Gate()

    def slow_look(outbox):
        seen = look(outbox)
        if outbox is boxes[0].packet_outbox:
            gate.pass_through()
        return seen

    monkeypatch.setattr(LocalOutbox, "_look", slow_look)
    workers = Workers(selector, 2)
    boxes[0].add_packet(settle(1))
    gate.wait_until_reached()
    selector.unregister(boxes[0].packet_outbox)
    boxes[1].add_packet(settle(1))

    assert [1] == workers.next()

    boxes[1].packet_outbox.get()
    gate.open()
    boxes[2].add_packet(settle(1))

    assert [2] == workers.next()
    workers.dismiss()


def test_a_worker_that_ends_without_taking_anything_wakes_another_one(boxes, selector):
    """Its thread has ended, by an error perhaps."""
    first = blocked(selector.select)
    workers = Workers(selector, 2)

    boxes[1].add_packet(settle(1))

    assert [1] == told(first.result())
    assert [1] == workers.next()
    assert 1 == workers.are_waiting()
    workers.dismiss()


def test_a_worker_that_ends_after_its_selector_wakes_nobody(boxes):
    """There is nobody."""
    selector = MailSelector()
    knowledge = _Told(selector)
    knowledge.is_over = False
    selector.close()
    del selector
    del knowledge


def test_a_worker_that_took_its_item_and_selected_again_has_no_duty_left(boxes, selector):
    """When its thread ends, nobody is woken for nothing."""
    boxes[1].add_packet(settle(1))

    def work():
        [key] = selector.select()
        key.outbox.get()
        return selector.select(0)

    assert [] == Call(work).result()
    workers = Workers(selector, 1)
    assert 1 == workers.are_waiting()
    workers.dismiss()


# The end


@pytest.mark.parametrize("options", [{}, {"max_keys": 1}], ids=["all", "one"])
def test_all_workers_are_woken_when_all_mailboxes_are_stopped(boxes, selector, options):
    """By the last one."""
    workers = Workers(selector, 5, **options)
    for box in boxes:
        assert 5 == workers.are_waiting() or box is not boxes[0]
        box.stop()

    assert ["stopped"] * 5 == [workers.next() for _ in range(5)]
    workers.dismiss()


def test_all_workers_are_woken_by_wake(selector):
    workers = Workers(selector, 3)
    selector.wake()

    assert [[]] * 3 == [workers.next() for _ in range(3)]
    workers.dismiss()


def test_all_workers_are_woken_by_close(selector):
    calls = [blocked(selector.select) for _ in range(3)]
    selector.close()
    assert all(raises(RuntimeError, call.result) for call in calls)


@pytest.mark.parametrize("max_keys", [None, 1, 3])
def test_eight_workers_take_every_packet_of_fifty_mailboxes_once(max_keys):
    """While two threads add them, and workers are interrupted by their time being up."""
    boxes = [make_box() for _ in range(50)]
    taken = queue.Queue()
    with MailSelector() as selector:
        for box in boxes:
            selector.register(box.packet_outbox, box)

        def work():
            try:
                while True:
                    for key in selector.select(0.002, max_keys):
                        try:
                            packet = key.outbox.get_nowait()
                        except queue.Empty:
                            continue
                        key.data.ack_packet(packet.in_key)
                        taken.put(packet.incoming_htlc_id)
            except MailBoxShuttingDown:
                return

        def produce(first):
            for number in range(first, 2000, 2):
                boxes[number * 7 % 50].add_packet(add(number) if number % 3 else settle(number))

        calls = [Call(work) for _ in range(8)]
        run_threads(lambda: produce(0), lambda: produce(1))
        found = [taken.get(timeout=PATIENCE) for _ in range(2000)]
        for box in boxes:
            box.stop()
        for call in calls:
            call.result()

    assert list(range(2000)) == sorted(found)
    assert taken.empty()
