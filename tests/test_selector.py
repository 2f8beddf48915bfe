"""`select` and `MailSelector`: who is told what, in which turn, and what becomes of the rest."""

from __future__ import annotations

import gc
import linecache
import queue
import random
import signal
import sys
import threading
import time
import weakref
from collections import Counter
from contextlib import contextmanager
from itertools import chain

import pytest

import lnmailbox.outbox
import lnmailbox.selector
from lnmailbox.testing.threads import PATIENCE, Call, blocked, run_threads
from lnmailbox import (
    HTLCPacket,
    MailBoxConfig,
    MailBoxShuttingDown,
    MailSelector,
    MemoryMailBox,
    Outbox,
    select,
)
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC, UpdateFulfillHTLC

BAD_TIMEOUTS = [-1, -0.001, float("nan"), float("inf"), True, "1"]


def make_mailbox(*, started=True) -> MemoryMailBox:
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(), fetch_update=None.__eq__, forward_packets=None.__eq__
    )
    box = MemoryMailBox(config)
    if started:
        box.start()
    return box


def an_add(number: int = 0) -> HTLCPacket:
    return HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC())


def a_settle(number: int = 0) -> HTLCPacket:
    return HTLCPacket(incoming_htlc_id=number, htlc=UpdateFulfillHTLC())


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def other():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def selector():
    with MailSelector() as selector:
        yield selector


class Script:
    """A source that shows its items from the look on that follows `blind` vain ones."""

    def __init__(self, *items, blind=0):
        self.items = list(items)
        self.blind = blind

    def has_mail(self):
        self.blind -= 1
        return self.blind < 0 and bool(self.items)

    def take(self):
        return self.items.pop(0) if self.has_mail() else None

    def take_into(self, batch, size):
        if self.has_mail():
            batch.append(self.items.pop(0))

    def put_back(self, batch):
        self.items[:0] = batch


def scripted_outbox(source) -> Outbox:
    outbox = Outbox(threading.RLock(), source)
    outbox.open_locked()
    return outbox


