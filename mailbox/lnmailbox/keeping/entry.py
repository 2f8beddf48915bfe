"""A packet on its shelf: where it is, and who has claimed it."""

from __future__ import annotations

import enum

from ..packet import CircuitKey, HTLCPacket

__all__ = ["NEVER", "NOWHERE", "Claim", "Entry", "Place"]

NEVER = 1 << 1024
"""Later than every deadline."""

NOWHERE = object()
"""Where a packet is before it is added and after it is gone."""


class Place(enum.Enum):
    """Where a packet is, from when it is added until it is acked or failed."""

    WAITING = "undelivered"
    LINK = "delivered"
    OVERDUE = "expired"
    STUCK = "expired, and waits for another attempt to fail it"
    CLAIMED = "being failed"


class Entry:
    """A packet on its shelf (lnd: `pktWithExpiry`).

    Filled in by the shelf: without an `__init__` adding takes 50 ns less.
    """

    __slots__ = ("at", "deadline", "key", "number", "packet")

    packet: HTLCPacket | None  # None once it is gone
    key: CircuitKey  # the packet's own may change after delivery
    number: int  # its place in the order of arrival
    deadline: int  # ns on the mailbox's clock
    # LINK: the shelf's round. OVERDUE, STUCK: that container of the round. CLAIMED: its claim.
    # WAITING: None, or anything of an earlier round. `NOWHERE`: not yet added, or gone.
    at: object


class Claim:
    """Somebody's right to fail an Add. Made before the Add is claimed, so that it is never lost.

    Attributes:
        entry: the Add; None until it is claimed.
        out: whether the Add has been taken out in order to be failed.
    """

    __slots__ = ("entry", "home", "out")

    home: object  # `Entry.at` before

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.out = False
