"""Orchestrators with a journal: recovery, what is parked, binding."""

from __future__ import annotations

import pytest

from durable import Connection, Life, open_journal, sqlite_error
from lnmailbox import (
    DurableMailBox,
    JournalError,
    MailBoxShuttingDown,
    MemoryMailBox,
    PacketAlreadyExists,
    ParkedFull,
    UnknownHTLCType,
)
from lnmailbox.testing import Call, wait_until_quiet
from lnmailbox.testing.conformance.base import EXPIRY, add, key, numbers, packet, settle
from node import Node, channel, received, short


@pytest.fixture
def life(tmp_path):
    life = Life(tmp_path / "journal")
    yield life
    life.end()


def test_without_a_factory_the_journal_makes_the_mailboxes(tmp_path):
    with open_journal(tmp_path / "journal") as journal:
        node = Node(MemoryMailBox, mailbox_factory=MemoryMailBox, journal=journal)

        assert isinstance(node.get(1), DurableMailBox)
        node.orchestrator.stop()


def test_a_journal_has_to_be_one():
    with pytest.raises(TypeError, match="journal"):
        Node(journal="node.journal")


# Recovery


def test_recovery_acks_what_is_committed_and_replays_the_rest(life):
    """In one commit for all channels."""
    for number in (1, 2, 3):
        life.node.live(number).add_packets([settle(number), add(10 + number), add(20 + number)])
    life.node.live(4)
    node = life.restart()
    asked = []

    def committed(chan_id, packet_key):
        asked.append((chan_id, packet_key))
        return packet_key.htlc_id in (1, 12, 23)

    commits = []
    Connection(life.journal, commits.append)
    assert [channel(1), channel(2), channel(3)] == life.orchestrator.recover(committed)

    assert 9 == len(asked)
    assert 1 == commits.count("COMMIT")
    expected = {1: [11, 21], 2: [2, 22], 3: [3, 13]}
    for number, left in expected.items():
        assert short(number) == node.get(number).short_chan_id
        assert left == received(node.get(number))


def test_without_channel_state_everything_is_replayed(life):
    life.node.live(1).add_packets([add(1), settle(2)])
    node = life.restart()
    life.orchestrator.recover()

    assert [2, 1] == received(node.get(1))


def test_adds_can_be_failed_instead(life):
    """Those that are not committed; replies are replayed."""
    life.node.live(1).add_packets([add(1), settle(2), add(3)])
    node = life.restart()
    life.orchestrator.recover(lambda chan_id, packet_key: packet_key == key(1), adds="fail")

    assert [3] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
    assert [2] == received(node.get(1))
    assert [] == node.switch.fails_so_far()


def test_an_add_that_was_given_back_before_holds_no_others_up(life):
    life.node.live(1).add_packets([add(1), add(2)])
    node = life.restart()
    node.get(1).nack_packet(key(1))
    life.orchestrator.recover(adds="fail")
    wait_until_quiet(node.clock)

    assert [2] == life.switch.fails_so_far()
    assert [1] == received(node.get(1))


def test_what_is_overdue_is_failed_after_recovery(life):
    life.node.live(1).add_packet(add(1))
    life.wall_clock.advance(EXPIRY)
    node = life.restart()
    life.orchestrator.recover()

    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)


def test_fails_of_an_earlier_process_are_handed_over_in_recovery(life):
    life.switch.when["forward_packets"] = lambda: 1 / 0
    box = life.node.live(1)
    box.add_packet(add(1))
    box.fail_add(add(1))
    node = life.restart()
    assert [channel(1)] == life.orchestrator.recover()

    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)


def test_recovery_needs_a_journal_and_a_word():
    node = Node()
    with pytest.raises(ValueError, match="recover needs MailOrchestratorConfig.journal"):
        node.orchestrator.recover()
    node.orchestrator.stop()


def test_recovery_knows_two_ways(life):
    with pytest.raises(ValueError, match="adds must be 'replay' or 'fail', got 'drop'"):
        life.orchestrator.recover(adds="drop")


def test_a_mailbox_of_another_kind_is_left_alone(tmp_path):
    life = Life(tmp_path / "journal")
    life.node.live(1).add_packet(add(1))
    life.options["factory"] = MemoryMailBox
    life.restart()

    assert [] == life.orchestrator.recover()
    life.end()


