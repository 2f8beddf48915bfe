"""The application's rows and changes of mail, in one commit."""

from __future__ import annotations

from contextlib import suppress

import pytest

from durable import Boxes, Connection, kill, open_journal, sqlite_error
from lnmailbox import JournalError
from lnmailbox.keeping import commits
from lnmailbox.testing import Call, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, key, numbers, settle


@pytest.fixture
def node(tmp_path):
    node = Boxes(tmp_path / "journal")
    with node.journal.transaction() as connection:
        connection.execute("CREATE TABLE state (height)")
    yield node
    node.close()


def on_disk(node):
    """Return what the next process would find: the application's rows, and packets."""
    with open_journal(kill(node.journal, node.path)) as journal:
        heights = journal._file.connection.execute("SELECT height FROM state").fetchall()
        return [height for (height,) in heights], [
            row.key.htlc_id for row in journal._file.packets()
        ]


def test_rows_acks_and_adds_are_one_commit(node):
    box, other = node.box(), node.box(2)
    box.add_packets([settle(1), add(2), add(3)])
    with node.journal.transaction() as connection:
        connection.execute("INSERT INTO state VALUES (7)")
        assert box.ack_packet(key(1))
        assert 1 == box.ack_packets([key(2), key(2), key(9)])
        other.add_packets([add(4)])
        assert ([], [1, 2, 3]) == on_disk(node)
        assert [] == drain(other.packet_outbox)

    assert ([7], [3, 4]) == on_disk(node)
    assert [3] == numbers(drain(box.packet_outbox))
    assert [4] == numbers(drain(other.packet_outbox))
    assert not box.ack_packet(key(1))


def test_what_is_acked_in_a_transaction_is_out_of_reach(node):
    """Nobody gets it, or fails it, while the transaction may still go wrong."""
    box = node.box()
    box.add_packets([add(1), settle(2), add(3)])
    with node.journal.transaction():
        box.ack_packets([key(1), key(2)])
        assert [3] == numbers(drain(box.packet_outbox))
        node.clock.advance(EXPIRY)
        wait_until_quiet(node.clock)
    assert [] == node.switch.fails_so_far()


@pytest.mark.parametrize("how", ["raises", "rolls back", "disk full"])
def test_a_transaction_that_fails_changes_nothing(node, how):
    box = node.box()
    box.add_packets([add(1), settle(2), add(3)])
    drain(box.packet_outbox)
    box.nack_packet(key(3))
    faults = []
    Connection(node.journal, lambda sql: fail(sql, faults))
    with pytest.raises((ZeroDivisionError, JournalError)):
        fail_inside(node, how, faults)

    faults.clear()
    assert ([], [1, 2, 3]) == on_disk(node)
    assert [3] == numbers(drain(box.packet_outbox))
    assert [2, 1, 3] == numbers(box.unacked())
    box.add_packet(add(4))
    assert 4 == box.ack_packets(map(key, (1, 2, 3, 4)))
    assert ([], []) == on_disk(node)


def fail_inside(node, how, faults):
    with node.journal.transaction() as connection:
        connection.execute("INSERT INTO state VALUES (7)")
        assert 3 == node.box().ack_packets([key(1), key(2), key(3)])
        node.box().add_packet(add(4))
        if how == "raises":
            raise ZeroDivisionError
        if how == "rolls back":
            connection.execute("ROLLBACK")
        faults.append(how)


def fail(sql, faults):
    if faults == ["disk full"] and sql == "COMMIT":
        raise sqlite_error("SQLITE_FULL", "database or disk is full")


def test_a_broken_disk_at_the_end_of_a_transaction_breaks_the_journal(node):
    box = node.box()
    with pytest.raises(JournalError, match="disk I/O error"), node.journal.transaction():
        Connection(node.journal, broken)
    with pytest.raises(JournalError, match="has to be opened again"):
        box.add_packet(add(1))


def broken(sql):
    if sql == "COMMIT":
        raise sqlite_error("SQLITE_IOERR", "disk I/O error")


def test_a_transaction_that_cannot_begin_is_none(node):
    Connection(node.journal, begin_fails)
    with pytest.raises(JournalError, match="no transaction in .*: locked"):
        node.journal.transaction().__enter__()
    assert node.journal._turn is None


def begin_fails(sql):
    if sql.startswith("BEGIN"):
        raise sqlite_error("SQLITE_BUSY", "locked")


