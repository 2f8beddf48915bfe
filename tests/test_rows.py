"""A shelf whose packets have rows."""

from __future__ import annotations

import pytest

from lnmailbox import PacketAlreadyExists
from lnmailbox.keeping.entry import Entry
from lnmailbox.keeping.rows import ON_DISK, RowShelf, fill
from lnmailbox.testing.conformance.base import add, key, numbers


@pytest.fixture
def shelf():
    return RowShelf()


def admit(shelf, *packets, first=1, deadline=100):
    entries = shelf.admit_rows(packets, deadline)
    for number, entry in enumerate(entries.values(), first):
        entry.number = number
    shelf.coming.update(entries)
    return list(entries.values())


def test_what_is_coming_is_not_there_but_has_its_key(shelf):
    admit(shelf, add(1))

    assert [] == shelf.packets()
    for packets in ([add(1)], [add(2), add(2)]):
        with pytest.raises(PacketAlreadyExists):
            shelf.admit_rows(packets, 100)
    shelf._check()


def test_publishing_may_be_interrupted_anywhere_and_done_again(shelf):
    """Nothing is there twice, and what was acked meanwhile does not come back."""
    entries = admit(shelf, add(1), add(2), add(3))
    shelf.publish_rows(entries[:1])
    shelf._round.waiting.append(entries[1])
    shelf._latest = 100
    shelf.publish_rows(entries)
    shelf._check()
    shelf.ack(key(1))
    shelf.publish_rows(entries)
    shelf._check()

    assert {} == shelf.coming
    assert [2, 3] == numbers(shelf.packets())
    assert [2, 3] == [shelf.take(0).incoming_htlc_id for _ in range(2)]


def test_what_did_not_come_leaves_its_key(shelf):
    """Unless another packet has it by now."""
    old = admit(shelf, add(1))
    shelf.forget_rows(old)
    new = admit(shelf, add(1), first=2)
    shelf.forget_rows(old)

    assert new == list(shelf.coming.values())


def test_deadlines_may_be_out_of_order(shelf):
    shelf.publish_rows(admit(shelf, add(1)))
    shelf.publish_rows(admit(shelf, add(2), first=2, deadline=50))

    assert 50 == shelf.next_deadline()
    shelf._check()


def test_the_next_deadline_may_be_behind_a_packet_that_came_late(shelf):
    """The late one has the place of its row. The clock went back after it was admitted."""
    late = admit(shelf, add(1), first=1, deadline=120)
    shelf.publish_rows(admit(shelf, add(2), first=2, deadline=100))
    shelf.publish_rows(late)

    assert [1, 2] == numbers(shelf.packets())
    assert 100 == shelf.next_deadline()
    shelf._check()


def test_packets_that_were_read_are_filled_in_once():
    """Another thread may have been faster; then its packets stay."""
    first, second, third = (entry(number) for number in (1, 2, 3))
    first.packet = packet = add(1)

    assert [key(3)] == fill([first, second, third], {1: add(1), 2: add(2)})
    assert packet is first.packet
    assert [2] == numbers([second.packet])


def entry(number):
    entry = Entry()
    entry.number = number
    entry.key = key(number)
    entry.packet = ON_DISK
    return entry
