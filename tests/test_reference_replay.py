"""Replaying a log through the port of lnd's mailbox: `mailbox_factory` is all that it takes."""

from __future__ import annotations

import pytest

from lnmailbox.reference import CourierMailBox
from lnmailbox.replay.reading.logs import read_events
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.testing import PATIENCE
from playing import plain, play_once


@pytest.fixture(scope="module")
def events(project):
    path = project / "examples" / "htlc_events.jsonl"
    return list(read_events([str(path)], LogWarnings()))


def test_a_log_has_the_same_outcome(events):
    """Every packet is delivered or failed back, and each once."""
    ours = play_once(events, threads="per-link")
    lnd = play_once(events, threads="per-link", mailbox_factory=CourierMailBox)

    assert ours.holds
    assert plain(ours) == plain(lnd)


def test_an_add_that_is_on_offer_overtakes_a_reply(events):
    """When a link takes many packets at once; ours decides when it takes (2). None is lost."""
    lnd = play_once(events, mailbox_factory=CourierMailBox).total

    assert (0, 0) == (lnd.lost, lnd.duplicated)
    assert lnd.adds == lnd.adds_delivered + lnd.adds_refused
    assert lnd.replies == lnd.replies_delivered


class Rested(CourierMailBox):
    """Its courier has a packet on offer before the next one comes."""

    def add_packet(self, packet):
        super().add_packet(packet)
        assert self.wait_for_rest(PATIENCE)


def test_an_add_that_waits_behind_a_reply_is_not_failed_back(events):
    """Its link does not read, a reply is on offer, and the Add came later: ours expires (11)."""
    outage = "stall 883000x2048x0:100:200"

    ours = play_once(events, outage)
    lnd = play_once(events, outage, mailbox_factory=Rested, patience=0.5)

    assert ours.holds
    assert not lnd.holds
    [warning] = lnd.warnings
    assert "did not fail an Add back" in warning.text