def test_a_description_shows_who_waits_for_a_reset(life):
    life.node.live(1).add_packet(add(1))
    node = life.restart()
    node.get(1)

    assert 1 == life.orchestrator.statistics().total.packets_held
    assert "1 packets of an earlier process" in life.orchestrator.describe()
    life.orchestrator.recover()
    assert "earlier process" not in life.orchestrator.describe()


# Parked packets


def test_parked_packets_outlive_the_process_in_order(life):
    life.node.deliver(1, add(3), settle(1))
    life.node.deliver(2, add(9))
    node = life.restart()
    node.deliver(1, add(2))
    with pytest.raises(PacketAlreadyExists):
        node.deliver(1, add(3))

    assert [1, 3, 2] == received(node.live(1))
    node = life.restart()
    assert [9] == node.parked()
    life.orchestrator.recover()
    assert [1, 3, 2] == received(node.get(1))


def test_a_bound_packet_comes_after_what_its_mailbox_had(life):
    life.node.deliver(1, add(1))
    life.node.get(1).add_packet(add(2))
    life.node.live(1)
    node = life.restart()
    life.orchestrator.recover()

    assert [2, 1] == received(node.get(1))


def test_a_refused_parked_packet_is_gone_from_disk(life):
    life.node.deliver(1, add(1))
    life.node.get(1).add_packet(add(1))
    life.node.live(1)
    node = life.restart()

    assert [] == node.parked()
    assert [1] == numbers(node.get(1).unacked())


def test_parked_packets_move_to_a_mailbox_of_another_kind(tmp_path):
    life = Life(tmp_path / "journal", factory=MemoryMailBox)
    life.node.deliver(1, add(1), add(2))
    node = life.restart()
    box = node.live(1)

    assert [1, 2] == received(box)
    node = life.restart()
    assert [] == node.parked()
    life.end()


def test_what_cannot_be_parked_is_not(life):
    """Neither in memory nor on disk."""
    on = [True]
    Connection(life.journal, lambda sql: full(sql, on))
    with pytest.raises(JournalError, match="disk is full"):
        life.node.deliver(1, add(1))
    on.clear()
    assert [] == life.node.parked()
    with pytest.raises(UnknownHTLCType):
        life.node.deliver(1, packet(1, None))
    life.node.deliver(1, add(1))
    with pytest.raises(PacketAlreadyExists):
        life.node.deliver(1, add(1))

    assert [1] == life.restart().parked()


def full(sql, on):
    if on and sql.startswith("INSERT"):
        raise sqlite_error("SQLITE_FULL", "database or disk is full")


def test_more_may_be_parked_by_an_earlier_process_than_now(life):
    life.node.deliver(1, add(1), add(2))
    life.options["max_parked"] = 1
    node = life.restart()

    assert [1, 2] == node.parked()
    with pytest.raises(ParkedFull):
        node.deliver(1, add(3))


def test_dropped_packets_are_gone_from_disk(life):
    life.node.deliver(1, add(1), add(2))

    assert [1, 2] == numbers(life.orchestrator.drop_parked(short(1)))
    assert [] == life.orchestrator.drop_parked(short(1))
    assert [] == life.restart().parked()


def test_a_parked_add_expires_by_the_date(tmp_path):
    """And is failed by this process or by the next."""
    life = Life(tmp_path / "journal", parked_expiry=100.0)
    life.node.deliver(1, add(1), settle(2))
    life.wall_clock.advance(40)
    node = life.restart()
    node.clock.advance(60 - 1e-9)
    wait_until_quiet(node.clock)
    assert [1, 2] == node.parked()
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.clock.advance(1e-9)
    wait_until_quiet(node.clock)
    assert [2] == node.parked()
    assert 1 == life.orchestrator.statistics().parked_expired

    node = life.restart()
    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
    assert [] == life.orchestrator.recover()
    node.deliver(3, add(7))
    node.clock.advance(100)
    wait_until_quiet(node.clock)
    assert [7] == node.switch.next_fails(1)
    node.deliver(3, add(8))
    node.clock.advance(100)
    wait_until_quiet(node.clock)
    assert [8] == node.switch.next_fails(1)
    node = life.restart()
    assert [2] == node.parked()
    life.end()


