"""One class of packets: what becomes of each, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lnmailbox import HTLCPacket, PacketAlreadyExists
from lnmailbox.contract import Hand
from lnmailbox.keeping import places
from lnmailbox.keeping.entry import NEVER, Claim
from lnmailbox.keeping.shelf import Shelf
from lnmailbox.testing.conformance.base import add as packet
from lnmailbox.testing.conformance.base import key, numbers
from long_runs import examples
from shelf_model import CLAIMED, LINK, OVERDUE, STUCK, WAITING, Letter, Model, Row, filled

EXPIRY = 60


def drained(shelf: Shelf, now: int = 0) -> list[int]:
    """Return the ids of all that can be handed out, in the order of it."""
    hand: Hand[HTLCPacket] = Hand()
    shelf.take_into(hand, 1_000_000, now)
    return numbers(hand)


def claimed(shelf: Shelf, htlc_id: int) -> Claim:
    claim = Claim()
    assert shelf.claim(claim, key(htlc_id))
    return claim


def overdue_ids(shelf: Shelf) -> list[int]:
    """Claim what is overdue, and return the ids in the order of it."""
    found = []
    while shelf.claim_overdue(claim := Claim()):
        assert claim.entry is not None
        found.append(claim.entry.key.htlc_id)
    return found


# Adding and acking


def test_a_key_that_is_unacked_is_refused_and_the_error_names_it():
    """Also after the packet was handed out; not any more once it is acked."""
    shelf = filled([1])
    shelf.take(0)

    with pytest.raises(PacketAlreadyExists) as caught:
        shelf.add(packet(1))

    assert f"mailbox already has packet {key(1)}" == str(caught.value)

    shelf.ack(key(1))
    shelf.add(packet(1))

    assert [1] == drained(shelf)


@pytest.mark.parametrize("htlc_ids, culprit", [([3, 2, 3], 3), ([3, 4, 1], 1), ([2, 2], 2)])
def test_one_duplicate_keeps_all_packets_out(htlc_ids: list[int], culprit: int):
    """Whether the key is given twice or unacked: the error names it, and nothing changes."""
    shelf = filled([1])

    with pytest.raises(PacketAlreadyExists, match=rf"HTLC ID={culprit}\)"):
        shelf.admit_all(list(map(packet, htlc_ids)))

    shelf._check()

    assert [1] == drained(shelf)


def test_packets_are_admitted_now_and_published_later():
    """Acks, takes and resets may come in between; the new packets go last."""
    shelf = filled([1, 2, 3])
    admitted = shelf.admit_all([packet(5), packet(4)], EXPIRY)
    shelf.take(0)
    shelf.ack(key(2))
    shelf.reset()

    shelf.publish_all(admitted)

    shelf._check()
    assert [1, 3, 5, 4] == drained(shelf)


# The clock goes back


@pytest.mark.parametrize("together", [False, True])
def test_adds_that_came_after_the_clock_went_back_expire_first(together: bool):
    """Also if they came together."""
    shelf = filled([1], deadline=100)
    if together:
        shelf.publish_all(shelf.admit_all([packet(2), packet(3)], 50))
    else:
        shelf.add(packet(2), 50)
        shelf.add(packet(3), 50)
    shelf._check()

    assert 50 == shelf.next_deadline()
    assert 50 == shelf.earliest_deadline()
    assert shelf.expire(60)
    assert [2, 3] == overdue_ids(shelf)
    assert [1] == drained(shelf)


def test_the_order_is_lost_again_if_the_next_add_is_due_before_the_first():
    """The Add that showed that the clock had gone back is acked before."""
    shelf = filled([1], deadline=100)
    shelf.add(packet(2), 50)
    shelf.ack(key(2))
    shelf.expire(0)
    shelf.add(packet(3), 70)
    shelf._check()

    assert 70 == shelf.next_deadline()
    assert shelf.expire(70)
    assert [3] == overdue_ids(shelf)


# A claim


def test_a_claim_belongs_to_whoever_made_it():
    """Nobody else can claim what is claimed, and an older claim undoes and finishes nothing."""
    shelf = filled([1])
    old = claimed(shelf, 1)
    shelf.give_up(old, NEVER)
    new = claimed(shelf, 1)

    shelf.give_up(old, NEVER)

    assert not shelf.claim(Claim(), key(1))
    assert not shelf.take_out(old)
    assert not shelf.take_out(Claim())
    assert CLAIMED is shelf.place(key(1))
    assert not old.out
    assert shelf.take_out(new)
    assert new.out
    shelf._check()
    assert shelf.place(key(1)) is None


def test_what_is_stuck_is_tried_again_together():
    """At the time that the first one named, in the order of arrival."""
    shelf = filled([1, 2, 3], EXPIRY)
    shelf.expire(EXPIRY)
    for htlc_id, retry_at in [(2, 100), (1, 200)]:
        shelf.give_up(claimed(shelf, htlc_id), retry_at)

    assert [STUCK, STUCK, OVERDUE] == list(map(shelf.place, shelf.unacked))
    assert [3] == overdue_ids(shelf)
    assert not shelf.expire(99)
    assert shelf.expire(100)
    assert [1, 2] == overdue_ids(shelf)


@pytest.mark.parametrize("returned", ["nack", "reset"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_packet_that_could_not_be_failed_was_delivered_all_the_same(returned: str, when: str):
    """Its next delivery is another one, and that of a packet that was not delivered is not."""
    shelf = filled([1, 2])
    shelf.take(0)
    claims = [claimed(shelf, htlc_id) for htlc_id in (1, 2)] if when == "before" else []
    shelf.nack(key(1)) if returned == "nack" else shelf.reset()
    claims = claims or [claimed(shelf, htlc_id) for htlc_id in (1, 2)]
    for claim in claims:
        shelf.give_up(claim, NEVER)
    if returned == "nack":
        shelf.nack(key(1))

    assert [1, 2] == drained(shelf)
    assert 1 == shelf.redelivered


@pytest.mark.parametrize("is_other", [False, True])
def test_a_reset_takes_in_what_has_expired(is_other: bool):
    """Be it overdue or stuck, on the shelf itself or on the other one; but not what is claimed."""
    shelf = filled([1, 2, 3], EXPIRY)
    shelf.expire(EXPIRY)
    shelf.give_up(claimed(shelf, 1), 100)
    claimed(shelf, 3)

    if is_other:
        Shelf().reset(shelf)
    else:
        shelf.reset()

    assert [WAITING, WAITING, CLAIMED] == list(map(shelf.place, shelf.unacked))
    assert 2 == shelf.undelivered
    shelf._check()


def test_a_delivered_packet_that_could_not_be_failed_is_with_the_link_again():
    shelf = filled([1, 2])
    shelf.take(0)

    shelf.give_up(claimed(shelf, 1), NEVER)

    assert [LINK, WAITING] == list(map(shelf.place, shelf.unacked))
    assert 0 == shelf.claimed
    shelf._check()


# What it costs


class Index(dict[Any, Any]):
    """A dict that can be used by key only."""

    def _walk(self) -> Any:
        raise AssertionError("a look at one packet after the other")

    __iter__ = values = items = keys = _walk


class Deadline(int):
    """A deadline that counts how often somebody looks at it."""

    looks = 0

    def __le__(self, other: int) -> bool:
        Deadline.looks += 1
        return super().__le__(other)


def test_a_take_after_the_clock_went_back_looks_at_one_deadline(monkeypatch: Any):
    """However many Adds wait, and in whatever order they are due."""
    monkeypatch.setattr(places, "deque", Row)
    shelf = filled(range(1000), deadline=100)
    for htlc_id in range(1000, 2000):
        shelf.add(packet(htlc_id), 50)
    for entry in shelf.unacked.values():
        entry.deadline = Deadline(entry.deadline)
    shelf.unacked = Index(shelf.unacked)
    Row.touched = Deadline.looks = 0

    assert list(range(2000)) == numbers(shelf.take(10) for _ in range(2000))  # type: ignore[misc]
    assert 2000 == Deadline.looks
    assert 4000 == Row.touched


def test_a_claim_costs_the_same_wherever_the_add_is(monkeypatch: Any):
    """So do taking it out and giving it up."""
    monkeypatch.setattr(places, "deque", Row)
    shelf = filled(range(100), EXPIRY)
    shelf.expire(EXPIRY)
    for htlc_id in range(100, 1000):
        shelf.add(packet(htlc_id), 2 * EXPIRY)
    for _ in range(300):
        shelf.take(EXPIRY)
    shelf.unacked = Index(shelf.unacked)
    Row.touched = 0

    for htlc_id in (50, 250, 700):
        assert shelf.take_out(claimed(shelf, htlc_id))
    for htlc_id in (51, 251):
        shelf.give_up(claimed(shelf, htlc_id), NEVER)

    assert [STUCK, LINK] == [shelf.place(key(htlc_id)) for htlc_id in (51, 251)]
    assert Row.touched <= 5


def test_packets_are_put_back_by_key(monkeypatch: Any):
    """The newest first, so that each goes to the front."""
    monkeypatch.setattr(places, "deque", Row)
    shelf = filled(range(1000))
    hand: Hand[HTLCPacket] = Hand()
    shelf.take_into(hand, 100, 0)
    shelf.unacked = Index(shelf.unacked)
    Row.touched = 0

    assert [] == shelf.put_back(hand[::-1])
    assert Row.touched <= 100
    assert list(range(1000)) == drained(shelf)


# Against a model

htlc_ids = st.integers(0, 7)
some_ids = st.lists(htlc_ids, max_size=4)


class ShelfMachine(RuleBasedStateMachine):
    """A shelf and its model are told the same, and must answer the same."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.model = Model()
        self.now = 0
        self.claims: list[tuple[Claim, Letter]] = []

    def deadline(self) -> int:
        return NEVER

    @rule(htlc_id=htlc_ids)
    def add(self, htlc_id: int) -> None:
        new = packet(htlc_id)
        if self.model.find(htlc_id) is not None:
            with pytest.raises(PacketAlreadyExists):
                self.shelf.add(new, self.deadline())
            return
        self.shelf.add(new, self.deadline())
        self.model.add([new], self.deadline())

    @rule(htlc_ids=some_ids, publish=st.booleans(), withdraw=st.booleans())
    def add_all(self, htlc_ids: Sequence[int], publish: bool, withdraw: bool) -> None:
        new = list(map(packet, htlc_ids))
        if len(set(htlc_ids)) < len(htlc_ids) or any(map(self.model.find, htlc_ids)):
            with pytest.raises(PacketAlreadyExists):
                self.shelf.admit_all(new, self.deadline())
            return
        admitted = self.shelf.admit_all(new, self.deadline())
        if publish:
            self.shelf.publish_all(admitted)
        if withdraw or not publish:
            self.shelf.withdraw(admitted)
        else:
            self.model.add(new, self.deadline())

    @rule()
    def take(self) -> None:
        expected = self.model.take(1, self.now) or [None]  # type: ignore[list-item]

        assert expected == [self.shelf.take(self.now)]

    @rule(size=st.integers(1, 5), in_hand=st.integers(0, 2))
    def take_into(self, size: int, in_hand: int) -> None:
        hand: Hand[HTLCPacket] = Hand(map(packet, [99] * in_hand))
        expected = hand + self.model.take(max(0, size - in_hand), self.now)
        self.shelf.take_into(hand, size, self.now)

        assert expected == hand

    @rule(htlc_id=htlc_ids)
    def ack(self, htlc_id: int) -> None:
        assert self.model.ack(htlc_id) == self.shelf.ack(key(htlc_id))

    @rule(htlc_ids=some_ids)
    def ack_all(self, htlc_ids: Sequence[int]) -> None:
        expected = sum(map(self.model.ack, htlc_ids))

        assert expected == self.shelf.ack_all(map(key, htlc_ids))

    @rule(htlc_id=htlc_ids)
    def nack(self, htlc_id: int) -> None:
        assert self.model.nack(htlc_id) == self.shelf.nack(key(htlc_id))

    @rule(htlc_id=htlc_ids)
    def change(self, htlc_id: int) -> None:
        """Do what a link may do with a packet that it has."""
        letter = self.model.find(htlc_id)
        if letter is not None:
            letter.packet.incoming_htlc_id = htlc_id ^ 1

    @rule(htlc_ids=some_ids)
    def put_back(self, htlc_ids: Sequence[int]) -> None:
        letters = list(map(self.model.find, htlc_ids))
        packets = [letter.packet for letter in letters if letter] + [packet(3)]
        self.model.put_back(packets)
        self.shelf.put_back_changed(self.shelf.put_back(packets))

    @rule()
    def reset(self) -> None:
        self.model.reset()
        self.shelf.reset()

    @invariant()
    def agree(self) -> None:
        shelf, letters = self.shelf, self.model.letters
        shelf._check()
        assert [letter.key for letter in letters] == list(shelf.unacked)
        assert [letter.place for letter in letters] == list(map(shelf.place, shelf.unacked))
        assert len(self.model.at(WAITING)) == shelf.undelivered
        late = len(self.model.at(OVERDUE) + self.model.at(STUCK))
        assert late == shelf.overdue
        assert bool(self.model.at(STUCK)) is shelf.is_stuck
        assert self.model.next_deadline() == shelf.next_deadline()
        first = next((letter.deadline for letter in self.model.at(WAITING)), NEVER)
        assert first == shelf.first_deadline()
        earliest = min((letter.deadline for letter in letters), default=NEVER)
        assert earliest == shelf.earliest_deadline()


