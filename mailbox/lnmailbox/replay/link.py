"""The link of one channel, reduced to its dealings with its mailbox (lnd: `channelLink`)."""

from __future__ import annotations

import concurrent.futures
import queue
from collections.abc import Sequence

from lnmailbox import HTLCPacket, MailBox
from lnmailbox.wire import ShortChannelID

__all__ = ["Link"]


class Link:
    """One thread that reads one mailbox, and does one thing after the other as it is told.

    Every method hands its work to the thread and returns at once; the future tells when it is
    done. So that the replay is the same each time, it is told how many packets to take; it may
    be told so before they are there, and then blocks in the mailbox's outbox, as lnd's does.
    """

    def __init__(self, channel: ShortChannelID, mailbox: MailBox) -> None:
        self.channel = channel
        self._mailbox = mailbox
        self._thread = concurrent.futures.ThreadPoolExecutor(1, f"link of {channel}")

    def take(self, count: int, into: list[HTLCPacket]) -> concurrent.futures.Future[None]:
        """Receive `count` packets, however long it takes, and append each to the empty `into`."""
        return self._thread.submit(self._take, count, into)

    def commit(self, packets: Sequence[HTLCPacket]) -> concurrent.futures.Future[list[bool]]:
        """Ack packets that a commitment holds now; tell of each whether it was still there."""
        return self._thread.submit(self._commit, packets)

    def refuse(self, packet: HTLCPacket) -> concurrent.futures.Future[bool]:
        """Fail an Add that was taken; tell whether it was still there."""
        return self._thread.submit(self._mailbox.fail_add, packet)

    def leave(self) -> concurrent.futures.Future[list[HTLCPacket]]:
        """Stop reading (lnd: `channelLink.Stop`), so that the Adds that linger can expire.

        The result is what was in the mailbox all the same: what the link did not wait for.
        """
        return self._thread.submit(self._leave)

    def come_back(self) -> concurrent.futures.Future[None]:
        """Start reading again from the first unacked packet (lnd: `channelLink.Start`)."""
        return self._thread.submit(self._come_back)

    def sweep(self) -> concurrent.futures.Future[list[HTLCPacket]]:
        """Take all mail that is there, without waiting for more."""
        return self._thread.submit(self._sweep)

    def close(self) -> None:
        """End the thread. The mailbox is stopped by then, so that no receive blocks."""
        self._thread.shutdown()

    def _take(self, count: int, into: list[HTLCPacket]) -> None:
        outbox = self._mailbox.packet_outbox
        while len(into) < count:
            into.append(outbox.get())

    def _commit(self, packets: Sequence[HTLCPacket]) -> list[bool]:
        return [self._mailbox.ack_packet(packet.in_key) for packet in packets]

    def _leave(self) -> list[HTLCPacket]:
        swept = self._sweep()
        self._mailbox.reset_packets()
        return swept

    def _come_back(self) -> None:
        self._mailbox.reset_messages()
        self._mailbox.reset_packets()

    def _sweep(self) -> list[HTLCPacket]:
        outbox = self._mailbox.packet_outbox
        swept = []
        while True:
            try:
                swept.append(outbox.get_nowait())
            except queue.Empty:
                return swept