def test_what_is_parked_and_cannot_be_decoded_is_an_error(life):
    life.node.deliver(1, add(1))
    life.journal._file.connection.execute("UPDATE lnmailbox_parked SET data = x'00'")
    with pytest.raises(JournalError, match="parked packet 1 can't be decoded"):
        Node(journal=life.journal)


def test_a_stopped_orchestrator_parks_nothing_and_leaves_what_is_parked(life, caplog):
    life.node.deliver(1, add(1))
    life.orchestrator.stop()
    with pytest.raises(MailBoxShuttingDown):
        life.node.deliver(1, add(2))

    assert [] == caplog.messages
    assert [1] == life.restart().parked()


def test_what_waits_for_others_is_refused_inside_a_transaction(life):
    """What goes to a live mailbox is not."""
    box = life.node.live(1)
    calls = [
        lambda: life.node.deliver(2, add(1)),
        lambda: life.node.get(2),
        lambda: life.node.bind(box, 1),
        lambda: life.orchestrator.remove_mailbox(channel(1)),
        lambda: life.orchestrator.drop_parked(short(1)),
        life.orchestrator.recover,
        life.orchestrator.stop,
    ]
    with life.journal.transaction():
        life.node.deliver(1, add(1))
        for call in calls:
            with pytest.raises(JournalError, match="inside a transaction"):
                call()

    assert [1] == received(box)


def test_nothing_is_locked_while_a_mailbox_for_what_expires_waits_for_the_disk(life, monkeypatch):
    """A transaction may have the turn, and deliver something before it ends."""
    options = {"journal": life.journal, "parked_expiry": EXPIRY}
    node = Node(life.journal.mailbox, **options)
    node.deliver(1, add(1))
    node.clock.advance(EXPIRY)
    assert [1] == node.switch.next_fails(1)
    wait_until_quiet(node.clock)
    node.orchestrator.stop()
    node = Node(life.journal.mailbox, **options)
    flush = type(life.journal).flush
    locked = []

    def look_and_flush(self):
        locked.append(node.orchestrator._lock.locked())
        flush(self)

    with monkeypatch.context() as patch:
        patch.setattr(type(life.journal), "flush", look_and_flush)
        node.deliver(1, add(2))
        node.clock.advance(EXPIRY)
        assert [2] == node.switch.next_fails(1)
        wait_until_quiet(node.clock)

    assert [False] == locked
    node.orchestrator.stop()


def test_a_packet_is_delivered_if_its_channel_was_bound_just_before(life, monkeypatch):
    """The second look is made with nobody binding."""
    box = life.node.get(1)
    encode = life.journal.codec.encode

    class Codec:
        decode = life.journal.codec.decode

        def encode(self, packet):
            if not life.orchestrator._live_index:
                life.node.bind(box, 1)
            return encode(packet)

    monkeypatch.setattr(life.journal, "codec", Codec())
    life.node.deliver(1, add(1))

    assert [1] == received(box)


def test_what_is_delivered_while_an_orchestrator_stops_is_not_parked(life, monkeypatch):
    encode = life.journal.codec.encode

    class Codec:
        def encode(self, packet):
            Call(life.orchestrator.stop).result()
            return encode(packet)

    with monkeypatch.context() as patch:
        patch.setattr(life.journal, "codec", Codec())
        with pytest.raises(MailBoxShuttingDown):
            life.node.deliver(1, add(1))

    assert [] == list(life.journal._file.parked())


def test_a_parked_add_that_expires_while_an_orchestrator_stops_is_kept_once(tmp_path, monkeypatch):
    life = Life(tmp_path / "journal", parked_expiry=100.0)
    life.node.deliver(1, add(1))
    move = life.orchestrator._kept.move

    def stop_and_move(box, packet):
        life.orchestrator._stopped = True
        life.orchestrator._unclaimed_packets.clear()
        move(box, packet)

    monkeypatch.setattr(life.orchestrator._kept, "move", stop_and_move)
    life.node.clock.advance(100)
    wait_until_quiet(life.node.clock)

    assert [1] == life.switch.next_fails(1)
    assert [] == list(life.journal._file.parked())
    life.end()