class Looks:
    """Counts how often selectors look at outboxes, and does something after the first look."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.afterwards = lambda: None
        poll = Outbox.poll

        def counting(outbox):
            seen = poll(outbox)
            self.count += 1
            afterwards, self.afterwards = self.afterwards, lambda: None
            afterwards()
            return seen

        monkeypatch.setattr(Outbox, "poll", counting)


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


class Struck(KeyboardInterrupt):
    """The interrupt of `strike_everywhere`, so that no other passes for it."""


def strike_everywhere(function, prepare=lambda: None):
    """Run the function again and again, each time interrupted at another place.

    An interrupt can come wherever the package calls, is called or returns. Yields whether it
    came, what the function returned, and the name of the place; ends with the run in which there
    was no place left. What is to be prepared for each run is not interrupted.
    """
    files = {lnmailbox.selector.__file__, lnmailbox.outbox.__file__}
    for strike_at in range(10_000):
        places = []

        def profile(frame, event, argument, places=places, strike_at=strike_at):
            code = frame.f_code
            if code.co_filename not in files or event == "c_call":
                return
            if event == "return" and frame.f_back.f_code.co_filename not in files:
                return  # nobody can take back what was returned to the caller
            places.append(f"{event} in {code.co_name}, line {frame.f_lineno}")
            if len(places) == strike_at + 1:
                raise Struck

        prepare()
        result, struck = None, False
        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            result = function()
        except Struck:
            struck = True
        finally:
            sys.setprofile(before)
        yield struck, result, places[-1]
        if not struck:
            assert strike_at > 10
            return
    pytest.fail("the function never ended")


@contextmanager
def interrupt_while_blocked_in(function, notified=None):
    """Send SIGINT to the main thread when it waits on a condition inside the function.

    Given that condition, notify it first, so that the main thread wants the lock back, and hold
    the lock until the signal has arrived.
    """
    main = threading.main_thread()
    over = threading.Event()

    def waits(frame):
        if frame is None or frame.f_code is not threading.Condition.wait.__code__:
            return None
        place = frame, frame.f_lasti
        if "waiter.acquire" not in linecache.getline(frame.f_code.co_filename, frame.f_lineno):
            return None
        while frame is not None and frame.f_code is not function.__code__:
            frame = frame.f_back
        return frame and place

    def strike():
        last, looks = None, 0
        while looks < 5 and not over.wait(0.002):
            place = waits(sys._current_frames().get(main.ident))
            looks = looks + 1 if place is not None and place == last else 0
            last = place
        if looks < 5:
            return
        if notified is None:
            signal.pthread_kill(main.ident, signal.SIGINT)
            return
        # From the signal on nothing but C is called here: Python 3.11 under a tracer does not
        # get into a Python function while another thread has a signal to handle.
        with notified._lock:
            notified.notify_all()
            time.sleep(0.02)  # for the main thread to come as far as the lock
            signal.pthread_kill(main.ident, signal.SIGINT)
            time.sleep(0.02)  # for a wrong implementation to fail

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    striker = threading.Thread(target=strike)
    striker.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        over.set()
        striker.join()
        signal.signal(signal.SIGINT, handler)


posix_only = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="no signals to threads here"
)


# select: what it takes


def test_select_takes_from_whichever_outbox_has_an_item(box):
    """The very object that was added comes back, with the outbox it was taken from."""
    packet = an_add()
    box.add_packet(packet)

    outbox, item = select(box.message_outbox, box.packet_outbox)

    assert outbox is box.packet_outbox
    assert item is packet


def test_select_takes_one_item_and_leaves_the_others(box, other):
    for number in range(3):
        box.add_message(f"message {number}")
        other.add_packet(an_add(number))

    select(box.message_outbox, other.packet_outbox)

    left = box.statistics().messages + other.statistics().adds_undelivered
    assert 5 == left


def test_select_takes_items_that_are_false(box):
    """Whether there is an item is not decided by the item."""
    box.add_message(b"")

    assert (box.message_outbox, b"") == select(box.message_outbox, timeout=0)


def test_the_same_outbox_may_be_given_twice(box):
    outbox = box.message_outbox
    call = blocked(select, outbox, outbox)

    box.add_message("hello")

    assert (outbox, "hello") == call.result()
    with pytest.raises(queue.Empty):
        select(outbox, outbox, timeout=0)


def test_select_without_outboxes_is_a_mistake():
    with pytest.raises(ValueError) as caught:
        select()

    assert "select needs at least one outbox" == str(caught.value)


@pytest.mark.parametrize("timeout", BAD_TIMEOUTS)
def test_a_timeout_that_is_no_span_of_time_is_refused_before_anything_is_taken(
    box, selector, timeout
):
    box.add_message("hello")
    selector.register(box.message_outbox)

    with pytest.raises(ValueError, match="^timeout must be a finite number of seconds >= 0"):
        select(box.message_outbox, timeout=timeout)
    with pytest.raises(ValueError, match="^timeout must be a finite number of seconds >= 0"):
        selector.select(timeout)

    assert 1 == box.statistics().messages


def test_a_select_that_may_not_wait_does_not_register(box, monkeypatch):
    """It costs a look at each outbox."""
    monkeypatch.delattr(Outbox, "add_listener")

    with pytest.raises(queue.Empty):
        select(box.message_outbox, box.packet_outbox, timeout=0)


@pytest.mark.parametrize("timeout", [0, 0.0, 0.001])
def test_select_without_an_item_in_time_raises_empty(box, timeout):
    with pytest.raises(queue.Empty):
        select(box.message_outbox, box.packet_outbox, timeout=timeout)


@pytest.mark.parametrize("timeout", [None, PATIENCE, 10**12, 1e200])
def test_select_waits_for_an_item(box, timeout):
    """Also with a time limit longer than a lock can wait for."""
    call = blocked(select, box.message_outbox, box.packet_outbox, timeout=timeout)

    box.add_message("hello")

    assert (box.message_outbox, "hello") == call.result()


def readable_by_message(box):
    box.add_message("hello")


def readable_by_settle(box):
    box.add_packet(a_settle(1))


def readable_by_batch(box):
    box.add_packets([an_add(1), an_add(2)])


def readable_by_nack(box):
    box.nack_packet(an_add().in_key)


def readable_by_reset(box):
    box.reset_packets()


EVENTS = [
    readable_by_message,
    readable_by_settle,
    readable_by_batch,
    readable_by_nack,
    readable_by_reset,
]


@pytest.mark.parametrize("event", EVENTS)
def test_whatever_makes_an_item_deliverable_ends_the_wait(box, event):
    box.add_packet(an_add())
    box.packet_outbox.get()
    call = blocked(select, box.message_outbox, box.packet_outbox)

    event(box)

    call.result()


def test_an_item_that_an_interrupted_receiver_gives_back_ends_the_wait(box):
    """What `get` took and could not return is there for a `select`."""
    packet = an_add()
    box.add_packet(packet)
    held = [box.packet_outbox.get()]
    call = blocked(select, box.message_outbox, box.packet_outbox)

    box.packet_outbox.put_back(held)

    assert (box.packet_outbox, packet) == call.result()


# select: starting and stopping


def test_the_outboxes_of_a_mailbox_that_is_not_started_are_waited_for():
    box = make_mailbox(started=False)
    box.add_message("hello")
    with pytest.raises(queue.Empty):
        select(box.message_outbox, box.packet_outbox, timeout=0)
    call = blocked(select, box.message_outbox, box.packet_outbox)

    with box:
        assert (box.message_outbox, "hello") == call.result()


def test_stopped_outboxes_are_passed_over(box, other):
    """Wherever they stand: one that is not stopped is enough for there to be hope."""
    box.stop()
    other.add_message("hello")

    assert (other.message_outbox, "hello") == select(box.message_outbox, other.message_outbox)
    for outboxes in (
        (box.message_outbox, other.message_outbox),
        (other.packet_outbox, box.packet_outbox),
    ):
        with pytest.raises(queue.Empty):
            select(*outboxes, timeout=0)


def test_select_from_stopped_outboxes_only_says_so(box, other):
    box.add_message("hello")
    box.stop()
    other.stop()

    for timeout in (0, None):
        with pytest.raises(MailBoxShuttingDown):
            select(box.message_outbox, box.packet_outbox, other.packet_outbox, timeout=timeout)


def test_a_waiting_select_goes_on_with_what_is_not_stopped(box, other):
    call = blocked(select, box.message_outbox, other.message_outbox)

    box.stop()
    call.wait_until_blocked()
    other.add_message("hello")

    assert (other.message_outbox, "hello") == call.result()


def test_a_waiting_select_ends_when_the_last_mailbox_stops(box, other):
    call = blocked(select, box.message_outbox, box.packet_outbox, other.packet_outbox)

    box.stop()
    call.wait_until_blocked()
    other.stop()

    with pytest.raises(MailBoxShuttingDown):
        call.result()


def test_a_mailbox_that_stops_without_having_been_started_ends_the_wait():
    box = make_mailbox(started=False)
    call = blocked(select, box.message_outbox, box.packet_outbox)

    box.stop()

    with pytest.raises(MailBoxShuttingDown):
        call.result()


def test_select_leaves_nothing_behind_at_its_outboxes(box):
    """However it ends, no listener stays."""
    outboxes = box.message_outbox, box.packet_outbox
    with pytest.raises(queue.Empty):
        select(*outboxes, timeout=0.001)
    call = blocked(select, *outboxes)
    box.add_message("hello")
    call.result()
    after_mail = [outbox.listeners for outbox in outboxes]
    call = blocked(select, *outboxes)
    box.stop()
    with pytest.raises(MailBoxShuttingDown):
        call.result()

    assert [(), ()] == after_mail
    assert [(), ()] == [outbox.listeners for outbox in outboxes]


# select: fairness


def test_n_outboxes_with_mail_are_served_once_each_in_n_calls():
    """An outbox with mail waits for n - 1 calls at most, whatever the order of the arguments."""
    boxes = [make_mailbox() for _ in range(5)]
    outboxes = [box.message_outbox for box in boxes]
    for box in boxes:
        for number in range(20):
            box.add_message(number)
    randomly = random.Random(1)

    for _ in range(20):
        served = [select(*randomly.sample(outboxes, 5))[0] for _ in range(5)]

        assert set(outboxes) == set(served)


@pytest.mark.parametrize("seed", range(5))
def test_no_outbox_is_preferred_twice_to_another_one_that_has_mail(seed):
    """In whatever groups they are given, and with mail that comes and goes."""
    randomly = random.Random(seed)
    boxes = {box.message_outbox: box for box in (make_mailbox() for _ in range(5))}
    mail = dict.fromkeys(boxes, 0)
    preferred = {outbox: set() for outbox in boxes}
    for _ in range(400):
        outbox = randomly.choice(list(boxes))
        boxes[outbox].add_message("hello")
        mail[outbox] += 1
        group = randomly.sample(list(boxes), randomly.randint(1, 5))
        if not any(mail[outbox] for outbox in group):
            continue

        taken, _ = select(*group, timeout=0)

        mail[taken] -= 1
        preferred[taken] = set()
        for outbox in group:
            if mail[outbox] and outbox is not taken:
                assert taken not in preferred[outbox]
                preferred[outbox].add(taken)


def test_threads_with_alternating_groups_are_fair_each():
    """The calls of one thread don't prefer an outbox twice to one that nobody serves meanwhile."""
    boxes = [make_mailbox() for _ in range(4)]
    for box in boxes:
        for number in range(2_000):
            box.add_message(number)
    a, b, c, d = boxes

    def mail_left():
        return {box: box.statistics().messages for box in boxes}

    def serve(*groups):
        preferred = {box: set() for box in boxes}
        known = mail_left()
        for turn in range(300):
            group = groups[turn % len(groups)]
            before = mail_left()
            outbox, _ = select(*(box.message_outbox for box in group))
            after = mail_left()
            taken = next(box for box in group if box.message_outbox is outbox)
            for box in boxes:
                if not known[box] == before[box] == after[box]:
                    preferred[box] = set()  # somebody served it
                elif box in group:
                    assert taken not in preferred[box]
                    preferred[box].add(taken)
            known = after

    run_threads(lambda: serve((a, b), (b, c, d)), lambda: serve((d, a), (c, a, b), (a, b, c, d)))


