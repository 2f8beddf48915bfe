"""A mailbox over a store, beyond the conformance suite: listeners, want of threads, the seam."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from lnmailbox import CircuitKey, MailBoxConfig, MemoryMailBox, PacketAlreadyExists
from lnmailbox.keeping.shelf import Shelf
from lnmailbox.keeping.store import MemoryStore
from lnmailbox.mailboxes.base import BaseMailBox
from lnmailbox.testing import PATIENCE, Call, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import (
    CHANNEL,
    EXPIRY,
    MailBoxTests,
    add,
    drain,
    key,
    message,
    numbers,
    settle,
)
from lnmailbox.testing.switch import raiser


class MemoryTests(MailBoxTests):
    def make_mailbox(self, config):
        return MemoryMailBox(config)


class TestNames(MailBoxTests):
    def make_mailbox(self, config):
        class OwnMailBox(MemoryMailBox):
            pass

        return OwnMailBox(config)

    def test_a_mailbox_says_its_kind_its_channel_and_whether_it_runs(self, new_box):
        box = new_box()

        assert "<OwnMailBox of mailbox 539268x845x1, not started>" == repr(box)
        box.start()
        assert "<OwnMailBox of mailbox 539268x845x1, running>" == repr(box)
        box.stop()
        assert "<OwnMailBox of mailbox 539268x845x1, stopped>" == repr(box)

    @pytest.mark.parametrize("value", [0, None, "539268x845x1"])
    def test_a_short_channel_id_is_checked_when_it_is_set(self, box, value):
        with pytest.raises(TypeError, match="^short_chan_id must be a ShortChannelID, got "):
            box.short_chan_id = value

        assert CHANNEL == box.short_chan_id


def test_at_the_interpreters_end_a_stop_leaves_the_lock_alone(monkeypatch):
    """Nobody would see what it does: the other threads are frozen, perhaps with the lock."""
    monkeypatch.setattr(BaseMailBox, "_is_finalizing", lambda self: True)
    box = MemoryMailBox(
        MailBoxConfig(short_chan_id=CHANNEL, fetch_update=print, forward_packets=print)
    )
    Call(box._lock.acquire).result()

    box.stop()

    assert not box._life.stopped


def test_a_stop_at_the_interpreters_end_does_not_hang():
    """A finalizer may call it, and a frozen thread may hold the lock."""
    script = """
import threading
from lnmailbox import MailBoxConfig, MemoryMailBox
from lnmailbox.testing.conformance.base import CHANNEL, add

class Node:
    def __init__(self):
        self.box = MemoryMailBox(
            MailBoxConfig(short_chan_id=CHANNEL, fetch_update=print, forward_packets=print)
        )

    def __del__(self):
        self.box.stop()
        print("stopped")

