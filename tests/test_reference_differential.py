"""Random scripts on ours and on the port of lnd's: equal, except for the listed differences.

Where a step would meet one of these, both mailboxes deliver everything first.
"""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from lnmailbox import MailBoxError, MemoryMailBox
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, fail, key, numbers, settle
from lnmailbox.wire import UpdateAddHTLC
from reference_lab import Lab, started
from resting import RestingMailBox

# Adds and replies have keys of their own: with a shared one `fail_add` removes the reply (7).
MAX_ADD = 6
ADDS = st.integers(1, MAX_ADD)
REPLIES = st.integers(11, 16)
KEYS = ADDS | REPLIES

STEPS = st.one_of(
    st.tuples(st.just("add"), ADDS),
    st.tuples(st.just("add"), ADDS),
    st.tuples(st.just("settle"), REPLIES),
    st.tuples(st.just("fail"), REPLIES),
    st.tuples(st.just("take"), st.integers(1, 3)),
    st.tuples(st.just("ack"), KEYS),
    st.tuples(st.just("has"), KEYS),
    st.tuples(st.just("fail_add"), ADDS),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("advance"), st.sampled_from([EXPIRY / 3, EXPIRY / 2, EXPIRY])),
    st.tuples(st.just("message"), st.integers(0, 99)),
    st.tuples(st.just("take_messages"), st.integers(1, 3)),
    st.tuples(st.just("reset_messages"), st.none()),
)

MAKE = {"add": add, "settle": settle, "fail": fail}


def meets_a_difference(lnd, name, value):
    """Whether lnd's answer to this step depends on what its courier offers already."""
    offer = lnd.box.offer()
    if offer is None:
        return False
    if name in ("settle", "fail"):
        return type(offer.htlc) is UpdateAddHTLC  # the reply would go first (2)
    if name in ("ack", "fail_add"):
        if value <= MAX_ADD and lnd.box.watches_adds() and type(offer.htlc) is not UpdateAddHTLC:
            return True  # the deadline would stay, and fail an Add that has the key later (13)
        return offer.in_key == key(value)  # it would not be delivered (5)
    if name == "advance":
        waiting = lnd.box.statistics().adds_undelivered
        return bool(waiting) and not lnd.box.watches_adds()  # they would expire (11)
    return False


def do(lab, name, value):
    """Do one step; return all that can be seen of its outcome."""
    box = lab.box
    try:
        if name in MAKE:
            answer = box.add_packet(MAKE[name](value))
        elif name == "take":
            answer = numbers(take(box.packet_outbox, value))
        elif name == "ack":
            answer = box.ack_packet(key(value))
        elif name == "has":
            answer = box.has_packet(key(value))
        elif name == "fail_add":
            answer = box.fail_add(add(value))
        elif name == "reset":
            answer = box.reset_packets()
        elif name == "advance":
            answer = lab.clock.advance(value)
        elif name == "message":
            answer = box.add_message(value)
        elif name == "take_messages":
            answer = take(box.message_outbox, value)
        else:
            answer = box.reset_messages()
    except MailBoxError as error:
        answer = type(error)
    return answer


def take(outbox, count):
    return drain(outbox) if count == 3 else outbox.get_batch(count) if outbox_has(outbox) else []


def outbox_has(outbox):
    return bool(outbox._look())


def check(ours, lnd, name, value):
    answers = [do(lab, name, value) for lab in (lnd, ours)]
    lnd.rest()
    fails = lnd.switch.fails_so_far()

    assert answers[0] == answers[1]
    assert fails == ours.switch.next_fails(len(fails))
    counted_here_alone = {"packets_refused": 0, "packets_redelivered": 0, "packets_acked": 0}
    counted_here_alone |= {"oldest_reply_age": 0.0, "oldest_add_age": 0.0}
    assert lnd.box.statistics() == attrs.evolve(ours.box.statistics(), **counted_here_alone)
    return answers[0]


@settings(max_examples=200)
@given(steps=st.lists(STEPS, min_size=8, max_size=40))
def test_random_scripts_have_equal_outcomes(steps):
    ours, lnd = Lab(MemoryMailBox), Lab(RestingMailBox)
    with started(ours, True), started(lnd, True):
        for name, value in steps:
            if meets_a_difference(lnd, name, value):
                check(ours, lnd, "take", 3)
            check(ours, lnd, name, value)
        check(ours, lnd, "take", 3)
        check(ours, lnd, "reset", None)
        check(ours, lnd, "take", 3)
        check(ours, lnd, "advance", EXPIRY)
        check(ours, lnd, "reset", None)
        check(ours, lnd, "take", 3)
        check(ours, lnd, "take_messages", 3)
        assert [] == ours.switch.fails_so_far()