def test_two_threads_that_overtake_each_other_leave_the_later_turn(box):
    """Whoever took from an outbox last decides where it stands, not who writes it down last."""
    box.add_message("first")
    box.add_message("second")
    item = []

    box.message_outbox.take_in_turn(item, 9)
    box.message_outbox.take_in_turn([], 5)

    assert ["first"] == item
    assert 9 == box.message_outbox.last_turn


# select: several receivers


def test_a_receiver_woken_on_one_outbox_that_took_from_another_leaves_the_wake_up(box, other):
    """Three receivers, two of them on one outbox each: four items are enough for all."""
    both = blocked(select, box.message_outbox, other.message_outbox)
    here = blocked(box.message_outbox.get)
    there = blocked(other.message_outbox.get)

    for source in (box, other, box, other):
        source.add_message("hello")

    both.result()
    assert ["hello", "hello"] == [here.result(), there.result()]
    assert 1 == box.statistics().messages + other.statistics().messages


def test_a_select_whose_item_was_taken_by_somebody_else_waits_for_the_next(box, looks):
    """Between the moment when it saw that there was one and the moment when it wanted it."""
    call = blocked(select, box.message_outbox, box.packet_outbox)
    looks.afterwards = box.message_outbox.get

    box.add_message("first")
    call.wait_until_blocked()
    box.add_message("second")

    assert (box.message_outbox, "second") == call.result()