def test_an_interrupt_after_the_commit_comes_too_late(node):
    """And one before it undoes everything."""
    box = node.box()
    box.add_packet(add(1))

    class Real:
        def __init__(self, connection, when):
            self.connection = connection
            self.when = when

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def execute(self, sql, *values):
            if self.when == "before" and sql == "COMMIT":
                raise KeyboardInterrupt
            result = self.connection.execute(sql, *values)
            if self.when == "after" and sql == "COMMIT":
                raise KeyboardInterrupt
            return result

    real = node.journal._file.connection
    for when, expected in (("before", [1]), ("after", [])):
        node.journal._file.connection = Real(real, when)
        with pytest.raises(KeyboardInterrupt), node.journal.transaction():
            box.ack_packet(key(1))
        node.journal._file.connection = real
        assert expected == numbers(box.unacked())
        assert expected == on_disk(node)[1]


def test_other_threads_wait_for_a_transaction_to_end(node):
    box = node.box()
    with node.journal.transaction():
        call = blocked(box.add_packet, add(1))
    call.result()
    assert [1] == numbers(drain(box.packet_outbox))


def test_who_waits_for_a_transaction_keeps_the_place(node):
    """In the mailbox as in the file, after a nack as after a reset."""
    box = node.box()
    with node.journal.transaction():
        adding = blocked(box.add_packets, [add(1), settle(1), add(2)])
        box.add_packets([add(3), settle(3)])
    adding.result()
    box.add_packet(add(4))
    box._adds._check()
    box._replies._check()
    in_order = [1, 3, 1, 2, 3, 4]

    assert in_order == numbers(drain(box.packet_outbox))
    for packet in box.unacked():
        box.nack_packet(packet.in_key)
        box.nack_packet(packet.in_key)
    assert in_order == numbers(drain(box.packet_outbox))
    box.reset_packets()
    assert in_order == numbers(drain(box.packet_outbox))


def test_a_claim_of_the_returns_desk_gives_way_to_an_ack(node):
    """As outside a transaction: what is acked is not failed."""
    from lnmailbox.testing import Gate

    box, gate = node.box(), Gate()
    box.add_packet(add(1))
    node.switch.when["fetch_update"] = gate.pass_through
    call = Call(box.fail_add, add(1))
    gate.wait_until_reached()
    with node.journal.transaction():
        assert box.ack_packet(key(1))
        gate.open()
        assert not call.result()

    assert [] == node.switch.fails_so_far()
    assert ([], []) == on_disk(node)


def test_what_would_wait_for_others_is_refused_inside(node):
    box = node.box()
    box.add_packet(add(1))
    with node.journal.transaction():
        for call in (
            lambda: box.fail_add(add(1)),
            box.stop,
            lambda: node.journal.backup("x"),
            lambda: node.journal.transaction().__enter__(),
        ):
            with pytest.raises(JournalError, match="inside a transaction"):
                call()

    assert [1] == numbers(drain(box.packet_outbox))


def test_mail_of_an_earlier_process_is_read_inside(node):
    node.box().add_packet(add(1))
    node = node.after()
    with node.journal.transaction():
        node.box().reset_packets()

    assert [1] == numbers(drain(node.box().packet_outbox))
    node.close()


def test_an_add_that_is_refused_inside_is_not_written(node):
    from lnmailbox import PacketAlreadyExists

    box = node.box()
    with node.journal.transaction():
        box.add_packet(add(1))
        with pytest.raises(PacketAlreadyExists):
            box.add_packet(add(1))

    assert ([], [1]) == on_disk(node)