node = Node()
node.box.start()
node.box.add_packet(add(1))
frozen = threading.Thread(target=node.box._lock.acquire)
frozen.start()
frozen.join()
"""
    command = [sys.executable, "-c", script]
    # Coverage would change how the process ends.
    env = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    finished = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, env=env)

    assert b"stopped\n" == finished.stdout


class TestKeys(MemoryTests):
    def test_a_packet_in_place_of_its_key_is_told_the_right_expression(self, box):
        for call in (
            lambda: box.ack_packet(add(1)),
            lambda: box.nack_packet(add(1)),
            lambda: box.has_packet(add(1)),
            lambda: box.ack_packets([add(1)]),
        ):
            with pytest.raises(TypeError) as caught:
                call()

            text = f"key must be a CircuitKey, got a packet: use its in_key, {key(1)!r}"
            assert text == str(caught.value)

    def test_a_key_in_place_of_keys_is_told_the_right_expression(self, box):
        with pytest.raises(TypeError) as caught:
            box.ack_packets(key(1))

        text = f"keys must be several CircuitKeys, got one: ack_packet({key(1)!r})"
        assert text == str(caught.value)

    def test_an_equal_tuple_is_a_key(self, box):
        box.add_packets([add(1), add(2)])

        assert 1 == box.ack_packets([tuple(key(1)), tuple(key(3))])
        assert box.ack_packet(tuple(key(2)))

    def test_a_key_that_can_not_be_one_leaves_the_mailbox_usable(self, box):
        """An error releases the lock: another thread gets it."""
        for operation in (box.ack_packet, box.nack_packet, box.has_packet):
            with pytest.raises(TypeError, match="unhashable"):
                operation(CircuitKey([], 0))

        call = blocked(box.packet_outbox.get)
        box.add_packet(settle(1))

        assert 1 == call.result().incoming_htlc_id


class TestListeners(MemoryTests):
    """What `select` relies on: listeners are called whenever there may be mail."""

    def test_listeners_hear_of_everything_that_may_be_mail(self, new_box, switch):
        box = new_box()
        messages, packets = box.message_outbox, box.packet_outbox
        heard = []

        def heard_of(operation, *arguments):
            heard.clear()
            operation(*arguments)
            return heard

        for outbox in (messages, packets):
            outbox._add_listener(heard.append)

        assert [messages, packets] == heard_of(box.start)
        assert [messages] == heard_of(box.add_message, message(1))
        assert [packets] == heard_of(box.add_packet, settle(1))
        assert [packets] == heard_of(box.add_packet, add(1, obfuscator=switch))
        assert [packets] == heard_of(box.add_packets, [settle(2)])
        drain(packets)
        assert [packets] == heard_of(box.nack_packet, key(1))
        assert [] == heard_of(box.nack_packet, key(99))
        assert [packets] == heard_of(box.reset_packets)
        switch.when["encrypt_first_hop"] = raiser(ValueError)
        assert [packets] == heard_of(box.fail_add, add(1))
        assert [messages, packets] == heard_of(box.stop)

    def test_an_outbox_knows_whether_there_is_mail(self, box, switch, clock):
        """An expired Add is none, nor is the empty slot that an acked packet leaves."""
        assert [0, 0] == [box.message_outbox._look(), box.packet_outbox._look()]

        box.add_message(message(1))
        box.add_packets([add(1), settle(2), settle(3)])

        assert [1, 3] == [box.message_outbox._look(), box.packet_outbox._look()]

        box.ack_packet(key(3))
        box.packet_outbox.get()
        clock.advance(EXPIRY)

        assert 0 == box.packet_outbox._look()
        assert [1] == switch.next_fails(1)

        box.stop()

        assert box.packet_outbox._look() is None

    def test_packets_that_nobody_received_are_put_back_in_their_places(self, box, switch, clock):
        """They are known by identity, as the link may have changed the key. Adds still expire."""
        packets = [settle(1), settle(2), add(3), add(4)]
        box.add_packets(packets)
        taken = box.packet_outbox.get_batch(4)
        taken[0].incoming_htlc_id = 99
        box.packet_outbox._put_back(taken[:3], 0)

        assert packets[:3] == drain(box.packet_outbox)

        clock.advance(EXPIRY)
        wait_until_quiet(clock)
        box.packet_outbox._put_back(taken[2:], 0)

        assert [3, 4] == switch.next_fails(2)


@contextmanager
def no_threads(monkeypatch):
    """Let no thread of the package be started."""
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("lnmailbox"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


class TestWithoutThreads(MemoryTests):
    """If no thread can be had, an operation is done, and its Adds are watched later."""

    @pytest.mark.parametrize("operation", ["add_packet", "add_packets", "start"])
    @pytest.mark.parametrize("later", [0, 1])
    def test_adds_are_watched_later(self, new_box, clock, switch, monkeypatch, operation, later):
        """When the next Add comes, here or to a mailbox with the same clock."""
        boxes = [new_box(), new_box()]
        boxes[1].start()
        add_packets = boxes[0].add_packets
        steps = {
            "add_packet": [boxes[0].start, lambda: boxes[0].add_packet(add(1))],
            "add_packets": [boxes[0].start, lambda: add_packets([add(1)])],
            "start": [lambda: add_packets([add(1)]), boxes[0].start],
        }[operation]
        with no_threads(monkeypatch):
            for step in steps:
                step()

            assert boxes[0].packet_outbox._look()

        boxes[later].add_packet(add(2))
        clock.advance(EXPIRY)

        assert {1, 2} == {*switch.next_fails(2)}

    @pytest.mark.parametrize(
        "give_back",
        [lambda box: box.reset_packets(), lambda box: [box.nack_packet(key(n)) for n in (1, 2)]],
        ids=["reset_packets", "nack_packet"],
    )
    def test_packets_are_given_back(self, box, new_box, clock, switch, monkeypatch, give_back):
        """Receivers are woken, and an expired Add is failed when there is a thread again."""
        box.add_packets([add(1), settle(2)])
        drain(box.packet_outbox)
        clock.advance(EXPIRY)
        wait_until_quiet(clock)
        call = blocked(box.packet_outbox.get)
        with no_threads(monkeypatch):
            give_back(box)

            assert 2 == call.result().incoming_htlc_id
            assert 1 == box.statistics().adds_unacked

        with new_box() as other:
            other.add_packet(add(3))

        assert [1] == switch.next_fails(1)


class Committing(BaseMailBox):
    """Calls `commit` between the two steps of adding, without the mailbox's lock."""

    def __init__(self, config):
        super().__init__(config, MemoryStore(config.clock.now_ns))
        self._adding = threading.Lock()
        self.commit = lambda admitted: None

    def add_packets(self, packets):
        with self._adding:
            with self._lock:
                admitted = self._admit_locked(list(packets))
            self.commit(admitted)
            with self._lock:
                self._publish_locked(admitted)


