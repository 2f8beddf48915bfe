"""Commits that threads share: who writes, who waits, and who is interrupted meanwhile."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from durable import FULL, Boxes, Fault, kill, open_journal
from lnmailbox import JournalError, PacketAlreadyExists
from lnmailbox.keeping import commits
from lnmailbox.keeping.sqlite import JournalFile
from lnmailbox.keeping.tickets import Ticket
from lnmailbox.testing import Call, blocked, run_threads
from lnmailbox.testing.conformance.base import add, drain, key, numbers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.journal"


@pytest.fixture
def node(path):
    node = Boxes(path)
    yield node
    node.close()


def test_one_thread_commits_for_all_that_came_meanwhile(node, monkeypatch):
    boxes = [node.box(number) for number in range(1, 9)]
    commits = []
    first = threading.Event()
    go = threading.Event()
    write = JournalFile.write

    def counted(self, rows):
        commits.append(sum(map(len, rows.values())))
        if len(commits) == 1:
            first.set()
            assert go.wait(20)
        write(self, rows)

    monkeypatch.setattr(JournalFile, "write", counted)
    leader = Call(boxes[0].add_packet, add(1))
    assert first.wait(20)
    followers = [blocked(box.add_packet, add(1)) for box in boxes[1:]]
    assert [0] * 8 == [box.packet_outbox.qsize() for box in boxes]
    go.set()
    for call in [leader, *followers]:
        call.result()

    assert 2 == len(commits)
    assert [1] * 8 == [box.packet_outbox.qsize() for box in boxes]


def test_a_key_that_is_on_its_way_to_the_disk_is_taken(node, monkeypatch):
    box = node.box()
    started, go = hold_up(monkeypatch)
    call = Call(box.add_packet, add(1))
    started.wait(20)

    with pytest.raises(PacketAlreadyExists):
        box.add_packet(add(1))

    stopping = blocked(box.stop)
    go.set()
    call.result()
    stopping.result()
    assert [1] == numbers(box.unacked())


def hold_up(monkeypatch):
    """Hold up the next commit; return an event for its start, and one that lets it go on."""
    started, go = threading.Event(), threading.Event()
    write = JournalFile.write

    def held(self, rows):
        started.set()
        assert go.wait(20)
        write(self, rows)

    monkeypatch.setattr(JournalFile, "write", held)
    return started, go


def test_lazy_acks_go_with_the_next_commit(path):
    node = Boxes(path, lazy_acks=True)
    node.box().add_packets([add(1), add(2)])
    assert node.box().ack_packet(key(1))
    killed = kill(node.journal, path)
    with open_journal(killed) as journal:
        assert 2 == len(list(journal._file.packets()))

    node.box().add_packet(add(3))
    killed = kill(node.journal, path)
    with open_journal(killed) as journal:
        assert [2, 3] == [row.key.htlc_id for row in journal._file.packets()]
    node.close()


def test_many_lazy_acks_are_written_without_a_commit(path, monkeypatch):
    monkeypatch.setattr(commits, "_MANY", 3)
    node = Boxes(path, lazy_acks=True)
    node.box().add_packets([add(number) for number in range(5)])
    for number in range(4):
        node.box().ack_packet(key(number))

    with open_journal(kill(node.journal, path)) as journal:
        assert [4] == [row.key.htlc_id for row in journal._file.packets()]
    node.close()


def test_many_tickets_that_nobody_waits_for_are_written(path, monkeypatch):
    """If they can't be, what has happened in memory is written later."""
    monkeypatch.setattr(commits, "_MANY", 1)
    node = Boxes(path)
    node.box().add_packets([add(number) for number in range(4)])
    submit = node.journal.submit_lazily
    rows = [row.id for row in node.journal._file.packets()]

    submit(Ticket({"gone": [(rows[0],)]}, keeps=True))
    assert 4 == len(list(node.journal._file.packets()))
    submit(Ticket({"gone": [(rows[1],)]}, keeps=True))
    assert rows[2:] == [row.id for row in node.journal._file.packets()]
    fault = Fault(node, FULL)
    with pytest.raises(JournalError, match="full"):
        submit(Ticket({"gone": [(rows[2],), (rows[3],)]}, keeps=True))
    fault.on = False
    node.journal.flush()

    assert [] == list(node.journal._file.packets())
    node.close()


def test_threads_of_many_mailboxes_lose_nothing(path):
    node = Boxes(path)
    boxes = [node.box(number) for number in range(1, 5)]

    def work(box, start):
        for number in range(start, start + 50):
            box.add_packet(add(number))
            if number % 2:
                box.ack_packet(key(number))

    run_threads(
        *(
            lambda box=box, start=start: work(box, start)
            for box in boxes
            for start in (0, 1000, 2000)
        )
    )
    node = node.after(killed=True)

    for number in range(1, 5):
        box = node.box(number)
        expected = [n for start in (0, 1000, 2000) for n in range(start, start + 50, 2)]
        assert expected == sorted(k.htlc_id for k in box.held())
        box.reset_packets()
        for start in (0, 1000, 2000):
            got = [n for n in numbers(box.unacked()) if start <= n < start + 50]
            assert got == sorted(got)
    node.close()


def test_readers_wait_for_the_turn_and_get_it_one_after_the_other(node):
    token = object()
    assert node.journal._has_turn(token)
    calls = [blocked(node.journal.parked_rows) for _ in range(3)]
    calls += [blocked(node.box().add_packet, add(1))]
    node.journal._release(token)

    assert [[], [], [], None] == [call.result() for call in calls]


# Interrupts


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
