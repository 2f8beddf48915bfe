"""Receiving from the port of lnd's mailbox: by `select`, selectors, coroutines; at rest."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading

import pytest

from lnmailbox import (
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailSelector,
    ManualClock,
    select,
)
from lnmailbox.contract import Hand
from lnmailbox.reference import CourierMailBox, CourierOrchestrator, outbox
from lnmailbox.reference.beside import CourierType
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, add, key, numbers, settle
from lnmailbox.testing.switch import Gate, Switch
from lnmailbox.testing.threads import PATIENCE, blocked
from lnmailbox.wire import ChannelID


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def new_box(clock, switch):
    made = []

    def make():
        box = CourierMailBox(
            MailBoxConfig(
                short_chan_id=CHANNEL,
                fetch_update=switch.fetch_update,
                forward_packets=switch.forward_packets,
                clock=clock,
                expiry=EXPIRY,
            )
        )
        made.append(box)
        return box

    yield make
    for box in made:
        box.start()
        box.stop()


@pytest.fixture
def box(new_box):
    box = new_box()
    box.start()
    return box


def test_select_takes_from_whichever_outbox_has_an_offer(box):
    """It waits for one, and each is served in turn."""
    call = blocked(select, box.message_outbox, box.packet_outbox)
    box.add_message("ping")

    assert (box.message_outbox, "ping") == call.result()

    packets = [settle(1), settle(2)]
    for number, packet in enumerate(packets):
        box.add_packet(packet)
        box.add_message(number)
    assert box.wait_for_rest(PATIENCE)
    taken = [select(box.message_outbox, box.packet_outbox)[0] for _ in range(2)]

    assert {box.message_outbox, box.packet_outbox} == set(taken)
    with pytest.raises(queue.Empty):
        select(box.message_outbox, timeout=0.001) and select(box.message_outbox, timeout=0.001)


def test_select_works_across_mailboxes_of_two_kinds(box, new_box):
    other = new_box()
    other.start()
    call = blocked(select, box.packet_outbox, other.packet_outbox, timeout=PATIENCE)
    packet = add(1)

    other.add_packet(packet)

    assert (other.packet_outbox, packet) == call.result()


def test_a_stop_ends_select_and_selector(box):
    call = blocked(select, box.message_outbox, box.packet_outbox)
    with MailSelector() as selector:
        selector.register(box.packet_outbox)
        selecting = blocked(selector.select)

        box.stop()

        for ended in (call, selecting):
            with pytest.raises(MailBoxShuttingDown):
                ended.result()
    with pytest.raises(MailBoxShuttingDown):
        select(box.packet_outbox)


def test_a_selector_reports_what_is_on_offer(box):
    """Level-triggered: as long as it is."""
    with MailSelector() as selector:
        key_of_packets = selector.register(box.packet_outbox, "packets")
        assert [] == selector.select(timeout=0)
        call = blocked(selector.select)

        box.add_packet(settle(1))

        assert [key_of_packets] == call.result()
        assert [key_of_packets] == selector.select(timeout=0)
        assert [1] == numbers(box.packet_outbox.get_batch(5))
        assert [] == selector.select(timeout=0)
        selector.unregister(box.packet_outbox)


def test_a_selector_that_was_dropped_is_forgotten(box):
    """With the next mail."""
    MailSelector().register(box.message_outbox)
    gc.collect()
    box.message_outbox._tell_listeners()

    assert {} == box.message_outbox._listeners


def test_a_coroutine_receives(box):
    """What is there, and what comes later; until the stop."""
    box.add_message("first")

    async def run():
        received = [await box.message_outbox.async_get()]
        waiting = asyncio.create_task(box.message_outbox.async_get())
        await asyncio.sleep(0)
        await asyncio.to_thread(box.add_message, "second")
        received.append(await waiting)
        await asyncio.to_thread(box.stop)
        received.extend([message async for message in box.message_outbox])
        return received

    assert ["first", "second"] == asyncio.run(run())


def test_a_batch_is_what_the_courier_offers_one_after_the_other(box):
    for number in range(5):
        box.add_message(number)

    assert [0, 1, 2] == box.message_outbox.get_batch(3)
    assert [3, 4] == box.message_outbox.get_batch(3)


def test_what_is_put_back_is_received_next(box):
    box.add_message("first")
    box.add_message("second")
    hand = Hand()
    assert box.wait_for_rest(PATIENCE)
    assert box.message_outbox._take_into(hand, 1)
    assert ["first"] == hand

    hand.put_back()

    assert ["first", "second"] == box.message_outbox.get_batch(2)


def test_a_courier_in_a_callback_is_not_waited_for_for_ever(box, switch, clock, monkeypatch):
    """Nor does it wait for itself when its callback receives."""
    monkeypatch.setattr(outbox, "_PATIENCE", 0.001)
    gate, found = Gate(), queue.Queue()

    def look_and_wait():
        with pytest.raises(queue.Empty):
            box.packet_outbox.get_nowait()
        found.put(box.is_at_rest(CourierType.PKT_COURIER))
        gate.pass_through()

    switch.when["forward_packets"] = look_and_wait
    box.add_packet(add(1))
    assert box.wait_for_rest(PATIENCE)
    clock.advance(EXPIRY)
    gate.wait_until_reached()

    assert found.get(timeout=PATIENCE)
    assert not box.is_at_rest(CourierType.PKT_COURIER)
    with pytest.raises(queue.Empty):
        box.packet_outbox.get_nowait()
    assert not box.wait_for_rest(0.001)
    gate.open()


def test_a_failing_switch_is_logged_and_counted(box, switch, caplog):
    def refuse():
        raise ValueError("switch is full")

    switch.when["forward_packets"] = refuse
    box.add_packet(add(1))

    assert box.fail_add(add(1))
    assert 1 == box.statistics().forward_errors
    assert "switch is full" in caplog.text


def test_quit_can_be_waited_for(box, switch):
    box.add_packet(add(1))
    box.fail_add(add(1))
    assert not switch.quit.wait(0)
    assert not switch.quit.is_set()
    waiting = blocked(switch.quit.wait)

    box.stop()

    assert waiting.result()
    assert switch.quit.wait(1e6)


def test_our_orchestrator_makes_mailboxes_of_lnds_kind(switch, clock):
    """A factory is all that it takes."""
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets,
        clock=clock,
        mailbox_factory=CourierMailBox,
    )
    with MailOrchestrator(config) as orchestrator:
        orchestrator.deliver(CHANNEL, settle(1))
        box = orchestrator.get_or_create_mailbox(ChannelID(b"a" * 32), CHANNEL)
        orchestrator.bind_live_short_chan_id(box, ChannelID(b"a" * 32), CHANNEL)

        assert isinstance(box, CourierMailBox)
        assert 1 == box.packet_outbox.get(timeout=PATIENCE).incoming_htlc_id
        assert box.ack_packet(key(1))


def test_lnds_orchestrator_finds_what_it_made(switch, clock):
    """A live channel without a mailbox gets one when something is delivered."""
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update, forward_packets=switch.forward_packets, clock=clock
    )
    alice, bob = ChannelID(b"a" * 32), ChannelID(b"b" * 32)
    with CourierOrchestrator(config) as orchestrator:
        box = orchestrator.get_or_create_mailbox(alice, CHANNEL)
        assert box is orchestrator.get_or_create_mailbox(alice, CHANNEL)

        orchestrator.bind_live_short_chan_id(box, bob, CHANNEL)
        orchestrator.deliver(CHANNEL, settle(1))

        made = orchestrator.get_or_create_mailbox(bob, CHANNEL)
        assert made is not box
        assert 1 == made.packet_outbox.get(timeout=PATIENCE).incoming_htlc_id


def test_a_channel_goes_live_between_two_looks_of_deliver(switch, clock):
    """The second look, under the exclusive lock, finds it."""
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update, forward_packets=switch.forward_packets, clock=clock
    )
    alice = ChannelID(b"a" * 32)
    with CourierOrchestrator(config) as orchestrator:
        box = orchestrator.get_or_create_mailbox(alice, CHANNEL)

        class Mutex:
            """Lets another thread bind the channel when it is taken for the second time."""

            def __init__(self):
                self.lock, self.taken = threading.Lock(), 0

            def __enter__(self):
                self.taken += 1
                if self.taken == 2:
                    orchestrator.live_index[CHANNEL] = alice
                self.lock.acquire()

            def __exit__(self, *_):
                self.lock.release()

        orchestrator.mu = Mutex()
        orchestrator.deliver(CHANNEL, settle(1))

        assert 1 == box.packet_outbox.get(timeout=PATIENCE).incoming_htlc_id


def test_a_reset_after_the_stop_is_refused(box):
    """Whether or not the request still finds room in the channel's buffer."""
    box.stop()

    for _ in range(20):
        with pytest.raises(MailBoxShuttingDown):
            box.reset_messages()
        with pytest.raises(MailBoxShuttingDown):
            box.reset_packets()
