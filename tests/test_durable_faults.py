"""Disks that are full or broken, and crashes at every statement and every page of the log."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import suppress

import pytest

from durable import Boxes, Connection, kill, open_journal, sqlite_error
from lnmailbox import JournalError
from lnmailbox.keeping import commits
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.testing import blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, key, numbers, settle
from lnmailbox.wire import TemporaryNodeFailure

FULL = sqlite_error("SQLITE_FULL", "database or disk is full")
FSYNC = sqlite_error("SQLITE_IOERR_FSYNC", "disk I/O error")


@pytest.fixture
def node(tmp_path):
    node = Boxes(tmp_path / "journal")
    yield node
    node.close()


class Fault:
    """Raises an error at each statement that begins so, while it is `on`."""

    def __init__(self, node, error, start=""):
        self.on = True
        self.error = error
        self.start = start
        Connection(node.journal, self.strike)

    def strike(self, sql):
        if self.on and sql.startswith(self.start) and not sql.startswith("ROLLBACK"):
            raise self.error


def test_adds_to_a_full_disk_have_not_happened(node):
    """And happen again when there is room."""
    box = node.box()
    execute = node.journal._file.connection.execute
    (pages,) = execute("PRAGMA page_count").fetchone()
    execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="not kept in .*: database or disk is full"):
        box.add_packets([add(number) for number in range(100)])

    assert [] == box.unacked()
    execute("PRAGMA max_page_count = 1000000")
    box.add_packets([add(number) for number in range(100)])
    assert 100 == len(box.packet_outbox.get_batch(200))


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
def test_everybody_who_shared_a_commit_that_failed_gets_the_error(node, statement):
    boxes = [node.box(number) for number in (1, 2, 3)]
    token = object()
    assert node.journal._has_turn(token)
    calls = [
        blocked(box.add_packets, [add(number), settle(number)]) for number, box in enumerate(boxes)
    ]
    fault = Fault(node, FULL, statement)
    node.journal._release(token)

    for call in calls:
        with pytest.raises(JournalError, match="full"):
            call.result()
    assert [0, 0, 0] == [box.packet_outbox.qsize() for box in boxes]
    fault.on = False
    for number, box in enumerate(boxes):
        box.add_packets([add(number), settle(number)])
        assert [number, number] == numbers(drain(box.packet_outbox))


def test_an_ack_that_could_not_be_written_goes_with_the_next_commit(node):
    box = node.box()
    box.add_packets([add(1), add(2)])
    fault = Fault(node, FULL)
    with pytest.raises(JournalError):
        box.ack_packet(key(1))
    assert [2] == numbers(drain(box.packet_outbox))
    fault.on = False

    box.add_packet(add(3))
    node.journal.flush()
    with open_journal(kill(node.journal, node.path)) as journal:
        assert [2, 3] == [row.key.htlc_id for row in journal._file.packets()]


def test_a_fail_that_can_not_be_decided_leaves_the_add_and_is_tried_again(node, caplog):
    box = node.box()
    box.add_packets([add(1), add(2)])
    fault = Fault(node, FULL)

    assert not box.fail_add(add(1))
    assert [1, 2] == numbers(box.unacked())
    assert [] == node.switch.fails_so_far()
    assert "full" in caplog.text

    node.clock.advance(EXPIRY)
    wait_until_quiet(node.clock)
    assert "2 Adds could not be failed" in box.describe()
    fault.on = False
    node.clock.advance(64 * EXPIRY)
    assert [1, 2] == sorted(node.switch.next_fails(2))
    wait_until_quiet(node.clock)
    assert [] == box.unacked()


def test_after_a_failed_fsync_the_journal_has_to_be_opened_again(node):
    box = node.box()
    box.add_packets([add(1), add(2)])
    fault = Fault(node, FSYNC, "INSERT")
    with pytest.raises(JournalError, match="disk I/O error"):
        box.add_packet(add(3))
    fault.on = False

    for call in (lambda: box.add_packet(add(4)), lambda: box.ack_packet(key(1))):
        with pytest.raises(JournalError, match="has to be opened again: disk I/O error"):
            call()

    assert [1, 2] == numbers(drain(box.packet_outbox))
    node = node.after()
    assert [key(1), key(2)] == node.box().held()
    node.box().add_packet(add(3))
    node.close()


def test_a_disk_that_cannot_be_read_after_an_interrupt_breaks_the_journal(node, monkeypatch):
    """Nobody can know whether it was written."""
    box = node.box()
    real = node.journal._file.write

    def interrupted(rows):
        real(rows)
        raise KeyboardInterrupt

    def unreadable(rows):
        raise FSYNC

    monkeypatch.setattr(node.journal._file, "write", interrupted)
    monkeypatch.setattr(node.journal._file, "has", unreadable)
    with pytest.raises(KeyboardInterrupt):
        box.add_packet(add(1))
    monkeypatch.undo()

    assert [] == box.unacked()
    with pytest.raises(JournalError, match="has to be opened again"):
        box.add_packet(add(2))


def test_an_interrupt_of_the_leader_is_none_of_the_others(node, monkeypatch):
    """They are written by the next one."""
    boxes = [node.box(number) for number in (1, 2)]
    write = node.journal._file.write
    token = object()
    assert node.journal._has_turn(token)
    calls = [blocked(box.add_packet, add(1)) for box in boxes]
    strikes = []

    def interrupted(rows):
        if not strikes:
            strikes.append(1)
            raise KeyboardInterrupt
        write(rows)

    monkeypatch.setattr(node.journal._file, "write", interrupted)
    node.journal._release(token)

    errors = 0
    for call in calls:
        try:
            call.result()
        except KeyboardInterrupt:
            errors += 1
    assert 1 == errors
    assert [1] == [number for box in boxes for number in numbers(box.unacked())]


def test_a_follower_that_is_interrupted_takes_its_packet_back(node, monkeypatch):
    box = node.box()
    token = object()
    assert node.journal._has_turn(token)
    waits = []

    def interrupted(self, timeout):
        waits.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(commits.Bell, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        box.add_packet(add(1))
    monkeypatch.undo()
    node.journal._release(token)

    assert [] == box.unacked()
    box.add_packet(add(1))
    assert [1] == numbers(box.unacked())


def test_a_follower_that_is_interrupted_too_late_waits_for_the_leader(node, monkeypatch):
    """Its packet is in the mailbox then."""
    box, other = node.box(), node.box(2)
    write = node.journal._file.write
    bell_wait = commits.Bell.wait
    calls = []
    token = object()
    assert node.journal._has_turn(token)
    leader = blocked(other.add_packet, add(1))
    writing, go = threading.Event(), threading.Event()

    def held(rows):
        writing.set()
        assert go.wait(20)
        write(rows)

    def wait_and_raise(self, timeout):
        if not calls and threading.current_thread() is threading.main_thread():
            calls.append(1)
            node.journal._release(token)
            assert writing.wait(20)
            go.set()
            raise KeyboardInterrupt
        bell_wait(self, timeout)

    monkeypatch.setattr(node.journal._file, "write", held)
    monkeypatch.setattr(commits.Bell, "wait", wait_and_raise)
    with pytest.raises(KeyboardInterrupt):
        box.add_packet(add(1))
    leader.result()

    assert [1] == numbers(box.unacked())


def test_a_follower_and_its_leader_may_both_be_interrupted(node, monkeypatch):
    """What the leader gives up is written by the follower, which waited for the decision."""
    box, other = node.box(), node.box(2)
    write = node.journal._file.write
    bell_wait = commits.Bell.wait
    token = object()
    assert node.journal._has_turn(token)
    leader = blocked(other.add_packet, add(1))
    writing, go = threading.Event(), threading.Event()
    interrupted = []

    def strike(rows):
        if not interrupted:
            interrupted.append("leader")
            writing.set()
            assert go.wait(20)
            raise KeyboardInterrupt
        write(rows)

    def wait_and_raise(self, timeout):
        if threading.current_thread() is threading.main_thread() and len(interrupted) < 2:
            node.journal._release(token)
            assert writing.wait(20)
            interrupted.append("follower")
            go.set()
            raise KeyboardInterrupt
        bell_wait(self, timeout)

    monkeypatch.setattr(node.journal._file, "write", strike)
    monkeypatch.setattr(commits.Bell, "wait", wait_and_raise)
    with pytest.raises(KeyboardInterrupt):
        box.add_packet(add(1))
    with pytest.raises(KeyboardInterrupt):
        leader.result()
    monkeypatch.undo()

    assert [] == other.unacked()
    assert len(box.unacked()) == len(list(node.journal._file.packets()))


def test_what_could_not_be_published_is_published_by_the_next(node, monkeypatch):
    """It is on disk, and must not be lost in memory."""
    box = node.box()
    publish = type(box)._publish_arrival_locked
    errors = [MemoryError, MemoryError]

    def raise_twice(self, arrival):
        if errors:
            raise errors.pop()
        publish(self, arrival)

    monkeypatch.setattr(type(box), "_publish_arrival_locked", raise_twice)
    with pytest.raises(MemoryError):
        box.add_packet(add(1))
    node.journal._turn = None  # the second error came while the turn was given back
    box.add_packet(add(2))

    assert [1, 2] == numbers(drain(box.packet_outbox))


def test_errors_that_pass_are_known_by_their_texts_too():
    """Python 3.10 has no names for them."""
    for text in ("database or disk is full", "database is locked"):
        assert commits.passes(sqlite3.OperationalError(text))
    assert not commits.passes(sqlite3.OperationalError("disk I/O error"))


def test_a_fail_that_is_left_waits_for_a_thread(node, monkeypatch):
    """If no courier can be had at the start, one is sent for later."""
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(1))
    node.box().fail_add(add(1))
    node = node.after()
    box = node.box()
    desk = box._desk
    wait_until_quiet(node.clock)
    desk._left.append((1, b""))
    with monkeypatch.context() as patch:
        patch.setattr(type(desk._couriers), "send", lambda self, desk: False)
        desk._on_deadline()
    assert desk._left
    node.clock.advance(1)
    wait_until_quiet(node.clock)

    assert not desk._left
    node.close()


def test_a_reader_that_is_interrupted_does_not_keep_the_turn_from_others(node, monkeypatch):
    """Neither if it waits for the turn, nor if it has it."""
    node.box().add_packet(add(1))
    node = node.after()
    box = node.box()
    token = object()
    assert node.journal._has_turn(token)

    def interrupted(self, timeout):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(commits.Bell, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            box.reset_packets()
        with pytest.raises(KeyboardInterrupt):
            box.ack_packet(key(1))
    call = blocked(box.add_packet, add(2))
    node.journal._release(token)
    call.result()
    release = commits.Commits._release
    strikes = []

    def interrupted_once(self, who):
        if not strikes:
            strikes.append(1)
            raise KeyboardInterrupt
        release(self, who)

    with monkeypatch.context() as patch:
        patch.setattr(commits.Commits, "_release", interrupted_once)
        with pytest.raises(KeyboardInterrupt):
            node.journal.parked_rows()
    box.add_packet(add(3))

    assert [2, 3] == numbers(box.unacked())
    node.close()


def test_a_file_that_cannot_be_read_is_an_error(node):
    Fault(node, FSYNC, "SELECT")

    with pytest.raises(JournalError, match="can't read .*: disk I/O error"):
        node.journal.parked_rows()


def test_many_lazy_acks_on_a_full_disk_are_an_error(tmp_path, monkeypatch):
    """They are in effect, and go with a later commit."""
    monkeypatch.setattr(commits, "_MANY", 1)
    node = Boxes(tmp_path / "journal", lazy_acks=True)
    node.box().add_packets([add(1), add(2)])
    fault = Fault(node, FULL)
    node.box().ack_packet(key(1))
    with pytest.raises(JournalError, match="full"):
        node.box().ack_packet(key(2))
    fault.on = False
    assert [] == node.box().unacked()
    node.journal.flush()

    assert [] == list(node.journal._file.packets())
    node.close()


def test_what_cannot_be_encoded_is_refused_and_changes_nothing(tmp_path):
    node = Boxes(tmp_path / "journal", codec=PacketCodec())
    box = node.box()
    with pytest.raises(TypeError, match="obfuscator cannot be kept"):
        box.add_packets([add(1), add(2, obfuscator=node.switch)])

    assert [] == box.unacked()
    assert [] == node.journal.channels()
    node.close()


def test_what_cannot_be_decoded_is_an_error_that_changes_nothing(node):
    box = node.box()
    box.add_packets([add(1), add(2, obfuscator=node.switch)])
    node = node.after(codec=PacketCodec())

    for call in (
        node.box().reset_packets,
        node.box().unacked,
        lambda: node.box().nack_packet(key(2)),
    ):
        with pytest.raises(JournalError, match="packet 2 .*can't be decoded"):
            call()
    assert [key(1), key(2)] == node.box().held()
    assert node.box().ack_packet(key(2))
    node.box().reset_packets()
    assert [1] == numbers(drain(node.box().packet_outbox))
    node.close()


def test_a_row_that_somebody_removed_is_an_error(node):
    node.box().add_packet(add(1))
    node = node.after()
    node.journal._file.connection.execute("DELETE FROM lnmailbox_packet")

    with pytest.raises(JournalError, match=r"HTLC ID=1\) is not in .* any more"):
        node.box().reset_packets()
    node.close()


# Crashes


def history(node):
    """Change a mailbox in every way; yield what is unacked and decided after each change."""
    box = node.box()
    yield lambda: box.add_packet(add(1))
    yield lambda: box.add_packets([add(2), settle(3), add(4)])
    yield lambda: box.ack_packet(key(1))
    yield lambda: box.fail_add(add(2))
    yield lambda: box.add_packets([add(5), add(6)])
    yield lambda: box.ack_packets([key(3), key(5)])
    yield lambda: box.fail_add(add(4))
    yield lambda: box.add_packet(settle(7))


def content(path):
    """Return what the next process finds: ids of packets, and whether each Fail is decided."""
    with open_journal(path) as journal:
        assert [] == journal._file.check()
        packets = [row.key.htlc_id for row in journal._file.packets()]
        fails = [
            journal.codec.decode(data).incoming_htlc_id
            for table, _, data in journal._file.data()
            if table == "fail"
        ]
    return packets, fails


def test_a_crash_at_any_statement_leaves_a_change_done_or_undone(node):
    done = [[]]
    copies = []

    def copy_here(sql):
        target = node.path.with_name(f"crash{len(copies)}")
        for end in ("", "-wal"):
            shutil.copyfile(f"{node.path}{end}", f"{target}{end}")
        copies.append((len(done), target))

    changes = list(history(node))
    Connection(node.journal, copy_here)
    for change in changes:
        change()
        done.append(numbers_in_order(node))
    assert len(copies) > 20

    for number, path in copies:
        packets, fails = content(path)
        assert packets in done[number - 1 : number + 1]
        assert {1, 2, 3, 4, 5, 6, 7} >= {*packets, *fails}
        assert not {*packets} & {*fails}


def numbers_in_order(node):
    entries = [
        entry
        for shelf in (node.box()._reply_rows, node.box()._add_rows)
        for entry in shelf.unacked.values()
    ]
    return [entry.key.htlc_id for entry in sorted(entries, key=lambda entry: entry.number)]


def test_a_log_that_was_cut_off_is_a_beginning_of_what_happened(node):
    """At every page of it, and in the middle of each."""
    states = [[]]
    for change in history(node):
        change()
        states.append(numbers_in_order(node))
    log = node.path.with_name(node.path.name + "-wal")
    size = log.stat().st_size
    found = []
    for end in [*range(32, size, (4096 + 24) // 2), size]:
        copy = node.path.with_name("cut")
        shutil.copyfile(node.path, copy)
        copy.with_name("cut-wal").write_bytes(log.read_bytes()[:end])
        with suppress(JournalError):  # cut off before there was a table
            found.append(content(copy)[0])
    places = [states.index(state) for state in found if state in states]

    assert len(found) == len(places)
    assert sorted(places) == places
    assert len(states) - 1 == places[-1]


def test_a_fail_is_handed_over_again_until_the_switch_has_it(node):
    """Always with the same key and bytes."""
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(1, obfuscator=node.switch))
    node.box().fail_add(add(1))
    assert node.box().has_mail()
    node = node.after(killed=True)
    node.switch.when["forward_packets"] = lambda: 1 / 0
    box = node.box()
    wait_until_quiet(node.clock)
    assert 1 == box.statistics().forward_errors
    assert [] == box.held()

    node = node.after(killed=True)
    node.box()
    fail = node.switch.next_fail()
    wait_until_quiet(node.clock)
    node.journal.flush()

    assert key(1) == fail.in_key
    assert fail.htlc.reason.startswith(b"encrypted:")
    assert "could not add downstream htlc" == str(fail.link_failure)
    assert fail.has_source
    assert not node.box().has_mail()
    node = node.after(killed=True)
    assert [] == node.journal.channels()
    node.close()


def test_a_fail_that_cannot_be_decoded_stays_on_disk(node, caplog):
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(1, obfuscator=node.switch))
    node.box().fail_add(add(1))
    node = node.after(codec=PacketCodec())
    box = node.box()
    wait_until_quiet(node.clock)

    assert 1 == box.statistics().forward_errors
    assert "can't be decoded" in caplog.text
    assert box.has_mail()
    node.close()


def test_a_failure_of_the_applications_own_is_handed_over(node):
    """The file has what the peer gets, without it."""

    class Own(TemporaryNodeFailure):
        pass

    box = node.box(fail_update=lambda outgoing, mailbox: Own())
    box.add_packet(add(1))
    assert box.fail_add(add(1))

    assert type(node.switch.next_fail().link_failure.wire_message) is Own
