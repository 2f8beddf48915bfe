"""The orchestrator makes, finds and stops mailboxes; `test_binding` has the way of packets."""

from __future__ import annotations

import logging
import threading
from functools import partial
from threading import Semaphore

import pytest

from lnmailbox import (
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestratorConfig,
    MemoryMailBox,
    SystemClock,
)
from lnmailbox.testing import PATIENCE, Call, Gate, Switch, blocked, run_threads
from lnmailbox.testing.conformance.base import EXPIRY, add, key
from node import PENDING, Node, channel, is_stopped, received, short


@pytest.fixture
def node():
    node = Node()
    yield node
    node.orchestrator.stop()


def test_an_orchestrator_makes_mailboxes_in_memory_by_default():
    """With a minute of the system's time; only the two callbacks are needed."""
    switch = Switch()
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update, forward_packets=switch.forward_packets
    )

    expected = (MemoryMailBox, SystemClock(), 60.0)
    assert expected == (config.mailbox_factory, config.clock, config.expiry)


@pytest.mark.parametrize("name, call", [("mailbox_factory", "config"), ("fetch_update", "short_")])
def test_a_callback_that_can_not_be_called_so_is_refused(name, call):
    """At once, and not when the first HTLC fails; `test_config` has more."""
    with pytest.raises(TypeError, match=rf"^{name} is called as {name}\({call}"):
        Node(**{name: lambda: None})


def test_a_channel_has_one_mailbox(node):
    """It is made and started when it is asked for first, and found afterwards."""
    first, second = node.get(1, short(1)), node.get(2)
    first.add_packet(add(1))

    assert first is node.get(1, short(3))
    assert first is node.orchestrator.get_or_create_mailbox(bytes(channel(1)), PENDING)
    assert first is not second
    assert [first, second] == node.made
    assert short(1) == first.short_chan_id
    assert [1] == received(first)


def test_a_factory_gets_the_channel_and_the_orchestrators_configuration():
    """Two pending channels differ in `chan_id`."""
    configs = []
    node = Node(lambda config: configs.append(config) or MemoryMailBox(config))
    with node.orchestrator:
        node.get(1)
        node.get(2)

    expected = [
        MailBoxConfig(
            short_chan_id=PENDING,
            chan_id=channel(number),
            fetch_update=node.switch.fetch_update,
            forward_packets=node.switch.forward_packets,
            clock=node.clock,
            expiry=EXPIRY,
        )
        for number in (1, 2)
    ]
    assert expected == configs


