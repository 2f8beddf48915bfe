"""The journal: opening, refusing, sharing commits, what goes wrong on disk."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from durable import Boxes, kill, open_journal
from lnmailbox import JournalError, MailBoxConfig, SQLiteJournal
from lnmailbox.keeping import commits
from lnmailbox.keeping.channels import ChannelJournal
from lnmailbox.keeping.sqlite import JournalFile
from lnmailbox.testing import Call, blocked, run_threads
from lnmailbox.testing.conformance.base import CHANNEL, add, drain, key, numbers, settle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.journal"


@pytest.fixture
def node(path):
    node = Boxes(path)
    yield node
    node.close()


# Opening


def test_a_new_file_is_readable_by_its_owner_only(node, path):
    """Its log, too."""
    node.box().add_packet(add(1))

    for name in (path, f"{path}-wal"):
        assert 0o600 == stat.S_IMODE(Path(name).stat().st_mode)


def test_a_file_that_is_open_is_refused_at_once(node, path):
    """In this process, and in another one."""
    with pytest.raises(JournalError, match="somebody has it open"):
        open_journal(path)

    program = f"import lnmailbox; lnmailbox.SQLiteJournal({str(path)!r})"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert 1 == run.returncode
    assert "JournalError" in run.stderr
    assert "somebody has it open" in run.stderr

    node.box().add_packet(add(1))


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"no database" * 1000)

    with pytest.raises(JournalError, match="file is not a database"):
        open_journal(path)

    assert b"no database" * 1000 == path.read_bytes()


@pytest.mark.parametrize("at", [100, 4096, 3 * 4096, 6 * 4096])
def test_a_damaged_file_is_refused_or_says_what_is_damaged(path, at):
    """It is never half read."""
    node = Boxes(path)
    node.box().add_packets([add(number) for number in range(100)])
    node.close()
    data = bytearray(path.read_bytes())
    data[at : at + 3000] = b"\xa5" * 3000
    path.write_bytes(data)

    with pytest.raises(JournalError):
        read_all(path)


def read_all(path):
    node = Boxes(path)
    try:
        node.box().reset_packets()
    finally:
        node.close()


def test_a_table_with_other_columns_is_refused(path):
    with closing_connection(path) as connection:
        connection.execute("CREATE TABLE lnmailbox_meta (name)")

    with pytest.raises(JournalError, match="lnmailbox_meta has the columns name"):
        open_journal(path)


def test_a_file_without_a_version_is_refused(path):
    open_journal(path).close()
    with closing_connection(path) as connection:
        connection.execute("DELETE FROM lnmailbox_meta")

    with pytest.raises(JournalError, match="of which version"):
        open_journal(path)


def test_a_file_of_a_newer_version_is_refused(path):
    open_journal(path).close()
    with closing_connection(path) as connection:
        connection.execute("UPDATE lnmailbox_meta SET value = 2 WHERE name = 'version'")

    with pytest.raises(JournalError, match="version 2.*a newer lnmailbox wrote it"):
        open_journal(path)


@pytest.mark.parametrize("table", ["packet", "fail"])
def test_rows_of_a_channel_that_is_not_there_are_damage(path, table):
    node = Boxes(path)
    node.box().add_packet(add(1))
    node.close()
    with closing_connection(path) as connection:
        if table == "fail":
            connection.execute(
                "INSERT INTO lnmailbox_fail SELECT id, channel, data FROM lnmailbox_packet"
            )
            connection.execute("DELETE FROM lnmailbox_packet")
        connection.execute("DELETE FROM lnmailbox_channel")

    with pytest.raises(JournalError, match="packets of channel 1, which is not there"):
        open_journal(path)


def test_a_channel_id_of_another_length_is_damage(path):
    node = Boxes(path)
    node.box().add_packet(add(1))
    node.close()
    with closing_connection(path) as connection:
        connection.execute("UPDATE lnmailbox_channel SET chan_id = x'00'")

    with pytest.raises(JournalError, match="is damaged"):
        open_journal(path)


def closing_connection(path):
    import contextlib

    @contextlib.contextmanager
    def connect():
        connection = sqlite3.connect(path)
        with connection:
            yield connection
        connection.close()

    return connect()


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_place_without_a_file_is_refused(tmp_path, kind):
    path = tmp_path / "missing" / "journal" if kind == "missing" else tmp_path

    with pytest.raises(JournalError, match="can't open the journal"):
        open_journal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_without_permission_is_refused(path):
    open_journal(path).close()
    path.chmod(0o400)

    with pytest.raises(JournalError, match="readonly database"):
        open_journal(path)


def test_sync_is_full_or_normal(path):
    with pytest.raises(ValueError, match="sync must be 'full' or 'normal', got 'off'"):
        SQLiteJournal(path, sync="off")
    assert not path.exists()


def test_an_interrupted_opening_leaves_the_file_to_the_next(path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(JournalFile, "channel_ids", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_journal(path)
        patch.undo()
        patch.setattr(JournalFile, "_require_version", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_journal(path)

    open_journal(path).close()


def test_opening_a_large_file_is_logged(path, caplog, monkeypatch):
    node = Boxes(path)
    node.box().add_packets([add(number) for number in range(25)])
    node.close()
    from lnmailbox.keeping import channels

    monkeypatch.setattr(channels, "_REPORT", 10)
    caplog.set_level("INFO", "lnmailbox")
    open_journal(path).close()

    assert [f"{path}: {count} packets read" for count in (10, 20)] == caplog.messages


def test_on_macos_a_commit_waits_for_the_disk_itself(path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")

    with open_journal(path) as journal:
        assert (1,) == journal._file.connection.execute("PRAGMA fullfsync").fetchone()


# Channels


def test_a_durable_mailbox_needs_a_channel_id(node):
    config = MailBoxConfig(
        short_chan_id=CHANNEL,
        fetch_update=node.switch.fetch_update,
        forward_packets=node.switch.forward_packets,
    )
    with pytest.raises(ValueError, match=r"needs config\.chan_id, got None"):
        node.journal.mailbox(config)


def test_a_channel_has_one_mailbox(node):
    node.box().add_packet(add(1))
    box = node.boxes.pop(1)

    with pytest.raises(JournalError, match="has a mailbox already"):
        node.box()

    box.stop()
    box.ack_packet(key(9))
    node.box().reset_packets()
    assert [1] == numbers(drain(node.box().packet_outbox))
    with pytest.raises(JournalError, match="has another mailbox by now"):
        box.ack_packet(key(1))


def test_a_channel_is_given_to_one_of_two_threads(node, monkeypatch):
    """Whichever comes first."""
    node.box().add_packet(add(1))
    first = node.boxes.pop(1)
    first.stop()
    read = ChannelJournal._read_again
    late = []

    def read_again(self, number):
        found = read(self, number)
        if not late:
            late.append(1)
            node.box()
        return found

    monkeypatch.setattr(ChannelJournal, "_read_again", read_again)
    with pytest.raises(JournalError, match="is being given to another mailbox"):
        Boxes.box(node, 1, expiry=1.0)
    assert [key(1)] == node.box().held()


def test_channels_with_mail_are_listed(node):
    """Those of an earlier process, and those of this one."""
    for number in (1, 2, 3, 4):
        node.box(number).add_packet(add(number))
    node.box(2).ack_packet(key(2))
    node.box(3).fail_add(add(3))

    def names():
        return [int.from_bytes(chan_id, "big") for chan_id in node.journal.channels()]

    assert [1, 4] == names()
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box(4).fail_add(add(4))
    assert [1, 4] == names()
    del node.boxes[1]
    import gc

    gc.collect()
    assert [1, 4] == names()

    node = node.after()
    assert [1, 4] == [int.from_bytes(chan_id, "big") for chan_id in node.journal.channels()]
    assert CHANNEL == node.journal.short_chan_id_of(node.journal.channels()[0])
    node.close()


# Commits


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
    from lnmailbox import PacketAlreadyExists

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


# Closing, copies, forks


def test_a_closed_journal_is_refused_and_nothing_changes(node):
    box = node.box()
    box.add_packets([add(1), add(2)])
    node.journal.close()
    node.journal.close()

    for call in (
        lambda: box.add_packet(add(3)),
        lambda: box.ack_packet(key(1)),
        lambda: node.box(2),
        lambda: node.journal.backup("x"),
        lambda: node.journal.transaction().__enter__(),
        node.journal.parked_rows,
    ):
        with pytest.raises(JournalError, match="is closed"):
            call()

    assert not box.fail_add(add(1))
    assert [1, 2] == numbers(box.unacked())
    assert "is closed" in repr(node.journal)


def test_a_closed_journal_cannot_read_what_an_earlier_process_left(path):
    node = Boxes(path)
    node.box().add_packet(add(1))
    node = node.after()
    box = node.box()
    node.journal.close()

    with pytest.raises(JournalError, match="is closed"):
        box.reset_packets()
    node.close()


def test_a_backup_can_be_opened_while_its_journal_goes_on(node, tmp_path, monkeypatch):
    boxes = [node.box(number) for number in (1, 2)]
    boxes[0].add_packets([add(number) for number in range(2000)])
    copy = tmp_path / "copy"
    release = commits.Commits._release
    added = []

    def release_and_let(self, who):
        release(self, who)
        if type(who) is object and not added:
            added.append(1)
            boxes[1].add_packet(add(1))

    monkeypatch.setattr(commits.Commits, "_release", release_and_let)
    node.journal.backup(copy)

    assert 0o600 == stat.S_IMODE(copy.stat().st_mode)
    with open_journal(copy) as journal:
        assert 2001 == len(list(journal._file.packets()))
        assert [] == journal._file.check()
    with pytest.raises(JournalError, match="File exists"):
        node.journal.backup(copy)


def test_a_backup_that_fails_leaves_no_file(node, tmp_path, monkeypatch):
    node.box().add_packets([add(number) for number in range(2000)])
    copy = tmp_path / "copy"
    release = commits.Commits._release

    def release_and_close(self, who):
        release(self, who)
        if type(who) is object and self._trouble is None:
            self._trouble = "is closed"

    with monkeypatch.context() as patch:
        patch.setattr(commits.Commits, "_release", release_and_close)
        with pytest.raises(JournalError, match="is closed"):
            node.journal.backup(copy)
    assert not copy.exists()

    node.journal._trouble = None
    monkeypatch.setattr(node.journal._file, "connection", sqlite3.connect(":memory:"))
    node.journal._file.connection.close()
    with pytest.raises(JournalError, match="can't write the backup"):
        node.journal.backup(copy)
    assert not copy.exists()
    monkeypatch.undo()

    copy.write_bytes(b"")
    with pytest.raises(JournalError, match="can't write the backup"):
        node.journal.backup(copy)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_cannot_use_the_journal_and_does_no_harm(path):
    """Not even when it ends and its connection would be closed."""
    program = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from durable import open_journal
from durable import Boxes
from lnmailbox import JournalError
from lnmailbox.testing.conformance.base import add
from pathlib import Path
node = Boxes(Path({str(path)!r}))
node.box().add_packet(add(1))
if os.fork() == 0:
    try:
        node.box().add_packet(add(2))
    except JournalError as error:
        print(error, flush=True)
    del node
    sys.exit()
os.wait()
node.box().add_packet(add(3))
os._exit(0)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "was opened by the parent" in run.stdout, run.stderr

    with open_journal(path) as journal:
        assert [1, 3] == [row.key.htlc_id for row in journal._file.packets()]


# Looking at a file


def test_rows_can_be_listed(path):
    node = Boxes(path)
    node.box().add_packets([settle(2), add(1)])
    node.box(2).add_packet(add(2**63))
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box(2).fail_add(add(2**63))
    node.close()
    file = JournalFile(path, read_only=True)

    assert [(1, CHANNEL, 2, 0), (2, CHANNEL, 0, 1)] == [
        (int.from_bytes(row.chan_id, "big"), row.short_chan_id, row.packets, row.fails)
        for row in file.channels()
    ]
    rows = list(file.packets())
    assert [(False, key(2)), (True, key(1))] == [(row.is_add, row.key) for row in rows]
    assert 60 * 10**9 == rows[1].date_ns - rows[0].date_ns
    (fail,) = file.fails()
    assert (2).to_bytes(32, "big") == fail.chan_id
    assert ["packet", "packet", "fail"] == [table for table, _, _ in file.data()]
    assert [] == file.check()
    with pytest.raises(JournalError, match="readonly"):
        file.compact()
    file.close()


def test_a_file_without_a_journal_cannot_be_looked_at(path):
    with pytest.raises(JournalError, match="no such file"):
        JournalFile(path, read_only=True)
    with closing_connection(path) as connection:
        connection.execute("CREATE TABLE something (x)")
    with pytest.raises(JournalError, match="no table lnmailbox_meta"):
        JournalFile(path, read_only=True)


def test_a_file_on_a_read_only_disk_can_be_looked_at(path, monkeypatch):
    """Unless its log was not read into it."""
    node = Boxes(path)
    node.box().add_packet(add(1))
    killed = kill(node.journal, path)
    node.close()
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(JournalError, match="its log has to be read into it"):
        JournalFile(killed, read_only=True)
    file = JournalFile(path, read_only=True)
    assert [key(1)] == [row.key for row in file.packets()]
    file.close()


def test_a_check_tells_what_is_wrong(path):
    node = Boxes(path)
    node.box().add_packets([add(1), add(2)])
    node.close()
    file = JournalFile(path)
    execute = file.connection.execute
    execute("UPDATE lnmailbox_packet SET htlc_id = 1")
    execute("INSERT INTO lnmailbox_channel SELECT 7, chan_id, 0 FROM lnmailbox_channel")
    execute("INSERT INTO lnmailbox_fail VALUES (1, 9, x'00')")
    execute("CREATE TABLE strange (x CHECK (x > 5))")
    execute("PRAGMA ignore_check_constraints = ON")
    execute("INSERT INTO strange VALUES (1)")
    execute("PRAGMA ignore_check_constraints = OFF")

    wrong = file.check()
    file.close()

    assert 4 == len(wrong)
    for text, line in zip(
        ("SQLite: ", "1 rows of lnmailbox_fail", "1 channels", "1 packets"), wrong, strict=True
    ):
        assert line.startswith(text)


def test_a_file_can_be_made_smaller(path):
    node = Boxes(path)
    node.box().add_packets([add(number) for number in range(500)])
    node.box().ack_packets([key(number) for number in range(499)])
    node.close()
    before = path.stat().st_size
    file = JournalFile(path)
    file.compact()
    file.close()

    assert path.stat().st_size < before / 5
    node = Boxes(path)
    assert [key(499)] == node.box().held()
    node.close()


def test_readers_wait_for_the_turn_and_get_it_one_after_the_other(node):
    token = object()
    assert node.journal._has_turn(token)
    calls = [blocked(node.journal.parked_rows) for _ in range(3)]
    calls += [blocked(node.box().add_packet, add(1))]
    node.journal._release(token)

    assert [[], [], [], None] == [call.result() for call in calls]
