"""All that a mailbox keeps: which packet comes next, and what comes back."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lnmailbox import HTLCPacket
from lnmailbox.contract import Hand
from lnmailbox.keeping import places
from lnmailbox.keeping.entry import NEVER, Claim
from lnmailbox.keeping.store import MemoryStore
from lnmailbox.packet import is_add
from lnmailbox.testing.conformance.base import add, key, numbers, settle
from long_runs import examples
from moments import Interrupt, Moment
from shelf_model import CLAIMED, LINK, OVERDUE, STUCK, WAITING, Letter, Model, Row

EXPIRY = 60


class World:
    """A store with a clock."""

    def __init__(self) -> None:
        self.now = 0
        self.times: list[int] = []  # what the clock will say next, before it says `now`
        self.store = MemoryStore(self.now_ns)
        self.hand: Hand[HTLCPacket] = Hand()
        self.looks: list[list[Any]] = []  # where everything was when it was to be looked at
        self.store.look_again = lambda: self.looks.append(self.places())

    def now_ns(self) -> int:
        return self.times.pop(0) if self.times else self.now

    def add(self, *packets: HTLCPacket, deadline: int = EXPIRY) -> None:
        for packet in packets:
            if is_add(packet):
                self.store.adds.add(packet, deadline)
            else:
                self.store.replies.add(packet)

    def places(self) -> list[Any]:
        return [
            [(key, shelf.place(key)) for key in shelf.unacked]
            for shelf in (self.store.replies, self.store.adds)
        ]

    def take(self) -> int | None:
        packet = self.store.take()
        return packet and packet.incoming_htlc_id

    def take_into(self, size: int) -> list[int]:
        hand: Hand[HTLCPacket] = Hand()
        self.store.take_into(hand, size)
        return numbers(hand)

    def check(self) -> None:
        self.store.replies._check()
        self.store.adds._check()


@pytest.fixture
def world() -> World:
    return World()


# Time


def go_back(world: World) -> None:
    """Have Adds in the middle be due first."""
    world.add(add(1), deadline=100)
    world.add(add(2), add(3), deadline=50)
    world.add(add(4), add(5), deadline=100)
    world.now = 60


def test_a_batch_goes_on_behind_what_is_overdue_in_the_middle(world):
    """It is not cut off there."""
    go_back(world)
    world.add(settle(6))

    assert [6, 1, 4, 5] == world.take_into(9)
    assert [] == world.take_into(9)


def test_a_take_reads_the_clock_once(world):
    """An Add that becomes due between two looks would hide what is behind it from a receiver."""
    world.add(add(1), deadline=100)
    world.add(add(2), deadline=200)
    world.times = [99]
    world.now = 100

    assert [1] == world.take_into(1)
    assert [2] == world.take_into(1)


@pytest.mark.parametrize("name", ["take", "take_into", "look", "__len__"])
def test_an_alarm_is_set_before_an_add_is_made_overdue(world, name):
    """So that an interrupt in between costs a look, and not an HTLC."""
    go_back(world)
    world.store.adds.ack(key(1))
    before = world.places()
    getattr(world.store, name)(*([Hand(), 1] if name == "take_into" else []))

    assert [before] == world.looks
    assert OVERDUE is world.store.adds.place(key(2))


def test_an_alarm_is_set_before_an_add_is_put_back(world):
    """It may be due by now, and before every other."""
    world.add(settle(1), add(1))
    hand: Hand[HTLCPacket] = Hand()
    world.store.take_into(hand, 2)
    before = world.places()

    world.store.put_back(hand, world.store.round)

    assert [before] == world.looks
    assert [WAITING] * 2 == [place for shelf in world.places() for _, place in shelf]


# What comes back


def test_what_nobody_received_is_found_though_the_link_has_changed_it(world):
    """At an earlier delivery; another packet may have the key by now."""
    reply, request = settle(1), add(2)
    world.add(reply, request, settle(3))
    hand: Hand[HTLCPacket] = Hand()
    world.store.take_into(hand, 9)
    reply.incoming_htlc_id = 3
    request.incoming_htlc_id = 1

    world.store.put_back([reply, request], world.store.round)

    world.check()
    assert reply is world.store.take()
    assert request is world.store.take()
    assert world.store.take() is None


def test_what_was_taken_before_a_reset_is_not_taken_from_who_has_it_now(world):
    """An interrupted receiver gives back what another one got after the reset."""
    reply, request = settle(1), add(2)
    world.add(reply, request)
    before = world.store.round
    assert [1, 2] == world.take_into(9)
    world.store.reset()
    assert [1, 2] == world.take_into(9)

    world.store.put_back([reply, request], before)

    assert [LINK] * 2 == [place for shelf in world.places() for _, place in shelf]
    world.check()


def test_putting_back_looks_at_the_keys_only(world, monkeypatch):
    """Replies and Adds among many, each at its old place."""
    monkeypatch.setattr(places, "deque", Row)
    world.store.reset()
    world.add(*map(settle, range(100)), *map(add, range(100, 2000)))
    hand: Hand[HTLCPacket] = Hand()
    world.store.take_into(hand, 200)
    for shelf in (world.store.replies, world.store.adds):
        monkeypatch.setattr(type(shelf), "put_back_changed", None)
    Row.touched = 0

    world.store.put_back(hand, world.store.round)

    assert Row.touched <= 200
    assert list(range(2000)) == world.take_into(2000)


# Interrupts


def at_link(places: list[Any]) -> list[Any]:
    return [key for shelf in places for key, place in shelf if place is LINK]


def filled() -> World:
    world = World()
    world.add(*map(settle, [1, 3, 5]), *map(add, [2, 4]), deadline=50)
    world.add(add(6), deadline=40)
    world.add(add(8), deadline=50)
    world.store.take_into(world.hand, 4)
    world.now = 45
    return world


@pytest.mark.parametrize("name", ["take", "take_into", "put_back", "reset", "look", "__len__"])
def test_an_interrupt_finds_each_packet_in_one_place(name):
    """At every moment; `put_back` undoes the taking, and a reset is done or undone."""
    if name == "take" and sys.version_info < (3, 11):
        pytest.skip("an interrupt can come before the value that a function returns")
    for number in count(1):
        world, moment, second = filled(), Moment(number), Hand()
        store, since = world.store, world.store.round
        if name == "take":
            store.take_into(Hand(), 2)
        call = {"take_into": (second, 4), "put_back": (world.hand, since)}.get(name, ())
        before = world.places()
        with suppress(Interrupt):
            moment.run(lambda: getattr(store, name)(*call))  # noqa: B023
        if not moment.place:
            break
        store.put_back(second.taken(), since)

        world.check()
        if name not in ("put_back", "reset"):
            assert at_link(before) == at_link(world.places())
        elif name == "reset":
            done = all(place is WAITING for shelf in world.places() for _, place in shelf)
            assert done or before == world.places()
            assert since + done == store.round
        getattr(store, name)(*call)
        world.check()
        if name in ("put_back", "reset"):
            assert [1, 3, 5, 2, 4, 8] == world.take_into(9)

    assert number > 1


# Against a model

some_id = st.integers(0, 5)


class StoreMachine(RuleBasedStateMachine):
    """A store and its model are told the same, and must answer the same."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.store = self.world.store
        self.replies, self.adds = Model(), Model()
        self.hands: list[tuple[list[HTLCPacket], int]] = []
        self.claims: list[tuple[Claim, Letter]] = []

    @rule(number=some_id)
    def add_reply(self, number: int) -> None:
        if self.replies.find(number) is None:
            packet = settle(number)
            self.world.add(packet)
            self.replies.add([packet], NEVER)

    @rule(number=some_id)
    def add_add(self, number: int) -> None:
        if self.adds.find(number) is None:
            packet, deadline = add(number), self.world.now + EXPIRY
            self.world.add(packet, deadline=deadline)
            self.adds.add([packet], deadline)

    def mail(self) -> list[tuple[Model, Letter]]:
        """Return what can be delivered, in the order of it."""
        return [
            (model, letter)
            for model in (self.replies, self.adds)
            for letter in model.at(WAITING)
            if letter.deadline > self.world.now
        ]

    def expect(self, size: int) -> list[HTLCPacket]:
        mail = self.mail()[:size]
        for model, letter in mail:
            model.move(letter, LINK)
        return [letter.packet for _, letter in mail]

    @rule()
    def take(self) -> None:
        since = self.store.round
        packet = self.store.take()

        assert self.expect(1) == ([] if packet is None else [packet])

        if packet is not None:
            self.hands.append(([packet], since))

    @rule(size=st.integers(1, 5))
    def take_into(self, size: int) -> None:
        hand: Hand[HTLCPacket] = Hand()
        since = self.store.round
        self.store.take_into(hand, size)

        assert self.expect(size) == hand

        self.hands.append((list(hand), since))

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        packets, since = self.hands.pop(data.draw(st.integers(0, len(self.hands) - 1)))
        if since == self.store.round:
            self.replies.put_back(packets)
            self.adds.put_back(packets)
        self.store.put_back(packets, since)

    @rule(number=some_id)
    def ack(self, number: int) -> None:
        for model, shelf in ((self.replies, self.store.replies), (self.adds, self.store.adds)):
            assert model.ack(number) == shelf.ack(key(number))

    @rule(number=some_id)
    def nack(self, number: int) -> None:
        for model, shelf in ((self.replies, self.store.replies), (self.adds, self.store.adds)):
            assert model.nack(number) == shelf.nack(key(number))

    @rule()
    def reset(self) -> None:
        self.replies.reset()
        self.adds.reset()
        self.store.reset()

    @rule()
    def expire(self) -> None:
        assert self.adds.expire(self.world.now) == self.store.adds.expire(self.world.now)

    @rule(number=some_id)
    def claim(self, number: int) -> None:
        letter, claim = self.adds.find(number), Claim()
        can = letter is not None and letter.place is not CLAIMED

        assert can == self.store.adds.claim(claim, key(number))

        if letter is not None and can:
            self.adds.claim(letter, claim)
            self.claims.append((claim, letter))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), give_up=st.booleans())
    def end_claim(self, data: st.DataObject, give_up: bool) -> None:
        claim, letter = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        holds = letter.place is CLAIMED
        if give_up:
            retry_at = self.world.now + EXPIRY
            self.store.adds.give_up(claim, retry_at)
            if holds:
                self.adds.give_up(letter, retry_at)
        else:
            assert holds == self.store.adds.take_out(claim)
            if holds:
                self.adds.move(letter, None)

    @rule(span=st.sampled_from([-10 * EXPIRY, -EXPIRY, -5, 1, 5, EXPIRY - 1, EXPIRY]))
    def set_the_clock(self, span: int) -> None:
        self.world.now += span

    @rule()
    def count(self) -> None:
        assert len(self.mail()) == len(self.store)

    @rule()
    def look(self) -> None:
        assert bool(self.mail()) == bool(self.store.look())

    @invariant()
    def agree(self) -> None:
        """Assert that everything is where it should be. Not all that is due must be overdue."""
        self.world.check()
        for letter in self.adds.at(WAITING) + self.adds.at(STUCK):
            if self.store.adds.place(letter.key) is OVERDUE:
                due_at = letter.deadline if letter.place is WAITING else self.adds.retry_at
                assert due_at <= self.world.now
                self.adds.move(letter, OVERDUE)
        expected = [
            [(letter.key, letter.place) for letter in model.letters]
            for model in (self.replies, self.adds)
        ]
        assert expected == self.world.places()


StoreMachine.TestCase.settings = settings(max_examples=examples(100))

TestStore = StoreMachine.TestCase