def something_is_claimed(machine: Any) -> bool:
    return bool(machine.claims)


which = st.integers(0, 100)


class AddsMachine(ShelfMachine):
    """The same, while Adds expire and are failed, and the clock goes forward and back."""

    def deadline(self) -> int:
        return self.now + EXPIRY

    @rule(span=st.sampled_from([0, 1, 5, EXPIRY - 1, EXPIRY, EXPIRY + 1]))
    def wait(self, span: int) -> None:
        self.now += span

    @rule(span=st.sampled_from([1, 5, EXPIRY - 1, EXPIRY, 10 * EXPIRY]))
    def set_the_clock_back(self, span: int) -> None:
        self.now -= span

    @rule()
    def expire(self) -> None:
        assert self.model.expire(self.now) == self.shelf.expire(self.now)

    @rule(htlc_id=htlc_ids)
    def claim(self, htlc_id: int) -> None:
        letter, claim = self.model.find(htlc_id), Claim()
        can = letter is not None and letter.place is not CLAIMED

        assert can == self.shelf.claim(claim, key(htlc_id))

        if letter is not None and can:
            self._claimed(claim, letter)

    @rule()
    def claim_overdue(self) -> None:
        claim = Claim()

        assert bool(self.model.overdue) == self.shelf.claim_overdue(claim)

        if self.model.overdue:
            self._claimed(claim, self.model.overdue[0])

    def _claimed(self, claim: Claim, letter: Letter) -> None:
        assert claim.entry is not None
        assert letter.packet is claim.entry.packet
        self.model.claim(letter, claim)
        self.claims.append((claim, letter))

    @precondition(something_is_claimed)
    @rule(which=which, again=st.booleans())
    def take_out(self, which: int, again: bool) -> None:
        claim, letter, holds = self._some_claim(which, again)
        if holds:
            self.model.move(letter, None)
        was_out = claim.out

        assert holds == self.shelf.take_out(claim)
        assert (holds or was_out) == claim.out

    @precondition(something_is_claimed)
    @rule(which=which, again=st.booleans())
    def give_up(self, which: int, again: bool) -> None:
        claim, letter, holds = self._some_claim(which, again)
        retry_at = self.now + EXPIRY
        if holds:
            self.model.give_up(letter, retry_at)
        self.shelf.give_up(claim, retry_at)

    def _some_claim(self, which: int, again: bool) -> tuple[Claim, Letter, bool]:
        """Return a claim, its letter, and whether it holds; it may be over, and come again."""
        which %= len(self.claims)
        claim, letter = self.claims[which] if again else self.claims.pop(which)
        return claim, letter, letter.place is CLAIMED and letter.claim is claim


ShelfMachine.TestCase.settings = settings(max_examples=examples(80))
AddsMachine.TestCase.settings = settings(max_examples=examples(200))

TestReplies = ShelfMachine.TestCase
TestAdds = AddsMachine.TestCase
