"""What can grow in a journal has a bound, on disk and in memory. The table is `docs/bounds.md`."""

from __future__ import annotations

import pytest

from durable import FULL, Boxes, Fault, Life
from lnmailbox import JournalError
from lnmailbox.testing import blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import add, drain, key
from lnmailbox.wire import UpdateAddHTLC
from node import channel

MIB = 1 << 20


@pytest.fixture
def node(tmp_path):
    node = Boxes(tmp_path / "journal")
    yield node
    node.close()


def large(number):
    """Return an Add with its onion."""
    packet = add(number)
    packet.htlc = UpdateAddHTLC(id=number, onion_blob=bytes(1366))
    return packet


def log_size(node):
    return node.path.with_name(f"{node.path.name}-wal").stat().st_size


def pages(node):
    (count,) = node.journal._file.connection.execute("PRAGMA page_count").fetchone()
    return count


def test_the_log_is_written_into_the_file_every_1000_pages(node):
    """And used again from its beginning."""
    box = node.box()
    sizes = []
    for number in range(1_500):
        box.add_packet(large(number))
        box.ack_packet(key(number))
        sizes.append(log_size(node))

    assert 3 * MIB < max(sizes) < 4.5 * MIB
    assert sizes[-1] == max(sizes)


def test_a_large_commit_makes_the_log_large_until_it_is_used_again(node):
    box = node.box()
    box.add_packets([large(number) for number in range(8_000)])
    assert log_size(node) > 10 * MIB
    box.ack_packets([key(number) for number in range(8_000)])
    for number in range(3):
        box.add_packet(large(number))

    assert log_size(node) <= 8 * MIB


def test_packets_that_come_and_go_leave_room_for_the_next(node):
    """Their pages are used again."""
    box = node.box()
    sizes = []
    for _ in range(20):
        box.add_packets([large(number) for number in range(100)])
        box.ack_packets([key(number) for number in range(100)])
        sizes.append(pages(node))

    assert max(sizes[2:]) == sizes[1]


@pytest.mark.parametrize("waits", [True, False])
def test_acks_that_nobody_waits_for_are_1000_at_most(tmp_path, waits):
    """Though a transaction is open for ever: the 1,001st waits for it."""
    node = Boxes(tmp_path / "journal", lazy_acks=True)
    box = node.box()
    box.add_packets([add(number) for number in range(2_500)])
    queued = []

    def ack_all():
        for number in range(2_500):
            box.ack_packet(key(number))
            queued.append(node.journal._lazy)

    if waits:
        with node.journal.transaction():
            call = blocked(ack_all)
            assert 1_001 == node.journal._lazy == len(node.journal._queue)
        call.result()
    else:
        ack_all()

    assert 1_000 <= max(queued) <= 1_000 + waits  # it is told before it is counted out
    assert 0 in queued
    node.close()


def test_acks_that_can_not_be_written_are_as_many_as_the_rows_in_the_file(node):
    """Nothing can be added meanwhile."""
    box = node.box()
    box.add_packets([add(number) for number in range(100)])
    fault = Fault(node, FULL)
    for number in range(100):
        with pytest.raises(JournalError):
            box.ack_packet(key(number))
        assert not box.ack_packet(key(number))
        with pytest.raises(JournalError):
            box.add_packet(add(number))

    assert 100 == sum(len(ticket.rows.get("gone", ())) for ticket in node.journal._queue)
    fault.on = False
    box.add_packet(add(1))
    assert [] == node.journal._queue
    assert [key(1)] == [row.key for row in node.journal._file.packets()]


def test_fails_that_the_switch_refuses_are_on_disk_and_nowhere_else(node):
    """One for each Add. The next process hands them over, and their pages are used again."""
    node.switch.when["forward_packets"] = lambda: 1 / 0
    box = node.box()
    box.add_packets([add(number) for number in range(300)])
    for number in range(300):
        box.fail_add(add(number))
    assert 300 == len(node.journal._file.fail_data())
    assert not box._desk._left
    assert not box._desk._refused
    assert not box._desk._attempts
    before = pages(node)

    node = node.after()
    box = node.box()
    assert list(range(300)) == node.switch.next_fails(300)
    wait_until_quiet(node.clock)
    node.journal.flush()
    assert [] == node.journal._file.fail_data()
    assert not box._desk._left
    box.add_packets([add(number) for number in range(300)])
    assert pages(node) <= before
    node.close()


def test_channels_that_come_and_go_leave_no_rows(tmp_path):
    life = Life(tmp_path / "journal")
    for number in range(1, 51):
        life.node.live(number).add_packet(add(number))
        life.orchestrator.remove_mailbox(channel(number))

    assert [] == life.journal._file.channels()
    assert {} == life.journal._channels
    life.end()


def test_parked_adds_that_expire_for_ever_new_channels_leave_no_rows(tmp_path):
    """Those of the last expiry remain until the next one."""
    life = Life(tmp_path / "journal", parked_expiry=1.0)
    node = life.node
    for number in range(60):
        node.deliver(number, add(number))
        if number % 5 == 0:
            node.clock.advance(1)
            wait_until_quiet(node.clock)
    node.clock.advance(1)
    wait_until_quiet(node.clock)

    assert list(range(60)) == sorted(node.switch.fails_so_far())
    assert len(life.journal._channels) <= 5
    assert len(life.journal._file.channels()) <= 5
    assert {} == life.orchestrator._kept._rows
    life.end()


def test_what_an_earlier_process_left_is_not_in_memory_until_it_is_read(node):
    """Five numbers for each packet, until its mailbox is made."""
    node.box().add_packets([large(number) for number in range(1_000)])
    node = node.after()
    (left,) = node.journal._left.values()

    assert 5 * 1_000 * 8 == len(left) * left.itemsize
    box = node.box()
    assert {} == node.journal._left
    assert 1_000 == len(box._add_rows.unread())
    box.reset_packets()
    assert 1_000 == len(drain(box.packet_outbox))
    node.close()