@pytest.mark.parametrize("bad", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_a_channel_id_has_32_bytes(bad, node):
    """No mailbox is made or bound for another one."""
    mailbox = node.other_mailbox()
    for attempt in [
        lambda: node.orchestrator.get_or_create_mailbox(bad, short(1)),
        lambda: node.orchestrator.bind_live_short_chan_id(mailbox, bad, short(1)),
    ]:
        with pytest.raises(ValueError, match="^ChannelID must be 32 bytes"):
            attempt()

    assert [] == node.made
    assert PENDING == mailbox.short_chan_id


@pytest.mark.parametrize("bad", [5, "1x2x3", None])
def test_a_short_channel_id_is_no_plain_number(bad, node):
    """Nothing is made, bound or parked for another one."""
    mailbox = node.other_mailbox()
    for attempt in [
        lambda: node.orchestrator.get_or_create_mailbox(channel(2), bad),
        lambda: node.orchestrator.bind_live_short_chan_id(mailbox, channel(2), bad),
        lambda: node.orchestrator.deliver(bad, add(1)),
    ]:
        with pytest.raises(TypeError, match="^short_chan_id must be a ShortChannelID, got "):
            attempt()

    assert ([], []) == (node.made, node.parked())
    assert PENDING == mailbox.short_chan_id
    assert mailbox is not node.get(2)


def test_threads_that_want_the_same_channel_get_one_mailbox(node):
    """The factory is called once for each channel."""
    for number in range(50):
        found = run_threads(*[partial(node.get, number)] * 8)

        assert 1 == len(set(map(id, found)))
        assert number + 1 == len(node.made)


def test_a_factory_at_work_is_waited_for_and_holds_up_no_delivery():
    """A thread that wants the same mailbox waits; the rest goes on."""
    gate = Gate()

    def factory(config):
        if config.chan_id == channel(2):
            gate.pass_through()
        return MemoryMailBox(config)

    node = Node(factory)
    with node.orchestrator:
        live = node.live(1)
        first = Call(node.get, 2)
        gate.wait_until_reached()
        second = blocked(node.get, 2)
        node.deliver(1, add(1))
        node.deliver(2, add(2))

        assert [1] == received(live)
        assert live is node.get(1)

        gate.open()

        assert first.result() is second.result()
        assert [2] == received(node.live(2))
        assert 2 == len(node.made)


def test_a_factory_may_call_the_orchestrator():
    """In its own thread: it can make another mailbox, deliver, and bind."""

    def factory(config):
        if config.chan_id == channel(1):
            other = node.live(2)
            node.deliver(1, add(1))
            node.deliver(2, add(2))
            assert [2] == received(other)
        return MemoryMailBox(config)

    node = Node(factory)
    with node.orchestrator:
        assert [1] == received(node.live(1))


@pytest.mark.parametrize("where", ["factory", "start"])
def test_a_mailbox_that_can_not_be_made_can_be_made_later(where):
    """The error reaches the caller, nothing is left running, the channel has no mailbox."""
    errors = [OSError("disk full")]

    class Stubborn(MemoryMailBox):
        def start(self):
            super().start()
            if errors:
                raise errors.pop()

    def factory(config):
        if where == "factory" and errors:
            raise errors.pop()
        return Stubborn(config)

    node = Node(factory)
    with node.orchestrator:
        with pytest.raises(OSError, match="disk full"):
            node.get(1)

        assert all(map(is_stopped, node.made))
        assert not is_stopped(node.get(1))


def test_stopping_stops_every_mailbox_and_refuses_everything(node):
    """Live or not; a mailbox that exists is not found any more."""
    mailboxes = [node.live(1), node.get(2)]
    call = blocked(mailboxes[0].packet_outbox.get)
    node.orchestrator.stop()

    assert [True, True] == [is_stopped(mailbox) for mailbox in mailboxes]
    for attempt in [
        call.result,
        lambda: node.deliver(1, add(1)),
        lambda: node.deliver(5, add(1)),
        lambda: node.get(1),
        lambda: node.get(3),
        lambda: node.bind(mailboxes[0], 1),
        lambda: node.bind(node.other_mailbox(), 3),
    ]:
        with pytest.raises(MailBoxShuttingDown):
            attempt()

    assert 2 == len(node.made)


def test_an_orchestrator_stops_at_the_end_of_a_with_block(node):
    """Also when an error ends it, which goes on its way."""
    mailbox = node.live(1)

    with pytest.raises(ZeroDivisionError), node.orchestrator as orchestrator:  # noqa: PT012
        assert orchestrator is node.orchestrator
        raise ZeroDivisionError

    assert is_stopped(mailbox)


def test_an_empty_orchestrator_can_be_stopped(node):
    """Any number of times, from any number of threads."""
    run_threads(*[node.orchestrator.stop] * 4)
    node.orchestrator.stop()


def test_parked_packets_that_are_dropped_are_logged(node, caplog):
    """How many, once; not those that went to a mailbox, nor if there are none."""
    node.deliver(1, add(1))
    node.live(1)
    node.deliver(5, add(3))
    node.deliver(6, add(2), add(4))
    node.orchestrator.stop()
    node.orchestrator.stop()
    Node().orchestrator.stop()

    text = "stopped with 3 packets for channels that never went live"
    name = "lnmailbox.routing.orchestrator"
    assert [(name, logging.WARNING, text)] == caplog.record_tuples


def test_callbacks_that_wait_for_the_end_are_told_of_it_together():
    """So that the first mailbox's may wait for the last one's."""
    waiting, last_is_told = Semaphore(0), threading.Event()

    def wait(quit, packet):  # noqa: A002
        waiting.release()
        if packet.incoming_htlc_id == 2:
            quit.wait(PATIENCE)
            last_is_told.set()
        else:
            assert last_is_told.wait(PATIENCE)

    node = Node(forward_packets=wait)
    for number in (1, 2):
        node.live(number)
        node.deliver(number, add(number))
    node.clock.advance(EXPIRY)
    for _ in (1, 2):
        assert waiting.acquire(timeout=PATIENCE)
    Call(node.orchestrator.stop).result()

    assert last_is_told.is_set()


def test_callbacks_may_stop_the_orchestrator_at_once(node):
    """Couriers that wait for each other all go on, and so does everybody else."""
    gate = threading.Barrier(3)

    def stop():
        gate.wait(PATIENCE)
        node.orchestrator.stop()

    node.switch.when["forward_packets"] = stop
    for number in (1, 2):
        node.live(number)
        node.deliver(number, add(number))
    node.clock.advance(EXPIRY)
    gate.wait(PATIENCE)
    Call(node.orchestrator.stop).result()

    assert all(map(is_stopped, node.made))
    assert {1, 2} == {*node.switch.next_fails(2)}


def test_a_mailbox_that_is_made_while_everything_stops_is_stopped():
    """The caller gets an error, and nothing is left running."""
    gate = Gate()

    def factory(config):
        gate.pass_through()
        return MemoryMailBox(config)

    node = Node(factory)
    call = Call(node.get, 1)
    gate.wait_until_reached()
    Call(node.orchestrator.stop).result()
    gate.open()

    with pytest.raises(MailBoxShuttingDown):
        call.result()

    [mailbox] = node.made
    assert is_stopped(mailbox)


def test_no_mailbox_outlives_a_stop_that_comes_at_any_moment():
    """Several threads make mailboxes, and bind and deliver, until they get an error."""
    for _ in range(60):
        node = Node()

        def work(first, node):
            for number in range(first, first + 1000):
                try:
                    node.live(number)
                    node.deliver(number, add(number))
                except MailBoxShuttingDown:
                    return

        run_threads(partial(work, 0, node), partial(work, 1000, node), node.orchestrator.stop)

        assert all(map(is_stopped, node.made))


def test_a_stop_in_the_middle_of_a_binding_ends_it(caplog):
    """Packets that were not handed over are dropped, and the mailbox is stopped."""

    class Stopping(MemoryMailBox):
        def add_packet(self, packet):
            super().add_packet(packet)
            Call(node.orchestrator.stop).result()

    node = Node(Stopping)
    mailbox = node.get(1)
    node.deliver(1, add(1), add(2), add(3))

    with pytest.raises(MailBoxShuttingDown):
        node.bind(mailbox, 1)

    assert is_stopped(mailbox)
    assert 1 == mailbox.ack_packets([key(1), key(2), key(3)])
    assert ["stopped with 3 packets"] == [r.getMessage()[:22] for r in caplog.records]


def test_an_orchestrator_says_how_much_it_has(node):
    node.live(1)
    node.deliver(3, add(1), add(2))

    text = "<MailOrchestrator of 1 mailboxes, 2 parked packets, running>"
    assert text == repr(node.orchestrator)

    node.orchestrator.stop()

    assert "<MailOrchestrator of 1 mailboxes, 0 parked packets, stopped>" == repr(
        node.orchestrator
    )