def test_a_select_that_times_out_as_the_item_comes_takes_it_or_leaves_it(box):
    """Hundreds of rounds at the edge: nothing is lost, nothing taken twice."""
    taken = []

    def receive():
        for _ in range(300):
            try:
                taken.append(select(box.message_outbox, box.packet_outbox, timeout=0.0001)[1])
            except queue.Empty:
                pass

    def send():
        for number in range(300):
            box.add_message(number)

    run_threads(receive, send)
    while box.statistics().messages:
        taken.append(box.message_outbox.get_nowait())

    assert list(range(300)) == taken


def test_every_kind_of_receiver_on_the_same_outboxes_gets_each_item_once(box, other):
    """Receivers that wait, that give up, that want one outbox or both: one owner for an item."""
    outboxes = box.message_outbox, other.message_outbox
    count = 400

    def by(receive):
        taken = []
        while True:
            try:
                taken += receive()
            except queue.Empty:
                pass
            except MailBoxShuttingDown:
                return taken

    def selected(**kwargs):
        return [select(*outboxes, **kwargs)[1]]

    def send():
        for number in range(count):
            (box, other)[number % 2].add_message(number)
        while box.statistics().messages or other.statistics().messages:
            time.sleep(0)  # lets the receivers go on
        box.stop()
        other.stop()
        return []

    taken = run_threads(
        lambda: by(selected),
        lambda: by(lambda: selected(timeout=0.0001)),
        lambda: by(lambda: [box.message_outbox.get(timeout=0.0001)]),
        lambda: by(lambda: other.message_outbox.get_batch(3, timeout=0.0001)),
        send,
    )

    assert list(range(count)) == sorted(chain(*taken))


# MailSelector: registering


def test_a_key_says_which_outbox_and_what_its_owner_knows_it_by(box, selector):
    data = object()

    key = selector.register(box.message_outbox, data)
    selector.register(box.packet_outbox)
    box.add_message("hello")
    box.add_packet(an_add())

    assert (box.message_outbox, data) == key
    assert [key, (box.packet_outbox, None)] == sorted(selector.select(), key=lambda k: k != key)
    assert {box.message_outbox: key, box.packet_outbox: (box.packet_outbox, None)} == dict(
        selector.get_map()
    )


def test_the_map_is_a_copy_that_can_not_be_changed(box, selector):
    registered = selector.get_map()
    selector.register(box.message_outbox)

    assert 0 == len(registered)
    with pytest.raises(TypeError):
        registered[box.message_outbox] = None


def test_an_outbox_is_registered_once_at_most(box, selector):
    """The refused second time changes nothing: the outbox is reported as before."""
    key = selector.register(box.message_outbox, "first")

    with pytest.raises(KeyError, match="is registered"):
        selector.register(box.message_outbox, "second")

    assert 1 == len(box.message_outbox.listeners)
    call = blocked(selector.select)
    box.add_message("hello")
    assert [key] == call.result()


def test_what_is_not_registered_can_not_be_unregistered(box, selector):
    with pytest.raises(KeyError, match="is not registered"):
        selector.unregister(box.message_outbox)


def test_an_outbox_that_was_unregistered_is_neither_reported_nor_looked_at(box, selector, looks):
    key = selector.register(box.message_outbox)
    selector.register(box.packet_outbox)
    assert [] == selector.select(0)
    looks.count = 0
    box.add_message("hello")

    assert key is selector.unregister(box.message_outbox)
    assert [] == selector.select(0)
    assert 0 == looks.count
    assert () == box.message_outbox.listeners
    assert [box.packet_outbox] == list(selector.get_map())


def test_an_outbox_can_be_registered_again(box, selector):
    selector.register(box.message_outbox, "first")
    box.add_message("hello")
    selector.unregister(box.message_outbox)

    key = selector.register(box.message_outbox, "second")

    assert [key] == selector.select(0)


def test_an_outbox_may_be_registered_with_several_selectors(box, selector):
    with MailSelector() as second:
        keys = [chosen.register(box.message_outbox) for chosen in (selector, second)]
        calls = [blocked(chosen.select) for chosen in (selector, second)]

        box.add_message("hello")

        assert [[key] for key in keys] == [call.result() for call in calls]


def test_mail_from_before_registration_is_reported(box, selector):
    box.add_message("hello")

    key = selector.register(box.message_outbox)

    assert [key] == selector.select()


