"""The port of lnd's mailbox against a model of it that has no threads, on random scripts.

The model says what `mailbox.go` does if its couriers come to rest after each step. Nothing is
left out: keys are shared, what is on offer is acked, Adds wait behind replies.
"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lnmailbox import PacketAlreadyExists
from lnmailbox.testing.conformance.base import EXPIRY, add, key, settle
from reference_lab import Lab, started
from resting import RestingMailBox

STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "settle", "add", "settle"]), st.integers(1, 5)),
    st.tuples(st.sampled_from(["ack", "fail_add", "has"]), st.integers(1, 5)),
    st.tuples(st.sampled_from(["take", "take", "reset"]), st.none()),
    st.tuples(st.just("advance"), st.sampled_from([EXPIRY / 3, EXPIRY / 2, EXPIRY])),
)


class Item:
    def __init__(self, number, deadline=None):
        self.number = number
        self.deadline = deadline


class Queue:
    """Packets in order, the first undelivered one being the head."""

    def __init__(self):
        self.items = []
        self.head = None

    def find(self, number):
        return next((item for item in self.items if item.number == number), None)

    def after(self, item):
        place = self.items.index(item) + 1
        return self.items[place] if place < len(self.items) else None

    def add(self, item):
        if self.find(item.number):
            return PacketAlreadyExists
        self.items.append(item)
        self.head = self.head or item
        return None

    def remove(self, item):
        if item is self.head:
            self.head = self.after(item)
        self.items.remove(item)

    def reset(self):
        self.head = self.items[0] if self.items else None


class Model:
    """lnd's packet queues and its courier: what it offers, and which Add it watches meanwhile."""

    def __init__(self):
        self.replies, self.adds = Queue(), Queue()
        self.now = 0
        self.offer = self.watched = None
        self.fails = []

    def do(self, name, value):
        answer = getattr(self, name)(*([] if value is None else [value]))
        self.come_to_rest()
        return answer

    def come_to_rest(self):
        while True:
            if self.offer is None:
                self.offer, self.watched = self.replies.head or self.adds.head, self.adds.head
            if self.watched is None or self.watched.deadline > self.now:
                return
            self.fail_add(self.watched.number)
            self.offer = self.watched = None

    def settle(self, number):
        return self.replies.add(Item(number))

    def add(self, number):
        return self.adds.add(Item(number, self.now + EXPIRY))

    def ack(self, number):
        for queue in (self.replies, self.adds):
            item = queue.find(number)
            if item is not None:
                queue.remove(item)
                return True
        return False

    def fail_add(self, number):
        if self.ack(number):
            self.fails.append(number)
            return True
        return False

    def has(self, number):
        return self.replies.find(number) is not None

    def take(self):
        offer, self.offer, self.watched = self.offer, None, None
        for queue in (self.replies, self.adds):
            if offer is not None and offer is queue.head:
                queue.head = queue.after(offer)
        return None if offer is None else offer.number

    def reset(self):
        self.replies.reset()
        self.adds.reset()
        self.offer = self.watched = None

    def advance(self, seconds):
        self.now += seconds


def do(lab, name, value):
    box = lab.box
    try:
        if name in ("add", "settle"):
            answer = box.add_packet((add if name == "add" else settle)(value))
        elif name == "ack":
            answer = box.ack_packet(key(value))
        elif name == "fail_add":
            answer = box.fail_add(add(value))
        elif name == "has":
            answer = box.has_packet(key(value))
        elif name == "take":
            taken = lab.deliver_one()
            answer = None if taken is None else taken.incoming_htlc_id
        elif name == "reset":
            answer = box.reset_packets()
        else:
            answer = lab.clock.advance(value)
    except PacketAlreadyExists as error:
        answer = type(error)
    lab.rest()
    return answer


@settings(max_examples=200)
@given(steps=st.lists(STEPS, min_size=5, max_size=40), started_after=st.integers(0, 5))
@example([("settle", 1), ("settle", 2), ("ack", 1), *[("take", None)] * 3], 0)
@example([("settle", 1), ("add", 2), ("advance", EXPIRY), ("take", None)], 2)
@example([("settle", 1), ("add", 2), ("advance", EXPIRY), ("take", None)], 0)
@example([("add", 1), ("ack", 1), ("add", 1), *[("take", None)] * 2, ("reset", None)], 0)
def test_random_scripts_do_as_the_model_says(steps, started_after):
    lab, model = Lab(RestingMailBox), Model()
    steps = steps + [("take", None)] * 3 + [("reset", None)] + [("take", None)] * 6
    with started(lab, False):
        for number, (name, value) in enumerate(steps):
            if number == started_after:
                lab.box.start()
                model.come_to_rest()
            if number < started_after:
                if name in ("take", "reset"):
                    continue  # one would wait for the start
                expected = getattr(model, name)(value)
            else:
                expected = model.do(name, value)

            assert expected == do(lab, name, value)
            assert model.fails == lab.switch.fails_so_far()
            model.fails.clear()
            statistics = lab.box.statistics()
            assert len(model.replies.items) == statistics.replies_unacked
            assert len(model.adds.items) == statistics.adds_unacked
