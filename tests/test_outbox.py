"""Receiving in threads: whatever happens to one receiver, no item and no other receiver suffers.

What receivers may rely on in every mailbox is in the conformance suite, and an interrupt at each
moment of a call in `test_interrupts.py`.
"""

from __future__ import annotations

import asyncio
import queue
import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lnmailbox import MailBoxShuttingDown, MailSelector, Outbox, select
from lnmailbox.bell import Bell
from lnmailbox.contract import Hand
from lnmailbox.receiving.outbox import LocalOutbox, _each_item
from lnmailbox.testing import PATIENCE, Call, blocked
from lnmailbox.testing.conformance.base import add, drain, key, settle
from receivers import make_mailbox, wait_until

PUBLIC = "async_get async_get_batch empty get get_batch get_nowait qsize statistics".split()

Receive = Callable[[Outbox[Any]], Any]


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def outbox(box):
    return box.message_outbox


def take_when_reported(outbox: Outbox[Any]) -> Any:
    with MailSelector() as selector:
        selector.register(outbox)
        while True:
            for ready, _ in selector.select():
                try:
                    return ready.get_nowait()
                except queue.Empty:
                    pass


async def anext_of(outbox: Outbox[Any]) -> Any:
    async for item in outbox:
        return item
    raise MailBoxShuttingDown


IN_THREADS: dict[str, Receive] = {
    "get": lambda outbox: outbox.get(),
    "get with timeout": lambda outbox: outbox.get(timeout=1e12),
    "get by hand": LocalOutbox._get_by_hand,
    "get_batch": lambda outbox: outbox.get_batch(1)[0],
    "select": lambda outbox: select(outbox)[1],
    "selector": take_when_reported,
}
IN_COROUTINES: dict[str, Receive] = {
    "async_get": lambda outbox: asyncio.run(outbox.async_get()),
    "async_get_batch": lambda outbox: asyncio.run(outbox.async_get_batch(1))[0],
    "async for": lambda outbox: asyncio.run(anext_of(outbox)),
}
AT_ONCE: dict[str, Receive] = {
    "get_nowait": lambda outbox: outbox.get_nowait(),
    "get without block": lambda outbox: outbox.get(block=False),
    "get with timeout 0": lambda outbox: outbox.get(timeout=0),
    "get by hand without block": lambda outbox: LocalOutbox._get_by_hand(outbox, block=False),
    "get_batch without block": lambda outbox: outbox.get_batch(1, block=False)[0],
    "select with timeout 0": lambda outbox: select(outbox, timeout=0)[1],
}


def ways(*tables: dict[str, Receive]) -> pytest.MarkDecorator:
    table = {name: receive for table in tables for name, receive in table.items()}
    return pytest.mark.parametrize("receive", table.values(), ids=table)


# What users see


def test_a_user_is_offered_the_methods_of_the_contract_and_no_others(outbox):
    """What mailboxes and selectors need begins with an underscore."""
    for shown in (Outbox, outbox):
        assert PUBLIC == [name for name in dir(shown) if not name.startswith("_")]


def test_an_outbox_says_what_it_delivers_and_whose_it_is(box):
    class Own(LocalOutbox[Any]):
        pass

    own = Own("words", box._life, box._messages)

    assert [
        "<LocalOutbox of the messages of mailbox 539268x845x1, running>",
        "<LocalOutbox of the packets of mailbox 539268x845x1, running>",
        "<Own of the words of mailbox 539268x845x1, running>",
    ] == [repr(outbox) for outbox in (box.message_outbox, box.packet_outbox, own)]


# Each way to receive


@ways(IN_THREADS, IN_COROUTINES, AT_ONCE)
def test_an_item_that_is_there_is_taken_and_the_next_one_stays(box, outbox, receive):
    """It need not be true."""
    for item in (b"", b"next"):
        box.add_message(item)

    assert b"" == receive(outbox)
    assert [b"next"] == drain(outbox)


@ways(IN_THREADS, IN_COROUTINES)
def test_a_receiver_that_waits_gets_the_next_item_and_leaves_no_trace(box, outbox, receive):
    call = blocked(receive, outbox)

    box.add_message("hello")

    assert "hello" == call.result()
    assert ([], {}) == (outbox._bells, outbox._listeners)


@ways(IN_THREADS, IN_COROUTINES)
def test_a_receiver_that_waits_is_told_of_the_stop_and_leaves_no_trace(box, outbox, receive):
    calls = [blocked(receive, outbox) for _ in range(2)]

    box.stop()

    for call in calls:
        with pytest.raises(MailBoxShuttingDown):
            call.result()
    assert ([], {}) == (outbox._bells, outbox._listeners)


