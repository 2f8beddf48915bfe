"""Whatever is interrupted, at every moment: it is done or undone, and nobody waits in vain."""

from __future__ import annotations

import asyncio
import dis
import importlib
import inspect
import logging
import pkgutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from itertools import count

import pytest

import lnmailbox
from lnmailbox import MailSelector, MemoryMailBox, select
from lnmailbox.bell import Bell
from lnmailbox.failing import courier
from lnmailbox.receiving.awaiting import _LoopBell
from lnmailbox.testing import PATIENCE, Call
from lnmailbox.testing.conformance.base import add
from moments import Interrupt, Moment
from operations import (
    EXPECTED,
    OPERATIONS,
    World,
    delivered,
    failing,
    first,
    is_between,
    outcome,
    repeat,
)


@pytest.fixture(autouse=True)
def quick_threads(monkeypatch, caplog):
    """Couriers without work end at once, and nobody listens to complaints."""
    monkeypatch.setattr(courier, "_LINGER", 0.0)
    caplog.set_level(logging.CRITICAL, "lnmailbox")


pytestmark = pytest.mark.skipif(
    sys.version_info[:2] == (3, 11) and sys.gettrace() is not None,
    reason="with a tracer, Python 3.11 looks for signals until there is none",
)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_interrupted_operation_is_done_or_undone(name):
    """At every moment. Then it can be repeated, and whatever is undelivered expires."""
    row = OPERATIONS[name]
    before, after = (outcome(row, times=times) for times in (0, 1))
    repeated = [outcome(row, times=times, settled=True) for times in (1, 2)]
    for number in count(1):
        moment = Moment(number)
        with World() as world:
            row.state(world)
            interrupted = False
            try:
                moment.run(lambda: row.operation(world))
            except Interrupt:
                interrupted = True
            except EXPECTED:
                pass
            assert interrupted is bool(moment.place)

            world.check()
            world.settle()
            state = world.state()
            repeat(row, world)
            world.check()
            world.settle()
            repeated_state = world.state()
            world.finish()

        if not interrupted:
            assert after == state
            break
        if row.takes:
            assert before == state, moment.place
        elif row.partly:
            assert is_between(state, before, after), moment.place
        else:
            assert state in (before, after), moment.place
            assert repeated[state == after] == repeated_state, moment.place
    assert number > 1


