"""Durable mailboxes: deadlines as dates, what is held, names, the file of the first version."""

from __future__ import annotations

import shutil

import pytest

from durable import FULL, Boxes, Fault
from lnmailbox import JournalError, MailBoxShuttingDown, ManualClock
from lnmailbox.testing import Call, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, key, numbers, settle
from lnmailbox.wire import ShortChannelID

HOUR = 3600.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


@pytest.mark.parametrize(
    "hours_away, clock_start, left",
    [
        (0.0, 1000.0, EXPIRY),
        (0.5 / 60, 5.0, EXPIRY / 2),
        (0.5 / 60, 1e9, EXPIRY / 2),
        (1.0, 1000.0, 0.0),
        (-1.0, 1000.0, EXPIRY),
    ],
    ids=["at once", "clock back", "clock ahead", "long away", "date set back"],
)
def test_deadlines_outlive_the_process_as_dates(path, hours_away, clock_start, left):
    """Whatever the clocks did: never more than one expiry again."""
    today = 1.7e9
    node = Boxes(path, wall_clock=ManualClock(today))
    node.box().add_packets([add(1), settle(2)])
    node = node.after(wall_clock=ManualClock(today + hours_away * HOUR))
    node.clock._now_ns = round(clock_start * 1e9)
    box = node.box()
    box.reset_packets()
    if left:
        node.clock.advance(left - 1e-9)
        wait_until_quiet(node.clock)
        assert [] == node.switch.fails_so_far()
        node.clock.advance(1e-9)
    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
    assert [2] == numbers(drain(box.packet_outbox))
    node.close()


def test_a_clock_that_is_set_back_keeps_each_deadline(path):
    node = Boxes(path)
    box = node.box()
    box.add_packet(add(1))
    node.clock._now_ns -= 30 * 10**9
    box.add_packet(add(2))
    node.clock.advance(EXPIRY)
    assert [2] == node.switch.next_fails(1)
    node.clock.advance(30)
    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
    node.close()


def test_ages_outlive_the_process(path):
    node = Boxes(path, wall_clock=ManualClock(1.7e9))
    node.box().add_packets([settle(1), add(2)])
    node = node.after(wall_clock=ManualClock(1.7e9 + 10))

    statistics = node.box().statistics()
    assert (10.0, 10.0) == (statistics.oldest_reply_age, statistics.oldest_add_age)
    node.close()


def test_a_deadline_that_no_date_can_have_is_the_latest_date(path):
    node = Boxes(path)
    box = node.box(expiry=1e15)
    box.add_packet(add(1))
    (row,) = node.journal._file.packets()

    assert 2**63 - 1 == row.date_ns
    node.close()


def test_a_mailbox_that_waits_for_a_reset_says_so(path):
    node = Boxes(path)
    node.box().add_packets([settle(1), add(2)])
    assert 0 == node.box().statistics().packets_held
    node = node.after()
    box = node.box()
    box.add_packet(add(3))
    drain(box.packet_outbox)

    assert [key(1), key(2)] == box.held()
    assert 2 == box.statistics().packets_held
    assert "waits for reset_packets: 2 packets of an earlier process" in box.describe()
    box.nack_packet(key(2))
    assert [key(1)] == box.held()
    box.reset_packets()
    drain(box.packet_outbox)
    assert [] == box.held()
    assert "waits" not in box.describe()
    node.close()


def test_ids_of_64_bits_outlive_the_process(path):
    large = [add((1 << 63) - 1), add(1 << 63), settle((1 << 64) - 1)]
    for packet in large[1:]:
        packet.incoming_chan_id = ShortChannelID.from_int((1 << 64) - 1)
    keys = [packet.in_key for packet in large]
    node = Boxes(path)
    node.box().add_packets(large)
    node = node.after()
    box = node.box()

    assert [keys[2], *keys[:2]] == box.held()
    assert box.has_packet(keys[2])
    assert 3 == box.ack_packets(keys)
    node.close()


def test_a_held_reply_can_be_given_back_beside_an_add_with_its_key(path):
    node = Boxes(path)
    node.box().add_packets([add(1), settle(1)])
    node = node.after()
    assert node.box().nack_packet(key(1))
    assert not node.box().nack_packet(key(7))

    assert [1] == numbers(drain(node.box().packet_outbox))
    node.close()


def test_what_is_held_can_not_be_given_back_after_the_stop(path):
    """As in every mailbox, though the file was closed as well."""
    node = Boxes(path)
    node.box().add_packet(add(1))
    node = node.after()
    box = node.box()
    node.close()

    with pytest.raises(MailBoxShuttingDown):
        box.nack_packet(key(1))


def test_dust_counts_what_is_held(path):
    node = Boxes(path)
    node.box().add_packet(add(1, amount=5000))
    node = node.after()
    box = node.box()
    assert (0, 0) == box.dust_packets()
    box.set_dust_closure(lambda fee_rate, incoming, party, amount_sat: True)

    assert (5000, 5000) == box.dust_packets()
    node.close()


