"""Scenarios of receiving, acks and resets; see `scenario_world`."""

from __future__ import annotations

import asyncio
import queue
from collections import Counter
from typing import Any

from lnmailbox import HTLCPacket, MailBoxShuttingDown, MailSelector, select
from lnmailbox.contract import Hand
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, key, message, numbers, settle
from scenario_world import World, scenario
from scheduler import Run


@scenario
def two_receivers_and_a_reset(run: Run) -> None:
    """Everything is delivered, and again what a receiver had before the reset."""
    world = World(run)
    world.add(2)
    world.box.add_packet(settle(1))
    run.spawn(world.collect(), may_wait=True)
    run.spawn(world.collect(batches=True), may_wait=True)
    run.play(lambda: world.add(3, 4), world.box.reset_packets)

    now = world.box.statistics()
    assert 4 == now.replies_delivered + now.adds_delivered
    assert 4 + now.packets_redelivered == len(world.got)
    assert {1, 2, 3, 4} == set(world.got)
    world.account(1, 2, 3, 4)
    world.stop()


@scenario
def ack_against_delivery(run: Run) -> None:
    """One of two acks counts, and what is acked is delivered once at most."""
    world = World(run)
    world.add(1, 2)
    run.spawn(world.collect(), may_wait=True)
    run.play(world.ack(1), world.ack(1), world.ack(2), lambda: world.add(3))

    assert [1, 2] == sorted(world.acked)
    assert world.got == sorted(set(world.got))
    assert 3 in world.got
    world.account(1, 2, 3)
    world.stop()


@scenario
def nack_against_reset(run: Run) -> None:
    """Both bring back what is unacked, once each at most."""
    world = World(run)
    world.add(1, 2, 3)
    world.box.packet_outbox.get_batch(2)
    run.spawn(world.collect(), may_wait=True)
    run.play(lambda: world.box.nack_packet(key(2)), world.box.reset_packets, world.ack(1))

    assert [1] == world.acked
    assert {2, 3} <= set(world.got)
    assert all(count <= 2 for count in Counter(world.got).values())
    world.account(1, 2, 3)
    world.stop()


@scenario
def select_over_two_mailboxes_one_of_which_stops(run: Run) -> None:
    """It goes on with the other one, and ends with that."""
    world = World(run, boxes=2)
    one, other = world.boxes

    def selecting() -> None:
        try:
            while True:
                outbox, item = select(one.packet_outbox, other.packet_outbox)
                assert outbox is other.packet_outbox
                world.got.append(item.incoming_htlc_id)
        except MailBoxShuttingDown:
            pass

    run.spawn(selecting, may_wait=True)
    run.spawn(selecting, may_wait=True)
    run.play(one.stop, lambda: [other.add_packet(add(n)) for n in (1, 2)], other.reset_packets)

    assert {1, 2} == set(world.got)
    world.stop()


@scenario
def a_selector_that_threads_share(run: Run) -> None:
    """All mail is received, also what was there when others were told."""
    world = World(run, boxes=2)
    one, other = world.boxes
    selector = MailSelector()
    selector.register(one.packet_outbox)
    selector.register(other.packet_outbox)

    def work() -> None:
        try:
            while True:
                for chosen in selector.select(max_keys=1):
                    try:
                        world.got.append(chosen.outbox.get_nowait().incoming_htlc_id)
                    except queue.Empty:  # another one was faster
                        pass
        except MailBoxShuttingDown:
            pass

    def work_once() -> None:
        for chosen in selector.select(timeout=1, max_keys=1):
            for packet in drain(chosen.outbox):
                world.got.append(packet.incoming_htlc_id)

    run.spawn(work, may_wait=True)
    run.spawn(work, may_wait=True)
    run.play(
        work_once,
        lambda: world.add(1, 2),
        lambda: other.add_packets([add(3), settle(4)]),
        selector.wake,
    )

    assert [1, 2, 3, 4] == sorted(world.got)
    world.stop()
    selector.close()


@scenario
def a_thread_that_ends_after_it_was_told_of_mail(run: Run) -> None:
    """Another one that waits in the selector is told."""
    world = World(run)
    selector = MailSelector()
    selector.register(world.box.packet_outbox)

    def receive() -> None:
        while not world.got:
            selector.select()
            world.got.extend(numbers(drain(world.box.packet_outbox)))

    run.spawn(world.unless_stopped(selector.select), may_wait=True)
    run.play(receive, lambda: world.add(1))

    assert [1] == world.got
    world.stop()
    run.play(selector.close)


