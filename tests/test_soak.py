"""A node under fire for some seconds; and the soak itself finds what it is there to find."""

from __future__ import annotations

import logging
import sys

import pytest

import soak
from lnmailbox import MailBoxShuttingDown, MemoryMailBox
from lnmailbox.receiving.outbox import LocalOutbox
from lnmailbox.testing import PATIENCE
from lnmailbox.testing.conformance.base import add, key
from soak import Broken, DurableKind, Kind, Ledger


@pytest.fixture(autouse=True)
def nobody_listens(caplog):
    """There are errors on purpose."""
    caplog.set_level(logging.CRITICAL, "lnmailbox")


def memory(_):
    return Kind()


@pytest.mark.parametrize("kind", [memory, DurableKind])
def test_every_packet_of_a_node_under_fire_ends_once(tmp_path, kind):
    """Five seconds of it. Minutes and hours: see CONTRIBUTING.md."""
    interval = sys.getswitchinterval()
    told: list[str] = []
    counts = soak.soak(kind(tmp_path), 5.0, "test", told.append)

    assert [] == told  # it speaks every 30 seconds
    assert interval == sys.getswitchinterval()
    assert counts["accepted"] <= counts["acked"] + counts["failed"] + counts["returned"]
    for what in ("acked", "failed", "returned", "resets", "nacks", "removals", "binds"):
        assert counts[what], what
    assert counts["messages received"] <= counts["messages sent"]
    assert [] == list(tmp_path.iterdir())


def test_mail_that_a_node_leaves_in_its_file_is_found(tmp_path):
    """Packets; but not Fails that the switch refused."""
    kind = DurableKind(tmp_path)
    one = soak.Round(kind, "test")
    one.channels[0].box.add_packet(add(1))

    kind.close(one.node)

    with pytest.raises(Broken, match="htlc_id=1"):
        kind.check()


def test_a_ledger_balances_if_each_packet_ended_once_for_each_time():
    ledger = Ledger()
    ledger.accepted += [key(1), key(2), key(1)]
    ledger.end("acked", key(1), key(2))
    ledger.end("failed", key(1))

    ledger.require_balance()
    assert 0 == ledger.under_way
    assert {"accepted": 3, "acked": 2, "failed": 1} == ledger.summary()


@pytest.mark.parametrize("ends", [[], [("acked", key(1)), ("failed", key(1))]])
def test_a_ledger_names_what_was_lost_or_ended_twice(ends):
    ledger = Ledger()
    ledger.accepted.append(key(1))
    ledger.ends += ends

    with pytest.raises(Broken, match=r"^1 packets did not end once, such as .*HTLC ID=1"):
        ledger.require_balance()


class Forgetful(MemoryMailBox):
    """Loses every third packet."""

    added = 0

    def add_packet(self, packet):
        self.added += 1
        if self.added % 3:
            super().add_packet(packet)


class Mute(MemoryMailBox):
    """Does not say of every third packet that it was acked."""

    asked = 0

    def ack_packet(self, key):
        self.asked += 1
        return super().ack_packet(key) and self.asked % 3 > 0


class SilentOutbox(LocalOutbox):
    """Tells the threads that wait of the end and of resets only."""

    __slots__ = ()

    def _ring_locked(self, count=1):
        super()._ring_locked(0)

    def _ring_all_locked(self):
        super()._ring_locked(len(self._bells))


class Silent(MemoryMailBox):
    def __init__(self, config):
        super().__init__(config)
        self._packet_outbox.__class__ = SilentOutbox


class Sabotaged(Kind):
    def __init__(self, factory):
        self.factory = factory

    def open(self, config):
        return super().open({**config, "mailbox_factory": self.factory})


@pytest.mark.parametrize(
    "factory, finding",
    [(Forgetful, "did not end once"), (Mute, "did not end once"), (Silent, "stands still")],
)
def test_a_mailbox_that_breaks_its_promises_is_found_out(monkeypatch, factory, finding):
    """It loses packets, or lets a receiver sleep beside its mail."""
    monkeypatch.setattr(soak, "PATIENCE", 2.0 if factory is Silent else PATIENCE)

    def soak_on():
        for number in range(20):  # on a slow machine, receivers may find no time to wait
            soak.soak(Sabotaged(factory), 0.5, f"test {number}", print)

    with pytest.raises(Broken, match=finding):
        soak_on()


def test_what_a_thread_raises_ends_the_round(monkeypatch):
    def observe(self):
        raise MailBoxShuttingDown("not now")

    monkeypatch.setattr(soak.Round, "observe", observe)

    with pytest.raises(Broken, match="not now"):
        soak.Round(Kind(), "test").run(0.5)
