"""Packets for channels that are not live. No locks."""

from __future__ import annotations

from collections import OrderedDict

from ..errors import PacketAlreadyExists
from ..packet import CircuitKey, HTLCPacket, is_add
from ..wire import ShortChannelID

__all__ = ["ParkedPackets"]


class ParkedPackets:
    """For each short channel id, packets in order of arrival (lnd: `unclaimedPackets`).

    At most one of each class and key. Binding moves them one by one: `first`, add to the mailbox,
    `drop_first`.
    """

    def __init__(self) -> None:
        # By class and key when the packet arrived. No dict is empty.
        self._channels: dict[ShortChannelID, OrderedDict[tuple[bool, CircuitKey], HTLCPacket]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._channels.values()))

    def add(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Append a packet.

        Raises:
            UnknownHTLCType: it carries neither an Add nor a reply.
            PacketAlreadyExists: there is one of the same class with the same key.
        """
        key = (is_add(packet), packet.in_key)
        packets = self._channels.get(short_chan_id)
        if packets is None:
            self._channels[short_chan_id] = OrderedDict({key: packet})
        elif key in packets:
            raise PacketAlreadyExists(f"parked already is packet {packet.in_key}")
        else:
            packets[key] = packet

    def first(self, short_chan_id: ShortChannelID) -> HTLCPacket | None:
        """Return the oldest packet; None if there is none."""
        packets = self._channels.get(short_chan_id)
        return None if packets is None else next(iter(packets.values()))

    def drop_first(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Remove the oldest packet, if it is this one."""
        if self.first(short_chan_id) is packet:
            packets = self._channels[short_chan_id]
            if len(packets) == 1:
                del self._channels[short_chan_id]
            else:
                packets.popitem(last=False)

    def clear(self) -> None:
        self._channels.clear()