def test_a_mailbox_that_is_forgotten_leaves_its_clock_to_the_others(monkeypatch):
    """An interrupt cannot be raised from a finalizer, but ends it."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    for number in count(1):
        moment = Moment(number)
        with World() as world:
            forgotten = [MemoryMailBox(world.box._config)]
            forgotten[0].start()
            forgotten[0].add_packet(add(2))
            moment.run(forgotten.clear)
            world.check()
            world.box.add_packet(add(4))
            world.finish()
        if not moment.place:
            break
    assert number > 5


RECEIVE = {
    "get": lambda world: world.messages.get(),
    "get_batch": lambda world: world.messages.get_batch(2),
    "iteration": lambda world: first(iter(world.messages)),
    "select": lambda world: select(world.messages, world.packets),
    "MailSelector.select": lambda world: world.selector.select(),
    "async_get": lambda world: world.loop.run_until_complete(world.messages.async_get()),
}


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", RECEIVE)
def test_an_interrupted_receiver_leaves_the_mail_that_woke_it_to_the_next(monkeypatch, name):
    """The next one waits behind it, and is woken."""
    for number in count(1):
        moment = Moment(number)
        next_one = Bell()
        came = []
        with World() as world, asyncio_loop() as world.loop:
            world.selector.register(world.messages)

            def mail_comes(world=world, bells=world.messages._bells, next_one=next_one, came=came):
                monkeypatch.undo()
                came.append(b"mail")
                bells.append(next_one)
                Call(lambda: world.box.add_message(b"mail")).result()

            monkeypatch.setattr(Bell, "wait", after(mail_comes, Bell.wait))
            world.loop.call_soon(world.loop.call_soon, mail_comes)
            received = None
            with suppress(Interrupt):
                received = moment.run(lambda: RECEIVE[name](world))
            monkeypatch.undo()

            world.check()
            if received is None and came:
                assert came == world.state()["messages"]
                assert next_one not in world.messages._bells
        if not moment.place:
            break
    assert received
    assert number > 10


def test_a_wake_is_not_lost_on_a_thread_that_is_interrupted():
    for number in count(1):
        moment = Moment(number)
        with MailSelector() as selector:
            selector.wake()
            with suppress(Interrupt):
                moment.run(selector.select)
            if not moment.place:
                break
            assert 0 == getattr(selector._seen, "wakes", 0)
    assert number > 5


def after(action, function):
    def run(*args):
        action()
        return function(*args)

    return run


@contextmanager
def asyncio_loop():
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


@pytest.mark.parametrize("name", ["add_message", "nack_packet of a reply", "reset_packets"])
def test_an_interrupted_operation_wakes_a_coroutine_if_it_is_done(name):
    """If it is undone, it wakes the coroutine when it is done again."""
    row = OPERATIONS[name]
    for number in count(1):
        moment = Moment(number)
        with World() as world, asyncio_loop() as loop:
            delivered(world)
            outbox = world.messages if name == "add_message" else world.packets
            task = loop.create_task(outbox.async_get())
            while not any(isinstance(listener, _LoopBell) for listener in outbox._listeners):
                loop.run_until_complete(asyncio.sleep(0))

            with suppress(Interrupt):
                moment.run(lambda: row.operation(world))
            if outbox.empty():
                row.operation(world)

            assert loop.run_until_complete(asyncio.wait_for(task, PATIENCE))
        if not moment.place:
            break
    assert number > 5


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.parametrize("name", ["select", "MailSelector.select", "stop"])
def test_ctrl_c_ends_a_wait(name):
    with World() as world:
        failing(world)
        world.box.reset_messages()
        world.packets.get_batch(9)
        wait = {**RECEIVE, "stop": lambda world: world.box.stop()}[name]
        striker = Call(interrupt_main_thread_that_waits)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                wait(world)
        finally:
            signal.signal(signal.SIGINT, before)
        striker.result()

        world.check()
        world.gate.open()
        world.settle()
        world.finish()


def interrupt_main_thread_that_waits():
    main = threading.main_thread().ident
    looks, seen = 0, None
    while looks < 5:
        frame = sys._current_frames()[main]
        place = frame, frame.f_lasti
        looks = looks + 1 if place == seen and frame.f_code is Bell.wait.__code__ else 0
        seen = place
        threading.Event().wait(0.002)  # the pause between two looks
    signal.pthread_kill(main, signal.SIGINT)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no tables of handlers")
def test_no_loop_jumps_back_out_of_the_statement_that_guards_it():
    """Python looks for signals where a loop jumps back, and may take that for elsewhere.

    From 3.13 on an `if` at the end of a loop jumps back from outside of every `try` and `with`
    that the loop is in (python/cpython#130279). Before, it is the instruction before the loop
    that counts.
    """
    unguarded = set()
    for module in map(importlib.import_module, PACKAGE):
        for code in codes(compile(inspect.getsource(module), module.__name__, "exec")):
            instructions = {i.offset: i for i in dis.get_instructions(code)}
            for instruction in instructions.values():
                if instruction.opname == "JUMP_BACKWARD":
                    target = instruction.argval
                    place = instruction.offset if sys.version_info >= (3, 13) else target - 2
                    if guards(code, target) - guards(code, place):
                        unguarded.add(code.co_name)

    assert unguarded <= {"_wait_for_due", "_next", "join"}  # of threads that get no signals


PACKAGE = [
    module.name
    for module in pkgutil.walk_packages(lnmailbox.__path__, "lnmailbox.")
    if module.name.split(".")[1] in {"failing", "keeping", "mailboxes", "receiving", "routing"}
]


def codes(code):
    yield code
    for constant in filter(inspect.iscode, code.co_consts):
        yield from codes(constant)


def guards(code, offset):
    """Return where the `try` and `with` statements around this place handle errors."""
    entries = dis.Bytecode(code).exception_entries
    found, places = set(), {offset}
    while places:
        targets = {e.target for e in entries for place in places if e.start <= place < e.end}
        places = targets - found
        found |= targets
    handlers = {i.offset for i in dis.get_instructions(code) if i.opname == "PUSH_EXC_INFO"}
    return found & handlers
