"""Where lnd's orchestrator keeps less than ours.

Each test runs one script on both; the table is in `reference_differences.py`.
"""

from __future__ import annotations

from contextlib import suppress

from lnmailbox import (
    MailBoxError,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    ParkedFull,
)
from lnmailbox.reference import CourierOrchestrator
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, add, drain, numbers, packet, settle
from lnmailbox.testing.switch import Gate, Switch
from lnmailbox.testing.threads import PATIENCE, Call, blocked
from lnmailbox.wire import ChannelID, ShortChannelID
from reference_lab import hangs

ALICE, BOB = ChannelID(b"a" * 32), ChannelID(b"b" * 32)
PENDING = ShortChannelID()
OF_BOB = ShortChannelID(539268, 845, 2)


class Lab:
    """An orchestrator of one kind, with the clock and the switch of its mailboxes."""

    def __init__(self, kind):
        self.lnd = kind is CourierOrchestrator
        self.clock = ManualClock(start=1_000_000.0)
        self.switch = Switch()
        self.orchestrator = kind(
            MailOrchestratorConfig(
                fetch_update=self.switch.fetch_update,
                forward_packets=self.switch.forward_packets,
                clock=self.clock,
                expiry=EXPIRY,
            )
        )


def outcomes(script):
    outcome = {}
    for name, kind in (("ours", MailOrchestrator), ("lnd", CourierOrchestrator)):
        lab = Lab(kind)
        with lab.orchestrator:
            outcome[name] = script(lab)
    return outcome


def test_a_pending_channels_mailbox_asks_for_the_update_of_zero():
    def script(lab):
        box = lab.orchestrator.get_or_create_mailbox(ALICE, PENDING)
        lab.orchestrator.bind_live_short_chan_id(box, ALICE, CHANNEL)
        lab.orchestrator.deliver(CHANNEL, add(1))
        assert box.fail_add(add(1))
        return lab.switch.updates_fetched

    assert {"ours": [CHANNEL], "lnd": [PENDING]} == outcomes(script)


def test_parked_packets_are_overtaken():
    """By one that is delivered while the mailbox gets the first of them."""

    def script(lab):
        box = lab.orchestrator.get_or_create_mailbox(ALICE, PENDING)
        for number in (1, 2):
            lab.orchestrator.deliver(CHANNEL, settle(number))
        add_packet = box.add_packet

        def add_and_deliver(parked):
            box.add_packet = add_packet
            lab.orchestrator.deliver(CHANNEL, settle(3))
            add_packet(parked)

        box.add_packet = add_and_deliver
        lab.orchestrator.bind_live_short_chan_id(box, ALICE, CHANNEL)
        return numbers(box.packet_outbox.get(timeout=PATIENCE) for _ in range(3))

    assert {"ours": [1, 2, 3], "lnd": [3, 1, 2]} == outcomes(script)


def test_parked_packets_that_are_refused_are_dropped():
    """A duplicate, and what is no packet at all: `deliver` takes both."""

    def script(lab):
        parked = 0
        for odd in (settle(1), settle(1), packet(2, None), settle(3)):
            with suppress(MailBoxError):
                lab.orchestrator.deliver(CHANNEL, odd)
                parked += 1
        box = lab.orchestrator.get_or_create_mailbox(ALICE, CHANNEL)
        lab.orchestrator.bind_live_short_chan_id(box, ALICE, CHANNEL)
        return parked, numbers(box.packet_outbox.get(timeout=PATIENCE) for _ in range(2))

    assert {"ours": (2, [1, 3]), "lnd": (4, [1, 3])} == outcomes(script)


def test_any_number_of_packets_is_parked():
    def script(lab):
        parked = 0
        for number in range(500):
            with suppress(ParkedFull):
                lab.orchestrator.deliver(CHANNEL, settle(number))
                parked += 1
        return parked

    assert {"ours": 483, "lnd": 500} == outcomes(script)


def test_a_stopped_mailbox_stays_the_channels():
    """Ours can be removed, and the channel gets a new one."""

    def script(lab):
        box = lab.orchestrator.get_or_create_mailbox(ALICE, CHANNEL)
        if lab.lnd:
            box.stop()
        else:
            lab.orchestrator.remove_mailbox(ALICE)
        return box is lab.orchestrator.get_or_create_mailbox(ALICE, CHANNEL)

    assert {"ours": False, "lnd": True} == outcomes(script)


def test_a_stopped_orchestrator_makes_running_mailboxes():
    def script(lab):
        lab.orchestrator.stop()
        try:
            box = lab.orchestrator.get_or_create_mailbox(ALICE, CHANNEL)
            lab.orchestrator.bind_live_short_chan_id(box, ALICE, CHANNEL)
            lab.orchestrator.deliver(CHANNEL, settle(1))
        except MailBoxShuttingDown:
            return "refused"
        return numbers([box.packet_outbox.get(timeout=PATIENCE)])

    assert {"ours": "refused", "lnd": [1]} == outcomes(script)


def test_mailboxes_are_stopped_one_by_one():
    """While the first waits for its callback, the second delivers."""

    def script(lab):
        gate = Gate()
        lab.switch.when["forward_packets"] = gate.pass_through
        busy = lab.orchestrator.get_or_create_mailbox(ALICE, CHANNEL)
        other = lab.orchestrator.get_or_create_mailbox(BOB, OF_BOB)
        busy.add_packet(add(1))
        lab.clock.advance(EXPIRY)
        gate.wait_until_reached()
        receiver = blocked(other.packet_outbox.get)
        stop = Call(lab.orchestrator.stop)
        assert lab.switch.quit.wait(PATIENCE)
        try:
            if lab.lnd:
                assert hangs(stop)
                other.add_packet(settle(2))
            return numbers([receiver.result()])
        except MailBoxShuttingDown:
            return "stopped"
        finally:
            gate.open()
            stop.result()
            assert [] == drain_stopped(other)

    assert {"ours": "stopped", "lnd": [2]} == outcomes(script)


def drain_stopped(box):
    """What a stopped mailbox still delivers: nothing."""
    try:
        return drain(box.packet_outbox)
    except MailBoxShuttingDown:
        return []
