"""The file of a journal, as programs look at it that do not run its mailboxes."""

from __future__ import annotations

import os

import pytest

from durable import Boxes, closing_connection, kill
from lnmailbox import JournalError
from lnmailbox.keeping.sqlite import JournalFile
from lnmailbox.testing.conformance.base import CHANNEL, add, key, settle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.journal"


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