def test_a_name_outlives_the_process(path):
    """One that is bound is stored, whether there was mail before or not."""
    name = ShortChannelID(1, 2, 3)
    for number, first in ((1, "add"), (2, "name")):
        node = Boxes(path)
        box = node.box(number, short_chan_id=ShortChannelID())
        if first == "add":
            box.add_packet(add(1))
            box.short_chan_id = name
        else:
            box.short_chan_id = name
            box.add_packet(add(1))
        node = node.after(killed=True)
        assert name == node.journal.short_chan_id_of(number.to_bytes(32, "big"))
        assert name == node.box(number, short_chan_id=ShortChannelID()).short_chan_id
        path = node.path
        other = ShortChannelID(4, 5, 6)
        node.close()
        node = Boxes(path)
        assert other == node.box(number, short_chan_id=other).short_chan_id
        node.box(number).add_packet(add(2))
        node.box(number).short_chan_id = other
        node = node.after()
        assert other == node.journal.short_chan_id_of(number.to_bytes(32, "big"))
        node.close()


def test_the_order_of_arrival_outlives_several_processes(path):
    node = Boxes(path)
    node.box().add_packets([add(3), add(1)])
    node = node.after()
    node.box().add_packet(add(2))
    node.box().ack_packet(key(3))
    node = node.after()
    node.box().add_packet(add(0))
    node.box().reset_packets()

    assert [1, 2, 0] == numbers(drain(node.box().packet_outbox))
    node.close()


def test_a_file_of_the_first_version_is_read(path, project):
    """It stays as it is for ever."""
    shutil.copyfile(project / "tests" / "data" / "version1.journal", path)
    node = Boxes(path, wall_clock=ManualClock(1.7e9))
    box = node.box()
    box.reset_packets()

    assert [2, 1] == numbers(drain(box.packet_outbox))
    assert [3] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
    node.close()


def test_a_name_that_may_not_be_on_disk_is_looked_up_there(path, monkeypatch):
    """After an interrupt, before the commit or after it."""
    node = Boxes(path)
    node.box().add_packet(add(1))
    write = node.journal._file.write
    names = ShortChannelID(1, 1, 1), ShortChannelID(2, 2, 2)

    def interrupted(rows):
        if names[1] == rows["channels"][0][2]:
            write(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(node.journal._file, "write", interrupted)
    for name in names:
        with pytest.raises(KeyboardInterrupt):
            node.box().short_chan_id = name
        kept = node.journal._file.channel_ids()[0][2]
        assert (name == names[1]) is (kept == name)
    monkeypatch.undo()
    node.close()


def test_a_name_that_could_not_be_written_is_written_by_the_next_call(path):
    name, before = ShortChannelID(1, 1, 1), ShortChannelID()
    node = Boxes(path)
    box = node.box(short_chan_id=before)
    box.add_packet(add(1))
    fault = Fault(node, FULL)
    with pytest.raises(JournalError, match="full"):
        box.short_chan_id = name
    assert before == box.short_chan_id
    fault.on = False
    box.short_chan_id = name
    node = node.after(killed=True)

    assert name == node.journal.short_chan_id_of(bytes(31) + b"\1")
    node.close()


def test_a_name_that_comes_while_the_first_packet_is_on_its_way_is_written(path):
    name = ShortChannelID(1, 1, 1)
    node = Boxes(path)
    box = node.box(short_chan_id=ShortChannelID())
    with node.journal.transaction():
        adding = blocked(box.add_packet, add(1))
        naming = blocked(setattr, box, "short_chan_id", name)
    adding.result()
    naming.result()
    node = node.after(killed=True)

    assert name == node.journal.short_chan_id_of(bytes(31) + b"\1")
    node.close()


def test_a_closed_file_can_be_opened_though_threads_live_that_have_written_into_it(path):
    """Without the GIL, an object of a thread that sleeps is freed when the thread wakes up."""
    node = Boxes(path)
    box, gate = node.box(), Gate()

    def add_and_sleep():
        box.add_packet(add(1))
        gate.pass_through()

    thread = Call(add_and_sleep)
    gate.wait_until_reached()
    node.box().ack_packet(key(1))
    node.close()
    Boxes(path).close()
    gate.open()
    thread.result()


def test_at_the_interpreters_end_a_stop_waits_for_no_disk(path, monkeypatch):
    """The thread that has the turn is frozen, perhaps inside a transaction."""
    node = Boxes(path)
    box = node.box()
    with node.journal.transaction(), monkeypatch.context() as patch:
        patch.setattr(type(box), "_is_finalizing", lambda self: True)
        box.stop()

    assert not box._life.stopped
    node.close()
