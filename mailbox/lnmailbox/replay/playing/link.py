"""The link of one channel, reduced to its dealings with its mailbox (lnd: `channelLink`)."""

from __future__ import annotations

import queue
from collections.abc import Callable

import attrs

from lnmailbox import HTLCPacket, MailBox
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC

from .ledger import Account

__all__ = ["Link"]


@attrs.define(eq=False)
class Link:
    """Reads one mailbox and keeps the book of it, in the thread in which `work` is called.

    The switch notes what there is to do, lets `work` be called, and looks at nothing of it before
    that is over. So that the replay is the same each time, a link takes as many packets as the
    book has for it; it may be told so before they are there, and then blocks in the mailbox's
    outbox, as lnd's does.
    """

    channel: ShortChannelID
    mailbox: MailBox
    account: Account[HTLCPacket] = attrs.field(factory=Account)
    reads: bool = True
    to_ack: list[tuple[HTLCPacket, int]] = attrs.field(factory=list)
    """What the next commitment holds, each packet with its outgoing HTLC id."""
    then: Callable[[Link], None] | None = None
    """What to do after that: a method of this class."""
    refusal: HTLCPacket | None = None
    """The Add that `refuse` is about."""
    has_refused: bool = False
    """Whether the mailbox had it."""
    handoffs: int = 0
    """How many packets came from the switch's thread to that of the link."""

    def work(self) -> None:
        """Take all mail that is there, ack what is committed to, then do `then`."""
        if self.reads:
            self._take()
            self._ack()
        if self.then is not None:
            then = self.then
            self.then = None
            then(self)

    def refuse(self) -> None:
        """Fail the Add that is to be refused."""
        add = self.refusal
        assert add is not None
        self.has_refused = self.mailbox.fail_add(add)
        if not self.has_refused:
            self.account.lose([add])

    def leave(self) -> None:
        """Stop reading (lnd: `channelLink.Stop`), so that the Adds that linger can expire."""
        for _ in self._sweep():
            self.account.unexpected()
        self.mailbox.reset_packets()
        self.account.link_left()
        self.reads = False

    def come_back(self) -> None:
        """Start reading again from the first unacked packet (lnd: `channelLink.Start`)."""
        self.mailbox.reset_messages()
        self.mailbox.reset_packets()
        self.reads = True
        self._take()

    def take_inventory(self) -> None:
        """Compare what is in the mailbox, to the last packet, with the book."""
        self.account.inventory(self._sweep())

    def _take(self) -> None:
        account = self.account
        get = self.mailbox.packet_outbox.get
        while account.undelivered_count:
            account.taken(get())
            self.handoffs += 1

    def _ack(self) -> None:
        account = self.account
        ack = self.mailbox.ack_packet
        for packet, outgoing_htlc_id in self.to_ack:
            if type(packet.htlc) is UpdateAddHTLC:
                packet.outgoing_htlc_id = outgoing_htlc_id
            account.acked(packet, ack(packet.in_key))
        self.to_ack.clear()

    def _sweep(self) -> list[HTLCPacket]:
        outbox = self.mailbox.packet_outbox
        swept = []
        while True:
            try:
                swept.append(outbox.get_nowait())
            except queue.Empty:
                self.handoffs += len(swept)
                return swept
