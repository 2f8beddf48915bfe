"""How packets get from the switch of a replay into mailboxes, to links, and back."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator

from lnmailbox import HTLCPacket, MailBox, MailBoxConfig, MailOrchestrator, MailOrchestratorConfig
from lnmailbox.wire import ChannelUpdate, ShortChannelID

from .agenda import NEVER
from .crew import Crew, Stalled
from .ledger import Counts
from .link import Link
from .mail import Channel, Mail
from .packets import AddKey, channel_id, failed_key
from .times import NS
from .virtual_clock import VirtualClock

__all__ = ["HAND_OVER_AT", "GivenUp", "Post"]

HAND_OVER_AT = 256
"""With one thread for all links: after so many packets it has its turn, at the latest."""


class GivenUp(Exception):
    """A mailbox did not do what it must, for longer than there is patience."""


class Post:
    """The orchestrator and its mailboxes, the crew of links, and the clock.

    With a thread for each link, a link is told of a packet before it is in the mailbox, and each
    step waits until the links have done their part. With one thread for all, work is noted, and
    handed over together: when `HAND_OVER_AT` packets are noted, before the clock comes to the
    deadline of an Add that a link has still to take, and before anything else of which the result
    matters. A mailbox is left alone between a packet's arrival and the link's turn, so that the
    outcome is the same.

    Attributes:
        clock: to be moved with `move_to`.
        channels: by short channel id.
        strays: the fault of packets that belong to no channel.
        handoffs: how many packets mailboxes have failed back.
    """

    def __init__(
        self,
        expiry: float,
        mailbox_factory: Callable[[MailBoxConfig], MailBox],
        patience: float,
        *,
        per_link: bool,
    ) -> None:
        self.clock = VirtualClock()
        self.channels: dict[ShortChannelID, Channel] = {}
        self.strays = Counts()
        self.handoffs = 0
        self._patience = patience
        self._per_link = per_link
        # What mailboxes fail back, from whichever thread, and when.
        self._returned: queue.SimpleQueue[tuple[int, HTLCPacket]] = queue.SimpleQueue()
        self._orchestrator = MailOrchestrator(
            MailOrchestratorConfig(
                fetch_update=lambda channel: ChannelUpdate(short_channel_id=channel),
                forward_packets=self._forward_packets,
                clock=self.clock,
                expiry=expiry,
                mailbox_factory=mailbox_factory,
            )
        )
        self._deliver = self._orchestrator.deliver
        self._expiry_ns = round(expiry * NS)
        if not self._expiry_ns:
            raise ValueError(f"expiry must be a nanosecond or more, got {expiry!r} s")
        self._crew = Crew(per_link=per_link)
        # Channels with work for their links that was not handed over, and the packets in it.
        self._noted: list[Channel] = []
        self._packets = 0
        # Before this time, the work that is noted must be done.
        self._until_ns = NEVER

    def open(self, number: ShortChannelID) -> Channel:
        """Make a channel and its mailbox."""
        mailbox = self._orchestrator.get_or_create_mailbox(channel_id(number), number)
        self._orchestrator.bind_live_short_chan_id(mailbox, channel_id(number), number)
        channel = self.channels[number] = Channel(number, Link(number, mailbox))
        return channel

    def move_to(self, at_ns: int) -> None:
        """Move the clock."""
        if at_ns >= self._until_ns:
            self.hand_over()
        self.clock.move_to(at_ns)

    def put(self, channel: Channel, mail: Mail) -> None:
        """Put a packet into the channel's mailbox, and let the link take it if it reads."""
        deadline_ns = mail.posted_ns + self._expiry_ns if mail.is_add else None
        channel.link.account.posted(mail.packet, deadline_ns)
        if not channel.reads:
            self._deliver(channel.number, mail.packet)
        elif self._per_link:
            links = [channel.link]
            self._crew.hand_over(links)
            self._deliver(channel.number, mail.packet)
            self._wait()
        else:
            self._deliver(channel.number, mail.packet)
            if deadline_ns is not None and deadline_ns < self._until_ns:
                self._until_ns = deadline_ns
            self.note(channel, 1)

    def note(self, channel: Channel, packets: int) -> None:
        """Note that there is work for the channel's link, with so many packets."""
        if not channel.is_noted:
            channel.is_noted = True
            self._noted.append(channel)
        self._packets += packets
        if self._per_link or self._packets >= HAND_OVER_AT:
            self.hand_over()

    def hand_over(self, *channels: Channel, then: Callable[[Link], None] | None = None) -> None:
        """Let links do what is noted, and those of `channels` something more; wait for it.

        Raises:
            GivenUp: a mailbox keeps its link waiting.
        """
        for channel in channels:
            channel.link.then = then
            if not channel.is_noted:
                channel.is_noted = True
                self._noted.append(channel)
        if not self._noted:
            return
        noted = self._noted
        self._noted = []
        self._packets = 0
        self._until_ns = NEVER
        for channel in noted:
            channel.is_noted = False
        self._crew.hand_over([channel.link for channel in noted])
        self._wait()

    def fails_of(self, adds: Iterable[Mail]) -> Iterator[tuple[Mail, HTLCPacket]]:
        """Wait until mailboxes have failed these Adds; yield each Add with its fail packet.

        Raises:
            GivenUp: one of them does not come.
        """
        missing: dict[AddKey, Mail] = {
            (add.packet.outgoing_chan_id, add.packet.in_key): add for add in adds
        }
        while missing:
            try:
                at_ns, fail = self._returned.get(timeout=self._patience)
            except queue.Empty:
                late = list(missing.values())
                for add in late:
                    self.channel_of(add).link.account.lose([add.packet])
                raise self._given_up(
                    self.channel_of(late[0]).number, "did not fail an Add back"
                ) from None
            key = failed_key(fail, missing)
            if key is not None and at_ns == self.clock.now_ns():
                self.handoffs += 1
                yield missing.pop(key), fail
            else:
                self._stray(fail)

    def channel_of(self, add: Mail) -> Channel:
        """Return the channel in whose mailbox the Add is."""
        return self.channels[add.htlc.outgoing_channel]

    def close(self) -> None:
        """Stop the mailboxes and end the threads; count what was failed back too often."""
        self._orchestrator.stop()
        self._crew.close()
        while not self._returned.empty():
            self._stray(self._returned.get_nowait()[1])

    def _forward_packets(self, _quit: object, *packets: HTLCPacket) -> None:
        for packet in packets:
            self._returned.put((self.clock.now_ns(), packet))

    def _stray(self, fail: HTLCPacket) -> None:
        self.handoffs += 1
        channel = self.channels.get(fail.outgoing_chan_id)
        counts = self.strays if channel is None else channel.link.account.counts
        counts.duplicated += 1

    def _wait(self) -> None:
        try:
            self._crew.wait(self._patience)
        except Stalled as stalled:
            account = stalled.link.account
            account.lose(account.undelivered)
            number = stalled.link.channel
            raise self._given_up(number, "kept its link waiting") from None

    def _given_up(self, number: ShortChannelID, what: str) -> GivenUp:
        at = self.clock.now_ns() / NS
        return GivenUp(
            f"the mailbox of {number} {what} for {self._patience:g} s,"
            f" {at:.3f} s after the first event"
        )