def test_an_interrupted_add_inside_is_not_written(node, monkeypatch):
    box = node.box()

    def interrupted(self, ticket):
        raise KeyboardInterrupt

    with node.journal.transaction():
        with monkeypatch.context() as patch:
            patch.setattr(type(node.journal), "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                box.add_packet(add(1))
        box.add_packet(add(1))

    assert ([], [1]) == on_disk(node)


def test_an_ack_that_fails_inside_can_be_made_again(node, monkeypatch):
    box = node.box()
    box.add_packet(add(1))
    with node.journal.transaction():
        with monkeypatch.context() as patch:
            patch.setattr(type(node.journal), "submit", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                box.ack_packet(key(1))
        assert box.ack_packet(key(1))
        assert not box.ack_packet(key(1))

    assert ([], []) == on_disk(node)


def test_a_transaction_that_is_interrupted_on_its_way_leaves_the_turn(node, monkeypatch):
    """Before it begins, and while it is given up."""
    real = node.journal._finish
    first = []

    def interrupted():
        if not first:
            first.append(1)
            raise KeyboardInterrupt
        real()

    with monkeypatch.context() as patch:
        patch.setattr(node.journal, "_finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            node.journal.transaction().__enter__()
    undo = node.journal._file.undo
    strikes = []

    def interrupted_once():
        if not strikes:
            strikes.append(1)
            raise KeyboardInterrupt
        undo()

    monkeypatch.setattr(node.journal._file, "undo", interrupted_once)
    transaction = node.journal.transaction()
    transaction.__enter__()
    with pytest.raises(KeyboardInterrupt):
        transaction.__exit__(ValueError, None, None)
    node.box().add_packet(add(1))

    assert ([], [1]) == on_disk(node)


def test_a_transaction_waits_and_may_be_interrupted_there(node, monkeypatch):
    token = object()
    assert node.journal._has_turn(token)

    def interrupted(self, timeout):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(commits.Bell, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            node.journal.transaction().__enter__()
    node.journal._release(token)
    node.box().add_packet(add(1))

    assert ([], [1]) == on_disk(node)


def test_a_mailbox_that_lost_its_channel_acks_nothing_inside(node):
    box = node.box()
    box.add_packet(add(1))
    box.stop()
    del node.boxes[1]
    node.box()
    with node.journal.transaction(), pytest.raises(JournalError, match="has another mailbox"):
        box.ack_packet(key(1))
    assert not box.fail_add(add(1))
    with pytest.raises(JournalError, match="has another mailbox by now"):
        box.release()

    assert ([], [1]) == on_disk(node)


def test_a_transaction_writes_what_was_acked_before_it(tmp_path):
    """Or a packet with the same key would be in the file beside the one that was acked."""
    node = Boxes(tmp_path / "journal", lazy_acks=True)
    box = node.box()
    box.add_packets([add(1), add(2)])
    box.ack_packet(key(1))
    with pytest.raises(ZeroDivisionError), node.journal.transaction():
        raise ZeroDivisionError
    assert [1, 2] == kept(node)
    with node.journal.transaction():
        box.add_packet(add(1))

    assert [2, 1] == kept(node)
    assert [] == node.journal._queue
    assert 0 == node.journal._lazy
    node = node.after(killed=True)
    assert [] == node.journal._file.check()
    assert [key(2), key(1)] == node.box().held()
    node.close()


def kept(node):
    with open_journal(kill(node.journal, node.path)) as journal:
        return [row.key.htlc_id for row in journal._file.packets()]


def test_who_waits_to_ack_is_told_that_a_transaction_did_it(node):
    box = node.box()
    box.add_packet(add(1))
    with node.journal.transaction():
        call = blocked(box.ack_packet, key(1))
    assert call.result()

    assert ([], []) == on_disk(node)
    assert [] == node.journal._queue


def close_inside(node):
    with node.journal.transaction() as connection:
        connection.execute("INSERT INTO state VALUES (7)")
        node.box().ack_packet(key(1))
        node.box().add_packet(add(3))
        node.journal.close()


def test_a_journal_that_is_closed_inside_undoes_the_transaction(node):
    box = node.box()
    box.add_packets([add(1), add(2)])
    with pytest.raises(JournalError, match="is closed"):
        close_inside(node)

    assert [1, 2] == numbers(drain(box.packet_outbox))
    with open_journal(node.path) as journal:
        assert [1, 2] == [row.key.htlc_id for row in journal._file.packets()]


@pytest.mark.parametrize("call", ["add_packet", "ack_packet", "flush", "transaction", "fail_add"])
def test_a_transaction_that_nobody_ends_is_undone_by_the_next_call(node, call):
    """An interrupt came when the end of its block began."""
    box = node.box()
    box.add_packets([add(1), add(2)])
    transaction = node.journal.transaction()
    transaction.__enter__().execute("INSERT INTO state VALUES (7)")
    box.ack_packet(key(1))
    box.add_packet(add(3))
    waiting = blocked(box.ack_packet, key(2))
    del transaction

    {
        "add_packet": lambda: box.add_packet(add(4)),
        "ack_packet": lambda: box.ack_packet(key(9)),
        "flush": node.journal.flush,
        "transaction": lambda: node.journal.transaction().__enter__(),
        "fail_add": lambda: box.fail_add(add(9)),
    }[call]()
    if call == "transaction":
        node.journal.flush()
    assert waiting.result()
    assert ([], [1, 4] if call == "add_packet" else [1]) == on_disk(node)
    assert [1] == numbers(drain(box.packet_outbox))[:1]


def test_an_overdue_add_that_was_acked_in_vain_is_failed_at_once(node):
    """Not after the delay for those that could not be failed."""
    box, gate = node.box(), Gate()
    box.add_packet(add(1))
    node.switch.when["fetch_update"] = gate.pass_through
    with suppress(ZeroDivisionError), node.journal.transaction():
        node.clock.advance(EXPIRY)
        gate.wait_until_reached()
        assert box.ack_packet(key(1))
        raise ZeroDivisionError
    node.switch.when.clear()
    gate.open()

    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
