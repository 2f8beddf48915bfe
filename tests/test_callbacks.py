"""Callbacks that call every method there is, that stop everything, and that never return."""

from __future__ import annotations

import asyncio
import inspect
import queue
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from lnmailbox import (
    MailBox,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailSelector,
    MemoryMailBox,
    Outbox,
    select,
)
from lnmailbox.testing import Call, Gate, wait_until_quiet
from lnmailbox.testing.conformance.base import (
    CALLBACKS,
    CARRIERS,
    EXPIRY,
    add,
    key,
    message,
    numbers,
    settle,
)
from node import PENDING, Node, channel, short


class World:
    """A node with a mailbox in which an Add is about to be failed, and some other mail."""

    def __init__(self) -> None:
        self.node = Node()
        self.box = self.node.live(1)
        self.other = self.node.live(2)
        self.selector = MailSelector()
        self.selector.register(self.box.packet_outbox)
        self.node.deliver(9, add(90))
        self.box.add_packets([add(2, obfuscator=self.node.switch), settle(1)])

    @property
    def orchestrator(self) -> MailOrchestrator:
        return self.node.orchestrator

    def fail(self, carrier: str) -> list[Call[Any]]:
        """Have the Add failed; return the call that does it, if it is no courier."""
        if carrier == "fail_add":
            return [Call(self.box.fail_add, add(2))]
        self.node.clock.advance(EXPIRY)
        return []

    def end(self) -> None:
        self.selector.close()
        Call(self.orchestrator.stop).result()


def first_of(items: Any) -> Any:
    return next(iter(items), None)


CALLS: dict[str, Callable[[World], object]] = {
    "MailBox.short_chan_id": lambda w: setattr(w.box, "short_chan_id", short(7)),
    "MailBox.message_outbox": lambda w: w.box.message_outbox,
    "MailBox.packet_outbox": lambda w: w.box.packet_outbox,
    "MailBox.add_message": lambda w: w.box.add_message(message(9)),
    "MailBox.add_packet": lambda w: w.box.add_packet(add(4)),
    "MailBox.add_packets": lambda w: w.box.add_packets([add(6), settle(3)]),
    "MailBox.has_packet": lambda w: w.box.has_packet(key(1)),
    "MailBox.ack_packet": lambda w: w.box.ack_packet(key(1)),
    "MailBox.ack_packets": lambda w: w.box.ack_packets([key(1), key(99)]),
    "MailBox.nack_packet": lambda w: w.box.nack_packet(key(1)),
    "MailBox.fail_add": lambda w: w.box.fail_add(add(2)),
    "MailBox.reset_messages": lambda w: w.box.reset_messages(),
    "MailBox.reset_packets": lambda w: w.box.reset_packets(),
    "MailBox.set_fee_rate": lambda w: w.box.set_fee_rate(250),
    "MailBox.set_dust_closure": lambda w: w.box.set_dust_closure(None),
    "MailBox.dust_packets": lambda w: w.box.dust_packets(),
    "MailBox.unacked": lambda w: w.box.unacked(),
    "MailBox.release": lambda w: w.box.release(),
    "MailBox.statistics": lambda w: w.box.statistics(),
    "MailBox.describe": lambda w: w.box.describe(),
    "MailBox.start": lambda w: w.box.start(),
    "MailBox.signal_stop": lambda w: w.box.signal_stop(),
    "MailBox.stop": lambda w: w.box.stop(),
    "Outbox.get": lambda w: w.box.packet_outbox.get(timeout=0.001),
    "Outbox.get_nowait": lambda w: w.box.packet_outbox.get_nowait(),
    "Outbox.get_batch": lambda w: w.box.packet_outbox.get_batch(9, block=False),
    "Outbox.__iter__": lambda w: first_of(w.box.packet_outbox),
    "Outbox.async_get": lambda w: asyncio.run(w.box.packet_outbox.async_get()),
    "Outbox.async_get_batch": lambda w: asyncio.run(w.box.packet_outbox.async_get_batch(2)),
    "Outbox.__aiter__": lambda w: w.box.packet_outbox.__aiter__(),
    "Outbox.qsize": lambda w: w.box.packet_outbox.qsize(),
    "Outbox.empty": lambda w: w.box.packet_outbox.empty(),
    "Outbox.statistics": lambda w: w.box.packet_outbox.statistics(),
    "select": lambda w: select(w.box.packet_outbox, w.other.packet_outbox, timeout=0.001),
    "MailSelector.register": lambda w: w.selector.register(w.other.packet_outbox),
    "MailSelector.unregister": lambda w: w.selector.unregister(w.box.packet_outbox),
    "MailSelector.get_map": lambda w: w.selector.get_map(),
    "MailSelector.select": lambda w: w.selector.select(0.001),
    "MailSelector.wake": lambda w: w.selector.wake(),
    "MailSelector.close": lambda w: w.selector.close(),
    "MailOrchestrator.get_or_create_mailbox": lambda w: w.node.get(3),
    "MailOrchestrator.bind_live_short_chan_id": lambda w: w.node.bind(w.box, 1, short(9)),
    "MailOrchestrator.deliver": lambda w: w.node.deliver(1, add(8)),
    "MailOrchestrator.remove_mailbox": lambda w: w.orchestrator.remove_mailbox(channel(1)),
    "MailOrchestrator.mailboxes": lambda w: w.orchestrator.mailboxes(),
    "MailOrchestrator.drop_parked": lambda w: w.orchestrator.drop_parked(short(9)),
    "MailOrchestrator.statistics": lambda w: w.orchestrator.statistics(),
    "MailOrchestrator.describe": lambda w: w.orchestrator.describe(),
    "MailOrchestrator.stop": lambda w: w.orchestrator.stop(),
    "ManualClock.advance": lambda w: w.node.clock.advance(1),
}

