"""Hypothesis state machines: real mailboxes and their plain models are told the same.

They are subclassed by kind of mailbox. Each step ends when all couriers are idle, with a look at
everything that can be seen and a `_check()` of everything that cannot.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lnmailbox import (
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    MemoryMailBox,
    PacketAlreadyExists,
    ParkedFull,
    WireQueueFull,
)
from lnmailbox.testing import Switch, wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, key, message, numbers, settle
from lnmailbox.testing.switch import raiser
from long_runs import STEPS
from node import PENDING, channel, short
from plain_mailbox import PlainMailBox
from plain_node import PlainNode

__all__ = ["MailBoxMachine", "NodeMachine", "run_steps"]

MAX_MESSAGES = 3

some_number = st.integers(1, 5)
some_kind = st.sampled_from(["add", "reply"])
some_packets = st.lists(st.tuples(some_kind, some_number), max_size=4)
some_span = st.sampled_from([0.0, 1.0, EXPIRY / 2, EXPIRY, 3 * EXPIRY])


def answer(call: Callable[..., Any], *args: Any) -> Any:
    """Return what a call returns, or the name of what it raises."""
    try:
        return call(*args)
    except (
        PacketAlreadyExists,
        WireQueueFull,
        MailBoxShuttingDown,
        ParkedFull,
        KeyError,
    ) as error:
        return type(error).__name__


def run_steps(machine: type[Machine]) -> None:
    """Run until enough steps are done."""
    machine.steps = 0
    while machine.steps < STEPS:
        run_state_machine_as_test(
            machine,
            settings=settings(max_examples=min(100, STEPS // 25), stateful_step_count=50),
        )


class Machine(RuleBasedStateMachine):
    steps = 0  # of all machines of this class

    def __init__(self) -> None:
        super().__init__()
        self.done = 0  # steps of this one
        self.clock = ManualClock()
        self.switch = Switch()
        self.callbacks: Any = {
            "fetch_update": self.switch.fetch_update,
            "forward_packets": self.switch.forward_packets,
            "clock": self.clock,
            "expiry": EXPIRY,
        }

    def packet(self, kind: str, number: int) -> Any:
        return add(number, obfuscator=self.switch) if kind == "add" else settle(number)

    def come_to_rest(self) -> list[int]:
        """Wait until all is done; return what was failed."""
        type(self).steps += 1
        self.done += 1
        wait_until_quiet(self.clock)
        return self.switch.fails_so_far()


class MailBoxMachine(Machine):
    """One mailbox, started sooner or later."""

    #: Whether a mailbox can be opened again, with `reopen_mailbox`.
    outlives = False

    #: Whether the time of its Adds begins anew then.
    renews_deadlines = False

    def make_mailbox(self, config: MailBoxConfig) -> Any:
        return MemoryMailBox(config)

    def make_plain(self) -> Any:
        return PlainMailBox(EXPIRY, MAX_MESSAGES)

    def kept(self) -> list[int]:
        """Return the numbers of what is unacked."""
        return numbers(self.box.unacked())

    def reopen_mailbox(self, box: Any) -> Any:
        """End the mailbox as the end of its process would; return the next one, not started."""
        raise NotImplementedError

    @initialize(start=st.booleans())
    def make(self, start: bool) -> None:
        config = MailBoxConfig(
            short_chan_id=short(1),
            chan_id=channel(1),
            max_wire_messages=MAX_MESSAGES,
            **self.callbacks,
        )
        self.box = self.make_mailbox(config)
        self.plain = self.make_plain()
        if start:
            self.start()

    @rule(kind=some_kind, number=some_number)
    def add(self, kind: str, number: int) -> None:
        packet = self.packet(kind, number)

        assert self.plain.add((kind, number)) == answer(self.box.add_packet, packet)

    @rule(packets=some_packets)
    def add_all(self, packets: list[tuple[str, int]]) -> None:
        new = [self.packet(*packet) for packet in packets]

        assert self.plain.add(*packets) == answer(self.box.add_packets, new)

    @rule(number=some_number)
    def ack(self, number: int) -> None:
        assert bool(self.plain.ack(number)) is self.box.ack_packet(key(number))

    @rule(some=st.lists(some_number, max_size=5))
    def ack_all(self, some: list[int]) -> None:
        assert self.plain.ack(*some) == self.box.ack_packets(map(key, some))

    @rule(number=some_number)
    def nack(self, number: int) -> None:
        assert self.plain.nack(number) == answer(self.box.nack_packet, key(number))

    @rule(number=some_number, can_encrypt=st.sampled_from([True, True, False]))
    def fail_add(self, number: int, can_encrypt: bool) -> None:
        item = self.plain.find(number, ["add"])
        if item is not None and item.deadline <= self.plain.now:
            can_encrypt = True  # or it would be tried again later, when the retry is due
        if not can_encrypt:
            self.switch.when["encrypt_first_hop"] = raiser(ValueError)

        assert self.plain.fail_add(number, can_encrypt) == self.box.fail_add(add(number))

        self.switch.when.pop("encrypt_first_hop", None)

    @rule(number=some_number)
    def has(self, number: int) -> None:
        found = self.plain.find(number, ["reply"]) is not None

        assert found is self.box.has_packet(key(number))

    @rule()
    def get(self) -> None:
        assert self.plain.take(1) == answer(self._get)

    def _get(self) -> list[int]:
        try:
            return [self.box.packet_outbox.get_nowait().incoming_htlc_id]
        except queue.Empty:
            return []

    @rule(count=st.integers(1, 6))
    def get_batch(self, count: int) -> None:
        assert self.plain.take(count) == answer(self._get_batch, count)

    def _get_batch(self, count: int) -> list[int]:
        try:
            return numbers(self.box.packet_outbox.get_batch(count, block=False))
        except queue.Empty:
            return []

    @rule()
    def reset_packets(self) -> None:
        assert self.plain.reset() == answer(self.box.reset_packets)

    @rule(number=some_number)
    def add_message(self, number: int) -> None:
        assert self.plain.add_message(number) == answer(self.box.add_message, message(number))

    @rule()
    def get_message(self) -> None:
        assert self.plain.take_message() == answer(self._get_message)

    def _get_message(self) -> list[int]:
        try:
            return [self.box.message_outbox.get_nowait().id]
        except queue.Empty:
            return []

    @rule()
    def reset_messages(self) -> None:
        assert self.plain.reset_messages() == answer(self.box.reset_messages)

    @rule(span=some_span)
    def advance(self, span: float) -> None:
        self.plain.now += span
        self.clock.advance(span)

    @rule()
    def start(self) -> None:
        assert self.plain.start() == answer(self.box.start)

    @precondition(lambda self: self.done % 10 == 9)  # or there is little else
    @rule()
    def stop(self) -> None:
        self.plain.stop()
        self.box.stop()

    @precondition(lambda self: self.outlives)
    @rule(start=st.booleans())
    def reopen(self, start: bool) -> None:
        self.plain.reopen(self.renews_deadlines)
        self.box = self.reopen_mailbox(self.box)
        if start:
            self.start()

    @invariant()
    def agree(self) -> None:
        fails = self.come_to_rest()
        plain, box, now = self.plain, self.box, self.box.statistics()
        box._replies._check()
        box._adds._check()

        expected = plain.expire()
        assert expected == fails, (expected, fails)
        replies, adds = plain.of("reply"), plain.of("add")
        assert [item.number for item in replies + adds] == self.kept()
        due = [item for item in plain.of("add", "waiting") if item.deadline <= plain.now]
        assert len(plain.messages) == now.messages == box.message_outbox.qsize()
        assert len(replies) == now.replies_unacked
        assert len(plain.of("reply", "waiting")) == now.replies_undelivered
        assert len(adds) == now.adds_unacked
        assert len(plain.of("add", "waiting")) - len(due) == now.adds_undelivered
        assert len(due) == now.adds_overdue
        assert len(plain.of("add", "link")) == now.adds_delivered
        assert now.replies_undelivered + now.adds_undelivered == box.packet_outbox.qsize()
        assert plain.counts == {
            "acked": now.packets_acked,
            "failed": now.adds_failed,
            "redelivered": now.packets_redelivered,
            "refused": now.packets_refused,
        }
        assert 0 == now.adds_being_failed
        assert plain.forward_errors == now.forward_errors

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.stop()


MAX_PARKED, MAX_PARKED_CHANNELS, PARKED_EXPIRY = 3, 2, 2 * EXPIRY

some_channel = st.integers(1, 3)


class NodeMachine(Machine):
    """An orchestrator with three channels and as many short channel ids."""

    options: ClassVar[Any] = {}
    kind_of_plain: ClassVar[Any] = PlainNode

    @initialize()
    def make(self) -> None:
        config = MailOrchestratorConfig(
            max_parked=MAX_PARKED,
            max_parked_channels=MAX_PARKED_CHANNELS,
            parked_expiry=PARKED_EXPIRY,
            **self.callbacks,
            **self.options,
        )
        self.config = config
        self.node = MailOrchestrator(config)
        self.plain = self.kind_of_plain(EXPIRY, PARKED_EXPIRY, MAX_PARKED, MAX_PARKED_CHANNELS)
        self.boxes: dict[int, Any] = {}

    @rule(number=some_channel)
    def get_or_create(self, number: int) -> None:
        expected = self.plain.get(number)
        box = answer(self.node.get_or_create_mailbox, channel(number), PENDING)
        if expected is not None:
            assert expected == box
        else:
            assert box is self.boxes.setdefault(number, box)

    @precondition(lambda self: self.boxes)
    @rule(data=st.data(), id_=some_channel)
    def bind(self, data: st.DataObject, id_: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.boxes)))
        bind = self.node.bind_live_short_chan_id

        assert self.plain.bind(number, id_) == answer(
            bind, self.boxes[number], channel(number), short(id_)
        )

    @rule(id_=some_channel, kind=some_kind, number=some_number)
    def deliver(self, id_: int, kind: str, number: int) -> None:
        packet = self.packet(kind, number)

        assert self.plain.deliver(id_, kind, number) == answer(
            self.node.deliver, short(id_), packet
        )

    @rule(number=some_channel)
    def remove(self, number: int) -> None:
        removed = answer(self.node.remove_mailbox, channel(number))
        box = self.boxes.pop(number, None)

        assert self.plain.remove(number) == (removed if box is None else numbers(removed))

        if box is not None:
            bind = self.node.bind_live_short_chan_id
            assert "MailBoxShuttingDown" == answer(bind, box, channel(number), short(number))

    @rule(id_=some_channel)
    def drop_parked(self, id_: int) -> None:
        assert self.plain.drop_parked(id_) == numbers(self.node.drop_parked(short(id_)))

    @precondition(lambda self: self.boxes)
    @rule(data=st.data(), count=st.integers(1, 3), ack=st.booleans())
    def receive(self, data: st.DataObject, count: int, ack: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.boxes)))
        box, plain = self.boxes[number], self.plain.boxes[number]
        try:
            got = answer(box.packet_outbox.get_batch, count, False)
        except queue.Empty:
            got = []
        expected = plain.take(count)

        assert expected == (got if isinstance(got, str) else numbers(got))

        if ack and got and not isinstance(got, str):
            assert plain.ack(*expected) == box.ack_packets(map(key, expected))

    @precondition(lambda self: self.boxes)
    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.boxes)))

        assert self.plain.boxes[number].reset() == answer(self.boxes[number].reset_packets)

    @rule(span=some_span)
    def advance(self, span: float) -> None:
        self.plain.advance(span)
        self.clock.advance(span)

    @precondition(lambda self: self.done % 20 == 19)  # or there is little else
    @rule()
    def stop(self) -> None:
        self.plain.stop()
        self.node.stop()

    @invariant()
    def agree(self) -> None:
        fails = self.come_to_rest()
        plain, now = self.plain, self.node.statistics()

        assert plain.expire() == sorted(fails)
        for number, box in self.boxes.items():
            box._replies._check()
            box._adds._check()
            kept = plain.boxes[number].of("reply") + plain.boxes[number].of("add")
            assert [item.number for item in kept] == numbers(box.unacked())
        assert list(self.boxes.values()) == self.node.mailboxes()
        assert len(plain.boxes) == now.mailboxes
        assert len(plain.live) == now.live
        assert len(plain.parked) == now.parked_channels
        assert sum(map(len, plain.parked.values())) == now.parked
        assert (plain.refused, plain.expired) == (now.parked_refused, now.parked_expired)
        failed = plain.failed_before + sum(b.counts["failed"] for b in plain.boxes.values())
        assert failed + plain.expired == now.total.adds_failed

    def teardown(self) -> None:
        self.node.stop()