def test_registering_ends_the_wait_of_a_selector_if_there_is_mail(box, selector):
    """A selector without outboxes waits for one; it is not one whose mailboxes are stopped."""
    box.add_message("hello")
    assert [] == selector.select(0)
    call = blocked(selector.select)

    key = selector.register(box.message_outbox)

    assert [key] == call.result()


# MailSelector: reporting


def test_an_outbox_is_reported_as_long_as_it_has_mail(box, selector):
    """Level-triggered: in each call, until the last item is taken."""
    key = selector.register(box.message_outbox)
    for _ in range(2):
        box.add_message("hello")

    reports = []
    for _ in range(2):
        reports += [selector.select(0), selector.select(0)]
        box.message_outbox.get_nowait()

    assert [[key]] * 4 == reports
    assert [] == selector.select(0)


@pytest.mark.parametrize("event", EVENTS)
def test_whatever_makes_an_item_deliverable_is_reported(box, selector, event):
    box.add_packet(an_add())
    box.packet_outbox.get()
    selector.register(box.message_outbox)
    selector.register(box.packet_outbox)
    assert [] == selector.select(0)
    call = blocked(selector.select)

    event(box)

    assert 1 == len(call.result())


def test_a_selector_waits_for_a_mailbox_to_be_started(selector):
    box = make_mailbox(started=False)
    box.add_message("hello")
    key = selector.register(box.message_outbox)
    assert [] == selector.select(0)
    call = blocked(selector.select)

    with box:
        assert [key] == call.result()


@pytest.mark.parametrize("timeout", [0, 0.001])
def test_without_mail_in_time_nothing_is_reported(box, selector, timeout):
    selector.register(box.message_outbox)

    assert [] == selector.select(timeout)


def test_a_selector_waits_for_longer_than_a_lock_can(box, selector):
    key = selector.register(box.message_outbox)
    call = blocked(selector.select, 1e200)

    box.add_message("hello")

    assert [key] == call.result()


def test_each_of_the_outboxes_that_keep_having_mail_is_first_in_turn(selector):
    """Who serves only the first key of each call still serves all, n - 1 calls apart."""
    boxes = [make_mailbox() for _ in range(4)]
    keys = [selector.register(box.message_outbox) for box in boxes]
    for box in boxes:
        box.add_message("hello")

    reports = [selector.select(0) for _ in range(8)]

    assert [set(keys)] * 8 == [set(report) for report in reports]
    assert set(keys) == {report[0] for report in reports[:4]}
    assert [report[0] for report in reports[:4]] == [report[0] for report in reports[4:]]


def test_threads_that_share_a_selector_are_all_told(box, selector):
    key = selector.register(box.message_outbox)
    calls = [blocked(selector.select) for _ in range(4)]

    box.add_message("hello")

    assert [[key]] * 4 == [call.result() for call in calls]


def test_a_wake_up_costs_the_same_with_a_thousand_outboxes_registered(selector, looks):
    """One item, one outbox looked at: the 999 others cost their registration and no more."""
    boxes = [make_mailbox() for _ in range(1_000)]
    keys = [selector.register(box.message_outbox) for box in boxes]
    assert [] == selector.select(0)
    assert 1_000 == looks.count

    for box, key in list(zip(boxes, keys, strict=True))[::100]:
        looks.count = 0
        box.add_message("hello")
        assert [key] == selector.select()
        box.message_outbox.get()
        assert [] == selector.select(0)

        assert 2 == looks.count

    looks.count = 0
    selector.wake()
    assert [[], []] == [selector.select(), selector.select(0)]
    assert 0 == looks.count


def test_mail_that_comes_while_a_thread_is_looking_is_not_overlooked(box, selector, looks):
    """Looked, found nothing, and mail came: that thread looks again before it waits."""
    key = selector.register(box.message_outbox)
    looks.afterwards = lambda: box.add_message("hello")

    assert [key] == selector.select(PATIENCE)
    assert 2 == looks.count


def test_a_thread_that_is_looking_hides_nothing_from_another_one(box, selector, looks):
    """What has mail is reported to all, not only to who does not find it under examination."""
    key = selector.register(box.message_outbox)
    box.add_message("hello")
    inside, go_on = threading.Event(), threading.Event()

    def hold():
        inside.set()
        assert go_on.wait(PATIENCE)

    looks.afterwards = hold
    call = Call(selector.select)
    assert inside.wait(PATIENCE)

    assert [key] == selector.select(0)
    go_on.set()
    assert [key] == call.result()


def test_an_outbox_unregistered_while_a_thread_is_looking_is_not_reported(box, selector, looks):
    for outbox in (box.message_outbox, box.packet_outbox):
        selector.register(outbox)
    box.add_message("hello")
    looks.afterwards = lambda: selector.unregister(box.message_outbox)

    assert [] == selector.select(0)


def test_an_outbox_stopped_and_unregistered_while_a_thread_is_looking_is_forgotten(
    box, other, selector, looks
):
    """What is not registered does not count as stopped."""
    selector.register(box.message_outbox)
    selector.register(other.message_outbox)
    assert [] == selector.select(0)
    box.stop()
    looks.afterwards = lambda: selector.unregister(box.message_outbox)

    assert [] == selector.select(0)
    other.add_message("hello")
    assert 1 == len(selector.select(PATIENCE))


