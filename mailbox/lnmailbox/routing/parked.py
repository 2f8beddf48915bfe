"""Packets for channels that are not live. No locks."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush

from ..errors import PacketAlreadyExists, ParkedFull
from ..keeping.entry import NEVER
from ..packet import CircuitKey, HTLCPacket, is_add
from ..wire import ShortChannelID

__all__ = ["ParkedPackets"]

_FEW = 8  # void entries that are not worth the work

_Key = tuple[bool, CircuitKey]  # whether it is an Add, and the key that it arrived with


class ParkedPackets:
    """For each short channel id, packets in order of arrival (lnd: `unclaimedPackets`).

    At most one of each class and key. Binding moves them one by one: `first`, add to the mailbox,
    `drop`.

    Args:
        max_packets: how many may be parked for one id; None is unlimited.
        max_channels: for how many ids packets may be parked; None is unlimited.

    Attributes:
        added: how many packets were parked so far.
        refused: how many packets raised `ParkedFull`.
    """

    def __init__(self, max_packets: int | None = None, max_channels: int | None = None) -> None:
        self._max_packets = max_packets
        self._max_channels = max_channels
        # Each packet with its number. No channel is empty.
        self._channels: dict[ShortChannelID, OrderedDict[_Key, tuple[int, HTLCPacket]]] = {}
        # The deadlines of Adds, with their numbers. An entry is void if its Add is not parked any
        # more.
        self._deadlines: list[tuple[int, int, ShortChannelID, _Key]] = []
        self._void = 0  # how many are, at most
        self.added = 0
        self.refused = 0

    def __len__(self) -> int:
        return sum(map(len, self._channels.values()))

    @property
    def channels(self) -> int:
        """For how many ids packets are parked."""
        return len(self._channels)

    def add(
        self, short_chan_id: ShortChannelID, packet: HTLCPacket, deadline: int = NEVER
    ) -> None:
        """Append a packet. If it is an Add, it is due at the deadline.

        Raises:
            UnknownHTLCType: it carries neither an Add nor a reply.
            PacketAlreadyExists: there is one of the same class with the same key.
            ParkedFull: there are as many packets for this id, or as many ids, as may be.
        """
        key = (is_add(packet), packet.in_key)
        packets = self._channels.get(short_chan_id)
        if packets is None:
            if self._max_channels is not None and len(self._channels) >= self._max_channels:
                self.refused += 1
                raise ParkedFull(f"packets are parked for {len(self._channels)} channels already")
            packets = OrderedDict()
        if key in packets:
            raise PacketAlreadyExists(f"parked already is packet {packet.in_key}")
        if self._max_packets is not None and len(packets) >= self._max_packets:
            self.refused += 1
            raise ParkedFull(f"{len(packets)} packets are parked for {short_chan_id} already")
        self.added += 1
        if key[0] and deadline < NEVER:
            heappush(self._deadlines, (deadline, self.added, short_chan_id, key))
        packets[key] = self.added, packet
        self._channels[short_chan_id] = packets

    def first(self, short_chan_id: ShortChannelID) -> HTLCPacket | None:
        """Return the oldest packet; None if there is none."""
        packets = self._channels.get(short_chan_id)
        return None if packets is None else next(iter(packets.values()))[1]

    def drop_first(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Remove the oldest packet, if it is this one."""
        if self.first(short_chan_id) is packet:
            self._drop(short_chan_id, next(iter(self._channels[short_chan_id])))

    def packets(self, short_chan_id: ShortChannelID) -> list[HTLCPacket]:
        """Return the packets for an id, in order of arrival."""
        return [packet for _, packet in self._channels.get(short_chan_id, {}).values()]

    def drop_last(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Remove the newest packet, if it is this one."""
        packets = self._channels.get(short_chan_id)
        if packets:
            key = next(reversed(packets))
            if packets[key][1] is packet:
                self._drop(short_chan_id, key)

    def restore(
        self, short_chan_id: ShortChannelID, packet: HTLCPacket, deadline: int = NEVER
    ) -> None:
        """Do as `add`, however many packets and ids there are."""
        limits = self._max_packets, self._max_channels
        try:
            self._max_packets = self._max_channels = None
            self.add(short_chan_id, packet, deadline)
        finally:
            self._max_packets, self._max_channels = limits

    def drop_channel(self, short_chan_id: ShortChannelID) -> list[HTLCPacket]:
        """Remove and return the packets for an id, in order of arrival."""
        packets = [packet for _, packet in self._channels.pop(short_chan_id, {}).values()]
        self._count_void(len(packets))
        return packets

    def first_due(self, now: int) -> tuple[ShortChannelID, HTLCPacket] | None:
        """Return the Add that is due first, if its deadline is `now` or earlier, and its id."""
        if self.next_deadline() > now:
            return None
        _, _, short_chan_id, key = self._deadlines[0]
        return short_chan_id, self._channels[short_chan_id][key][1]

    def drop_first_due(self) -> None:
        """Remove the Add that is due first."""
        _, _, short_chan_id, key = self._deadlines[0]
        self._drop(short_chan_id, key)

    def next_deadline(self) -> int:
        """Return when the first Add is due; `NEVER` if none is."""
        while self._deadlines and not self._is_valid(self._deadlines[0]):
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else NEVER

    def clear(self) -> None:
        self._channels.clear()
        self._deadlines.clear()

    def _drop(self, short_chan_id: ShortChannelID, key: _Key) -> None:
        packets = self._channels[short_chan_id]
        if len(packets) == 1:
            del self._channels[short_chan_id]
        else:
            del packets[key]
        self._count_void(1)

    def _count_void(self, count: int) -> None:
        self._void += count
        if self._void > len(self._deadlines) // 2 + _FEW:
            self._deadlines = [entry for entry in self._deadlines if self._is_valid(entry)]
            heapify(self._deadlines)
            self._void = 0

    def _is_valid(self, entry: tuple[int, int, ShortChannelID, _Key]) -> bool:
        _, number, short_chan_id, key = entry
        packets = self._channels.get(short_chan_id)
        return packets is not None and key in packets and packets[key][0] == number
