"""Receiving in coroutines: beside threads, cancelled, in several loops, and in ones that close."""

from __future__ import annotations

import asyncio
import queue
import threading
from itertools import chain

import pytest

from lnmailbox.testing.threads import PATIENCE, Call, blocked, run_threads
from lnmailbox import MailBoxShuttingDown
from test_selector import Script, make_mailbox, scripted_outbox, strike_everywhere


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


async def some_turns(count=5):
    """Let the loop's other tasks run; by default until none of them can go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def run(coroutine):
    """Run it in a loop of this thread; fail if it does not end."""

    async def limited():
        return await asyncio.wait_for(coroutine, PATIENCE)

    return asyncio.run(limited())


# Items


def test_an_item_that_is_there_is_returned_at_once(box):
    """Without a turn of the loop: other tasks have not run meanwhile."""

    async def receive():
        asyncio.get_running_loop().call_soon(others.append, "another task")
        return await box.message_outbox.async_get(), list(others)

    others = []
    box.add_message("hello")

    assert ("hello", []) == run(receive())


def test_an_item_that_is_there_needs_no_loop(box):
    """As under the event loop of another library, as long as there is nothing to wait for."""
    box.add_message("hello")

    with pytest.raises(StopIteration) as caught:
        box.message_outbox.async_get().send(None)
    assert "hello" == caught.value.value
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        box.message_outbox.async_get().send(None)
    assert () == box.message_outbox.listeners


def test_a_coroutine_waits_for_an_item_from_a_thread(box):
    call = blocked(run, box.message_outbox.async_get())

    box.add_message("hello")

    assert "hello" == call.result()
    assert () == box.message_outbox.listeners


def test_a_coroutine_waits_for_an_item_from_another_coroutine(box):
    async def receive():
        task = asyncio.ensure_future(box.message_outbox.async_get())
        await some_turns()
        box.add_message("hello")
        return await task

    assert "hello" == run(receive())


def test_a_waiting_coroutine_leaves_the_loop_to_others_and_starts_no_thread(box):
    async def receive():
        before = threading.enumerate()
        task = asyncio.ensure_future(box.message_outbox.async_get())
        await some_turns()
        during = threading.enumerate()
        box.add_message("hello")
        return before == during, await task

    assert (True, "hello") == run(receive())


def test_an_item_that_comes_between_the_first_look_and_the_listening_is_not_missed():
    """The coroutine looks again after it has asked to be told."""
    outbox = scripted_outbox(Script("hello", blind=1))

    assert "hello" == run(outbox.async_get())


def test_being_told_in_vain_a_coroutine_waits_on(box):
    """Two are told of one item; the one that comes too late gets the next."""

    async def receive():
        tasks = [asyncio.ensure_future(box.message_outbox.async_get()) for _ in range(2)]
        await some_turns()
        box.add_message("first")
        await some_turns()
        done = [task.done() for task in tasks]
        box.add_message("second")
        return done, await asyncio.gather(*tasks)

    done, items = run(receive())

    assert [True, False] == done
    assert ["first", "second"] == items


def test_coroutines_receive_in_the_order_in_which_they_began_to_wait(box):
    async def receive():
        tasks = [asyncio.ensure_future(box.message_outbox.async_get()) for _ in range(4)]
        await some_turns()
        for number in range(4):
            box.add_message(number)
        return await asyncio.gather(*tasks)

    assert [0, 1, 2, 3] == run(receive())


def test_a_loop_that_is_busy_is_told_once_of_all_that_arrives(box):
    """A million adds while a loop computes must not leave a million calls in it."""

    async def receive():
        loop = asyncio.get_running_loop()
        calls = []
        call_soon = loop.call_soon_threadsafe

        def counted(callback, *args):
            calls.append(callback)
            return call_soon(callback, *args)

        loop.call_soon_threadsafe = counted
        outbox = box.message_outbox
        tasks = [asyncio.ensure_future(outbox.async_get()) for _ in range(2)]
        await some_turns()
        counts = []
        for _ in range(2):
            for number in range(100):
                box.add_message(number)
            while box.statistics().messages:
                outbox.get_nowait()
            counts.append(len(calls))
            await some_turns()
        for number in range(2):
            box.add_message(number)
        return counts, await asyncio.gather(*tasks)

    assert ([2, 4], [0, 1]) == run(receive())


# Starting and stopping


def test_a_coroutine_waits_for_a_mailbox_to_be_started():
    box = make_mailbox(started=False)
    box.add_message("hello")
    call = blocked(run, box.message_outbox.async_get())

    with box:
        assert "hello" == call.result()


def test_a_stopped_mailbox_turns_coroutines_away(box):
    box.add_message("hello")
    box.stop()

    with pytest.raises(MailBoxShuttingDown):
        run(box.message_outbox.async_get())


def test_stopping_wakes_every_coroutine(box):
    async def receive():
        outbox = box.message_outbox
        tasks = [asyncio.ensure_future(outbox.async_get()) for _ in range(3)]
        await some_turns()
        stop = Call(box.stop)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        stop.result()
        return results

    assert [MailBoxShuttingDown] * 3 == [type(result) for result in run(receive())]
    assert () == box.message_outbox.listeners


def test_async_for_yields_items_until_the_mailbox_is_stopped(box):
    async def receive():
        items = []
        async for item in box.message_outbox:
            items.append(item)
            if item == "last":
                box.stop()
        return items + [item async for item in box.message_outbox]

    for item in ("first", "last", "too late"):
        box.add_message(item)

    assert ["first", "last"] == run(receive())


def test_async_for_can_be_left_and_begun_again(box):
    async def receive():
        items = []
        for _ in range(2):
            async for item in box.message_outbox:
                items.append(item)
                break
        return items

    for item in ("first", "second", "third"):
        box.add_message(item)

    assert ["first", "second"] == run(receive())
    assert 1 == box.statistics().messages


def test_an_iterator_goes_on_after_an_anext_was_cancelled(box):
    """Unlike a generator, which ends then, as if the mailbox had been stopped."""

    async def receive():
        items = aiter(box.message_outbox)
        assert items is aiter(items)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(items), 0.001)
        box.add_message("hello")
        return await anext(items)

    assert "hello" == run(receive())


# Cancelling


@pytest.mark.parametrize("turns", range(6))
def test_a_coroutine_cancelled_at_any_time_after_an_item_came_takes_it_or_leaves_it(box, turns):
    """Told, not told yet, about to go on, done: the item is with the task or in the mailbox."""

    async def receive():
        task = asyncio.ensure_future(box.message_outbox.async_get())
        await some_turns()
        box.add_message("hello")
        await some_turns(turns)
        task.cancel()
        [result] = await asyncio.gather(task, return_exceptions=True)
        return result

    result = run(receive())

    if result == "hello":
        assert turns > 0
        assert 0 == box.statistics().messages
    else:
        assert isinstance(result, asyncio.CancelledError)
        assert turns < 5
        assert 1 == box.statistics().messages
    assert () == box.message_outbox.listeners


@pytest.mark.parametrize("turns", range(6))
def test_what_a_cancelled_coroutine_was_told_of_is_for_the_others(box, turns):
    """Of two that wait, the first is cancelled: whenever that is, one of them has the item."""

    async def receive():
        tasks = [asyncio.ensure_future(box.message_outbox.async_get()) for _ in range(2)]
        await some_turns()
        box.add_message("hello")
        await some_turns(turns)
        for task in tasks:
            task.cancel()
            await some_turns()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = run(receive())

    assert 1 == results.count("hello")
    assert [asyncio.CancelledError] == [type(result) for result in results if result != "hello"]


def test_a_thread_gets_what_a_cancelled_coroutine_was_told_of(box):
    async def receive():
        task = asyncio.ensure_future(box.message_outbox.async_get())
        await some_turns()
        box.add_message("hello")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(receive())

    assert "hello" == box.message_outbox.get(timeout=0)


@pytest.mark.parametrize("debug", [False, True])
def test_a_wait_for_that_loses_consumes_nothing(box, debug):
    """Hundreds of rounds in which the time limit and the item race: none is lost or doubled."""
    rounds = 300
    begin = threading.Semaphore(0)

    async def receive():
        outbox = box.message_outbox
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
    left = []
    while box.statistics().messages:
        left.append(box.message_outbox.get_nowait())

    assert lost >= rounds // 10
    assert rounds - lost == len(received)
    assert list(range(rounds)) == received + left
    assert () == box.message_outbox.listeners


def test_a_wait_for_that_is_itself_cancelled_consumes_nothing_or_returns(box):
    """Some Pythons wait in a task of their own, others in the caller's."""

    async def receive(turns):
        task = asyncio.ensure_future(asyncio.wait_for(box.message_outbox.async_get(), PATIENCE))
        await some_turns()
        box.add_message("hello")
        await some_turns(turns)
        task.cancel()
        [result] = await asyncio.gather(task, return_exceptions=True)
        return result

    for turns in range(8):
        before = box.statistics().messages
        result = run(receive(turns))

        after = box.statistics().messages
        assert before + 1 == after + (result == "hello")
        while box.statistics().messages:
            box.message_outbox.get_nowait()


