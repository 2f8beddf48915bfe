"""The journal: opening and refusing a file, closing it, copies, forks."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from durable import Boxes, closing_connection, open_journal
from lnmailbox import JournalError, SQLiteJournal
from lnmailbox.keeping import channels, commits
from lnmailbox.keeping.sqlite import JournalFile
from lnmailbox.testing.conformance.base import add, key, numbers


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
    monkeypatch.setattr(channels, "_REPORT", 10)
    caplog.set_level("INFO", "lnmailbox")
    open_journal(path).close()

    assert [f"{path}: {count} packets read" for count in (10, 20)] == caplog.messages


def test_on_macos_a_commit_waits_for_the_disk_itself(path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")

    with open_journal(path) as journal:
        assert (1,) == journal._file.connection.execute("PRAGMA fullfsync").fetchone()


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


def test_a_close_that_is_interrupted_can_be_repeated(path, monkeypatch):
    journal = open_journal(path)
    close = JournalFile.close
    strikes = [KeyboardInterrupt]

    def interrupted_once(file):
        if strikes:
            raise strikes.pop()
        close(file)

    monkeypatch.setattr(JournalFile, "close", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        journal.close()
    journal.close()

    open_journal(path).close()


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
from lnmailbox.testing.conformance.base import add, key
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
