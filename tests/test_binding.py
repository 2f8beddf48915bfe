"""Late binding: packets that are parked for a channel, and what its mailbox makes of them."""

from __future__ import annotations

import logging
import sys
import threading
from functools import partial

import pytest

from lnmailbox import MailBoxShuttingDown, MemoryMailBox, PacketAlreadyExists, UnknownHTLCType
from lnmailbox.testing import Call, run_threads
from lnmailbox.testing.conformance.base import EXPIRY, add, fail, numbers, packet, settle
from lnmailbox.wire import UpdateFailMalformedHTLC
from node import PENDING, Node, channel, received, short


@pytest.fixture
def node():
    node = Node()
    yield node
    node.orchestrator.stop()


def test_parked_packets_come_first_and_in_order(node):
    """Replies and Adds each, and then those that are delivered later."""
    mailbox = node.get(1)
    node.deliver(1, add(4), settle(9), add(2), fail(8), add(3))

    assert [] == received(mailbox)

    node.bind(mailbox, 1)
    node.deliver(1, add(1))

    assert [9, 8, 4, 2, 3, 1] == received(mailbox)
    assert [] == node.parked()


def test_packets_are_parked_for_their_own_channel(node):
    """Binding one channel brings none of another's, even under the same key."""
    first, second = node.get(1), node.get(2)
    for number in range(3):
        node.deliver(1, add(number))
        node.deliver(2, add(number), settle(10 + number))

    node.bind(second, 2)

    assert ([], [10, 11, 12, 0, 1, 2]) == (received(first), received(second))

    node.bind(first, 1)

    assert ([0, 1, 2], []) == (received(first), received(second))


def test_an_add_does_not_age_while_it_is_parked(node):
    """Its time starts when the mailbox gets it."""
    node.deliver(1, add(1))
    node.clock.advance(1000)
    mailbox = node.live(1)
    node.clock.advance(EXPIRY - 1)

    assert 1 == mailbox.statistics().adds_undelivered

    node.clock.advance(1)

    assert [1] == node.switch.next_fails(1)


def test_a_bound_mailbox_knows_its_short_channel_id():
    """Before it gets the first packet: each is failed with the update of the live channel."""
    seen = []

    class Curious(MemoryMailBox):
        def add_packet(self, packet):
            seen.append(self.short_chan_id)
            super().add_packet(packet)

    node = Node(Curious)
    with node.orchestrator:
        mailbox = node.get(1)
        node.deliver(1, add(1))

        assert PENDING == mailbox.short_chan_id

        node.bind(mailbox, 1)
        node.clock.advance(EXPIRY)

        update = node.switch.next_fail().link_failure.wire_message.update
        assert [short(1)] == seen == node.switch.updates_fetched
        assert short(1) == mailbox.short_chan_id == update.short_channel_id


def test_several_ids_can_lead_to_one_mailbox(node):
    """It has the one that was bound last."""
    mailbox = node.live(1)
    node.deliver(7, add(1))
    node.bind(mailbox, 1, short(7))
    node.deliver(1, add(2))
    node.deliver(7, add(3))

    assert [1, 2, 3] == received(mailbox)
    assert short(7) == mailbox.short_chan_id


def test_an_id_can_be_bound_again(node):
    """To the same mailbox, or to another one; then the first one keeps its packets."""
    first, second = node.live(1), node.live(2)
    node.deliver(1, add(1))
    node.bind(first, 1)
    node.bind(second, 2, short(1))
    node.deliver(1, add(2))

    assert ([1], [2]) == (received(first), received(second))


def test_a_mailbox_from_elsewhere_is_registered_when_it_is_bound(node):
    """It is found afterwards, and stopped with the others; starting it is the caller's."""
    mailbox = node.other_mailbox()
    node.deliver(1, add(1))
    node.bind(mailbox, 1)

    assert mailbox is node.get(1)
    assert [] == received(mailbox)

    mailbox.start()

    assert [1] == received(mailbox)

    node.orchestrator.stop()

    with pytest.raises(MailBoxShuttingDown):
        received(mailbox)


