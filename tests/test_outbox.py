"""The outbox over a source of its own: no mailbox, no clock, one lock."""

from __future__ import annotations

import queue
import threading
from collections import deque

import pytest

from lnmailbox.testing.threads import PATIENCE, Call, blocked
from lnmailbox import MailBoxShuttingDown, Outbox


class Letters:
    """A source for tests, which insists on the lock."""

    def __init__(self, lock):
        self.lock = lock
        self.letters = deque()
        self.takes = 0
        self.taken = threading.Semaphore(0)
        self.on_take = None  # what the next take does first

    def _look(self):
        assert self.lock.held()
        self.takes += 1
        self.taken.release()
        action, self.on_take = self.on_take, None
        if action is not None:
            action()

    def take(self):
        self._look()
        return self.letters.popleft() if self.letters else None

    def take_into(self, batch, size):
        self._look()
        while self.letters and len(batch) < size:
            batch.append(self.letters.popleft())

    def put_back(self, batch):
        assert self.lock.held()
        self.letters.extendleft(reversed(batch))

    def has_mail(self):
        assert self.lock.held()
        return bool(self.letters)


class Lock:
    """A lock that can be told to raise once, as soon as it is let go."""

    def __init__(self):
        self._lock = threading.RLock()
        self.acquire, self.held = self._lock.acquire, self._lock._is_owned
        # What a condition uses of a lock like this one.
        self._is_owned = self._lock._is_owned
        self._release_save = self._lock._release_save
        self._acquire_restore = self._lock._acquire_restore
        self.error = None

    def release(self):
        self._lock.release()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()


class Office:
    """An open outbox, its source and its lock; and what a mailbox does when mail arrives."""

    def __init__(self):
        self.lock = Lock()
        self.source = Letters(self.lock)
        self.outbox = Outbox(self.lock, self.source)

    def open(self):
        with self.lock:
            self.outbox.open_locked()
        self.outbox.tell_listeners()

    def close(self):
        with self.lock:
            self.outbox.close_locked()
        self.outbox.tell_listeners()

    def wait_for_receivers(self, count):
        """Wait until so many are in the condition; their order there is that of their coming."""
        pause = threading.Event()
        while True:
            with self.lock:
                if self.outbox.waiting == count:
                    return
            pause.wait(0.001)  # between two looks

    def deliver(self, *letters):
        with self.lock:
            self.source.letters.extend(letters)
            self.outbox.notify_locked(len(letters))
        self.outbox.tell_listeners()


@pytest.fixture
def office():
    office = Office()
    office.open()
    return office


@pytest.fixture
def outbox(office):
    return office.outbox


RECEIVE = {
    "get": lambda outbox, **options: outbox.get(**options),
    "get_batch": lambda outbox, **options: outbox.get_batch(2, **options)[0],
}


@pytest.fixture(params=RECEIVE)
def receive(request):
    """Either way to receive, as a function that returns the first item."""
    return RECEIVE[request.param]


def test_an_item_that_is_there_is_taken_at_a_glance(office, outbox, receive):
    """Whatever may be said about waiting; nobody waits."""
    for options in [{}, {"block": False}, {"timeout": 0}, {"timeout": 1e12}]:
        office.deliver("letter")
        before = office.source.takes

        assert "letter" == receive(outbox, **options)
        assert 1 == office.source.takes - before


def test_a_receiver_waits_for_an_item(office, outbox, receive):
    call = Call(receive, outbox)
    office.wait_for_receivers(1)

    office.deliver("letter")

    assert "letter" == call.result()
    assert 0 == outbox.waiting


def test_a_receiver_waits_no_longer_than_it_wants_to(outbox, receive):
    for timeout in (0, 1e-9, 0.01):
        with pytest.raises(queue.Empty):
            receive(outbox, timeout=timeout)

    assert 0 == outbox.waiting