def test_mail_that_others_take_first_does_not_hold_a_select_beyond_its_time(selector):
    """News without end, and never an item: the time limit still holds."""

    class Teasing(Script):
        def has_mail(self):
            outbox.tell_listeners()
            return False

    outbox = scripted_outbox(Teasing())
    selector.register(outbox)
    call = Call(selector.select, 0.01)

    assert [] == call.result()
    assert [] == selector.select(0)


def test_no_lock_is_held_while_a_selector_looks_at_an_outbox(box, selector, looks):
    """So there is no order of locks to get wrong."""
    selector.register(box.message_outbox)
    woken = []
    looks.afterwards = lambda: woken.append(Call(selector.wake).result())

    assert [] == selector.select(0)
    assert [None] == woken


def test_no_lock_is_held_while_a_listener_is_called(box, selector):
    selector.register(box.message_outbox)
    seen = []

    def look(outbox):
        seen.append((Call(outbox.poll).result(), list(Call(selector.get_map).result())))

    box.message_outbox.add_listener(look)
    box.add_message("hello")

    assert [(True, [box.message_outbox])] == seen


# MailSelector: starting and stopping


def test_stopped_mailboxes_are_not_reported(box, other, selector):
    """Not before registration, and not afterwards."""
    box.add_message("hello")
    box.stop()
    selector.register(box.message_outbox)
    key = selector.register(other.message_outbox)
    other.add_message("hello")

    assert [key] == selector.select()
    other.message_outbox.get()
    assert [] == selector.select(0)


def test_a_selector_whose_mailboxes_are_all_stopped_says_so(box, other, selector):
    for outbox in (box.message_outbox, box.packet_outbox, other.message_outbox):
        selector.register(outbox)
    call = blocked(selector.select)
    box.stop()
    call.wait_until_blocked()
    other.stop()

    with pytest.raises(MailBoxShuttingDown):
        call.result()
    for timeout in (0, None):
        with pytest.raises(MailBoxShuttingDown):
            selector.select(timeout)


def test_mailboxes_stopped_before_their_registration_are_noticed_at_once(box, selector):
    box.stop()
    selector.register(box.message_outbox)

    with pytest.raises(MailBoxShuttingDown):
        selector.select(0)


def test_unregistering_the_last_running_mailbox_ends_the_wait(box, other, selector):
    selector.register(box.message_outbox)
    selector.register(other.message_outbox)
    box.stop()
    call = blocked(selector.select)

    selector.unregister(other.message_outbox)

    with pytest.raises(MailBoxShuttingDown):
        call.result()


def test_a_selector_goes_on_without_the_stopped_mailboxes_that_were_unregistered(
    box, other, selector
):
    selector.register(box.message_outbox)
    box.stop()
    with pytest.raises(MailBoxShuttingDown):
        selector.select()
    selector.unregister(box.message_outbox)
    assert [] == selector.select(0)

    key = selector.register(other.message_outbox)
    other.add_message("hello")

    assert [key] == selector.select()


# MailSelector: wake


def test_wake_ends_the_wait_of_every_thread_once(box, selector):
    selector.register(box.message_outbox)
    calls = [blocked(selector.select) for _ in range(4)]

    selector.wake()

    assert [[]] * 4 == [call.result() for call in calls]


def test_a_thread_that_was_not_waiting_is_woken_at_its_next_call(box, selector):
    """Once, however often `wake` was called, and in each thread."""
    selector.register(box.message_outbox)
    selector.wake()
    selector.wake()

    def twice():
        return [selector.select(), Call(selector.select, 0.001).result()]

    assert [[[], []]] * 3 == run_threads(twice, twice, twice)
    call = blocked(lambda: [selector.select(), selector.select()])
    selector.wake()
    assert [[], []] == call.result()


def test_wake_may_come_with_mail(box, selector):
    """Then the mail is reported, and the thread has been woken."""
    key = selector.register(box.message_outbox)
    box.add_message("hello")
    selector.wake()
    assert [key] == selector.select()
    box.message_outbox.get()

    assert [] == selector.select(0)
    box.add_message("again")
    assert [key] == selector.select()


def test_a_wake_that_comes_while_a_thread_is_looking_counts(box, selector, looks):
    """It ends this call, or, if there is mail, the next one too."""
    key = selector.register(box.message_outbox)
    looks.afterwards = selector.wake
    start = time.monotonic()

    assert [] == selector.select(PATIENCE)
    looks.afterwards = selector.wake
    box.add_message("hello")
    assert [key] == selector.select(PATIENCE)
    box.message_outbox.get()
    assert [] == selector.select(PATIENCE)
    assert time.monotonic() - start < PATIENCE


# MailSelector: the end


def test_close_ends_the_wait_of_every_thread(box, selector):
    selector.register(box.message_outbox)
    calls = [blocked(selector.select) for _ in range(2)]

    selector.close()

    for call in calls:
        with pytest.raises(RuntimeError, match="^the selector is closed$"):
            call.result()


