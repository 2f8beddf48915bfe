"""A mailbox in some state, an operation on it, and what holds afterwards, whatever went wrong.

`OPERATIONS` is the table. `World.check`, `World.state` and `World.finish` tell whether each packet
is in one place, and nobody waits in vain.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from lnmailbox import (
    CircuitKey,
    HTLCPacket,
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailSelector,
    ManualClock,
    MemoryMailBox,
    PacketAlreadyExists,
    select,
)
from lnmailbox.bell import Bell
from lnmailbox.failing import courier
from lnmailbox.failing.alarms import Watch
from lnmailbox.testing import PATIENCE, Call, Gate, Switch, wait_until_quiet
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, add, key, settle
from lnmailbox.testing.switch import raiser
from lnmailbox.wire import ChannelID, ShortChannelID

OTHER = ShortChannelID(800_000, 2, 3)


class World:
    """A mailbox with its clock and its switch, and whoever waits for its mail.

    Replies have odd numbers, Adds even ones.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(start=1000.0)
        self.switch = Switch()
        self.gate = Gate()
        self.config = MailOrchestratorConfig(
            fetch_update=self.switch.fetch_update,
            forward_packets=self.switch.forward_packets,
            clock=self.clock,
            expiry=EXPIRY,
            **self._options(),
        )
        self.orchestrator = MailOrchestrator(self.config)
        self.selector = MailSelector()
        self.bells: dict[Any, list[Bell]] = {}  # of those who wait for an outbox or a selector
        self.box = self._make_box(MailBoxConfig.of_channel(self.config, _id(1), CHANNEL))
        self.box.start()

    def _options(self) -> dict[str, Any]:
        return {}

    def _make_box(self, config: MailBoxConfig) -> Any:
        return MemoryMailBox(config)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.open()
        Call(self.orchestrator.stop).result()
        Call(self.box.stop).result()
        self.selector.close()

    @property
    def messages(self) -> Any:
        return self.box.message_outbox

    @property
    def packets(self) -> Any:
        return self.box.packet_outbox

    def hold_courier(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.gate.pass_through()

    def wait_for_mail(self) -> None:
        """Have two threads wait for each outbox that has no mail, and one in a selector."""
        for outbox in (self.messages, self.packets):
            self.selector.register(outbox)
            if not outbox._look():
                self.bells[outbox] = [Bell(), Bell()]
                outbox._bells.extend(self.bells[outbox])
        if not self.selector.select(0):
            self.bells[self.selector] = [Bell()]
            self.selector._bells.extend(self.bells[self.selector])

    def check(self) -> None:
        """Assert what holds whatever was interrupted, before anybody does anything more."""
        for lock in (self.box._lock, Watch.of(self.clock)._lock, courier._lock):
            assert not lock._is_owned()
        for lock in (self.selector._lock, self.orchestrator._lock):
            assert lock.acquire(timeout=PATIENCE)
            lock.release()
        with self.box._lock:
            self.box._adds._check()
            self.box._replies._check()
            shelves = self.box._replies, self.box._adds
            held = [entry.packet for shelf in shelves for entry in shelf.unacked.values()]
        for packets in self.orchestrator._unclaimed_packets._channels.values():
            assert set(packets.values()).isdisjoint(held)
        self._check_waiting()

    def check_file(self, place: str) -> None:
        """Assert that what is on disk is what is in memory, if anything is on disk."""

    def _check_waiting(self) -> None:
        selector = self.selector
        registered = selector.get_map().keys()
        woken = selector._wakes > 0 or selector._closed
        for outbox in (self.messages, self.packets):
            look = outbox._look()
            mail = 9 if look is None else outbox.qsize() if look else 0
            assert self._rung(outbox) >= min(mail, len(self.bells.get(outbox, [])))
            woken |= bool(mail) and outbox in registered
            if look is not None and outbox in registered:
                seen = outbox in [key.outbox for key in selector.select(0)]
                assert seen is bool(mail)
        assert not woken or self._rung(selector) == len(self.bells.get(selector, []))
        assert selector._stopped <= registered

    def _rung(self, place: Any) -> int:
        return sum(bell not in place._bells for bell in self.bells.get(place, []))

    def pass_by(self) -> None:
        """Add an Add and ack it. Whoever could not do something before may try again."""
        if not self.box._life.stopped:
            self.box.add_packet(add(98))
            self.box.ack_packet(key(98))

    def settle(self) -> None:
        """Let everything happen that is due."""
        self.gate.open()
        self.switch.when.clear()
        self.clock.advance(0)
        self._wait_until_quiet()

    def _wait_until_quiet(self) -> None:
        watch, adds = Watch.of(self.clock), self.box._adds
        threads = {thread and thread.ident for thread in (watch._thread, *watch._dismissed)}
        if threads & sys._current_frames().keys() or not watch.couriers.are_idle():
            wait_until_quiet(self.clock)
        elif self.box._life.running:  # an alarm that was set in vain has no thread, and needs none
            assert 0 == adds.undelivered + adds.overdue + adds.claimed

    def state(self) -> dict[Any, Any]:
        """Return where each item is, and how often each Add was failed."""
        with self.box._lock:
            state: dict[Any, Any] = {"life": str(self.box._life)}
            state["messages"] = [message for message, _ in self.box._messages._waiting]
            for shelf in (self.box._replies, self.box._adds):
                for packet_key in shelf.unacked:
                    place = shelf.place(packet_key)
                    state[packet_key.htlc_id] = place and place.name
            failed, expired = self.box._desk.adds_failed, self.box._desk.adds_expired
        state["failed"], state["expired"] = failed, expired
        for number in (packet.incoming_htlc_id for packet in self.switch._fails.queue):
            state["failed", number] = state.get(("failed", number), 0) + 1
        for packets in self.orchestrator._unclaimed_packets._channels.values():
            state.update({("parked", number): 1 for _, (_, number) in packets})
        state["mailboxes"] = len(self.orchestrator._mailboxes)
        state["live"] = len(self.orchestrator._live_index)
        state["registered"] = len(self.selector.get_map())
        return state

    def finish(self) -> None:
        """Assert that whatever is undelivered expires, once."""
        before = self.state()
        for _ in range(3 if self.box._adds.overdue else 1):
            self.clock.advance(64 * EXPIRY)
            self._wait_until_quiet()
        self.check()
        state = self.state()
        for number in filter(lambda number: isinstance(number, int), before):
            if number % 2 == 0 and before[number] != "LINK" and self.box._life.running:
                assert number not in state
                assert 1 == state["failed", number]
            else:
                assert before[number] == state[number]
        fails = [n for what, n in state.items() if isinstance(what, tuple) and "failed" in what]
        assert not self.box._desk._attempts
        assert [1] * len(fails) == fails
        # An interrupt may have come when the switch had accepted one.
        refused = self.box._desk.forward_errors
        assert len(fails) <= state["failed"] <= len(fails) + refused


def _id(number: int) -> ChannelID:
    return ChannelID(number.to_bytes(32, "big"))


# States of the world


def empty(world: World) -> None:
    world.wait_for_mail()


def calm(world: World) -> None:
    """1 and 2 are with the link."""
    world.box.add_message(b"a")
    world.box.add_message(b"b")
    world.box.add_packets([settle(1), add(2)])
    if world.box._life.running:
        world.packets.get_batch(2)
    world.box.add_packets([settle(3), add(4), add(6, obfuscator=world.switch)])
    world.wait_for_mail()


def delivered(world: World) -> None:
    """Everything is with the link."""
    world.box.add_packets([settle(1), add(2), settle(3), add(4)])
    world.packets.get_batch(9)
    world.wait_for_mail()


def adds(world: World) -> None:
    """2 and 4 are with the link."""
    world.box.add_packets([add(2), add(4), add(6), add(8)])
    world.packets.get_batch(2)


def expired(world: World) -> None:
    """2 and 4 have expired, and nobody knows it yet."""
    world.box.add_packets([add(2), add(4)])
    world.clock._now_ns += round(EXPIRY * 10**9)
    world.box.add_packets([add(6), add(8)])


def failing(world: World) -> None:
    """A courier is failing 2, and 4 comes next; 6 is late, with the link."""
    world.box.add_packets([settle(1), add(6)])
    world.packets.get_batch(2)
    world.box.add_packets([add(2), add(4)])
    world.switch.when["fetch_update"] = world.hold_courier
    world.clock.advance(EXPIRY)
    world.gate.wait_until_reached()
    world.box.add_packets([settle(3), add(8)])
    world.wait_for_mail()


def stuck(world: World) -> None:
    """2 and 4 could not be failed, and wait for the next attempt; 6 is late, with the link."""
    world.box.add_packets([settle(1), add(6)])
    world.packets.get_batch(2)
    world.box.add_packets([add(number, obfuscator=world.switch) for number in (2, 4)])
    world.switch.when["encrypt_first_hop"] = raiser(ValueError)
    world.clock.advance(EXPIRY)
    wait_until_quiet(world.clock)
    world.switch.when.clear()
    world.box.add_packet(add(8))
    world.wait_for_mail()


def failed(world: World) -> None:
    """4 was failed, and the switch still has what tells it to quit."""
    calm(world)
    world.box.fail_add(add(4))


def not_started(world: World) -> None:
    world.box._life.running = False
    calm(world)


def stopped(world: World) -> None:
    calm(world)
    world.box.stop()


def parked(world: World) -> None:
    """What is parked is new, or, for one, a duplicate."""
    world.box.add_packet(settle(1))
    world.packets.get()
    for packet in (settle(11), settle(1), add(12)):
        world.orchestrator.deliver(OTHER, packet)
    world.wait_for_mail()


def live(world: World) -> None:
    bind(world)
    world.wait_for_mail()


# Operations


def at_once(awaitable: Any) -> Any:
    try:
        awaitable.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("there was nothing to receive")


def first(items: Iterator[Any]) -> tuple[Any, Iterator[Any]]:
    """Return an item and what it is from, which must not be finalized now."""
    return next(items), items


def new_packets() -> list[Any]:
    return [settle(11), add(12), settle(13), add(14)]


def keys(*htlc_ids: int) -> Iterable[Any]:
    return map(key, htlc_ids)


def fail_in_vain(world: World) -> None:
    world.switch.when["encrypt_first_hop"] = raiser(ValueError)
    world.box.fail_add(add(2))


def bind(world: World) -> None:
    world.orchestrator.bind_live_short_chan_id(world.box, _id(1), OTHER)


class Row(NamedTuple):
    state: Callable[[World], None]
    operation: Callable[[World], Any]
    partly: bool = False  # whether an interrupt leaves some packets done and others undone
    takes: bool = False  # whether an interrupt must leave it undone: the caller gets nothing


OPERATIONS = {
    "add_message": Row(delivered, lambda w: w.box.add_message(b"c")),
    "add_packet of a reply": Row(delivered, lambda w: w.box.add_packet(settle(11))),
    "add_packet of a first reply": Row(empty, lambda w: w.box.add_packet(settle(11))),
    "add_packet of an Add": Row(delivered, lambda w: w.box.add_packet(add(12))),
    "add_packet of a first Add": Row(empty, lambda w: w.box.add_packet(add(12))),
    "add_packets": Row(delivered, lambda w: w.box.add_packets(new_packets())),
    "add_packets to nothing": Row(empty, lambda w: w.box.add_packets(new_packets())),
    "add_message to a stopped mailbox": Row(stopped, lambda w: w.box.add_message(b"c")),
    "add_packet of a duplicate": Row(calm, lambda w: w.box.add_packet(settle(1))),
    "add_packet of nothing": Row(calm, lambda w: w.box.add_packet(None)),
    "add_packet of no HTLC": Row(calm, lambda w: w.box.add_packet(HTLCPacket())),
    "add_packets with a duplicate": Row(calm, lambda w: w.box.add_packets([add(12), add(2)])),
    "has_packet": Row(calm, lambda w: w.box.has_packet(key(1))),
    "ack_packet of a delivered reply": Row(calm, lambda w: w.box.ack_packet(key(1))),
    "ack_packet of a waiting reply": Row(calm, lambda w: w.box.ack_packet(key(3))),
    "ack_packet of a delivered Add": Row(calm, lambda w: w.box.ack_packet(key(2))),
    "ack_packet of a waiting Add": Row(calm, lambda w: w.box.ack_packet(key(4))),
    "ack_packet of a claimed Add": Row(failing, lambda w: w.box.ack_packet(key(2))),
    "ack_packet of an overdue Add": Row(failing, lambda w: w.box.ack_packet(key(4))),
    "ack_packet of a stuck Add": Row(stuck, lambda w: w.box.ack_packet(key(2))),
    "ack_packets": Row(calm, lambda w: w.box.ack_packets(keys(1, 2, 3, 4)), partly=True),
    "ack_packets of Adds": Row(adds, lambda w: w.box.ack_packets(keys(2, 4, 6)), partly=True),
    "ack_packets of all": Row(failing, lambda w: w.box.ack_packets(keys(2, 4, 6, 8)), partly=True),
    "ack_packets of stuck": Row(stuck, lambda w: w.box.ack_packets(keys(4, 2, 6)), partly=True),
    "ack_packet of no key": Row(calm, lambda w: w.box.ack_packet([])),
    "ack_packet of a bad key": Row(calm, lambda w: w.box.ack_packet(CircuitKey([], 0))),
    "nack_packet of a reply": Row(delivered, lambda w: w.box.nack_packet(key(1))),
    "nack_packet of an Add": Row(delivered, lambda w: w.box.nack_packet(key(2))),
    "nack_packet of a late Add": Row(failing, lambda w: w.box.nack_packet(key(6))),
    "fail_add of a delivered Add": Row(calm, lambda w: w.box.fail_add(add(2))),
    "fail_add of a waiting Add": Row(calm, lambda w: w.box.fail_add(add(4))),
    "fail_add of a forwarded Add": Row(calm, lambda w: w.box.fail_add(add(6))),
    "fail_add of a claimed Add": Row(failing, lambda w: w.box.fail_add(add(2))),
    "fail_add of an overdue Add": Row(failing, lambda w: w.box.fail_add(add(4)), partly=True),
    "fail_add of a stuck Add": Row(stuck, lambda w: w.box.fail_add(add(2))),
    "fail_add in vain": Row(stuck, fail_in_vain),
    "reset_messages": Row(calm, lambda w: w.box.reset_messages()),
    "reset_packets": Row(calm, lambda w: w.box.reset_packets()),
    "reset_packets that are delivered": Row(delivered, lambda w: w.box.reset_packets()),
    "reset_packets that are overdue": Row(failing, lambda w: w.box.reset_packets()),
    "reset_packets that are stuck": Row(stuck, lambda w: w.box.reset_packets()),
    "start": Row(not_started, lambda w: w.box.start()),
    "signal_stop": Row(delivered, lambda w: w.box.signal_stop()),
    "signal_stop of couriers": Row(failing, lambda w: w.box.signal_stop()),
    "stop": Row(delivered, lambda w: w.box.stop()),
    "stop of a switch": Row(failed, lambda w: w.box.stop()),
    "stop of what is stuck": Row(stuck, lambda w: w.box.stop()),
    "statistics": Row(calm, lambda w: w.box.statistics()),
    "describe": Row(calm, lambda w: w.box.describe()),
    "dust_packets": Row(calm, lambda w: w.box.dust_packets()),
    "unacked": Row(calm, lambda w: w.box.unacked()),
    "short_chan_id": Row(calm, lambda w: setattr(w.box, "short_chan_id", OTHER)),
    "get of nothing": Row(delivered, lambda w: w.packets.get_nowait()),
    "get from a stopped mailbox": Row(stopped, lambda w: w.packets.get()),
    "select": Row(adds, lambda w: select(w.messages, w.packets, timeout=0), takes=True),
    "register": Row(adds, lambda w: w.selector.register(w.packets)),
    "unregister": Row(calm, lambda w: w.selector.unregister(w.packets)),
    "unregister of one without mail": Row(delivered, lambda w: w.selector.unregister(w.packets)),
    "MailSelector.select": Row(calm, lambda w: w.selector.select(0)),
    "wake": Row(delivered, lambda w: w.selector.wake()),
    "close": Row(delivered, lambda w: w.selector.close()),
    "get_or_create_mailbox": Row(
        empty, lambda w: w.orchestrator.get_or_create_mailbox(_id(2), OTHER)
    ),
    "deliver": Row(live, lambda w: w.orchestrator.deliver(OTHER, add(12))),
    "deliver what is parked": Row(parked, lambda w: w.orchestrator.deliver(OTHER, add(14))),
    "bind_live_short_chan_id": Row(parked, bind, partly=True),
    "drop_parked": Row(parked, lambda w: w.orchestrator.drop_parked(OTHER)),
    "mailboxes": Row(live, lambda w: w.orchestrator.mailboxes()),
    "remove_mailbox": Row(live, lambda w: w.orchestrator.remove_mailbox(_id(1)), partly=True),
    "MailOrchestrator.statistics": Row(live, lambda w: w.orchestrator.statistics()),
    "MailOrchestrator.stop": Row(live, lambda w: w.orchestrator.stop()),
    **{
        f"{name}, {outbox}, {state.__name__}": Row(
            state,
            lambda w, outbox=outbox, receive=receive: receive(getattr(w, outbox)),
            takes=True,
        )
        for name, receive in {
            "get": lambda outbox: outbox.get(timeout=0),
            "get_nowait": lambda outbox: outbox.get_nowait(),
            "get_batch": lambda outbox: outbox.get_batch(2, block=False),
            "get_batch of many": lambda outbox: outbox.get_batch(9, block=False),
            "iteration": lambda outbox: outbox.empty() or first(iter(outbox)),
            "qsize": lambda outbox: outbox.qsize(),
            "async_get": lambda outbox: outbox.empty() or at_once(outbox.async_get()),
            "async_get_batch": lambda outbox: outbox.empty() or at_once(outbox.async_get_batch(2)),
            "select of one": lambda outbox: select(outbox, timeout=0),
        }.items()
        for outbox, state in [
            ("messages", calm),
            ("packets", calm),
            ("packets", adds),
            ("packets", expired),
        ]
    },
}


# Running them

EXPECTED = (
    AttributeError,
    KeyError,
    TypeError,
    queue.Empty,
    PacketAlreadyExists,
    MailBoxShuttingDown,
)


def outcome(row: Row, *, times: int, settled: bool = False, world_of: Any = World):
    """Return the state after so many times, and settled, as well, before the last of them."""
    with world_of() as world:
        row.state(world)
        for number in range(times):
            if settled and number == times - 1:
                world.settle()
            repeat(row, world)
        world.settle()
        state = world.state()
        world.finish()
    return state


def repeat(row, world):
    try:
        row.operation(world)
    except EXPECTED:
        pass


def is_between(state, before, after):
    """Whether each packet is where it was or where it should be, or waits to be failed."""
    later = {what for what, place in state.items() if place == "STUCK"}
    return all(
        state.get(what) in (before.get(what), after.get(what))
        for what in {*before, *after, *state} - {"failed", "expired"} - later
        if not (isinstance(what, tuple) and what[1] in later)
    )
