"""Durable mailboxes on disks that are full or broken, and with rows that nobody can read."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from durable import FSYNC, FULL, Boxes, Connection, Fault, kill, open_journal, sqlite_error
from lnmailbox import JournalError
from lnmailbox.keeping import commits
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.testing import blocked
from lnmailbox.testing.conformance.base import add, drain, key, numbers, settle


@pytest.fixture
def node(tmp_path):
    node = Boxes(tmp_path / "journal")
    yield node
    node.close()


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


@pytest.mark.parametrize(
    "name, text",
    [
        ("SQLITE_FULL", "database or disk is full"),
        ("SQLITE_BUSY", "database is locked"),
        ("SQLITE_READONLY_DBMOVED", "attempt to write a readonly database"),
        ("SQLITE_TOOBIG", "string or blob too big"),
    ],
)
def test_after_an_error_that_passes_all_goes_on(node, name, text):
    """Adds have not happened, acks are in effect, and Fails are tried again."""
    box = node.box()
    box.add_packets([add(1), add(2), settle(3)])
    fault = Fault(node, sqlite_error(name, text))
    for call in (lambda: box.add_packet(add(4)), lambda: box.ack_packet(key(3))):
        with pytest.raises(JournalError, match=text):
            call()
    assert not box.fail_add(add(2))
    assert [1, 2] == numbers(box.unacked())
    fault.on = False

    assert box.fail_add(add(2))
    box.add_packet(add(4))
    node.journal.flush()
    assert [1, 4] == [row.key.htlc_id for row in node.journal._file.packets()]
    assert [1, 4] == numbers(drain(box.packet_outbox))


def test_a_disk_that_becomes_read_only_refuses_changes_until_it_is_writable_again(node):
    box = node.box()
    box.add_packets([add(1), add(2)])
    execute = node.journal._file.connection.execute
    execute("PRAGMA query_only = ON")
    for call in (lambda: box.add_packet(add(3)), lambda: box.ack_packet(key(1))):
        with pytest.raises(JournalError, match="attempt to write a readonly database"):
            call()
    assert [2] == numbers(drain(box.packet_outbox))
    execute("PRAGMA query_only = OFF")

    box.add_packet(add(3))
    assert [key(2), key(3)] == [row.key for row in node.journal._file.packets()]


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
def test_a_leader_without_memory_has_done_nothing_and_the_others_go_on(node, statement):
    """SQLite that has no memory is a `MemoryError`."""
    boxes = [node.box(number) for number in (1, 2, 3)]
    token = object()
    assert node.journal._has_turn(token)
    calls = [
        blocked(box.add_packets, [add(number), settle(number)]) for number, box in enumerate(boxes)
    ]
    strikes = [statement]

    def strike(sql):
        if strikes and sql.startswith(statement):
            strikes.clear()
            raise MemoryError

    Connection(node.journal, strike)
    node.journal._release(token)

    results = []
    for call in calls:
        try:
            results.append(call.result())
        except MemoryError:
            results.append(MemoryError)
    assert [None, None] == [result for result in results if result is not MemoryError]
    for result, box in zip(results, boxes, strict=True):
        assert (0 if result is MemoryError else 2) == box.packet_outbox.qsize()
    assert 4 == len(list(node.journal._file.packets()))


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


def test_a_codec_that_is_none_breaks_nothing_else(tmp_path):
    """SQLite would refuse what is no bytes, and the journal would have to be opened again."""
    encoded, decoded = [None], [None]

    class Codec(PacketCodec):
        def encode(self, packet):
            return encoded[0] if encoded else super().encode(packet)

        def decode(self, data):
            return decoded[0] if decoded else super().decode(data)

    node = Boxes(tmp_path / "journal", codec=Codec())
    with pytest.raises(TypeError, match="^encode of the codec must return bytes, got None"):
        node.box().add_packet(add(1))
    encoded.clear()
    node.box(2).add_packet(add(2))
    node = node.after()
    with pytest.raises(JournalError, match="can't be decoded"):
        node.box(2).reset_packets()
    decoded.clear()
    node.box(2).reset_packets()

    assert [2] == numbers(drain(node.box(2).packet_outbox))
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


def test_what_memory_does_not_suffice_to_decode_is_read_later(node, monkeypatch):
    """It is not taken for damage."""
    node.box().add_packet(add(1))
    node = node.after()
    with monkeypatch.context() as patch:
        patch.setattr(node.journal, "decode", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            node.box().reset_packets()

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
