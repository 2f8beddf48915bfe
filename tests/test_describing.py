"""A mailbox in words."""

from __future__ import annotations

import pytest

from lnmailbox import MailBox, MailBoxConfig, ManualClock, MemoryMailBox, WireQueueFull
from lnmailbox.contract import Outbox
from lnmailbox.testing import Switch, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import (
    CHANNEL,
    EXPIRY,
    add,
    key,
    message,
    raises,
    settle,
)
from lnmailbox.testing.switch import raiser


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def box(switch, clock):
    config = MailBoxConfig(
        short_chan_id=CHANNEL,
        fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets,
        clock=clock,
        max_wire_messages=2,
    )
    with MemoryMailBox(config) as box:
        yield box


def test_an_empty_mailbox_is_described(box):
    assert (
        box.describe()
        == """\
<MemoryMailBox of mailbox 539268x845x1, running>
  messages: 0 wait, 0 bytes
  replies: none
  Adds: none
  receivers: 0 threads, 0 coroutines and selectors
  so far: 0 acked, 0 failed back, of which 0 after 60 s"""
    )


def test_a_mailbox_says_what_waits_for_how_long_and_who_waits(box, clock):
    """And that messages are missing."""
    for number in range(2):
        box.add_message(message(number))
    assert raises(WireQueueFull, box.add_message, message(2))
    box.add_packets([settle(1), settle(2), settle(3), add(4), add(5)])
    box.packet_outbox.get_batch(4)
    box.ack_packet(key(1))
    clock.advance(2.34)
    box.packet_outbox.get()
    call = blocked(box.packet_outbox.get)

    size = message(0).serialized_size() + message(1).serialized_size()
    assert (
        box.describe()
        == f"""\
<MemoryMailBox of mailbox 539268x845x1, running>
  messages: 2 wait, {size} bytes; 1 refused: the queue was full
  replies: 2 unacked (2 delivered), the oldest 2.3 s old
  Adds: 2 unacked (2 delivered), the oldest 2.3 s old
  receivers: 1 threads, 0 coroutines and selectors
  so far: 1 acked, 0 failed back, of which 0 after 60 s"""
    )

    box.add_packet(settle(6))
    call.result()


def test_a_mailbox_says_what_is_stuck_and_why(box, clock, switch):
    """With the last error, and when it is tried again."""
    switch.when["forward_packets"] = raiser(ConnectionError, times=1)
    switch.when["encrypt_first_hop"] = raiser(ValueError("no shared secret"))
    box.add_packets([add(1), add(2, obfuscator=switch), add(3, obfuscator=switch)])
    clock.advance(EXPIRY)
    wait_until_quiet(clock)
    clock.advance(12)
    wait_until_quiet(clock)

    assert box.describe().splitlines()[3:] == [
        "  Adds: 2 unacked (2 overdue), the oldest 72.0 s old",
        "  receivers: 0 threads, 0 coroutines and selectors",
        "  so far: 0 acked, 1 failed back, of which 1 after 60 s",
        "  the switch raised on 1 fail packets",
        "  stuck: 2 Adds could not be failed, again in 48.0 s: ValueError('no shared secret')",
    ]


class Plain:
    """A kind of mailbox that has nothing to add."""

    def statistics(self):
        return {"messages": 3}


def test_other_kinds_are_described_by_their_statistics():
    """Unless they say it better."""
    plain = Plain()

    assert f"{plain!r}\n{{'messages': 3}}" == MailBox.describe(plain)


@pytest.mark.parametrize("method", [MailBox.unacked, Outbox.statistics])
def test_what_a_kind_does_not_have_is_said_to_be_missing(method):
    """Such a method is no part of lnd's first mailbox, and a kind may have been made before it."""
    assert raises(NotImplementedError, method, Plain())