def test_the_longest_timeout_of_threads_is_no_limit(monkeypatch, office, outbox, receive):
    """A longer one is waited for in pieces."""
    monkeypatch.setattr(threading, "TIMEOUT_MAX", 0.001)
    call = Call(receive, outbox, timeout=1e12)
    for _ in range(5):
        assert office.source.taken.acquire(timeout=PATIENCE)

    office.deliver("letter")

    assert "letter" == call.result()


def test_nothing_is_delivered_until_the_outbox_is_open(receive):
    """Not even looked for."""
    office = Office()
    office.deliver("letter")
    with pytest.raises(queue.Empty):
        receive(office.outbox, block=False)
    call = blocked(receive, office.outbox)
    assert 0 == office.source.takes

    office.open()

    assert "letter" == call.result()


def test_nothing_is_delivered_once_the_outbox_is_closed(office, outbox, receive):
    """What is left stays; who waits is told, and who comes."""
    calls = [blocked(receive, outbox), blocked(receive, outbox, timeout=1e12)]

    office.close()

    for call in calls:
        with pytest.raises(MailBoxShuttingDown):
            call.result()
    office.source.letters.append("letter")
    for options in [{}, {"block": False}, {"timeout": 0}, {"timeout": 1}]:
        with pytest.raises(MailBoxShuttingDown):
            receive(outbox, **options)
    assert [] == list(outbox)


def test_an_iteration_can_be_left_and_begun_again(office, outbox):
    """No item is taken that is not yielded."""
    office.deliver(*"abc")
    for letter in outbox:
        assert "a" == letter
        break

    assert "b" == next(iter(outbox))
    assert ["c"] == list(office.source.letters)


def test_an_error_in_the_body_of_an_iteration_passes(office, outbox):
    """Only the stop of this outbox ends it."""
    office.deliver("letter")

    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        for _ in outbox:
            raise ZeroDivisionError


def test_each_item_wakes_one_receiver(office, outbox):
    """Two items, three receivers: one goes on waiting."""
    received = queue.Queue()
    calls = [blocked(lambda: received.put(outbox.get())) for _ in range(3)]

    office.deliver("a", "b")

    assert {"a", "b"} == {received.get(timeout=PATIENCE) for _ in range(2)}
    office.deliver("c")
    for call in calls:
        call.result()
    assert "c" == received.get_nowait()


@pytest.mark.parametrize("size", [0, -3, 1.0, "1", None])
def test_a_batch_has_a_size(office, outbox, size):
    office.deliver("letter")

    with pytest.raises(ValueError) as caught:
        outbox.get_batch(size)

    assert f"max_items must be an integer >= 1, got {size!r}" == str(caught.value)
    assert ["letter"] == list(office.source.letters)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "1", True])
def test_a_timeout_is_a_span_of_time(office, outbox, receive, timeout):
    """Also where there is an item, which then stays."""
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            receive(outbox, timeout=timeout)

        text = f"timeout must be a finite number of seconds >= 0, got {timeout!r}"
        assert text == str(caught.value)
        office.deliver("letter")

    assert "letter" == receive(outbox)


def test_what_is_taken_and_not_returned_is_put_back(office, outbox, receive):
    """An interrupt as the lock is let go: the next receiver gets the items, in their order."""
    office.deliver(*"abc")
    office.lock.error = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        receive(outbox)

    assert ["a", "b", "c"] == list(office.source.letters)


def test_what_is_taken_after_waiting_and_not_returned_is_put_back(office, outbox, receive):
    call = blocked(receive, outbox)
    office.source.on_take = lambda: setattr(office.lock, "error", KeyboardInterrupt())

    office.deliver(*"abc")

    with pytest.raises(KeyboardInterrupt):
        call.result()
    assert ["a", "b", "c"] == list(office.source.letters)