BLOCKS_UNTIL_THE_CALLBACK_RETURNS = {
    "MailBox.stop",
    "MailOrchestrator.stop",
    "MailOrchestrator.remove_mailbox",
}
"""From other threads, while a courier is in a callback."""

RETURNS_WHAT_IS_LEFT = {"MailBox.release", "MailOrchestrator.remove_mailbox"}


def test_every_method_is_called():
    """The table has whatever is public, so a new method has a row."""
    public = {
        f"{kind.__name__}.{name}"
        for kind in (MailBox, Outbox, MailSelector, MailOrchestrator)
        for name in dir(kind)
        if hasattr(inspect.getattr_static(kind, name), "__get__")
        and (not name.startswith("_") or (kind is Outbox and name in ("__iter__", "__aiter__")))
    } - {"MailOrchestrator.recover"}

    assert public == {name for name in CALLS if "." in name} - {"ManualClock.advance"}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("callback", CALLBACKS)
@pytest.mark.parametrize("name", CALLS)
def test_a_callback_may_call_any_method(name, callback, carrier, caplog):
    """Stop included. The Add is failed once, or was returned to who has removed the mailbox."""
    world = World()
    seen: list[object] = []
    returned: list[int] = []

    def call_back() -> None:
        del world.node.switch.when[callback]
        with suppress(queue.Empty):
            result = CALLS[name](world)
            if name in RETURNS_WHAT_IS_LEFT:
                returned.extend(numbers(result))
        seen.append(name)

    world.node.switch.when[callback] = call_back
    calls = world.fail(carrier)

    results = [call.result() for call in calls]
    wait_until_quiet(world.node.clock)
    fails = world.node.switch.fails_so_far()
    assert [2 in fails] * len(calls) == results
    assert [name] == seen
    assert 1 == fails.count(2) + returned.count(2)
    for shelf in (world.box._adds, world.box._replies):
        shelf._check()
    assert 0 == world.box.statistics().adds_being_failed
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]
    world.end()


@pytest.mark.parametrize("callback", CALLBACKS)
@pytest.mark.parametrize("name", sorted(CALLS.keys() - BLOCKS_UNTIL_THE_CALLBACK_RETURNS))
def test_a_callback_that_never_returns_holds_up_no_other_thread(name, callback):
    """But those that wait for it, and the next Fail of its own mailbox."""
    world = World()
    gate = Gate()
    world.node.switch.when[callback] = gate.pass_through
    world.fail("courier")
    gate.wait_until_reached()

    returned: list[int] = []
    with suppress(queue.Empty):
        result = Call(CALLS[name], world).result()
        if name in RETURNS_WHAT_IS_LEFT:
            returned = numbers(result)

    assert [] == world.node.switch.fails_so_far()
    gate.open()
    wait_until_quiet(world.node.clock)
    assert 1 == (returned + world.node.switch.fails_so_far()).count(2)
    world.end()


@pytest.mark.parametrize("name", sorted(BLOCKS_UNTIL_THE_CALLBACK_RETURNS))
def test_whoever_stops_a_mailbox_waits_for_its_callback(name):
    world = World()
    gate = Gate()
    world.node.switch.when["forward_packets"] = gate.pass_through
    world.fail("courier")
    gate.wait_until_reached()
    call = Call(CALLS[name], world)
    call.wait_until_blocked()

    gate.open()

    call.result()
    assert [2] == world.node.switch.fails_so_far()
    world.end()


@pytest.mark.parametrize("name", ["is_dust", "mailbox_factory", "serialized_size", "keys"])
def test_a_function_of_the_caller_that_never_returns_holds_up_its_own_call_only(name):
    """Those besides the callbacks of a config: none of them runs under a lock of a mailbox."""
    held = Held()
    node = Node(held.factory)
    box = node.live(1)
    gate = held.gate = Gate()
    box.add_packet(add(2))
    box.set_dust_closure(held.is_dust)
    call: Call[Any] = {
        "is_dust": lambda: Call(box.dust_packets),
        "mailbox_factory": lambda: Call(node.get, 2, PENDING),
        "serialized_size": lambda: Call(box.add_message, held),
        "keys": lambda: Call(box.ack_packets, held.keys()),
    }[name]()
    gate.wait_until_reached()

    for operation in (
        lambda: box.add_packet(settle(3)),
        box.packet_outbox.get,
        lambda: box.ack_packet(key(3)),
        lambda: node.deliver(1, add(4)),
        lambda: node.deliver(9, add(6)),
        lambda: node.get(1),
        node.orchestrator.statistics,
        box.reset_packets,
        box.describe,
    ):
        Call(operation).result()

    gate.open()
    call.result()
    node.orchestrator.stop()


class Held:
    """Functions that a caller hands in, each held up by a gate."""

    gate: Gate | None = None

    def is_dust(self, fee_rate, incoming, party, amount_sat):
        self.gate.pass_through()
        return False

    def factory(self, config):
        if self.gate is not None:
            self.gate.pass_through()
        return MemoryMailBox(config)

    def serialized_size(self):
        self.gate.pass_through()
        return 1

    def keys(self):
        self.gate.pass_through()
        yield key(2)


def test_an_orchestrator_that_a_callback_has_stopped_is_stopped():
    world = World()
    world.node.switch.when["forward_packets"] = world.orchestrator.stop
    world.fail("courier")
    wait_until_quiet(world.node.clock)

    with pytest.raises(MailBoxShuttingDown):
        world.node.deliver(1, add(10))
    assert [2] == world.node.switch.fails_so_far()
    world.end()
