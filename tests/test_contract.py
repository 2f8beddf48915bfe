"""The abstract classes themselves, and the record of statistics."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from lnmailbox import MailBox, MailBoxShuttingDown, MailBoxStatistics, MemoryMailBox, Outbox
from lnmailbox.contract import Hand


def test_statistics_are_a_frozen_record_compared_by_value():
    fields = [field.name for field in attrs.fields(MailBoxStatistics)]
    statistics = MailBoxStatistics(**dict.fromkeys(fields, 3))

    assert MailBoxStatistics(**dict.fromkeys(fields, 3)) == statistics
    assert attrs.evolve(statistics, messages=4) != statistics
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        statistics.messages = 0


@pytest.mark.parametrize("contract", [MailBox, Outbox])
def test_a_contract_is_abstract(contract):
    """What an implementation has to write is refused as long as it is missing."""
    with pytest.raises(TypeError, match="abstract"):
        contract()


def test_nothing_of_the_contract_is_missing_in_memory():
    assert frozenset() == MemoryMailBox.__abstractmethods__


def unused(*_: Any) -> Any:
    raise NotImplementedError


class Recorded(MailBox):
    """A mailbox that can only start and stop."""

    short_chan_id = message_outbox = packet_outbox = None  # type: ignore[assignment]
    add_message = add_packet = add_packets = has_packet = ack_packet = ack_packets = unused
    nack_packet = fail_add = reset_messages = reset_packets = statistics = unused

    def __init__(self):
        self.calls = []

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")


def test_with_starts_a_mailbox_and_stops_it():
    """In every implementation, and if an error leaves the block."""
    with Recorded() as box:
        assert ["start"] == box.calls

    with pytest.raises(ZeroDivisionError), box:
        raise ZeroDivisionError

    assert ["start", "stop", "start", "stop"] == box.calls


def test_signalling_the_stop_is_optional():
    """An implementation that has nothing to do ahead of `stop` writes nothing."""
    box = Recorded()

    box.signal_stop()

    assert [] == box.calls


class Given(Outbox[int]):
    """An outbox that gives the numbers it was made with, and then is stopped."""

    def __init__(self, *items: int) -> None:
        self.items = [*items]
        self.blocked: list[bool] = []

    def get(self, block=True, timeout=None):
        self.blocked.append(block)
        if not self.items:
            raise MailBoxShuttingDown
        return self.items.pop(0)

    def _put_back(self, items, since):
        self.items[:0] = items

    async def async_get_batch(self, max_items):
        return [self.get() for _ in range(max_items)]

    def qsize(self):
        return len(self.items)

    get_batch = _look = _take_into = _add_listener = _remove_listener = unused


def test_an_outbox_has_the_rest_of_the_contract_for_nothing():
    """From `get`, `async_get_batch` and `qsize`."""
    outbox = Given(1, 2, 3)

    assert 1 == outbox.get_nowait()
    assert [False] == outbox.blocked
    assert not outbox.empty()
    assert [2, 3] == list(outbox)
    assert outbox.empty()


def test_a_hand_gives_back_what_is_in_it():
    """But for a place that was made for an item which did not come; an empty hand, nothing."""
    outbox = Given(3)
    hand: Hand[int] = Hand()
    hand.put_back()
    hand.outbox, hand.since = outbox, 0
    hand.extend([1, None, 2])

    hand.put_back()

    assert [1, 2, 3] == outbox.items
