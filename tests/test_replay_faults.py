"""Playing logs through mailboxes that do not do what they must: every fault is seen."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import attrs

from lnmailbox import CircuitKey, HTLCPacket, MailBoxConfig, MemoryMailBox
from lnmailbox.replay.playing.outcome import Outcome
from lnmailbox.replay.reading.events import HtlcEvent, Kind
from playing import B, at, end, log, nonzero, play, play_once


class FaultyOutbox:
    """An outbox that can be told to hand things out wrongly."""

    def __init__(self, get: Callable[[bool], HTLCPacket]) -> None:
        self._get = get

    def get(self) -> HTLCPacket:
        return self._get(True)

    def get_nowait(self) -> HTLCPacket:
        return self._get(False)


def faults(outcome: Outcome) -> dict[str, int]:
    assert not outcome.holds
    total = nonzero(outcome.total)
    return {name: total[name] for name in ("lost", "duplicated", "out_of_order") if name in total}


def broken(events: list[HtlcEvent], box: Callable[[MailBoxConfig], Any], *outages: str) -> Outcome:
    return play(events, *outages, mailbox_factory=box)


def stalled(
    events: list[HtlcEvent], box: Callable[[MailBoxConfig], Any], *outages: str
) -> Outcome:
    """A replay that is given up after half a second; a mailbox that works takes a fraction.

    The faults are the same with both kinds of threads. What they were found in is not.
    """
    shared, per_link = (
        play_once(events, *outages, mailbox_factory=box, patience=0.5, threads=threads)
        for threads in ("shared", "per-link")
    )
    assert shared.was_given_up
    assert per_link.was_given_up
    assert faults(shared) == faults(per_link)
    return per_link


TWO_ADDS = log(at(0, Kind.ADD), at(1, Kind.ADD, incoming_htlc_id=2), end(9))


class Dropping(MemoryMailBox):
    """Forgets what is added under an even id."""

    def add_packet(self, packet: HTLCPacket) -> None:
        if packet.incoming_htlc_id % 2:
            super().add_packet(packet)


def test_a_packet_that_never_comes_is_lost() -> None:
    """The link's thread waits in vain; the replay is given up, with a warning that says where."""
    outcome = stalled(TWO_ADDS, Dropping)

    assert {"lost": 1} == faults(outcome)
    (warning,) = outcome.warnings
    where = "the mailbox of 2x2x2 kept its link waiting for 0.5 s, 1.000 s after the first event"
    assert f"given up: {where}" == str(warning)


def test_what_comes_instead_of_a_lost_packet_is_not_lost() -> None:
    """Of two that are due after an outage, one comes."""
    outcome = stalled(TWO_ADDS, Dropping, "stall B:0:5")

    assert {"lost": 1} == faults(outcome)


def test_a_packet_that_is_gone_while_it_waits_is_lost() -> None:
    """The mailboxes are looked through at the end, those of links that are away too."""
    outcome = broken(TWO_ADDS, Dropping, "stall B:0:50")

    assert {"lost": 1} == faults(outcome)
    assert not outcome.was_given_up
    assert 1 == outcome.total.adds_waiting


class Repeating(MemoryMailBox):
    """Hands out every packet twice."""

    def __init__(self, config: MailBoxConfig) -> None:
        super().__init__(config)
        self._again: list[HTLCPacket] = []

    @property
    def packet_outbox(self) -> Any:
        outbox = super().packet_outbox

        def get(block: bool) -> HTLCPacket:
            if self._again:
                return self._again.pop()
            self._again.append(outbox.get(block))
            return self._again[0]

        return FaultyOutbox(get)


def test_a_packet_that_comes_twice_is_a_duplicate() -> None:
    """Whether the link finds it in place of the next, when it leaves, or at the end."""
    assert {"duplicated": 2} == faults(broken(TWO_ADDS, Repeating))
    assert {"duplicated": 1} == faults(
        broken(log(at(0, Kind.ADD), end(9)), Repeating, "stall B:5:1")
    )