@ways(IN_THREADS, IN_COROUTINES, AT_ONCE)
@pytest.mark.parametrize("started", [False, True])
def test_nothing_is_received_from_a_stopped_mailbox(receive, started):
    """Whatever is left in it."""
    box = make_mailbox(started=started)
    box.add_message("hello")
    box.stop()

    with pytest.raises(MailBoxShuttingDown):
        receive(box.message_outbox)
    assert [] == list(box.message_outbox)
    assert 1 == box.message_outbox.qsize()


@pytest.mark.parametrize("timeout", [1e-9, 0.01])
def test_a_receiver_whose_time_is_up_waits_no_more(outbox, timeout):
    for receive in (outbox.get, lambda timeout: outbox.get_batch(2, timeout=timeout)):
        with pytest.raises(queue.Empty):
            receive(timeout=timeout)

    assert [] == outbox._bells


@pytest.mark.parametrize(
    "receive", [LocalOutbox.get, lambda outbox, **how: outbox.get_batch(1, **how)]
)
def test_a_receiver_that_finds_an_item_when_its_time_is_up_leaves_no_bell(
    outbox, monkeypatch, receive
):
    """The next item would ring it, and wake nobody."""

    def wait(self, until):
        """Let the time be up at the moment when an item comes and another receiver is told."""
        outbox._bells.insert(0, Bell())
        outbox._ring_locked()
        outbox._source.add("item")

    monkeypatch.setattr(Bell, "wait", wait)
    receive(outbox, timeout=PATIENCE)

    assert [] == outbox._bells


def test_a_receiver_waits_for_longer_than_a_lock_can(monkeypatch, box, outbox):
    """In pieces, each of which ends with a look."""
    monkeypatch.setattr(threading, "TIMEOUT_MAX", 0.001)
    call = Call(outbox.get, timeout=1e12)
    seen = set()
    while len(seen) < 5:
        with box._lock:
            seen.update(outbox._bells)

    box.add_message("hello")

    assert "hello" == call.result()


@pytest.mark.parametrize("iterate", [iter, _each_item])
def test_an_iteration_can_be_left_and_begun_again(box, outbox, iterate):
    """No item is taken that is not yielded. The second one is that of Python 3.10."""
    for item in "abc":
        box.add_message(item)
    for item in iterate(outbox):
        assert "a" == item
        break

    assert "b" == next(iterate(outbox))
    box.stop()
    assert [] == list(iterate(outbox))
    assert 1 == outbox.qsize()


# Who is told


class Bells(list):
    """The bells of an outbox, which change under its mailbox's lock only."""

    def __init__(self, lock: Any) -> None:
        super().__init__()
        self.lock = lock
        self.hung = 0

    def append(self, bell: Any) -> None:
        assert self.lock._is_owned()
        self.hung += 1
        super().append(bell)

    def __delitem__(self, index: Any) -> None:
        assert self.lock._is_owned()
        super().__delitem__(index)


@ways({name: IN_THREADS[name] for name in ("get", "get_batch")})
def test_a_receiver_hangs_its_bell_before_it_lets_go_of_the_lock(box, outbox, receive):
    """Otherwise an item that comes in between wakes nobody."""
    bells = outbox._bells = Bells(box._lock)
    call = blocked(receive, outbox)

    box.add_message("a")

    assert "a" == call.result()
    assert 1 == bells.hung


def test_each_item_wakes_the_receiver_that_has_waited_longest(box, outbox):
    """Two items, three receivers: the third one goes on waiting."""
    calls = [blocked(outbox.get) for _ in range(3)]

    for item in "ab":
        box.add_message(item)

    assert {"a", "b"} == {call.result() for call in calls[:2]}
    assert 1 == len(outbox._bells)
    box.add_message("c")
    assert "c" == calls[2].result()


def test_items_that_are_put_back_are_first_again_and_whoever_waits_is_told(box, outbox):
    for item in "abc":
        box.add_message(item)
    hand: Hand[Any] = Hand()
    outbox._take_into(hand, 3)
    calls = [blocked(outbox.get) for _ in range(2)]
    heard: list[Any] = []
    outbox._add_listener(heard.append)

    hand.put_back()

    assert {"a", "b"} == {call.result() for call in calls}
    assert ["c"] == drain(outbox)
    assert [outbox] == heard


def test_a_listener_hears_of_all_news_until_it_is_over_or_removed(box, outbox):
    heard = []
    listeners = {
        "stays": lambda _: heard.append("stays"),
        "is over": lambda _: heard.append("is over") or True,
        "is removed": lambda _: heard.append("is removed"),
    }
    for listener in listeners.values():
        outbox._add_listener(listener)
    box.add_message("hello")
    for _ in range(2):
        outbox._remove_listener(listeners["is removed"])
    box.add_message("hello")

    assert ["stays", "is over", "is removed", "stays"] == heard


