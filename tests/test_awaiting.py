"""Receiving in coroutines: beside threads, cancelled, in several loops, and in ones that close."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from itertools import chain

import pytest

from lnmailbox import MailBoxShuttingDown, select
from lnmailbox.receiving.awaiting import _LoopBell
from lnmailbox.testing import PATIENCE, Call, Gate, run_threads
from lnmailbox.testing.conformance.base import drain
from receivers import make_mailbox, wait_until


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def outbox(box):
    return box.message_outbox


async def some_turns(count=5):
    """Let the loop's other tasks run; by default until none of them can go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def run(coroutine):
    """Run it in a loop of this thread; fail if it does not end."""

    async def limited():
        return await asyncio.wait_for(coroutine, PATIENCE)

    return asyncio.run(limited())


async def outcome(task):
    [result] = await asyncio.gather(task, return_exceptions=True)
    return result


@pytest.fixture
def loop():
    """A loop of this thread, which runs when the test says so."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def begin_to_wait(loop, outbox):
    task = loop.create_task(outbox.async_get())
    loop.run_until_complete(some_turns())
    return task


def finish(loop, task):
    return loop.run_until_complete(asyncio.wait_for(task, PATIENCE))


# Items


def test_an_item_that_is_there_is_returned_at_once(box, outbox):
    """Without a turn of the loop: other tasks have not run meanwhile."""

    async def receive():
        asyncio.get_running_loop().call_soon(others.append, "another task")
        return await outbox.async_get(), list(others)

    others = []
    box.add_message("hello")

    assert ("hello", []) == run(receive())


def test_an_item_that_is_there_needs_no_loop(box, outbox):
    """As under the event loop of another library, as long as there is nothing to wait for."""
    box.add_message("hello")

    with pytest.raises(StopIteration) as caught:
        outbox.async_get().send(None)
    assert "hello" == caught.value.value
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        outbox.async_get().send(None)
    assert {} == outbox._listeners


def test_a_batch_has_the_items_that_are_there_when_the_first_one_comes(box, outbox):
    async def receive():
        task = asyncio.ensure_future(outbox.async_get_batch(3))
        await some_turns()
        for item in "abcd":
            box.add_message(item)
        return await task, await outbox.async_get_batch(3)

    assert (["a", "b", "c"], ["d"]) == run(receive())


def test_a_waiting_coroutine_leaves_the_loop_to_others_and_starts_no_thread(box, outbox):
    async def receive():
        before = threading.enumerate()
        task = asyncio.ensure_future(outbox.async_get())
        await some_turns()
        during = threading.enumerate()
        box.add_message("hello")
        return before == during, await task

    assert (True, "hello") == run(receive())


def test_an_item_that_comes_between_the_first_look_and_the_listening_is_not_missed(
    monkeypatch, box, outbox
):
    """The coroutine looks again after it has asked to be told."""
    add_listener = type(outbox)._add_listener

    def add_message_and_listener(outbox, listener):
        Call(box.add_message, "hello").result()
        add_listener(outbox, listener)

    monkeypatch.setattr(type(outbox), "_add_listener", add_message_and_listener)

    assert "hello" == run(outbox.async_get())


def test_coroutines_receive_in_the_order_in_which_they_began_to_wait(box, outbox):
    """All are told of each item, and go on waiting if it is not theirs."""

    async def receive():
        tasks = [asyncio.ensure_future(outbox.async_get()) for _ in range(4)]
        done = []
        for number in range(4):
            await some_turns()
            done.append([task.done() for task in tasks].count(True))
            box.add_message(number)
        return done, await asyncio.gather(*tasks)

    assert ([0, 1, 2, 3], [0, 1, 2, 3]) == run(receive())


def test_a_loop_that_is_busy_is_told_once_of_all_that_arrives(box, outbox):
    """A million adds while a loop computes must not leave a million calls in it."""

    async def receive():
        loop = asyncio.get_running_loop()
        calls = []
        call_soon = loop.call_soon_threadsafe

        def counted(callback, *args):
            calls.append(callback)
            return call_soon(callback, *args)

        loop.call_soon_threadsafe = counted
        tasks = [asyncio.ensure_future(outbox.async_get()) for _ in range(2)]
        await some_turns()
        counts = []
        for _ in range(2):
            for number in range(100):
                box.add_message(number)
            drain(outbox)
            counts.append(len(calls))
            await some_turns()
        for number in range(2):
            box.add_message(number)
        return counts, await asyncio.gather(*tasks)

    assert ([2, 4], [0, 1]) == run(receive())


def test_a_coroutine_that_looks_again_while_it_is_told_is_told_again():
    """The thread that tells it must not take this telling for one of the next look."""

    async def receive():
        def tell(_):
            told.append("told")
            bell.hang()  # as the coroutine does, which is told already

        told = []
        bell = _LoopBell()
        bell.hang()
        asyncio.get_running_loop().call_soon_threadsafe = tell
        bell(outbox)
        bell(outbox)
        return told

    outbox = make_mailbox().message_outbox
    assert ["told", "told"] == run(receive())


def test_an_iterator_goes_on_after_an_anext_was_cancelled(box, outbox):
    """Unlike a generator, which ends then, as if the mailbox had been stopped."""

    async def receive():
        items = aiter(outbox)
        assert items is aiter(items)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(items), 0.001)
        box.add_message("hello")
        return await anext(items)

    assert "hello" == run(receive())


# Cancelling


@pytest.mark.parametrize("turns", range(6))
def test_what_a_cancelled_coroutine_was_told_of_is_for_the_others(box, outbox, turns):
    """Told, not told yet, about to go on, done: the item is with one of two, or still there."""

    async def receive():
        tasks = [asyncio.ensure_future(outbox.async_get()) for _ in range(2)]
        await some_turns()
        box.add_message("hello")
        await some_turns(turns)
        tasks[0].cancel()
        results = [await outcome(tasks[0])]
        tasks[1].cancel()
        return [*results, await outcome(tasks[1])]

    results = run(receive())

    assert ["hello"] == [r for r in results if r == "hello"] + drain(outbox)
    assert {str, asyncio.CancelledError} >= {type(result) for result in results}
    assert {} == outbox._listeners


@pytest.mark.parametrize("debug", [False, True])
def test_a_wait_for_that_loses_consumes_nothing(box, outbox, debug):
    """Hundreds of rounds in which the time limit and the item race: none is lost or doubled."""
    rounds = 300
    begin = threading.Semaphore(0)

    async def receive():
        received, lost = [], 0
        for turn in range(rounds):
            begin.release()
            try:
                received.append(await asyncio.wait_for(outbox.async_get(), turn % 10 * 0.00004))
            except asyncio.TimeoutError:
                lost += 1
        return received, lost

    def send():
        for number in range(rounds):
            assert begin.acquire(timeout=PATIENCE)
            box.add_message(number)

    [received, lost], _ = run_threads(lambda: asyncio.run(receive(), debug=debug), send)

    assert lost >= rounds // 10
    assert rounds - lost == len(received)
    assert list(range(rounds)) == received + drain(outbox)
    assert {} == outbox._listeners


# Coroutines that are dropped


def test_a_thousand_closed_coroutines_leave_nothing_behind(outbox):
    """Also if there is no mail for a long time."""

    async def drop():
        for _ in range(1000):
            coroutine = outbox.async_get()
            coroutine.send(None)
            coroutine.close()

    run(drop())

    assert {} == outbox._listeners


@pytest.mark.parametrize("by", ["this thread", "another thread"])
def test_the_garbage_collector_drops_coroutines_while_the_lock_is_held(box, outbox, by):
    """It may run at any place, and must wait for nobody."""
    gate = Gate()

    def collect_with_lock():
        with box._lock:
            gc.collect()

    def hold_lock():
        with box._lock:
            gate.pass_through()

    async def drop():
        coroutines = [outbox.async_get() for _ in range(1000)]
        for coroutine in coroutines:
            coroutine.send(None)
        waiting = len(outbox._listeners)
        coroutines.append(coroutines)  # only the garbage collector finds them
        del coroutine, coroutines
        if by == "this thread":
            collect_with_lock()
        else:
            holder = Call(hold_lock)
            gate.wait_until_reached()
            gc.collect()
            gate.open()
            holder.result()
        return waiting

    assert 1000 == Call(run, drop()).result()
    assert {} == outbox._listeners


def test_threads_go_on_adding_when_the_loop_of_a_waiting_coroutine_is_closed(box, outbox):
    """The adding thread does not get to know of it; others receive."""
    loop = asyncio.new_event_loop()
    task = begin_to_wait(loop, outbox)
    loop.close()

    for number in range(3):
        box.add_message(number)

    assert [0, 1, 2] == drain(outbox)
    assert {} == outbox._listeners
    assert not task.done()
    task._log_destroy_pending = False  # that is what this test is about


# Threads and loops


def test_every_kind_of_receiver_on_one_outbox_gets_each_item_once(box, outbox):
    """Patient ones and impatient ones, in threads and in two loops."""
    count = 600

    def in_a_thread(receive):
        items = []
        while True:
            try:
                items += receive()
            except queue.Empty:
                pass
            except MailBoxShuttingDown:
                return items

    async def patient():
        return [item async for item in outbox]

    async def impatient():
        items = []
        while True:
            try:
                items.append(await asyncio.wait_for(outbox.async_get(), 0.0005))
            except asyncio.TimeoutError:
                pass
            except MailBoxShuttingDown:
                return items

    async def receive():
        return list(chain(*await asyncio.gather(patient(), patient(), impatient())))

    def send():
        for number in range(count):
            box.add_message(number)
        wait_until(outbox.empty)
        box.stop()
        return []

    received = run_threads(
        lambda: asyncio.run(receive()),
        lambda: asyncio.run(receive()),
        lambda: list(outbox),
        lambda: in_a_thread(lambda: outbox.get_batch(3, timeout=0.0001)),
        lambda: in_a_thread(lambda: [select(box.packet_outbox, outbox)[1]]),
        lambda: in_a_thread(lambda: [select(box.packet_outbox, outbox, timeout=0.0001)[1]]),
        send,
    )

    assert list(range(count)) == sorted(chain(*received))
    assert {} == outbox._listeners


def test_loops_may_come_and_go_while_a_thread_adds(box, outbox):
    """Fifty loops one after the other, each of which closes with coroutines still waiting."""
    count = 2_000

    async def receive(items):
        tasks = [asyncio.ensure_future(outbox.async_get()) for _ in range(3)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        items += [task.result() for task in done]

    def receive_in_loops():
        items = []
        for _ in range(50):
            asyncio.run(receive(items))
        return items

    def send():
        for number in range(count):
            box.add_message(number)
        return []

    received, _ = run_threads(receive_in_loops, send)

    assert list(range(count)) == sorted(received + drain(outbox))
    assert {} == outbox._listeners