class Swapping(MemoryMailBox):
    """Hands out the second packet first, where there are two."""

    def __init__(self, config: MailBoxConfig) -> None:
        super().__init__(config)
        self._kept: list[HTLCPacket] = []

    @property
    def packet_outbox(self) -> Any:
        outbox = super().packet_outbox

        def get(block: bool) -> HTLCPacket:
            if self._kept:
                return self._kept.pop()
            packet = outbox.get(block)
            try:
                following = outbox.get_nowait()
            except queue.Empty:
                return packet
            self._kept.append(packet)
            return following

        return FaultyOutbox(get)


def test_packets_that_come_in_another_order_are_out_of_order() -> None:
    """Whether the link takes them when it is back, or they are found at the end."""
    for outage in ("stall B:0:5", "stall B:0:50"):
        assert {"out_of_order": 1} == faults(broken(TWO_ADDS, Swapping, outage))


class Resetting(MemoryMailBox):
    """Does not reset."""

    def reset_packets(self) -> None:
        pass


def test_a_packet_that_is_not_replayed_is_lost() -> None:
    """The link waits for what it had before the outage."""
    outcome = stalled(log(at(0, Kind.ADD), end(9)), Resetting, "stall B:0.01:1")

    assert {"lost": 1} == faults(outcome)


def test_an_add_that_does_not_fail_back_is_lost() -> None:
    """Its deadline passes, and the mailbox says nothing."""
    outcome = stalled(log(at(0, Kind.ADD), end(99)), Resetting, "stall B:0.01:99")

    assert {"lost": 1} == faults(outcome)
    (warning,) = outcome.warnings
    assert "the mailbox of 2x2x2 did not fail an Add back for 0.5 s, 60.000 s" in str(warning)


class Forgetful(MemoryMailBox):
    """Knows nothing of what was taken."""

    def ack_packet(self, key: CircuitKey) -> bool:
        super().ack_packet(key)
        return False

    def fail_add(self, packet: HTLCPacket) -> bool:
        return False


def test_a_packet_that_is_gone_when_acked_or_refused_is_lost() -> None:
    """The mailbox would not have replayed it."""
    events = log(at(0, Kind.ADD), at(0, Kind.LINK_FAIL, incoming_htlc_id=2), end(9))

    assert {"lost": 2} == faults(broken(events, Forgetful))


class Silent(MemoryMailBox):
    """Says that it failed an Add, and does nothing."""

    def fail_add(self, packet: HTLCPacket) -> bool:
        return True


def test_a_refused_add_without_a_fail_is_lost() -> None:
    """The incoming link would wait for ever."""
    outcome = stalled(log(at(0, Kind.LINK_FAIL)), Silent)

    assert {"lost": 1} == faults(outcome)


def forwarding(*extra: HTLCPacket, times: int = 1) -> Callable[[MailBoxConfig], MemoryMailBox]:
    """Mailboxes that fail back more than there is: all of it `times`, and `extra`."""

    def factory(config: MailBoxConfig) -> MemoryMailBox:
        def forward_packets(quit_: Any, *packets: HTLCPacket) -> None:
            config.forward_packets(quit_, *packets * times, *extra)

        return MemoryMailBox(attrs.evolve(config, forward_packets=forward_packets))

    return factory


def test_an_add_that_fails_back_twice_is_a_duplicate() -> None:
    """Noticed with the next one, or at the end."""
    events = log(at(0, Kind.LINK_FAIL), at(1, Kind.LINK_FAIL, incoming_htlc_id=2))
    outcome = broken(events, forwarding(times=2))

    assert {"duplicated": 2} == faults(outcome)
    assert 2 == outcome.channels[B].duplicated


def test_a_fail_of_no_known_channel_is_a_duplicate_too() -> None:
    """It counts for no channel, but in the total."""
    outcome = broken(log(at(0, Kind.LINK_FAIL)), forwarding(HTLCPacket()))

    assert {"duplicated": 1} == faults(outcome)


class Hasty(MemoryMailBox):
    """Fails an Add as soon as it has it."""

    def add_packet(self, packet: HTLCPacket) -> None:
        super().add_packet(packet)
        self.fail_add(packet)


def test_an_add_that_fails_back_too_early_is_not_taken_for_one_that_is_due() -> None:
    """There is a packet too many, and then one is missing."""
    outcome = stalled(log(at(0, Kind.ADD), end(99)), Hasty, "stall B:0:99")

    assert {"lost": 1, "duplicated": 1} == faults(outcome)