def test_what_is_put_back_wakes_who_waits(office, outbox):
    """The first receiver is interrupted while it takes; the second did not see the items."""
    first = Call(outbox.get_batch, 2)
    second = Call(outbox.get)
    office.wait_for_receivers(2)
    office.source.on_take = lambda: setattr(office.lock, "error", KeyboardInterrupt())

    office.deliver("letter")

    outcomes = []
    for call in (first, second):
        try:
            outcomes.append(call.result())
        except KeyboardInterrupt:
            outcomes.append("interrupted")
    # Which of the two was woken first is nobody's business.
    assert outcomes in (["interrupted", "letter"], [["letter"], "interrupted"])


def test_listeners_hear_of_what_is_put_back(office, outbox, receive):
    """A `select` on another thread may have found nothing meanwhile."""
    heard = []
    office.deliver("letter")
    outbox.add_listener(heard.append)
    office.lock.error = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        receive(outbox)

    assert [outbox] == heard


def test_an_interrupted_batch_of_nothing_puts_nothing_back(office, outbox, receive):
    """An interrupt before anything was taken."""
    office.deliver("letter")
    office.source.on_take = interrupt

    with pytest.raises(KeyboardInterrupt):
        receive(outbox)

    assert "letter" == receive(outbox)


def test_a_receiver_that_is_interrupted_while_it_waits_waits_no_more(
    monkeypatch, office, outbox, receive
):
    """And counts no more as one that waits."""
    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            receive(outbox)

    assert 0 == outbox.waiting
    office.deliver("letter")
    assert "letter" == receive(outbox)


def test_a_receiver_that_is_interrupted_as_it_wakes_up_wakes_another_one(
    monkeypatch, office, outbox, receive
):
    """It was told of an item, and goes without; the one behind it was told nothing."""
    wait = threading.Condition.wait
    struck = []

    def wait_and_strike(condition, timeout=None):
        result = wait(condition, timeout)
        if timeout is not None and timeout > PATIENCE and not struck:
            struck.append(condition)
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(threading.Condition, "wait", wait_and_strike)
    first = Call(receive, outbox, timeout=1000)
    office.wait_for_receivers(1)
    second = Call(receive, outbox)
    office.wait_for_receivers(2)

    office.deliver("letter")

    with pytest.raises(KeyboardInterrupt):
        first.result()
    assert "letter" == second.result()


def test_a_receiver_that_is_interrupted_after_it_woke_up_wakes_another_one(
    office, outbox, receive
):
    """As above, in the moment between the wait and the take."""
    first = Call(receive, outbox)
    office.wait_for_receivers(1)
    second = Call(receive, outbox)
    office.wait_for_receivers(2)
    office.source.on_take = interrupt

    office.deliver("letter")

    with pytest.raises(KeyboardInterrupt):
        first.result()
    assert "letter" == second.result()


def test_an_outbox_says_whether_there_is_mail(outbox):
    """What `select` asks: True, False, and None once it is closed."""
    office = Office()
    office.deliver("letter")
    assert False is office.outbox.poll()

    office.open()
    assert True is office.outbox.poll()
    assert False is outbox.poll()

    office.close()
    assert office.outbox.poll() is None


def test_an_item_can_be_taken_into_safety(office, outbox):
    """What `select` does: it is in a list of the caller's when it has left the source."""
    item = []
    assert True is outbox.take_in_turn(item)
    assert [] == item

    office.deliver("a", "b")
    assert True is outbox.take_in_turn(item, turn=7)
    assert ["a"] == item
    assert 7 == outbox.last_turn

    outbox.put_back(item)
    assert "a" == outbox.get_nowait()
    assert True is outbox.take_in_turn([], turn=5)
    assert 7 == outbox.last_turn  # it does not go back

    office.close()
    assert False is outbox.take_in_turn([])


def test_a_listener_that_was_removed_hears_nothing(office, outbox):
    """Whatever the others hear; removing it again does nothing."""
    heard, removed = [], []
    outbox.add_listener(heard.append)
    outbox.add_listener(removed.append)
    for _ in range(2):
        outbox.remove_listener(removed.append)

    office.deliver("letter")

    assert [outbox] == heard
    assert [] == removed


def interrupt(*_):
    raise KeyboardInterrupt
