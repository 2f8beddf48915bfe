"""Crashes at every statement, and at every page of the log."""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest

from durable import Boxes, Connection, open_journal
from lnmailbox import JournalError
from lnmailbox.testing.conformance.base import add, key, settle


@pytest.fixture
def node(tmp_path):
    node = Boxes(tmp_path / "journal")
    yield node
    node.close()


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


def logs_at_every_page(log):
    """Yield the log with its end cut off, and with a wrong byte, at every half page."""
    for end in [*range(32, len(log), (4096 + 24) // 2), len(log)]:
        yield end, log[:end]
        if end < len(log):
            yield end, log[:end] + bytes([log[end] ^ 0xFF]) + log[end + 1 :]


def test_a_log_that_was_cut_off_or_damaged_is_a_beginning_of_what_happened(node):
    """SQLite takes a page with a wrong checksum for the end."""
    states = [[]]
    for change in history(node):
        change()
        states.append(numbers_in_order(node))
    log = node.path.with_name(node.path.name + "-wal").read_bytes()
    places = []
    for end, damaged in logs_at_every_page(log):
        copy = node.path.with_name("cut")
        shutil.copyfile(node.path, copy)
        copy.with_name("cut-wal").write_bytes(damaged)
        with suppress(JournalError):  # cut off before there was a table
            places.append((end, states.index(content(copy)[0])))

    assert len(places) > len(log) // (4096 + 24)
    assert sorted(places) == places
    assert len(states) - 1 == places[-1][1]