class TestTwoSteps(MailBoxTests):
    def make_mailbox(self, config):
        return Committing(config)

    def test_a_packet_is_not_there_before_the_second_step(self, box):
        """Everything else goes on, and other packets come after it."""
        gate = Gate()
        box.add_packets([add(1), settle(2)])
        box.commit = lambda admitted: gate.pass_through()
        first = Call(box.add_packet, settle(3))
        gate.wait_until_reached()
        second = blocked(box.add_packets, [settle(4), add(5)])

        assert [2, 1] == numbers(drain(box.packet_outbox))
        assert not box.has_packet(key(3))
        assert box.ack_packet(key(1))
        box.reset_packets()
        assert [2] == numbers(drain(box.packet_outbox))
        receiver = blocked(box.packet_outbox.get)

        gate.open()

        assert 3 == receiver.result().incoming_htlc_id
        assert [None, None] == [first.result(), second.result()]
        assert [4, 5] == numbers(drain(box.packet_outbox))

    def test_packets_know_their_places_after_the_first_step(self, box, clock):
        """To be written down: key, number in the order of arrival, deadline, packet."""
        committed = []
        box.commit = committed.append
        packets = [settle(1), add(2), add(3)]
        box.add_packet(add(1))
        box.add_packets(packets)

        admitted = committed[1]
        assert [key(1)] == [entry.key for entry in admitted.replies.values()]
        adds = [admitted.adds[key(number)] for number in (2, 3)]
        assert packets[1:] == [entry.packet for entry in adds]
        assert [1, 2] == [entry.number for entry in adds]
        deadline = clock.now_ns() + round(EXPIRY * 10**9)
        assert [deadline] * 2 == [entry.deadline for entry in adds]

    def test_nothing_is_added_if_the_second_step_does_not_come(self, box):
        """The keys stay free."""
        before = box.statistics()
        fail_once = raiser(OSError("disk full"), times=1)
        box.commit = lambda admitted: fail_once()

        with pytest.raises(OSError, match="disk full"):
            box.add_packets([add(1), settle(2)])

        assert before == box.statistics()
        box.add_packets([add(1), settle(2)])
        with pytest.raises(PacketAlreadyExists):
            box.add_packet(add(1))
        assert [2, 1] == numbers(drain(box.packet_outbox))

    def test_an_add_that_expires_between_the_steps_is_failed(self, box, clock, switch):
        """Its time counts from the first one."""
        box.commit = lambda admitted: clock.advance(EXPIRY)

        box.add_packet(add(1))

        assert [1] == switch.next_fails(1)

    def test_packets_of_a_mailbox_that_stops_between_the_steps_are_kept(self, box):
        """Undelivered, as if it had stopped just after."""
        box.commit = lambda admitted: box.stop()

        box.add_packets([add(1), settle(2)])

        assert 2 == box.ack_packets([key(1), key(2)])

    def test_a_second_step_that_fails_in_the_middle_is_undone(self, box, monkeypatch):
        """All or none, in either class."""
        publish_all = Shelf.publish_all

        def publish_half(shelf, entries):
            publish_all(shelf, entries)
            if shelf is box._adds:
                raise MemoryError

        box.add_packets([add(1), settle(2)])
        before = box.statistics()
        with monkeypatch.context() as patch:
            patch.setattr(Shelf, "publish_all", publish_half)
            with pytest.raises(MemoryError):
                box.add_packets([add(3), settle(4)])

        assert before == box.statistics()
        for shelf in (box._adds, box._replies):
            shelf._check()
        assert [2, 1] == numbers(drain(box.packet_outbox))
