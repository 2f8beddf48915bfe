"""Mailboxes that are removed from a journal: what is left of them on disk."""

from __future__ import annotations

import pytest

from durable import Connection, Life, sqlite_error
from lnmailbox import JournalError
from lnmailbox.testing import Call, Gate, blocked, wait_until_quiet
from lnmailbox.testing.conformance.base import add, key, numbers, settle
from node import channel, received, short


@pytest.fixture
def life(tmp_path):
    life = Life(tmp_path / "journal")
    yield life
    life.end()


def test_a_removed_mailbox_leaves_nothing_on_disk(life):
    life.node.live(1).add_packets([settle(1), add(2)])

    assert [1, 2] == numbers(life.orchestrator.remove_mailbox(channel(1)))
    assert [] == list(life.journal._file.channels())
    box = life.node.live(1)
    box.add_packet(add(3))
    node = life.restart()
    life.orchestrator.recover()
    assert [3] == received(node.get(1))


def test_a_removed_mailbox_leaves_fails_that_nobody_accepted(life):
    life.switch.when["forward_packets"] = lambda: 1 / 0
    box = life.node.live(1)
    box.add_packets([add(1), add(2)])
    box.fail_add(add(1))

    assert [2] == numbers(life.orchestrator.remove_mailbox(channel(1)))
    node = life.restart()
    assert [channel(1)] == life.orchestrator.recover()
    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)


def test_removal_returns_what_an_earlier_process_left(life):
    life.node.live(1).add_packets([settle(1), add(2)])
    node = life.restart()
    node.get(1)

    assert [1, 2] == numbers(life.orchestrator.remove_mailbox(channel(1)))


def test_a_mailbox_that_cannot_be_removed_from_disk_is_not_removed(life):
    life.node.live(1).add_packet(add(1))
    on = [True]
    Connection(life.journal, lambda sql: no_deletes(sql, on))
    with pytest.raises(JournalError):
        life.orchestrator.remove_mailbox(channel(1))
    on.clear()

    assert [1] == numbers(life.orchestrator.remove_mailbox(channel(1)))


def no_deletes(sql, on):
    if on and sql.startswith("BEGIN"):
        raise sqlite_error("SQLITE_FULL", "database or disk is full")