@scenario
def cancelled_coroutines_against_delivery(run: Run) -> None:
    """A cancelled receive consumes nothing, and the mail goes to the one that is left."""
    world = World(run)
    receivers: list[asyncio.Task[Any]] = []

    async def receive() -> None:
        world.got.append((await world.box.packet_outbox.async_get()).incoming_htlc_id)

    async def both() -> None:
        receivers.extend(asyncio.ensure_future(receive()) for _ in range(2))
        await asyncio.wait(receivers)

    def cancel() -> None:
        for receiver in receivers[:1]:
            loop.call_soon_threadsafe(receiver.cancel)

    loop = world.run_async(both)
    run.play(cancel, lambda: world.add(1, 2))

    cancelled = sum(receiver.cancelled() for receiver in receivers)
    assert [1, 2][: 2 - cancelled] == world.got
    assert cancelled == world.box.packet_outbox.qsize()
    world.stop()


@scenario
def timeouts_against_delivery(run: Run) -> None:
    """A receive that times out consumes nothing, and takes no ring from another one."""
    world = World(run)

    def receive() -> None:
        try:
            packets = world.box.packet_outbox.get_batch(2, timeout=1)
        except queue.Empty:
            return
        world.got.extend(numbers(packets))

    run.spawn(world.collect(), may_wait=True)
    run.play(receive, receive, lambda: world.add(1, 2))

    assert [1, 2] == sorted(world.got)
    world.stop()


@scenario
def a_coroutine_against_a_thread(run: Run) -> None:
    """Whoever looks first has the packet; the coroutine hears of the next one."""
    world = World(run)

    async def receive() -> None:
        async for packet in world.box.packet_outbox:
            world.got.append(packet.incoming_htlc_id)

    def receive_once() -> None:
        try:
            world.got.append(world.box.packet_outbox.get(timeout=1).incoming_htlc_id)
        except queue.Empty:
            pass

    world.run_async(receive)
    run.play(receive_once, lambda: world.add(1, 2), world.box.reset_packets)

    assert {1, 2} == set(world.got)
    assert 2 + world.box.statistics().packets_redelivered == len(world.got)
    world.stop()


@scenario
def what_a_receiver_gives_back_against_a_reset_and_a_nack(run: Run) -> None:
    """What was in the hand of an interrupted receiver, and is waiting already, waits once."""
    world = World(run)
    world.box.add_packet(settle(1))
    world.add(2, 3)
    hand: Hand[HTLCPacket] = Hand()
    outbox = world.box._packet_outbox

    def interrupted() -> None:
        outbox._take_into(hand, 2)
        hand.put_back()

    run.spawn(world.collect(), may_wait=True)
    run.play(
        interrupted,
        world.box.reset_packets,
        lambda: world.box.nack_packet(key(1)),
        world.ack(2),
    )

    assert {1, 3} <= set(world.got)
    assert all(count <= 3 for count in Counter(world.got).values())
    world.account(1, 2, 3)
    world.stop()


@scenario
def messages_against_their_reset(run: Run) -> None:
    """What is received after a reset has returned was added after it."""
    world = World(run)

    def reset() -> None:
        world.box.reset_messages()
        world.box.add_message(message(9))

    def receive() -> None:
        try:
            while True:
                world.got.append(world.box.message_outbox.get().id)
        except MailBoxShuttingDown:
            pass

    run.spawn(receive, may_wait=True)
    run.play(lambda: [world.box.add_message(message(n)) for n in (1, 2)], reset)

    assert 9 in world.got
    assert [n for n in world.got if n < 9] == sorted({1, 2} & set(world.got))
    world.stop()


@scenario
def a_message_given_back_against_a_reset(run: Run) -> None:
    """It is not there after the reset, whoever came first."""
    world = World(run)
    world.box.add_message(message(1))
    hand: Hand[Any] = Hand()

    def interrupted() -> None:
        world.box._message_outbox._take_into(hand, 1)
        hand.put_back()

    run.play(interrupted, world.box.reset_messages)

    assert 0 == world.box.message_outbox.qsize()
    world.stop()


@scenario
def statistics_against_everything(run: Run) -> None:
    """They are of one moment: the parts are as many as the whole."""
    world = World(run)
    world.add(1, 2)

    def observe() -> None:
        for _ in range(3):
            now = world.box.statistics()
            assert now.adds_unacked == (
                now.adds_undelivered
                + now.adds_delivered
                + now.adds_overdue
                + now.adds_being_failed
            )
            assert now.adds_unacked + now.packets_acked + now.adds_failed >= 2
            world.box.packet_outbox.qsize()
        assert "Adds" in world.box.describe()

    run.spawn(world.collect(), may_wait=True)
    run.play(
        observe,
        lambda: world.add(3),
        world.box.reset_packets,
        world.ack(2),
        lambda: world.clock.advance(EXPIRY),
    )
    world.account(1, 2, 3)
    world.stop()
