"""The statistics and the description of an orchestrator: sums over its mailboxes."""

from __future__ import annotations

import inspect
import re

import attrs
import pytest

from lnmailbox import MailBoxStatistics, WireQueueFull
from lnmailbox.contract import statistics
from lnmailbox.routing.adding_up import NOTHING, add_up, counts_of
from lnmailbox.testing import wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, key, message, raises, settle
from lnmailbox.testing.switch import raiser
from node import Node, channel

NAMES = [field.name for field in attrs.fields(MailBoxStatistics)]

# What a mailbox has done, and what it has or had at one moment.
DONE = """
    messages_refused packets_refused packets_redelivered packets_acked adds_failed adds_expired
    encrypt_errors forward_errors
""".split()
AGES = ["oldest_reply_age", "oldest_add_age"]


@pytest.fixture
def node():
    node = Node()
    yield node
    node.orchestrator.stop()


def numbered(first: int) -> MailBoxStatistics:
    """Return statistics of which every field has another value."""
    return MailBoxStatistics(**{name: first + number for number, name in enumerate(NAMES)})


def test_every_field_is_added_up_and_the_ages_are_those_of_the_oldest():
    """No field can be forgotten."""
    one, other = numbered(1), numbered(100)

    expected = {
        name: getattr(other, name) + (0 if name in AGES else getattr(one, name)) for name in NAMES
    }
    assert expected == attrs.asdict(add_up([one, other]))
    assert expected == attrs.asdict(add_up([other, NOTHING, one]))
    assert NOTHING == add_up([])


def test_what_a_mailbox_has_done_stays_of_it():
    expected = {name: getattr(numbered(1), name) if name in DONE else 0 for name in NAMES}

    assert expected == attrs.asdict(counts_of(numbered(1)))


def test_every_statistic_is_explained():
    """In the source, for readers and for the documentation."""
    source = inspect.getsource(statistics)
    field = r"^    (\w+): (?:int|float|MailBox).*\n    \"\"\""
    fields = re.findall(field, source, re.MULTILINE)
    classes = [
        statistics.OutboxStatistics,
        statistics.MailBoxStatistics,
        statistics.MailOrchestratorStatistics,
    ]

    assert [field.name for cls in classes for field in attrs.fields(cls)] == fields


def test_an_orchestrator_counts_its_mailboxes_and_what_is_in_them(node):
    """And what is parked; an id more leads to a mailbox, and a pending one has none."""
    one, other = node.live(1), node.live(2)
    node.bind(one, 1, node.made[0].short_chan_id)
    node.get(3)
    one.add_packets([add(1), settle(2)])
    one.add_message(message(1))
    node.clock.advance(5)
    other.add_packets([add(3), add(4), settle(5)])
    other.packet_outbox.get()
    other.ack_packet(key(5))
    node.deliver(7, add(6), settle(6))
    node.deliver(8, add(7))

    counts = attrs.asdict(node.orchestrator.statistics())
    total = {name: value for name, value in counts.pop("total").items() if value}

    assert counts == {
        "mailboxes": 3,
        "live": 2,
        "parked": 3,
        "parked_channels": 2,
        "parked_refused": 0,
        "parked_expired": 0,
    }
    assert total == {
        "messages": 1,
        "message_bytes": message(1).serialized_size(),
        "replies_unacked": 1,
        "replies_undelivered": 1,
        "oldest_reply_age": 5.0,
        "adds_unacked": 3,
        "adds_undelivered": 3,
        "oldest_add_age": 5.0,
        "packets_acked": 1,
    }


def test_no_counter_goes_back_when_a_mailbox_is_removed(node):
    """What it had done stays; what it held goes."""
    node.switch.when["forward_packets"] = raiser(ConnectionError, times=1)
    for number in (1, 2):
        box = node.live(number)
        box.add_packets([settle(1), add(2), add(3), add(4)])
        drain(box.packet_outbox)
        box.reset_packets()
        box.packet_outbox.get()
        box.ack_packet(key(1))
        box.fail_add(add(2))
    node.clock.advance(EXPIRY)
    wait_until_quiet(node.clock)
    before = node.orchestrator.statistics().total
    assert (2, 2, 6, 4, 1) == (
        before.packets_acked,
        before.packets_redelivered,
        before.adds_failed,
        before.adds_expired,
        before.forward_errors,
    )

    for number in (1, 2):
        node.orchestrator.remove_mailbox(channel(number))

        assert before == node.orchestrator.statistics().total

    node.live(1).add_packet(settle(9))
    node.orchestrator.remove_mailbox(channel(1))

    assert before == node.orchestrator.statistics().total


def test_a_description_begins_with_the_sums(node):
    node.live(1).add_packets([add(1), settle(2)])
    node.deliver(7, add(3))
    node.clock.advance(1.25)

    expected = f"""\
{node.orchestrator!r}
  live: 1 short channel ids
  parked: 1 packets for 1 channels, 0 refused, 0 expired
  replies: 1 unacked, the oldest 1.2 s
  Adds: 1 unacked, the oldest 1.2 s, 0 overdue
  so far: 0 acked, 0 failed back, 0 errors"""
    assert expected == node.orchestrator.describe()


def test_a_description_shows_the_mailboxes_in_which_something_is_stuck(node):
    """Those with overdue Adds, or a wire order that has a gap: ten of them, and how many more."""
    node.switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))
    for number in range(12):
        node.live(number).add_packet(add(number, obfuscator=node.switch))
    healthy, full = node.live(20), node.live(21)
    for number in range(1000):
        full.add_message(message(number))
    assert raises(WireQueueFull, full.add_message, message(1))
    node.clock.advance(EXPIRY)
    wait_until_quiet(node.clock)

    lines = node.orchestrator.describe().splitlines()

    assert 10 == sum("  <MemoryMailBox of " in line for line in lines)
    assert 10 == sum("    stuck: 1 Adds could not be failed" in line for line in lines)
    assert "  and 3 more mailboxes in which something is stuck" == lines[-1]
    assert repr(healthy) not in node.orchestrator.describe()
