"""Where each packet is, whatever comes between, and how much room its traces take."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from lnmailbox import HTLCPacket, PacketAlreadyExists
from lnmailbox.contract import Hand
from lnmailbox.keeping import places
from lnmailbox.keeping import shelf as shelf_module
from lnmailbox.keeping.entry import NOWHERE, Claim, Entry, Place
from lnmailbox.keeping.places import Round
from lnmailbox.keeping.shelf import Shelf
from lnmailbox.testing.conformance.base import add as packet
from lnmailbox.testing.conformance.base import key
from moments import Interrupt, Moment
from shelf_model import Row, filled

DUE, LATER = 100, 200


class World:
    """A shelf with packets in every place, and empty slots between them."""

    def __init__(self, last_deadline: int = LATER, acked_deadline: int = LATER) -> None:
        self.shelf = shelf = Shelf()
        self.packets = [packet(number) for number in range(12)]
        self.hand: Hand[HTLCPacket] = Hand()
        self.claims = {number: Claim() for number in range(12)}
        for number in range(6):
            shelf.add(self.packets[number], DUE)
        for _ in range(3):
            shelf.take(0)
        shelf.expire(DUE)
        shelf.claim(stuck := Claim(), key(4))
        shelf.give_up(stuck, LATER + 50)
        for number in range(6, 12):
            shelf.add(self.packets[number], LATER if number < 10 else last_deadline)
        shelf.add(packet(12), acked_deadline)
        for number in (8, 12):
            shelf.ack(key(number))
        for number in (2, 5, 9):
            shelf.claim(self.claims[number], key(number))

    def places(self) -> dict[int, Place | None]:
        return {key.htlc_id: self.shelf.place(key) for key in self.shelf.unacked}

    def state(self) -> tuple[Any, ...]:
        out = [number for number, claim in self.claims.items() if claim.out]
        hand = [packet.incoming_htlc_id for packet in self.hand]
        return self.places(), out, hand, self.shelf.next_deadline()

    def finish(self) -> None:
        """Do what whoever made the call does when it has raised."""
        taken = self.hand.taken()
        assert {Place.LINK} >= {self.shelf.place(packet.in_key) for packet in taken}
        self.shelf.put_back(taken)
        self.hand.clear()


def in_order() -> World:
    return World()


def after_the_clock_went_back() -> World:
    return World(LATER - 50, LATER - 50)


def after_a_reset() -> World:
    """The clock went back as well, but the only Add that tells it is acked."""
    world = World(LATER, LATER - 50)
    world.shelf.reset()
    return world


WORLDS = [in_order, after_the_clock_went_back, after_a_reset]

OPERATIONS: dict[str, Callable[[World], object]] = {
    "add": lambda w: w.shelf.add(packet(20), LATER),
    "add earlier": lambda w: w.shelf.add(packet(20), DUE),
    "take": lambda w: w.shelf.take(0),
    "take nothing": lambda w: w.shelf.take(LATER),
    "take_into": lambda w: w.shelf.take_into(w.hand, 2, 0),
    "take_into all": lambda w: w.shelf.take_into(w.hand, 20, 0),
    "ack_all": lambda w: w.shelf.ack_all(map(key, range(14))),
    "put_back": lambda w: w.shelf.put_back(w.packets),
    "put_back_changed": lambda w: w.shelf.put_back_changed(w.packets),
    "reset": lambda w: w.shelf.reset(),
    "claim_overdue": lambda w: w.shelf.claim_overdue(w.claims[3]),
}
for _number in range(12):
    OPERATIONS |= {
        f"ack {_number}": lambda w, n=_number: w.shelf.ack(key(n)),
        f"nack {_number}": lambda w, n=_number: w.shelf.nack(key(n)),
        f"claim {_number}": lambda w, n=_number: w.shelf.claim(w.claims[n], key(n)),
        f"take_out {_number}": lambda w, n=_number: w.shelf.take_out(w.claims[n]),
        f"give_up {_number}": lambda w, n=_number: w.shelf.give_up(w.claims[n], LATER),
    }
for _now in (DUE, LATER - 50, LATER, LATER + 50):
    OPERATIONS[f"expire at {_now}"] = lambda w, now=_now: w.shelf.expire(now)


def add_all(world: World) -> None:
    shelf = world.shelf
    admitted = shelf.admit_all([packet(20), packet(21)], LATER)
    try:
        shelf.publish_all(admitted)
    except BaseException:
        shelf.withdraw(admitted)
        raise


OPERATIONS["add_all"] = add_all


def check_done_or_undone(world: World, make: Callable[[], World], name: str) -> None:
    """Assert that the call moved each packet or left it, and that a second one completes it."""
    before, after = make(), make()
    OPERATIONS[name](after)

    world.shelf._check()
    world.finish()
    world.shelf._check()
    now = world.places()
    for number in {*before.places(), *after.places()}:
        assert now.get(number) in (before.places().get(number), after.places().get(number))
    with suppress(PacketAlreadyExists):
        OPERATIONS[name](world)
    world.shelf._check()
    assert after.state() == world.state()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_interrupt_leaves_every_packet_in_one_place(name: str):
    """At every moment of the call; a second call completes what the first one has begun."""
    for make in WORLDS:
        for number in count(1):
            world, moment = make(), Moment(number)
            with suppress(Interrupt):
                moment.run(lambda: OPERATIONS[name](world))  # noqa: B023
            if not moment.place:
                break
            check_done_or_undone(world, make, name)

        assert number > 1


class Memory:
    """The machine's, as far as these tests are concerned."""

    is_full = False