def test_listeners_may_come_and_go_as_the_news_are_told(box, outbox):
    """Those hear of it that were there when it began."""
    heard = []

    def first(_):
        heard.append("first")
        outbox._remove_listener(first)
        outbox._add_listener(heard.append)

    outbox._add_listener(first)
    for _ in range(2):
        box.add_message("hello")

    assert ["first", outbox] == heard


def test_listeners_come_and_go_while_another_thread_has_the_lock(box, outbox):
    """The garbage collector removes some, and must not wait."""
    with box._lock:
        Call(outbox._add_listener, str).result()
        assert [str] == list(outbox._listeners)
        Call(outbox._remove_listener, str).result()

    assert {} == outbox._listeners


def test_the_turn_of_an_outbox_is_the_latest_in_which_an_item_was_taken(box, outbox):
    """Whoever took from it last decides where it stands, not who writes it down last."""
    for item in "ab":
        box.add_message(item)

    for turn in (9, 5, 11):
        assert outbox._take_into(Hand(), 1, turn)

    assert 9 == outbox._last_turn


# Interrupts


def test_messages_that_are_put_back_after_a_reset_are_gone(box, outbox):
    """When `reset_messages` has returned, no message from before is delivered."""
    box.add_message("hello")
    hand: Hand[Any] = Hand()
    outbox._take_into(hand, 1)
    box.reset_messages()

    hand.put_back()

    assert 0 == outbox.qsize()


def test_packets_that_are_put_back_after_a_reset_are_there_once(box):
    box.add_packets([add(1), settle(2)])
    hand: Hand[Any] = Hand()
    box.packet_outbox._take_into(hand, 2)
    box.reset_packets()
    box.ack_packet(key(2))

    hand.put_back()

    assert hand[1:] == drain(box.packet_outbox)


@pytest.mark.parametrize("reset", [True, False])
def test_a_get_that_is_interrupted_when_it_has_released_the_lock_puts_back(box, outbox, reset):
    """Unless a reset came in that moment."""

    class Lock:
        errors = iter([KeyboardInterrupt])
        acquire = __enter__ = box._lock.acquire

        def release(self, *_):
            box._lock.release()
            for error in self.errors:
                if reset:
                    Call(box.reset_messages).result()
                raise error

        __exit__ = release

    box.add_message("hello")
    outbox._lock = Lock()

    with pytest.raises(KeyboardInterrupt):
        outbox.get()

    assert (0 if reset else 1) == outbox.qsize()


class Signals:
    """SIGINT, from a thread to the main thread, again and again until the call there is over.

    It raises KeyboardInterrupt once in each call, at a random time, and only within the package:
    what has been returned is the caller's.
    """

    def __init__(self) -> None:
        self.raised = 0
        self._is_armed = False
        self._calls = threading.Semaphore(0)
        self._is_over = threading.Event()
        self._is_over.set()
        self._ends = False

    def __enter__(self) -> Signals:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        self._striker = Call(self._strike)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._calls.release()
        self._striker.result()
        signal.signal(signal.SIGINT, self._before)

    def interrupt(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the function; return what it returns, or None if it is interrupted."""
        self._is_over.clear()
        self._is_armed = True
        self._calls.release()
        try:
            return function(*args)
        except KeyboardInterrupt:
            return None
        finally:
            self._is_armed = False
            self._is_over.set()

    def _on_signal(self, _: int, frame: Any) -> None:
        while self._is_armed and frame is not None:
            if frame.f_globals["__name__"].startswith("lnmailbox.receiving"):
                self._is_armed = False
                self.raised += 1
                raise KeyboardInterrupt
            frame = frame.f_back

    def _strike(self) -> None:
        randomly = random.Random(1)
        while self._calls.acquire() and not self._ends:
            for _ in range(randomly.randrange(3000)):
                pass
            while not self._is_over.is_set():
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                self._is_over.wait(0.001)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@ways(IN_THREADS)
def test_signals_that_interrupt_a_receiver_lose_nothing_and_confuse_nobody(box, outbox, receive):
    """Hundreds of real ones while it waits: each is a KeyboardInterrupt and no other error.

    A rival that waits beside it gets every item that it does not get.
    """
    rounds = 300
    begin, sent = threading.Semaphore(0), threading.Semaphore(0)
    rival = Call(list, outbox)

    def send():
        randomly = random.Random(2)
        for number in range(rounds):
            assert begin.acquire(timeout=PATIENCE)
            for _ in range(randomly.randrange(3000)):
                pass
            box.add_message((number,))
            sent.release()

    sender = Call(send)
    received = []
    with Signals() as signals:
        for _ in range(rounds):
            begin.release()
            received.append(signals.interrupt(receive, outbox))
            assert sent.acquire(timeout=PATIENCE)
            wait_until(outbox.empty)
            assert len(outbox._bells) <= 1  # the rival's
    sender.result()
    box.stop()

    assert [(n,) for n in range(rounds)] == sorted([*filter(None, received), *rival.result()])
    assert rounds // 4 < signals.raised
