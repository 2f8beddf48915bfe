"""The packets' half of lnd's mailbox as it stands in Go, for comparison.

A courier thread per mailbox peeks at the first packet and offers it over a channel without a
buffer; the receiver takes it from there. Go's channel is `Rendezvous`, Go's goroutine a thread.
Stopping, wire messages, and the failing of what expires are left out: none of them is on the way
that is measured. The deadline is, since the original computes one for each offer.
"""

from __future__ import annotations

import threading
from collections import deque

from lnmailbox import CircuitKey, HTLCPacket, PacketAlreadyExists, SystemClock
from lnmailbox.wire import UpdateAddHTLC

__all__ = ["GoMailBox"]

EXPIRY_NS = 60_000_000_000
now_ns = SystemClock.now_ns


class Rendezvous:
    """A Go channel without a buffer: an offer ends when a receiver has the item."""

    def __init__(self) -> None:
        self.changed = threading.Condition()  # there is an offer, or it was taken
        self.offered: HTLCPacket | None = None

    def offer(self, packet: HTLCPacket, deadline: int) -> bool:
        with self.changed:
            self.offered = packet
            self.changed.notify()
            while self.offered is not None:
                if not self.changed.wait(max(0, deadline - now_ns()) / 1e9):
                    self.offered = None
                    return False
            return True

    def get(self) -> HTLCPacket:
        with self.changed:
            while self.offered is None:
                self.changed.wait()
            packet, self.offered = self.offered, None
            self.changed.notify()
            return packet


class GoMailBox:
    """`memoryMailBox` with its packet courier."""

    def __init__(self) -> None:
        self.cond = threading.Condition()  # there is a packet to deliver, or the mailbox stops
        self.indexes: tuple[dict[CircuitKey, HTLCPacket], ...] = ({}, {})  # replies, Adds
        self.heads: tuple[deque[tuple[HTLCPacket, int]], ...] = (deque(), deque())
        self.outbox = Rendezvous()
        self.stopping = False
        self.courier = threading.Thread(target=self.mail_courier, daemon=True)
        self.courier.start()

    def add_packet(self, packet: HTLCPacket) -> None:
        kind = type(packet.htlc) is UpdateAddHTLC
        with self.cond:
            if packet.in_key in self.indexes[kind]:
                raise PacketAlreadyExists
            self.indexes[kind][packet.in_key] = packet
            self.heads[kind].append((packet, now_ns() + EXPIRY_NS))
            self.cond.notify()

    def ack_packet(self, key: CircuitKey) -> bool:
        with self.cond:
            return any(index.pop(key, None) for index in self.indexes)

    def stop(self) -> None:
        with self.cond:
            self.stopping = True
            self.cond.notify()
        self.courier.join()

    def mail_courier(self) -> None:
        replies, adds = self.heads
        while True:
            with self.cond:
                while not replies and not adds:
                    if self.stopping:
                        return
                    self.cond.wait()
                head = replies or adds
                packet, deadline = head[0]
            self.outbox.offer(packet, deadline)
            with self.cond:
                head.popleft()