def test_a_channel_with_a_mailbox_takes_no_other(node):
    """The error names the channel, and nothing changes."""
    mailbox, other = node.live(1), node.other_mailbox()
    node.deliver(2, add(1))

    with pytest.raises(ValueError, match=f" has another mailbox: {mailbox!r}$"):
        node.bind(other, 1, short(2))

    assert PENDING == other.short_chan_id
    assert [1] == node.parked()


def test_a_mailbox_is_that_of_one_channel(node):
    """Else removing both channels would return its packets twice."""
    mailbox = node.live(1)
    node.deliver(2, add(1))

    with pytest.raises(ValueError, match=f"^another channel than {channel(2)} has {mailbox!r}$"):
        node.bind(mailbox, 2, short(2))

    assert short(1) == mailbox.short_chan_id
    assert [1] == node.parked()


class Refusing(MemoryMailBox):
    """Takes no other id."""

    short_chan_id = property(lambda _: PENDING)


@pytest.mark.parametrize("bad", [None, "mailbox", MemoryMailBox, Refusing])
def test_a_failed_binding_changes_nothing(bad, node):
    """What is no mailbox is refused, and nothing is registered."""
    node.deliver(1, add(1))

    with pytest.raises(AttributeError if bad is Refusing else TypeError):
        node.bind(node.other_mailbox(Refusing) if bad is Refusing else bad, 1)

    assert [1] == node.parked()
    assert [1] == received(node.live(1))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind, other", [(add, fail), (settle, add)])
def test_a_duplicate_is_refused_when_it_is_delivered(kind, other, live, node):
    """Parked or in the mailbox; a packet of the other class is none."""
    if live:
        node.live(1)
    node.deliver(1, kind(1))

    with pytest.raises(PacketAlreadyExists, match="HTLC ID=1"):
        node.deliver(1, kind(1))

    node.deliver(1, other(1), kind(2))

    assert 3 == len(received(node.live(1)))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("htlc", [None, UpdateFailMalformedHTLC()])
def test_a_packet_of_no_class_is_refused_when_it_is_delivered(htlc, live, node):
    """Nothing of it is parked."""
    if live:
        node.live(1)

    with pytest.raises(UnknownHTLCType, match="^unknown htlc type: "):
        node.deliver(1, packet(1, htlc))

    assert [] == received(node.live(1))


def test_a_packet_that_the_mailbox_refuses_is_logged_and_the_rest_delivered(node, caplog):
    """The caller of `deliver` has gone on long ago."""
    mailbox = node.get(1)
    mailbox.add_packet(add(2))
    node.deliver(1, add(1), add(2), add(3))
    node.bind(mailbox, 1)
    node.deliver(1, add(4))

    assert [2, 1, 3, 4] == received(mailbox)
    [record] = caplog.records
    assert ("lnmailbox.routing.parking", logging.ERROR) == (record.name, record.levelno)
    assert f"{mailbox!r} refused parked packet {add(2).keystone}" == record.getMessage()
    assert "PacketAlreadyExists" in caplog.text


def test_a_log_that_raises_keeps_no_packet_from_its_mailbox(node, monkeypatch):
    """The refused one goes, and the rest is delivered."""

    def out_of_order(*_):
        raise OSError("disk full")

    mailbox = node.get(1)
    mailbox.add_packet(add(1))
    node.deliver(1, add(1), add(2))
    monkeypatch.setattr(logging.Logger, "handle", out_of_order)
    node.bind(mailbox, 1)

    assert [1, 2] == received(mailbox)
    assert [] == node.parked()


