"""Replaying a log through the port of lnd's mailbox: `mailbox_factory` is all that it takes."""

from __future__ import annotations

import pytest

from lnmailbox.reference import CourierMailBox
from lnmailbox.replay.history import read_history
from lnmailbox.replay.outages import parse_outage
from lnmailbox.replay.reading import read_events
from lnmailbox.replay.simulation import simulate
from lnmailbox.replay.warnings import LogWarnings


@pytest.fixture(scope="module")
def history(project):
    sample = project / "examples" / "htlc_events.jsonl"
    return read_history(list(read_events([str(sample)], LogWarnings())))


def test_a_log_has_the_same_outcome(history):
    """Every packet is delivered or failed back, and each once."""
    ours = simulate(history)
    lnd = simulate(history, mailbox_factory=CourierMailBox)

    assert ours.holds
    assert ours == lnd


def test_an_add_that_waits_behind_a_reply_is_not_failed_back(history):
    """Its link is away, a reply is on offer, and the Add came later: ours expires (11)."""
    outage = parse_outage("883000x2048x0:100:200")

    ours = simulate(history, [outage])
    lnd = simulate(history, [outage], mailbox_factory=CourierMailBox, patience=0.5)

    assert ours.holds
    assert not lnd.holds
    [warning] = lnd.warnings
    assert "did not fail an Add back" in warning.text