def test_an_async_get_interrupted_anywhere_consumes_nothing():
    """KeyboardInterrupt strikes between any two steps, also while it takes back its listener."""
    source = Script()
    outbox = scripted_outbox(source)

    def prepare():
        source.blind = 1
        source.items[:] = ["hello"]

    def receive():
        with pytest.raises(StopIteration) as caught:
            outbox.async_get().send(None)
        return caught.value.value

    async def strike():
        for struck, result, place in strike_everywhere(receive, prepare):
            assert struck or result == "hello"
            source.blind = 0
            assert ["hello"][not struck :] == source.items, place
            outbox.tell_listeners()
            assert () == outbox.listeners, place

    run(strike())


# Threads and loops


def test_coroutines_and_threads_on_one_outbox_get_each_item_once(box):
    count = 600

    async def receive():
        async def one():
            return [item async for item in box.message_outbox]

        async def impatient():
            items = []
            while True:
                try:
                    items.append(await asyncio.wait_for(box.message_outbox.async_get(), 0.0005))
                except asyncio.TimeoutError:
                    pass
                except MailBoxShuttingDown:
                    return items

        return list(chain(*await asyncio.gather(one(), one(), impatient())))

    def receive_in_a_thread():
        return list(box.message_outbox)

    def send():
        for number in range(count):
            box.add_message(number)
        while box.statistics().messages:
            threading.Event().wait(0.001)  # lets the receivers go on
        box.stop()
        return []

    received = run_threads(
        lambda: asyncio.run(receive()),
        lambda: asyncio.run(receive()),
        receive_in_a_thread,
        send,
    )

    assert list(range(count)) == sorted(chain(*received))