@pytest.mark.parametrize("error", [MailBoxShuttingDown, RuntimeError, MemoryError, GeneratorExit])
@pytest.mark.parametrize("number", [1, 2])
def test_a_binding_that_breaks_off_leaves_the_rest_parked(error, number):
    """The next one goes on, with this mailbox or another one."""

    class Failing(MemoryMailBox):
        left = 2

        def add_packet(self, packet):
            if self.left == 0 and node.factory is Failing:
                raise error
            self.left -= 1
            super().add_packet(packet)

    node = Node(Failing)
    with node.orchestrator:
        mailbox = node.get(1)
        node.deliver(1, add(1), add(2), add(3), add(4))

        with pytest.raises(error):
            node.bind(mailbox, 1)

        assert [1, 2] == received(mailbox)
        assert [3, 4] == node.parked()

        node.factory = MemoryMailBox
        mailbox = node.get(number)
        node.bind(mailbox, number, short(1))

        assert [3, 4] == received(mailbox)
        assert [] == node.parked()


def test_packets_are_bound_though_no_thread_can_be_had(node, monkeypatch):
    """None is dropped: Adds wait for their link as usual, and expire when threads are back."""

    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    mailbox = node.get(1)
    node.deliver(1, *map(add, range(5)))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        node.bind(mailbox, 1)

    assert [] == node.parked()
    assert [0, 1] == numbers(mailbox.packet_outbox.get_batch(2))
    mailbox.add_packet(add(5))
    node.clock.advance(EXPIRY)
    assert [2, 3, 4, 5] == node.switch.next_fails(4)


@pytest.mark.parametrize("added", [False, True])
def test_an_interrupted_step_is_finished(added, caplog):
    """The packet is in the mailbox then, once; `test_interrupts` has every moment."""
    errors = [KeyboardInterrupt]

    class Interrupted(MemoryMailBox):
        def add_packet(self, packet):
            if added:
                super().add_packet(packet)
            if errors:
                raise errors.pop()
            if not added:
                super().add_packet(packet)

    node = Node(Interrupted)
    with node.orchestrator:
        mailbox = node.get(1)
        node.deliver(1, add(1), add(2))

        with pytest.raises(KeyboardInterrupt):
            node.bind(mailbox, 1)

        assert [1] == received(mailbox)
        assert [2] == node.parked()
        node.deliver(1, add(3))
        node.bind(mailbox, 1)
        assert [2, 3] == received(mailbox)
        assert [] == caplog.records


def test_packets_that_are_delivered_during_the_binding_come_after_the_parked_ones():
    """They are parked behind them, and the binding goes on until none is parked."""
    more = iter([add(10), add(11), add(12)])

    class Slow(MemoryMailBox):
        def add_packet(self, packet):
            late = next(more, None)
            if late is not None:
                Call(node.deliver, 1, late).result()
            super().add_packet(packet)

    node = Node(Slow)
    with node.orchestrator:
        node.deliver(1, add(1), add(2))

        assert [1, 2, 10, 11, 12] == received(node.live(1))

        node.deliver(1, add(13))

        assert [13] == received(node.made[0])


@pytest.fixture
def impatient_threads():
    """Let threads take turns a thousand times as often, so that more can come between."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient_threads")
def test_parked_packets_are_never_overtaken(node):
    """Several threads deliver while another binds: each thread's packets keep their order."""
    threads, packets, parked = 3, 12, 20

    def deliver(number, thread):
        node.deliver(number, *map(add, range(thread * packets, (thread + 1) * packets)))

    for number in range(300):
        mailbox = node.get(number)
        node.deliver(number, *map(add, range(1000, 1000 + parked)))
        run_threads(
            *(partial(deliver, number, thread) for thread in range(threads)),
            partial(node.bind, mailbox, number),
        )
        ids = received(mailbox)

        assert list(range(1000, 1000 + parked)) == ids[:parked]
        for thread in range(threads):
            expected = list(range(thread * packets, (thread + 1) * packets))
            assert expected == [htlc_id for htlc_id in ids if htlc_id in expected]
        assert parked + threads * packets == len(ids)