def test_an_interrupted_removal_returns_the_packets_when_it_is_repeated(life, monkeypatch):
    life.node.live(1).add_packets([settle(1), add(2)])
    close = type(life.journal).close_channel
    strikes = []

    def interrupted_once(self, channel, **options):
        if not strikes:
            strikes.append(1)
            raise KeyboardInterrupt
        close(self, channel, **options)

    monkeypatch.setattr(type(life.journal), "close_channel", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        life.orchestrator.remove_mailbox(channel(1))

    assert [1, 2] == numbers(life.orchestrator.remove_mailbox(channel(1)))
    assert [] == list(life.journal._file.packets())


def test_a_channel_that_comes_back_gets_the_fails_that_nobody_accepted(life):
    """In the same process, and in the next one."""
    life.switch.when["forward_packets"] = lambda: 1 / 0
    life.node.live(1).add_packets([add(1), add(2)])
    for number in (1, 2):
        life.node.get(1).fail_add(add(number))
    life.orchestrator.remove_mailbox(channel(1))
    assert [channel(1)] == life.journal.channels()

    life.node.live(1).add_packet(add(3))
    wait_until_quiet(life.node.clock)
    assert [] == life.journal._file.check()
    life.orchestrator.remove_mailbox(channel(1))
    life.switch.when.clear()
    life.node.live(1).add_packet(add(4))
    assert [1, 2] == life.switch.next_fails(2)
    wait_until_quiet(life.node.clock)
    assert [4] == numbers(life.orchestrator.remove_mailbox(channel(1)))
    assert [] == life.journal._file.channels()

    node = life.restart()
    assert [] == life.orchestrator.recover()
    node.live(1).add_packet(add(5))
    assert [5] == received(node.get(1))


def test_no_fail_is_decided_for_a_channel_that_is_about_to_go(life, monkeypatch):
    """It would have no channel in the file, which nobody could open then."""
    box = life.node.live(1)
    box.add_packet(add(1))
    commit = type(life.journal).commit
    results = []

    def fail_before(journal, ticket):
        results.append(Call(box.fail_add, add(1)).result())
        commit(journal, ticket)

    with monkeypatch.context() as patch:
        patch.setattr(type(life.journal), "commit", fail_before)
        assert [1] == numbers(life.orchestrator.remove_mailbox(channel(1)))

    assert {False} == set(results)
    assert [] == life.switch.fails_so_far()
    assert [] == life.journal._file.check()
    life.restart()
    assert [] == life.orchestrator.recover()


def test_a_channel_that_could_not_go_fails_its_adds_as_before(life):
    box = life.node.live(1)
    box.add_packet(add(1))
    on = [True]
    Connection(life.journal, lambda sql: no_deletes(sql, on))
    with pytest.raises(JournalError):
        life.orchestrator.remove_mailbox(channel(1))
    on.clear()

    assert box.fail_add(add(1))
    assert [1] == life.switch.next_fails(1)
    assert [] == life.orchestrator.remove_mailbox(channel(1))


def test_a_removed_mailbox_renames_nothing_on_disk(life):
    """Its channel would be there twice."""
    box = life.node.live(1)
    box.add_packet(add(1))
    life.orchestrator.remove_mailbox(channel(1))
    life.node.live(1).add_packet(add(2))
    box.short_chan_id = short(7)

    assert [] == life.journal._file.check()
    assert [short(1)] == [row.short_chan_id for row in life.journal._file.channels()]


def test_what_is_being_acked_is_gone_from_disk_before_its_channel(life, monkeypatch):
    """Its row would have no channel, and nobody could open the file then."""
    box = life.node.live(1)
    box.add_packets([add(1), add(2)])
    removal = meanwhile(
        monkeypatch, life.journal, lambda: blocked(life.orchestrator.remove_mailbox, channel(1))
    )
    assert box.ack_packet(key(1))

    assert [2] == numbers(removal[0].result())
    assert [] == life.journal._file.check()


def test_the_next_mailbox_does_not_get_what_is_being_acked(life, monkeypatch):
    box = life.node.live(1)
    box.add_packets([add(1), add(2)])
    next_box = meanwhile(
        monkeypatch, life.journal, lambda: blocked(stopped_and_made_again, life, box)
    )
    assert box.ack_packet(key(1))

    assert [key(2)] == next_box[0].result().held()


def stopped_and_made_again(life, box):
    box.stop()
    return life.journal.mailbox(box._config)


def test_a_key_that_is_being_acked_is_free_when_that_is_on_its_way(life, monkeypatch):
    """Two rows with one key could be in the file, which nobody could open then."""
    box = life.node.live(1)
    box.add_packet(add(1))
    adding = meanwhile(monkeypatch, life.journal, lambda: blocked(box.add_packet, add(1)))
    assert box.ack_packet(key(1))
    adding[0].result()

    assert [] == life.journal._file.check()
    assert [key(1)] == [packet.in_key for packet in box.unacked()]


def meanwhile(monkeypatch, journal, call):
    """Have `call` called when a thread is about to queue what it changes; return its result."""
    submit = type(journal).submit
    calls = [call]
    results = []

    def submit_after(self, ticket):
        while calls:
            results.append(calls.pop()())
        submit(self, ticket)

    monkeypatch.setattr(type(journal), "submit", submit_after)
    return results


def test_a_channel_whose_mailbox_is_being_removed_gets_no_other_one(life, monkeypatch):
    box = life.node.live(1)
    box.add_packet(add(1))
    making = []

    def made_meanwhile(journal):
        with pytest.raises(JournalError, match="is being removed"):
            journal.mailbox(box._config)
        making.append(1)

    monkeypatch.setattr(type(life.journal), "flush", made_meanwhile)

    assert [1] == numbers(life.orchestrator.remove_mailbox(channel(1)))
    assert [1] == making
    assert [] == life.journal.mailbox(box._config).held()


def test_a_removal_returns_an_add_whose_fail_could_not_be_decided_just_now(life, monkeypatch):
    """Nobody else has it: its Fail was not handed over."""
    box = life.node.live(1)
    box.add_packet(add(1))
    on = [True]
    Connection(life.journal, lambda sql: no_deletes(sql, on))
    gate = Gate()
    settle = type(life.journal).settle

    def settled_later(journal, ticket):
        if "fails" in ticket.rows:
            gate.pass_through()
        settle(journal, ticket)

    monkeypatch.setattr(type(life.journal), "settle", settled_later)
    failing = Call(box.fail_add, add(1))
    gate.wait_until_reached()
    on.clear()
    removed = life.orchestrator.remove_mailbox(channel(1))
    gate.open()

    assert not failing.result()
    assert [1] == numbers(removed)
    assert not box.ack_packet(key(1))
    assert [] == life.journal.channels()