def test_a_loop_in_each_of_several_threads_receives(box):
    """One item for each of four loops that wait for one."""
    calls = [blocked(run, box.message_outbox.async_get()) for _ in range(4)]

    for number in range(4):
        box.add_message(number)

    assert [0, 1, 2, 3] == sorted(call.result() for call in calls)


def test_threads_go_on_adding_when_the_loop_of_a_waiting_coroutine_is_closed(box):
    """The adding thread does not get to know of it; others receive."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(box.message_outbox.async_get())
    loop.run_until_complete(some_turns())
    loop.close()

    for number in range(3):
        box.add_message(number)

    assert [0, 1, 2] == [box.message_outbox.get_nowait() for _ in range(3)]
    assert () == box.message_outbox.listeners
    assert not task.done()
    task._log_destroy_pending = False  # that is what this test is about


def test_a_dropped_coroutine_takes_no_lock(box):
    """The garbage collector may drop it at any place, also where its thread holds the lock."""

    async def drop():
        coroutine = box.message_outbox.async_get()
        coroutine.send(None)
        with box._lock:
            coroutine.close()

    Call(run, drop()).result()
    assert 1 == len(box.message_outbox.listeners)
    box.add_message("hello")
    assert () == box.message_outbox.listeners


def test_loops_may_come_and_go_while_a_thread_adds(box):
    """Fifty loops one after the other, each of which closes with a coroutine still waiting."""
    count = 2_000

    async def receive(items):
        tasks = [asyncio.ensure_future(box.message_outbox.async_get()) for _ in range(3)]
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
    while True:
        try:
            received.append(box.message_outbox.get_nowait())
        except queue.Empty:
            break

    assert list(range(count)) == sorted(received)
    assert () == box.message_outbox.listeners