def test_a_closed_selector_takes_nothing_on_and_reports_nothing(box, selector):
    """It lets go of its outboxes; a second `close` does nothing."""
    selector.register(box.message_outbox)
    selector.close()
    selector.close()
    selector.wake()

    assert {} == dict(selector.get_map())
    assert () == box.message_outbox.listeners
    with pytest.raises(RuntimeError, match="^the selector is closed$"):
        selector.select(0)
    with pytest.raises(RuntimeError, match="^the selector is closed$"):
        selector.register(box.message_outbox)
    with pytest.raises(KeyError):
        selector.unregister(box.message_outbox)
    assert () == box.message_outbox.listeners


def test_a_closed_selector_does_not_keep_its_outboxes_alive(selector):
    box = make_mailbox()
    box.add_message("hello")
    selector.register(box.message_outbox)
    gone = weakref.ref(box.message_outbox)
    selector.close()

    del box
    gc.collect()

    assert gone() is None


def test_a_selector_closed_while_a_thread_is_looking_reports_nothing(box, selector, looks):
    selector.register(box.message_outbox)
    box.add_message("hello")
    looks.afterwards = selector.close

    with pytest.raises(RuntimeError, match="^the selector is closed$"):
        selector.select()


def test_an_outbox_forgets_a_selector_that_was_dropped_without_being_closed(box):
    """The selector is gone at once, what the outbox knows of it with the next mail."""
    selector = MailSelector()
    selector.register(box.message_outbox)
    gone = weakref.ref(selector)

    del selector
    gc.collect()
    assert gone() is None
    box.add_message("hello")

    assert () == box.message_outbox.listeners


def test_two_threads_that_find_a_selector_gone_do_not_disturb_each_other(box):
    """Nor does mail that is announced after its outbox was unregistered."""
    selector = MailSelector()
    selector.register(box.message_outbox)
    [listener] = box.message_outbox.listeners
    del selector
    gc.collect()

    for _ in range(2):
        listener(box.message_outbox)

    assert () == box.message_outbox.listeners


def test_mail_that_is_announced_after_its_outbox_was_unregistered_changes_nothing(box, selector):
    """A call of the listener that was under way may still arrive."""
    selector.register(box.message_outbox)
    [listener] = box.message_outbox.listeners
    selector.unregister(box.message_outbox)
    box.add_message("hello")

    listener(box.message_outbox)

    assert [] == selector.select(0)
    key = selector.register(box.message_outbox)
    listener(box.message_outbox)
    assert [key] == selector.select(0)
    assert 1 == len(box.message_outbox.listeners)


def test_a_registration_overtaken_by_its_end_leaves_nothing_behind(box, selector, monkeypatch):
    """Unregistered by another thread before the outbox knows it: forgotten with the next mail."""
    add_listener = Outbox.add_listener

    def overtaken(outbox, listener):
        selector.unregister(outbox)
        add_listener(outbox, listener)

    monkeypatch.setattr(Outbox, "add_listener", overtaken)
    selector.register(box.message_outbox)

    box.add_message("hello")

    assert () == box.message_outbox.listeners
    assert [] == selector.select(0)


# Interrupts


@pytest.mark.parametrize("blind", [0, 1, 2])
def test_a_select_interrupted_anywhere_consumes_nothing(blind):
    """`blind` looks in vain: it takes at once, after registering, or not at all."""
    source = Script()
    empty, outbox = scripted_outbox(Script()), scripted_outbox(source)

    def prepare():
        source.blind = blind
        source.items[:] = ["hello"]

    def interrupted():
        try:
            return select(empty, outbox, timeout=1e-9 if blind == 2 else None)
        except queue.Empty:
            return "empty"

    for struck, result, place in strike_everywhere(interrupted, prepare):
        source.blind = 0
        if struck or result == "empty":
            assert ["hello"] == source.items, place
            assert (outbox, "hello") == select(empty, outbox, timeout=0), place
        else:
            assert (outbox, "hello") == result
        outbox.tell_listeners()
        empty.tell_listeners()
        assert () == outbox.listeners + empty.listeners, place


def test_a_selector_interrupted_anywhere_still_knows_who_has_mail(selector):
    """So does every thread: what one of them had begun to look at is still to be seen by all."""
    source = Script("hello")
    outbox, stopped = scripted_outbox(source), scripted_outbox(Script())
    stopped.close_locked()
    selector.register(stopped)
    key = selector.register(outbox)

    for struck, result, place in strike_everywhere(selector.select, outbox.tell_listeners):
        assert struck or [key] == result
        source.blind = 0
        assert [[key], [key]] == [selector.select(0), Call(selector.select, 0).result()], place
        outbox.close_locked()
        outbox.tell_listeners()
        with pytest.raises(MailBoxShuttingDown):
            selector.select(0)
        selector.unregister(outbox)
        outbox = scripted_outbox(source)
        key = selector.register(outbox)


