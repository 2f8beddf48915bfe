"""What a peer or a careless caller can make grow has a bound. The table is in `docs/bounds.md`.

Here is what no other file tests.
"""

from __future__ import annotations

import logging

import pytest

from lnmailbox import MailSelector, WireQueueFull
from lnmailbox.failing.complaints import MAX_KINDS, Complaints
from lnmailbox.testing import wait_until_quiet
from lnmailbox.testing.conformance.base import add, raises
from node import Node, short
from receivers import make_mailbox


def test_selectors_that_are_dropped_without_close_leave_a_few_listeners():
    """Though no mail comes, with which the outbox would forget them. One that is alive stays."""
    with make_mailbox() as box, MailSelector() as selector:
        selector.register(box.message_outbox)
        for _ in range(1_000):
            MailSelector().register(box.message_outbox)

        assert box.statistics().listeners < 30
        box.add_message("a")
        assert [box.message_outbox] == [key.outbox for key in selector.select()]
        assert 1 == box.statistics().listeners


def test_a_thousand_selectors_that_are_alive_are_all_told():
    with make_mailbox() as box:
        selectors = [MailSelector() for _ in range(1_000)]
        for selector in selectors:
            selector.register(box.message_outbox)
            assert [] == selector.select(0)

        box.add_message("a")

        assert {1} == {len(selector.select(0)) for selector in selectors}
        for selector in selectors:
            selector.close()
        assert 0 == box.statistics().listeners


def test_errors_of_ever_new_classes_are_not_all_remembered(caplog):
    """A traceback for each of the first classes, then counted together."""
    complaints = Complaints(logging.getLogger("lnmailbox.test"))
    for number in range(1_000):
        try:
            raise type(f"Error{number}", (Exception,), {})
        except Exception:
            complaints.report("it failed")

    assert len(complaints._counts) == MAX_KINDS + 1
    tracebacks = sum(record.exc_info is not None for record in caplog.records)
    assert MAX_KINDS + 1 == tracebacks
    assert len(caplog.records) == tracebacks + 2  # the 10th and the 100th of those


@pytest.mark.parametrize("waits", [True, False])
def test_parked_adds_that_expire_for_ever_new_channels_leave_no_mailboxes(waits):
    """Those of the last expiry remain until the next one."""
    node = Node(parked_expiry=1.0)
    with node.orchestrator:
        for number in range(200):
            node.deliver(number, add(number))
            if waits or number % 10 == 0:
                node.clock.advance(1)
                wait_until_quiet(node.clock)

        node.clock.advance(1)
        wait_until_quiet(node.clock)

        assert list(range(200)) == sorted(node.switch.fails_so_far())
        assert len(node.orchestrator._expired) <= 10
        assert 0 == node.orchestrator.statistics().parked


def test_a_peer_that_floods_a_link_which_does_not_read_takes_no_memory():
    """Messages, and the news of them: what is refused leaves nothing."""
    box = make_limited()
    with MailSelector() as selector:
        selector.register(box.message_outbox)
        for number in range(5_000):
            if number < 10:
                box.add_message(b"message")
            else:
                assert raises(WireQueueFull, box.add_message, b"message")

        assert (10, 70, 4_990) == (
            box.statistics().messages,
            box.statistics().message_bytes,
            box.statistics().messages_refused,
        )
        assert 1 == len(selector._news)
    box.stop()


def make_limited():
    node = Node(max_wire_messages=10)
    return node.get(1, short(1))
