"""What is unacked, undelivered and overdue, without locks and threads."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lnmailbox import CircuitKey, HTLCPacket, PacketAlreadyExists
from lnmailbox import queues as queues_module
from lnmailbox.queues import AddQueue, PacketQueue, QueuedPacket
from lnmailbox.wire import ShortChannelID

SOURCE = ShortChannelID(1, 2, 3)
EXPIRY = 60


def packet(htlc_id: int) -> HTLCPacket:
    return HTLCPacket(incoming_chan_id=SOURCE, incoming_htlc_id=htlc_id)


def key(htlc_id: int) -> CircuitKey:
    return CircuitKey(SOURCE, htlc_id)


def filled(htlc_ids: Iterable[int], deadline: int = EXPIRY) -> AddQueue:
    """Return a queue of Adds with these ids, all due at once."""
    queue = AddQueue()
    for htlc_id in htlc_ids:
        queue.add(packet(htlc_id), deadline)
    return queue


def ids(packets: Iterable[HTLCPacket]) -> list[int]:
    return [packet.incoming_htlc_id for packet in packets]


def drained(queue: PacketQueue) -> list[int]:
    """Return the ids of all that can be handed out, in the order of it."""
    packets: list[HTLCPacket] = []
    queue.take_into(packets, 1_000_000)
    return ids(packets)


def claimed(queue: AddQueue, htlc_id: int) -> QueuedPacket:
    """Return the Add that was just claimed, which must be possible."""
    queued = queue.claim(key(htlc_id))
    assert queued is not None
    return queued


def overdue_ids(queue: AddQueue) -> list[int]:
    """Claim what is overdue, and return the ids in the order of it."""
    found = []
    while (queued := queue.claim_overdue()) is not None:
        found.append(queued.key.htlc_id)
    return found


def test_packets_are_handed_out_in_order_by_identity_and_once():
    """A packet that was handed out stays in the queue, but does not come again."""
    queue = PacketQueue()
    first, second = packet(1), packet(2)
    queue.add(first)
    queue.add(second)

    assert first is queue.take()
    assert second is queue.take()
    assert queue.take() is None
    assert [key(1), key(2)] == list(queue.unacked)
    assert 0 == queue.undelivered
    queue._check()


def test_a_key_that_is_unacked_is_refused_and_nothing_changes():
    """Also after the packet was handed out; not any more once it is acked."""
    queue = PacketQueue()
    queue.add(packet(1))
    queue.take()

    with pytest.raises(PacketAlreadyExists) as caught:
        queue.add(packet(1))

    assert str(caught.value) == "mailbox already has packet (Chan ID=1x2x3, HTLC ID=1)"
    assert (1, 0) == (len(queue.unacked), queue.undelivered)

    queue.ack(key(1))
    queue.add(packet(1))

    assert [1] == drained(queue)


def test_several_packets_are_appended_at_once_and_in_order():
    """As if each had been added after the other, and after what was there."""
    queue = PacketQueue()
    queue.add(packet(1))

    queue.extend(queue.prepare([packet(3), packet(2)]))
    queue.add(packet(4))
    queue._check()

    assert [1, 3, 2, 4] == drained(queue)


def test_nothing_can_be_appended_too():
    """An empty list of packets leaves everything as it was."""
    queue = PacketQueue()
    queue.extend(queue.prepare([]))
    queue._check()

    assert (0, 0) == (len(queue.unacked), queue.undelivered)


@pytest.mark.parametrize("htlc_ids, culprit", [([3, 2, 3], 3), ([3, 4, 1], 1), ([2, 2], 2)])
def test_one_duplicate_keeps_all_packets_out(htlc_ids: list[int], culprit: int):
    """Whether the key is given twice or unacked: the error names it, and nothing changes."""
    queue = PacketQueue()
    queue.add(packet(1))

    with pytest.raises(PacketAlreadyExists, match=f"HTLC ID={culprit}"):
        queue.prepare([packet(htlc_id) for htlc_id in htlc_ids])

    queue._check()

    assert [1] == drained(queue)


def test_an_acked_packet_is_not_handed_out():
    """Wherever it stands: at the front, in the middle, at the end, or alone."""
    queue = PacketQueue()
    for htlc_id in range(6):
        queue.add(packet(htlc_id))

    for htlc_id in (0, 2, 5):
        assert queue.ack(key(htlc_id))
        queue._check()

    assert 3 == queue.undelivered
    assert [1, 3, 4] == drained(queue)
    assert queue.take() is None


def test_shells_are_passed_over_one_by_one_too():
    """`take` finds the next packet behind what was acked before it came up."""
    queue = PacketQueue()
    for htlc_id in range(6):
        queue.add(packet(htlc_id))
    queue.ack(key(0))
    queue.ack(key(2))
    taken = [queue.take() for _ in range(4)]
    queue._check()

    assert [1, 3, 4, 5] == [p and p.incoming_htlc_id for p in taken]
    assert queue.take() is None


def test_an_ack_of_the_unknown_changes_nothing():
    """A second ack is one, too."""
    queue = PacketQueue()
    queue.add(packet(1))

    assert not queue.ack(key(2))
    assert queue.ack(key(1))
    assert not queue.ack(key(1))
    assert 0 == queue.ack_all([key(1), key(2)])
    queue._check()


def test_many_acks_say_how_many_packets_they_removed():
    """Delivered or not; a key that comes twice counts once."""
    queue = PacketQueue()
    for htlc_id in range(5):
        queue.add(packet(htlc_id))
    queue.take()

    assert 3 == queue.ack_all(map(key, [0, 0, 4, 9, 2]))
    queue._check()
    assert [1, 3] == drained(queue)


def test_a_nacked_packet_is_handed_out_again_at_its_old_place():
    """Before those that came later, whether or not they were handed out."""
    queue = PacketQueue()
    for htlc_id in range(4):
        queue.add(packet(htlc_id))
    for _ in range(3):
        queue.take()

    assert queue.nack(key(1))
    queue._check()
    assert [1, 3] == drained(queue)


def test_only_what_was_handed_out_can_be_nacked():
    """Nothing happens for a key that is unknown, acked, or of a packet that waits."""
    queue = PacketQueue()
    queue.add(packet(1))
    queue.add(packet(2))
    queue.take()
    queue.ack(key(1))

    assert not queue.nack(key(1))
    assert not queue.nack(key(2))
    assert not queue.nack(key(3))
    queue.take()
    queue.reset()
    assert not queue.nack(key(2))
    assert [2] == drained(queue)


def test_what_nobody_received_is_found_by_identity():
    """The receiver may have changed the key, and another packet may have it."""
    queue = PacketQueue()
    changed, other = packet(1), packet(2)
    queue.add(changed)
    queue.add(other)
    queue.take()
    changed.incoming_htlc_id = 2

    queue.put_back(changed)
    queue.put_back(other)  # waits: nothing to put back
    queue.put_back(packet(3))  # never came here
    queue._check()

    assert changed is queue.take()

    queue.put_back(packet(1))  # another one, though the key is the same
    queue._check()

    assert other is queue.take()
    assert queue.take() is None


def test_a_reset_hands_out_everything_unacked_again_in_order():
    """Those in between that are acked stay away, and new ones come last."""
    queue = PacketQueue()
    for htlc_id in range(5):
        queue.add(packet(htlc_id))
    for _ in range(3):
        queue.take()
    queue.ack(key(1))
    queue.ack(key(3))

    queue.reset()
    queue.add(packet(5))
    queue._check()

    assert 4 == queue.undelivered
    assert [0, 2, 4, 5] == drained(queue)


def test_what_was_handed_out_before_a_reset_counts_as_waiting_after_it():
    """An ack then removes it from what is handed out."""
    queue = PacketQueue()
    queue.add(packet(1))
    queue.add(packet(2))
    queue.take()
    queue.reset()
    queue.ack(key(1))
    queue._check()

    assert [2] == drained(queue)


# Adds


def test_an_add_expires_at_its_deadline_and_not_before():
    """The deadline itself is too late."""
    queue = filled([1])

    assert not queue.expire(EXPIRY - 1)
    assert (1, 0) == (queue.undelivered, queue.overdue)
    assert queue.expire(EXPIRY)
    assert (0, 1) == (queue.undelivered, queue.overdue)
    assert queue.take() is None
    queue._check()


def test_expired_adds_are_claimed_in_the_order_they_came():
    """All that are due, none of the others, and each once."""
    queue = filled([3, 1, 2])
    queue.add(packet(4), EXPIRY + 1)

    assert queue.expire(EXPIRY)
    assert [3, 1, 2] == overdue_ids(queue)
    assert queue.claim_overdue() is None
    assert [4] == drained(queue)


def test_an_add_with_the_link_does_not_expire_until_it_comes_back():
    """By a reset or by a nack; its deadline is the old one."""
    queue = filled([1, 2])
    queue.take()
    queue.take()

    assert not queue.expire(2 * EXPIRY)

    queue.nack(key(2))

    assert EXPIRY == queue.next_deadline()
    assert queue.expire(2 * EXPIRY)
    assert [2] == overdue_ids(queue)

    queue.reset()

    assert queue.expire(2 * EXPIRY)
    assert [1] == overdue_ids(queue)


def test_a_reset_takes_back_what_is_overdue():
    """With its old deadline it is overdue again when somebody looks."""
    queue = filled([1, 2])
    queue.expire(EXPIRY)
    queue.reset()
    queue._check()

    assert (2, 0) == (queue.undelivered, queue.overdue)
    assert [1, 2] == drained(queue)


def test_shells_that_are_due_are_dropped():
    """An acked Add does not expire."""
    queue = filled([1, 2, 3])
    queue.ack(key(1))

    assert queue.expire(EXPIRY)
    queue._check()
    assert [2, 3] == overdue_ids(queue)


def test_an_overdue_add_can_be_acked():
    """Then nobody fails it any more."""
    queue = filled([1, 2])
    queue.expire(EXPIRY)

    assert queue.ack(key(1))
    queue._check()
    assert [2] == overdue_ids(queue)


def test_the_next_deadline_is_the_first_ones():
    """None while nothing waits, and what is with the link does not count."""
    queue = AddQueue()

    assert queue.next_deadline() is None

    queue.add(packet(1), 5)
    queue.add(packet(2), 6)

    assert 5 == queue.next_deadline()

    queue.take()

    assert 6 == queue.next_deadline()

    queue.take()

    assert queue.next_deadline() is None


def test_deadlines_out_of_order_are_all_kept():
    """After the clock went back a later Add is due earlier, and expires earlier."""
    queue = AddQueue()
    for htlc_id, deadline in enumerate([100, 50, 70, 50, 120]):
        queue.add(packet(htlc_id), deadline)
    queue.ack(key(3))
    queue._check()

    assert 50 == queue.next_deadline()
    assert queue.expire(50)
    queue._check()
    assert [1] == overdue_ids(queue)
    assert 70 == queue.next_deadline()
    assert queue.expire(100)
    queue._check()
    assert [0, 2] == overdue_ids(queue)
    assert [4] == drained(queue)


def test_deadlines_out_of_order_that_come_together_are_all_kept():
    """`extend` notices that the clock went back, as `add` does."""
    queue = AddQueue()
    queue.add(packet(1), 100)
    queue.extend(queue.prepare([packet(2), packet(3)], 50))
    queue._check()

    assert 50 == queue.next_deadline()
    assert queue.expire(60)
    assert [2, 3] == overdue_ids(queue)
    assert [1] == drained(queue)


def test_adds_expire_in_time_after_the_clock_went_back_and_its_witness_is_acked():
    """The Add behind the first one is due earlier, even if it was added at a rising time."""
    queue = AddQueue()
    queue.add(packet(1), 100)
    queue.add(packet(2), 50)
    queue.ack(key(2))
    queue.expire(0)
    queue.add(packet(3), 70)
    queue._check()

    assert 70 == queue.next_deadline()
    assert queue.expire(70)
    assert [3] == overdue_ids(queue)


def test_a_claimed_add_is_out_of_everybodys_reach():
    """It is neither handed out nor expired nor claimed again, but it is unacked."""
    queue = filled([1, 2])
    queued = claimed(queue, 1)

    assert queue.claim(key(1)) is None
    assert not queue.nack(key(1))
    assert queue.expire(EXPIRY)
    assert [2] == overdue_ids(queue)
    assert queue.take() is None
    assert [key(1), key(2)] == list(queue.unacked)
    queue._check()

    assert queue.remove(queued)
    queue._check()
    assert [key(2)] == list(queue.unacked)


def test_an_unknown_add_can_not_be_claimed():
    """Nor one that is acked."""
    queue = filled([1])
    queue.ack(key(1))

    assert queue.claim(key(1)) is None
    assert queue.claim(key(2)) is None


def test_an_add_can_be_claimed_from_the_middle():
    """The others keep their order."""
    queue = filled([1, 2, 3, 4])
    queue.ack(key(1))
    claimed(queue, 3)
    queue._check()

    assert [2, 4] == drained(queue)


def test_an_add_that_is_acked_while_it_is_claimed_is_not_removed_twice():
    """Its key may be in use again by then, and that Add stays."""
    queue = filled([1])
    queued = claimed(queue, 1)

    assert queue.ack(key(1))
    queue.add(packet(1), EXPIRY)
    queue._check()

    assert not queue.remove(queued)
    queue._check()
    assert [1] == drained(queue)


def test_a_claim_on_an_acked_add_can_be_given_up():
    """Nothing is left of it."""
    queue = filled([1])
    queued = claimed(queue, 1)
    queue.ack(key(1))
    queue.give_up(queued, EXPIRY, 2 * EXPIRY)
    queue._check()

    assert {} == queue.unacked
    assert queue.next_deadline() is None


def test_an_add_that_is_given_up_in_time_waits_at_its_old_place():
    """It can be handed out again, before those behind it."""
    queue = filled([1, 2, 3])
    queued = claimed(queue, 2)
    queue.give_up(queued, EXPIRY - 1, 2 * EXPIRY)
    queue._check()

    assert [1, 2, 3] == drained(queue)


def test_an_add_of_the_link_that_is_given_up_stays_with_the_link():
    """It is not handed out again before it is nacked or reset."""
    queue = filled([1, 2])
    queue.take()
    queued = claimed(queue, 1)
    queue.give_up(queued, 2 * EXPIRY, 3 * EXPIRY)
    queue._check()

    assert [2] == drained(queue)
    assert queue.nack(key(1))
    assert [1] == drained(queue)


def test_an_overdue_add_that_is_given_up_is_overdue_again_later():
    """Once, and before those that expire in the meantime."""
    queue = filled([1])
    queue.expire(EXPIRY)
    queue.give_up(claimed(queue, 1), EXPIRY, 2 * EXPIRY)
    queue.add(packet(2), 2 * EXPIRY)
    queue._check()

    assert 1 == queue.overdue
    assert queue.claim_overdue() is None
    assert 2 * EXPIRY == queue.next_deadline()
    assert not queue.expire(2 * EXPIRY - 1)
    assert queue.expire(2 * EXPIRY)
    assert [1, 2] == overdue_ids(queue)
    assert queue.next_deadline() is None


def test_the_time_of_another_attempt_is_no_later_than_the_first_deadline():
    """`next_deadline` is the earlier of the two, whichever that is."""
    queue = filled([1])
    queue.add(packet(2), EXPIRY + 5)
    queue.expire(EXPIRY)
    queue.give_up(claimed(queue, 1), EXPIRY, EXPIRY + 9)

    assert EXPIRY + 5 == queue.next_deadline()

    queue.take()

    assert EXPIRY + 9 == queue.next_deadline()


@pytest.mark.parametrize("way", ["ack", "claim", "reset"])
def test_a_stuck_add_is_still_there_to_be(way: str):
    """Acked, failed by somebody else, or delivered after a reset."""
    queue = filled([1])
    queue.expire(EXPIRY)
    queue.give_up(claimed(queue, 1), EXPIRY, 2 * EXPIRY)

    if way == "ack":
        assert queue.ack(key(1))
        assert {} == queue.unacked
    elif way == "claim":
        assert queue.remove(claimed(queue, 1))
        assert {} == queue.unacked
    else:
        queue.reset()
        assert [1] == drained(queue)
    queue._check()

    assert 0 == queue.overdue
    assert not queue.expire(3 * EXPIRY)


def test_a_reset_leaves_claimed_adds_with_whoever_fails_them():
    """Given up afterwards they wait, although the link had them before."""
    queue = filled([1, 2, 3, 4])
    queue.take()
    with_link, waiting, acked = (claimed(queue, htlc_id) for htlc_id in (1, 2, 3))
    queue.ack(key(3))
    queue.reset()
    queue._check()

    assert 1 == queue.undelivered

    for queued in (with_link, waiting, acked):
        queue.give_up(queued, 0, EXPIRY)
        queue._check()

    assert [1, 2, 4] == drained(queue)


# What it costs


class CountingDeque(deque[Any]):
    """A deque that counts the elements its operations touch."""

    touched = 0

    def __iter__(self) -> Any:
        CountingDeque.touched += len(self)
        return super().__iter__()

    def __delitem__(self, index: Any) -> None:
        CountingDeque.touched += 1 + min(index, len(self) - index)
        super().__delitem__(index)

    def _not_in_o_1(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an operation that depends on the place")

    insert = remove = index = rotate = __contains__ = _not_in_o_1


@pytest.mark.parametrize("acks", ["ack", "ack_all"])
@pytest.mark.parametrize("order", ["first to last", "last to first", "any", "every third"])
def test_the_cost_of_an_ack_does_not_depend_on_the_place(
    order: str, acks: str, monkeypatch: pytest.MonkeyPatch
):
    """Over many acks at most a few elements are touched for each, however long the queue."""
    monkeypatch.setattr(queues_module, "deque", CountingDeque)
    htlc_ids = list(range(3000))
    queue = filled(htlc_ids)
    if order == "last to first":
        htlc_ids.reverse()
    elif order == "any":
        random.Random(1).shuffle(htlc_ids)
    elif order == "every third":
        htlc_ids = htlc_ids[::3]
    CountingDeque.touched = 0

    if acks == "ack":
        assert all(queue.ack(key(htlc_id)) for htlc_id in htlc_ids)
    else:
        assert len(htlc_ids) == queue.ack_all(map(key, htlc_ids))

    assert isinstance(queue.waiting, CountingDeque)
    assert CountingDeque.touched <= 4 * len(htlc_ids)


def test_a_million_adds_and_acks_without_a_reader_leave_nothing_behind():
    """The queue never holds more than one shell for each packet that waits."""
    queue = filled([0])
    queue.take()
    packets = [packet(htlc_id) for htlc_id in range(1, 11)]
    keys = [p.in_key for p in packets]
    longest = 0
    for _ in range(100_000):
        for waiting in packets:
            queue.add(waiting, EXPIRY)
        longest = max(longest, len(queue.waiting))
        queue.ack_all(keys)

    assert longest <= 20
    assert (1, 0) == (len(queue.unacked), len(queue.waiting))
    queue._check()


def test_one_packet_that_nobody_takes_keeps_few_shells():
    """The first packet in the queue does not hold on to what was acked behind it."""
    queue = filled([0])
    for htlc_id in range(1, 10_000):
        queue.add(packet(htlc_id), EXPIRY)
        queue.ack(key(htlc_id))

        assert len(queue.waiting) <= 2

    queue._check()


def test_shells_do_not_outlive_the_packets_before_them():
    """However the packets went: what is left of 1000 that are acked is nothing."""
    queue = filled(range(1000))
    queue.ack_all(map(key, range(500, 1000)))
    for _ in range(500):
        queue.take()
    queue.ack_all(map(key, range(500)))
    queue._check()

    assert (0, 0) == (len(queue.unacked), len(queue.waiting))


def test_the_packet_of_a_shell_is_let_go():
    """A shell is small: the packet, with its onion, is not kept."""
    queue = filled(range(4))
    queue.ack(key(0))

    assert 4 == len(queue.waiting)
    assert queue.waiting[0].packet is None


# Against a model


@attrs.define(eq=False)
class Letter:
    """A packet in the model; where it is is said by one word."""

    key: CircuitKey
    packet: HTLCPacket
    deadline: int
    place: str = "waiting"  # or link, overdue, stuck, claimed
    was_with_link: bool = False  # of a claimed one


class Model:
    """What the queues promise, as one list in order of arrival and no thought of speed."""

    def __init__(self) -> None:
        self.unacked: list[Letter] = []
        self.overdue: list[Letter] = []  # in the order of expiry
        self.stuck: list[Letter] = []  # in the order of giving up
        self.retry_at = 0

    def find(self, wanted: CircuitKey) -> Letter | None:
        return next((letter for letter in self.unacked if letter.key == wanted), None)

    def at(self, place: str) -> list[Letter]:
        return [letter for letter in self.unacked if letter.place == place]

    def add(self, packets: Sequence[HTLCPacket], deadline: int) -> None:
        self.unacked += [Letter(p.in_key, p, deadline) for p in packets]

    def take(self, count: int) -> list[HTLCPacket]:
        taken = self.at("waiting")[:count]
        for letter in taken:
            letter.place = "link"
        return [letter.packet for letter in taken]

    def ack(self, wanted: CircuitKey) -> bool:
        letter = self.find(wanted)
        if letter is None:
            return False
        self.unacked.remove(letter)
        self.move(letter, "acked")
        return True

    def nack(self, wanted: CircuitKey) -> bool:
        letter = self.find(wanted)
        if letter is None or letter.place != "link":
            return False
        letter.place = "waiting"
        return True

    def reset(self) -> None:
        for letter in self.unacked:
            if letter.place == "claimed":
                letter.was_with_link = False
            else:
                self.move(letter, "waiting")

    def expire(self, now: int) -> bool:
        if self.retry_at <= now:
            for letter in list(self.stuck):
                self.move(letter, "overdue")
        for letter in self.at("waiting"):
            if letter.deadline <= now:
                self.move(letter, "overdue")
        return bool(self.overdue)

    def claim(self, letter: Letter) -> None:
        letter.was_with_link = letter.place == "link"
        self.move(letter, "claimed")

    def give_up(self, letter: Letter, now: int, retry_at: int) -> None:
        if letter.place == "acked":
            return
        if letter.was_with_link:
            self.move(letter, "link")
        elif letter.deadline <= now:
            self.retry_at = self.retry_at if self.stuck else retry_at
            self.move(letter, "stuck")
        else:
            self.move(letter, "waiting")

    def next_deadline(self) -> int | None:
        times = [letter.deadline for letter in self.at("waiting")]
        times += [self.retry_at] if self.stuck else []
        return min(times, default=None)

    def move(self, letter: Letter, place: str) -> None:
        for name, letters in (("overdue", self.overdue), ("stuck", self.stuck)):
            if letter in letters:
                letters.remove(letter)
            if place == name:
                letters.append(letter)
        letter.place = place


class Pair:
    """A queue and its model, which are told the same and must answer the same."""

    def __init__(self, queue: PacketQueue) -> None:
        self.queue = queue
        self.model = Model()
        self.now = 0
        self.claims: list[tuple[QueuedPacket, Letter]] = []

    @property
    def adds(self) -> AddQueue:
        assert isinstance(self.queue, AddQueue)
        return self.queue

    def add(self, htlc_id: int) -> None:
        new, deadline = packet(htlc_id), self.now + EXPIRY
        if self.model.find(new.in_key) is not None:
            with pytest.raises(PacketAlreadyExists):
                self.queue.add(new, deadline)
            return
        self.queue.add(new, deadline)
        self.model.add([new], deadline)

    def extend(self, htlc_ids: Sequence[int]) -> None:
        new, deadline = [packet(htlc_id) for htlc_id in htlc_ids], self.now + EXPIRY
        known = any(self.model.find(p.in_key) is not None for p in new)
        if known or len(set(htlc_ids)) < len(htlc_ids):
            with pytest.raises(PacketAlreadyExists):
                self.queue.prepare(new, deadline)
            return
        self.queue.extend(self.queue.prepare(new, deadline))
        self.model.add(new, deadline)

    def take(self) -> None:
        expected: list[Any] = self.model.take(1) or [None]

        assert expected == [self.queue.take()]

    def take_into(self, size: int, batched: int) -> None:
        batch = [packet(99)] * batched
        expected = batch + self.model.take(size - batched)
        self.queue.take_into(batch, size)

        assert expected == batch

    def ack(self, htlc_id: int) -> None:
        assert self.model.ack(key(htlc_id)) == self.queue.ack(key(htlc_id))

    def ack_all(self, htlc_ids: Sequence[int]) -> None:
        expected = [self.model.ack(key(htlc_id)) for htlc_id in htlc_ids].count(True)

        assert expected == self.queue.ack_all(map(key, htlc_ids))

    def nack(self, htlc_id: int) -> None:
        assert self.model.nack(key(htlc_id)) == self.queue.nack(key(htlc_id))

    def put_back(self, htlc_id: int) -> None:
        letter = self.model.find(key(htlc_id))
        if letter is None:
            self.queue.put_back(packet(htlc_id))
        else:
            self.model.nack(letter.key)
            self.queue.put_back(letter.packet)

    def reset(self) -> None:
        self.model.reset()
        self.queue.reset()

    def expire(self) -> None:
        assert self.model.expire(self.now) == self.adds.expire(self.now)

    def claim(self, htlc_id: int) -> None:
        letter = self.model.find(key(htlc_id))
        queued = self.adds.claim(key(htlc_id))
        if letter is None or letter.place == "claimed":
            assert queued is None
        else:
            self._claimed(queued, letter)

    def claim_overdue(self) -> None:
        queued = self.adds.claim_overdue()
        if self.model.overdue:
            self._claimed(queued, self.model.overdue[0])
        else:
            assert queued is None

    def _claimed(self, queued: QueuedPacket | None, letter: Letter) -> None:
        assert queued is not None
        assert letter.packet is queued.packet
        assert letter.key == queued.key
        self.model.claim(letter)
        self.claims.append((queued, letter))

    def remove(self, which: int) -> None:
        queued, letter = self.claims.pop(which)
        expected = letter.place != "acked" and self.model.ack(letter.key)

        assert expected == self.adds.remove(queued)

    def give_up(self, which: int) -> None:
        queued, letter = self.claims.pop(which)
        retry_at = self.now + EXPIRY
        self.model.give_up(letter, self.now, retry_at)
        self.adds.give_up(queued, self.now, retry_at)

    def compare(self) -> None:
        """Assert that both hold the same, and that the queue is sound."""
        self.queue._check()
        assert [letter.key for letter in self.model.unacked] == list(self.queue.unacked)
        assert len(self.model.at("waiting")) == self.queue.undelivered
        if isinstance(self.queue, AddQueue):
            overdue = len(self.model.overdue) + len(self.model.stuck)
            assert overdue == self.queue.overdue
            # Too early costs a look in vain, too late would cost an HTLC.
            expected, seen = self.model.next_deadline(), self.queue.next_deadline()
            assert expected is None or (seen is not None and seen <= expected)


htlc_ids = st.integers(0, 7)


class PacketQueueMachine(RuleBasedStateMachine):
    """Everything that a mailbox does with its replies, in any order."""

    @initialize()
    def begin(self) -> None:
        self.pair = Pair(self.make_queue())

    def make_queue(self) -> PacketQueue:
        return PacketQueue()

    @rule(htlc_id=htlc_ids)
    def add(self, htlc_id: int) -> None:
        self.pair.add(htlc_id)

    @rule(htlc_ids=st.lists(htlc_ids, max_size=4))
    def extend(self, htlc_ids: list[int]) -> None:
        self.pair.extend(htlc_ids)

    @rule()
    def take(self) -> None:
        self.pair.take()

    @rule(size=st.integers(1, 5), batched=st.integers(0, 2))
    def take_into(self, size: int, batched: int) -> None:
        self.pair.take_into(size, min(size, batched))

    @rule(htlc_id=htlc_ids)
    def ack(self, htlc_id: int) -> None:
        self.pair.ack(htlc_id)

    @rule(htlc_ids=st.lists(htlc_ids, max_size=4))
    def ack_all(self, htlc_ids: list[int]) -> None:
        self.pair.ack_all(htlc_ids)

    @rule(htlc_id=htlc_ids)
    def nack(self, htlc_id: int) -> None:
        self.pair.nack(htlc_id)

    @rule(htlc_id=htlc_ids)
    def put_back(self, htlc_id: int) -> None:
        self.pair.put_back(htlc_id)

    @rule()
    def reset(self) -> None:
        self.pair.reset()

    @invariant()
    def agree(self) -> None:
        self.pair.compare()


def something_is_claimed(machine: Any) -> bool:
    return bool(machine.pair.claims)


class AddQueueMachine(PacketQueueMachine):
    """Everything that a mailbox does with its Adds, while its clock moves forward."""

    def make_queue(self) -> PacketQueue:
        return AddQueue()

    @rule(span=st.sampled_from([0, 1, 5, EXPIRY - 1, EXPIRY, EXPIRY + 1]))
    def wait(self, span: int) -> None:
        self.pair.now += span

    @rule()
    def expire(self) -> None:
        self.pair.expire()

    @rule()
    def take_as_a_mailbox_does(self) -> None:
        self.pair.expire()
        self.pair.take()

    @rule(htlc_id=htlc_ids)
    def claim(self, htlc_id: int) -> None:
        self.pair.claim(htlc_id)

    @rule()
    def claim_overdue(self) -> None:
        self.pair.claim_overdue()

    @precondition(something_is_claimed)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.pair.remove(data.draw(st.integers(0, len(self.pair.claims) - 1)))

    @precondition(something_is_claimed)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.pair.give_up(data.draw(st.integers(0, len(self.pair.claims) - 1)))


class BackwardMachine(AddQueueMachine):
    """The same, while somebody sets the clock back now and then."""

    @rule(span=st.sampled_from([1, 5, EXPIRY - 1, EXPIRY, 10 * EXPIRY]))
    def set_the_clock_back(self, span: int) -> None:
        self.pair.now -= span


PacketQueueMachine.TestCase.settings = settings(max_examples=100)
AddQueueMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60)
BackwardMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60)

TestPacketQueue = PacketQueueMachine.TestCase
TestAddQueue = AddQueueMachine.TestCase
TestAddQueueWhoseClockGoesBack = BackwardMachine.TestCase


@pytest.mark.parametrize("seed", range(4))
def test_long_runs_agree_with_the_model(seed: int):
    """Thousands of steps with hundreds of packets, where shells come and go many times."""
    chance = random.Random(seed)
    pair = Pair(AddQueue())
    next_id = iter(range(1_000_000))

    def any_id() -> int:
        letter = chance.choice(pair.model.unacked) if pair.model.unacked else None
        return letter.key.htlc_id if letter else 0

    def any_ids() -> list[int]:
        return [any_id() for _ in range(chance.randrange(60))]

    def if_claimed(action: Callable[[int], None]) -> None:
        if pair.claims:
            action(chance.randrange(len(pair.claims)))

    def wait() -> None:
        pair.now += chance.choice([1, 1, 1, 2, EXPIRY // 2])

    steps: list[tuple[int, Callable[[], None]]] = [
        (30, lambda: pair.add(next(next_id))),
        (1, lambda: pair.add(any_id())),
        (2, lambda: pair.extend([next(next_id) for _ in range(chance.randrange(60))])),
        (15, pair.take),
        (2, lambda: pair.take_into(chance.randrange(50), 0)),
        (30, lambda: pair.ack(any_id())),
        (2, lambda: pair.ack_all(any_ids())),
        (10, lambda: pair.nack(any_id())),
        (5, lambda: pair.put_back(any_id())),
        (1, pair.reset),
        (5, wait),
        (10, pair.expire),
        (5, lambda: pair.claim(any_id())),
        (15, pair.claim_overdue),
        (12, lambda: if_claimed(pair.remove)),
        (6, lambda: if_claimed(pair.give_up)),
    ]
    weights, actions = zip(*steps, strict=True)
    most = 0
    for count, action in enumerate(chance.choices(actions, weights, k=4000)):
        action()
        most = max(most, len(pair.model.unacked))
        if count % 20 == 0:
            pair.compare()
    pair.compare()

    assert most >= 100