@pytest.mark.parametrize("items", [[], ["hello"]])
def test_a_wake_is_not_lost_on_a_thread_that_is_interrupted(selector, items):
    """A `select` that did not return has not been woken: the next one is."""
    source = Script()
    outbox = scripted_outbox(source)
    key = selector.register(outbox)

    def prepare():
        source.blind = 0
        source.items[:] = items
        outbox.tell_listeners()
        selector.wake()

    for struck, result, place in strike_everywhere(selector.select, prepare):
        assert struck or [key][: len(items)] == result
        source.items.clear()
        start = time.monotonic()
        assert [] == selector.select(PATIENCE if struck else 0)
        assert time.monotonic() - start < PATIENCE, place


def test_an_interrupted_registration_did_not_happen(selector):
    """Or is complete, where it was interrupted in its last step."""
    outbox = scripted_outbox(Script("hello"))

    for struck, _, place in strike_everywhere(lambda: selector.register(outbox)):
        registered = outbox in selector.get_map()
        assert registered != struck, place
        assert registered == bool(outbox.listeners), place
        assert registered == bool(selector.select(0)), place
    assert [outbox] == list(selector.get_map())


def test_an_interrupted_unregistration_can_be_repeated(selector):
    """What it leaves at the outbox is gone with the next mail."""
    outbox, other = scripted_outbox(Script("hello")), scripted_outbox(Script("hello"))
    key = selector.register(other)

    def prepare():
        assert () == outbox.listeners
        selector.register(outbox)

    for struck, _, place in strike_everywhere(lambda: selector.unregister(outbox), prepare):
        if outbox in selector.get_map():
            assert struck, place
            selector.unregister(outbox)
        assert [key] == selector.select(0), place
        outbox.tell_listeners()


@posix_only
def test_keyboard_interrupt_ends_a_get_in_the_main_thread(box):
    """It consumes nothing, and hands its wake-up on."""
    with interrupt_while_blocked_in(Outbox.get):
        box.message_outbox.get()
    rival = blocked(box.message_outbox.get)

    box.add_message("hello")

    assert "hello" == rival.result()
    assert 0 == box.message_outbox.waiting


@posix_only
@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_keyboard_interrupt_ends_a_select_in_the_main_thread(box, timeout):
    rival = blocked(select, box.message_outbox, box.packet_outbox)
    with interrupt_while_blocked_in(select):
        select(box.message_outbox, box.packet_outbox, timeout=timeout)

    assert 1 == len(box.message_outbox.listeners)
    box.add_message("hello")
    assert (box.message_outbox, "hello") == rival.result()
    box.add_message("again")
    assert (box.message_outbox, "again") == select(box.message_outbox, box.packet_outbox)


@posix_only
def test_keyboard_interrupt_ends_a_selector_s_wait_in_the_main_thread(box, selector):
    key = selector.register(box.message_outbox)
    rival = blocked(selector.select)
    with interrupt_while_blocked_in(MailSelector.select):
        selector.select()

    box.add_message("hello")

    assert [[key], [key]] == [rival.result(), selector.select()]


@posix_only
def test_keyboard_interrupt_of_a_thread_that_is_about_to_go_on_does_no_harm(box, selector):
    """Notified, but not yet in possession of the lock again, which another thread holds."""

    key = selector.register(box.message_outbox)
    with interrupt_while_blocked_in(MailSelector.select, selector._changed):
        selector.select()

    box.add_message("hello")
    assert [key] == selector.select()


# Many at once


def test_four_threads_and_a_thousand_mailboxes_deliver_every_packet_once():
    """Eight packets a mailbox, one by one and in batches, through one selector."""
    boxes = [make_mailbox() for _ in range(1_000)]
    expected = Counter((channel, number) for channel in range(1_000) for number in range(8))
    finished = threading.Event()
    counting = threading.Lock()
    delivered: Counter = Counter()

    def work():
        """Serve whatever is reported, until everything has been delivered."""
        while not finished.is_set():
            for channel, outbox in [(key.data, key.outbox) for key in selector.select()]:
                try:
                    batch = outbox.get_batch(3, block=False)
                except queue.Empty:
                    continue  # another thread was faster
                with counting:
                    delivered.update((channel, packet.incoming_htlc_id) for packet in batch)
                    done = delivered.total() == expected.total()
                if done:
                    finished.set()
                    selector.wake()

    def switch(boxes):
        for box in boxes:
            box.add_packets([an_add(number) for number in range(4)])
        for number in range(4, 8):
            for box in boxes:
                box.add_packet(an_add(number))

    with MailSelector() as selector:
        for channel, box in enumerate(boxes):
            selector.register(box.packet_outbox, channel)
        run_threads(
            work, work, work, work, lambda: switch(boxes[::2]), lambda: switch(boxes[1::2])
        )
    for box in boxes:
        box.stop()

    assert expected == delivered


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
        return []

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
        return []

    def switch_and_close():
        run_threads(switch, move)
        while any(box.statistics().messages for box in boxes):
            time.sleep(0)  # lets the workers go on
        selector.close()
        return []

    taken = run_threads(work, work, switch_and_close)

    assert list(range(count)) == sorted(chain(*taken))
    assert [()] * 10 == [box.message_outbox.listeners for box in boxes]