def growing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a need of memory."""

    def grow(*args: Any) -> Any:
        if Memory.is_full:
            raise MemoryError
        return function(*args)

    return grow


def tight(kind: type[Any], *methods: str) -> type[Any]:
    """Return the kind of container, with methods that need memory."""
    return type(kind.__name__, (kind,), {name: growing(getattr(kind, name)) for name in methods})


TightDeque = tight(deque, "append", "appendleft", "extend", "insert")
TightDict = tight(dict, "__setitem__", "update")
TightOrderedDict = tight(OrderedDict, "__setitem__")
TightHand = tight(Hand, "append")


@pytest.mark.parametrize(
    "where", ["Entry", "Round", "deque", "Pile", "hand", "waiting", "unacked", "overdue"]
)
def test_a_full_memory_leaves_every_packet_in_one_place(
    where: str, monkeypatch: pytest.MonkeyPatch
):
    """Whatever cannot be made or cannot grow; a second call succeeds if there is memory again."""
    if where in ("Entry", "Round"):
        monkeypatch.setattr(shelf_module, where, growing(getattr(shelf_module, where)))
    elif where in ("deque", "Pile"):
        monkeypatch.setattr(places, where, growing(getattr(places, where)))
    failed = 0
    for name in OPERATIONS:
        for make in WORLDS:
            world = make()
            shelf, here = world.shelf, world.shelf._round
            if where == "hand":
                world.hand = TightHand()
            elif where == "waiting":
                here.waiting = TightDeque(here.waiting)
            elif where == "unacked":
                shelf.unacked = TightDict(shelf.unacked)
            elif where == "overdue":
                here.overdue.entries = TightOrderedDict(here.overdue.entries)
            monkeypatch.setattr(Memory, "is_full", True)
            try:
                OPERATIONS[name](world)
            except MemoryError:
                failed += 1
                monkeypatch.setattr(Memory, "is_full", False)
                check_done_or_undone(world, make, name)
            monkeypatch.setattr(Memory, "is_full", False)

    assert failed > 0


# Empty slots


@pytest.mark.parametrize("acks", ["ack", "ack_all"])
@pytest.mark.parametrize("order", ["first to last", "last to first", "any", "every third"])
def test_the_cost_of_an_ack_does_not_depend_on_the_place(
    order: str, acks: str, monkeypatch: pytest.MonkeyPatch
):
    """Over many acks at most a few elements are touched for each, however many packets wait."""
    monkeypatch.setattr(places, "deque", Row)
    shelf = filled(range(3000))
    numbers = list(range(3000))
    if order == "last to first":
        numbers.reverse()
    elif order == "any":
        random.Random(1).shuffle(numbers)
    elif order == "every third":
        numbers = numbers[::3]
    Row.touched = 0

    if acks == "ack":
        assert all(shelf.ack(key(number)) for number in numbers)
    else:
        assert len(numbers) == shelf.ack_all(map(key, numbers))

    assert Row.touched <= 5 * len(numbers)


def test_a_million_adds_and_acks_leave_nothing_behind():
    """Behind a packet at the link and one that waits, in an order that leaves empty slots."""
    shelf = filled([0, 1])
    shelf.take(0)
    packets = [packet(number) for number in range(2, 12)]
    keys = [packet.in_key for packet in reversed(packets)]
    longest = 0
    for _ in range(100_000):
        for one in packets:
            shelf.add(one, LATER)
        longest = max(longest, len(shelf._round.waiting))
        shelf.ack_all(keys)

    shelf._check()
    assert longest <= 2 * 12
    assert (2, 1) == (len(shelf.unacked), shelf.undelivered)
    assert len(shelf._round.waiting) <= 4


@pytest.mark.parametrize("acks", ["ack", "ack_all"])
def test_empty_slots_do_not_outlive_the_packets_before_them(acks: str):
    """However the packets went: half of them acked undelivered, the rest delivered and acked."""
    shelf = filled(range(1000))
    shelf.ack_all(map(key, range(500, 1000)))
    for _ in range(500):
        shelf.take(0)
    if acks == "ack":
        for number in range(500):
            shelf.ack(key(number))
    else:
        shelf.ack_all(map(key, range(500)))

    shelf._check()
    assert 0 == len(shelf.unacked)
    assert len(shelf._round.waiting) <= 1


def test_an_ack_leaves_little_behind():
    """An empty slot is small: the packet, with its onion, is not kept. In front there is none."""
    shelf = filled(range(4))
    shelf.ack(key(1))

    assert 4 == len(shelf._round.waiting)
    assert shelf._round.waiting[1].packet is None

    shelf.ack(key(0))

    assert 3 == len(shelf._round.waiting)


def test_a_reset_leaves_nothing_of_the_round_before():
    """Though the entries that it made WAITING still refer to that."""
    world = in_order()
    old = world.shelf._round
    world.shelf.reset()

    assert old is world.shelf.unacked[key(0)].at
    assert 0 == len(old.waiting) == len(old.overdue.entries)


# The check itself


@pytest.mark.parametrize(
    "fault",
    [
        "entry(6).key = key(7)",
        "entry(6).at = NOWHERE",
        "entry(0).packet = None",
        "shelf.unacked[key(0)] = shelf.unacked.pop(key(0))",
        "here.waiting.rotate()",
        "here.waiting.append(here.waiting[-1])",
        "here.waiting.remove(entry(7))",
        "here.waiting.append(entry(0))",
        "shelf.undelivered += 1",
        "add_slots(20)",
        "here.overdue.entries.clear()",
        "here.overdue.entries[entry(6)] = None",
        "here.stuck_count = 0",
        "shelf.claimed += 1",
        "world.claims[2].entry = entry(0)",
        "world.claims[2].out = True",
        "entry(0).at = Round()",
        "entry(11).deadline = 0",
        "shelf._latest = 0",
    ],
)
def test_the_check_finds_a_fault(fault: str):
    """Any invariant that is broken."""
    world = in_order()
    shelf = world.shelf

    def add_slots(count: int) -> None:
        for number in range(50, 50 + count):
            shelf.add(packet(number), LATER)
            entry(number).at = NOWHERE
            del shelf.unacked[key(number)]
            shelf.undelivered -= 1

    def entry(number: int) -> Entry:
        return shelf.unacked[key(number)]

    shelf._check()
    exec(fault, globals() | {"Round": Round, "here": shelf._round} | locals())
    with pytest.raises(AssertionError):
        shelf._check()
