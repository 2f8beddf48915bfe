"""An orchestrator with a switch and a clock, for the tests of making, binding and stopping."""

from __future__ import annotations

from typing import Any

from lnmailbox import (
    MailBox,
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    MemoryMailBox,
)
from lnmailbox.testing import Switch
from lnmailbox.testing.conformance.base import EXPIRY, drain, message, numbers
from lnmailbox.wire import ChannelID, ShortChannelID

PENDING = ShortChannelID()


def channel(number: int) -> ChannelID:
    return ChannelID(number.to_bytes(32, "big"))


def short(number: int) -> ShortChannelID:
    return ShortChannelID(800_000 + number, 2, 3)


class Node:
    """Channels are known by numbers. `made` has the mailboxes in the order of their making."""

    def __init__(self, factory: Any = MemoryMailBox, **options: Any) -> None:
        self.switch = Switch()
        self.clock = ManualClock()
        self.made: list[MailBox] = []
        self.factory = factory
        defaults = {
            "fetch_update": self.switch.fetch_update,
            "forward_packets": self.switch.forward_packets,
            "clock": self.clock,
            "mailbox_factory": self._make,
        }
        self.config = MailOrchestratorConfig(expiry=EXPIRY, **{**defaults, **options})
        self.orchestrator = MailOrchestrator(self.config)

    def _make(self, config: MailBoxConfig) -> MailBox:
        mailbox = self.factory(config)
        self.made.append(mailbox)
        return mailbox

    def get(self, number: int, short_chan_id: Any = PENDING) -> MailBox:
        return self.orchestrator.get_or_create_mailbox(channel(number), short_chan_id)

    def bind(self, mailbox: Any, number: int, short_chan_id: Any = None) -> None:
        short_chan_id = short_chan_id or short(number)
        self.orchestrator.bind_live_short_chan_id(mailbox, channel(number), short_chan_id)

    def live(self, number: int) -> MailBox:
        mailbox = self.get(number, short(number))
        self.bind(mailbox, number)
        return mailbox

    def deliver(self, number: int, *packets: Any) -> None:
        for packet in packets:
            self.orchestrator.deliver(short(number), packet)

    def parked(self) -> list[int]:
        channels = self.orchestrator._unclaimed_packets._channels.values()
        return numbers(packet for packets in channels for _, packet in packets.values())

    def other_mailbox(self, kind: Any = MemoryMailBox) -> MailBox:
        """Return a mailbox that the orchestrator does not know, not started."""
        return kind(MailBoxConfig.of_channel(self.config, channel(99), PENDING))


def received(mailbox: MailBox) -> list[int]:
    """Take everything there is; return the numbers in order."""
    return numbers(drain(mailbox.packet_outbox))


def is_stopped(mailbox: MailBox) -> bool:
    try:
        mailbox.add_message(message(1))
    except MailBoxShuttingDown:
        return True
    return False
