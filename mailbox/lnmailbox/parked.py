"""Packets for a channel that is not live: a data structure without a lock."""

from __future__ import annotations

from collections import OrderedDict

from .errors import PacketAlreadyExists
from .packet import CircuitKey, HTLCPacket, is_add

__all__ = ["ParkedPackets"]


class ParkedPackets:
    """Packets in order of arrival, at most one of each class and key (lnd: `unclaimedPackets`)."""

    def __init__(self) -> None:
        # Keyed by what made each unique when it arrived.
        self._packets: OrderedDict[tuple[bool, CircuitKey], HTLCPacket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._packets)

    def first(self) -> HTLCPacket:
        """Return the oldest packet, of at least one."""
        return next(iter(self._packets.values()))

    def add(self, packet: HTLCPacket) -> None:
        """Append a packet.

        Raises:
            UnknownHTLCType: it carries neither an Add nor a reply.
            PacketAlreadyExists: there is one of the same class with the same key.
        """
        key = (is_add(packet), packet.in_key)
        if key in self._packets:
            raise PacketAlreadyExists(f"parked already is packet {packet.in_key}")
        self._packets[key] = packet

    def drop_first(self) -> None:
        """Remove the oldest packet, of at least one."""
        self._packets.popitem(last=False)
