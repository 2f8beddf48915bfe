"""A packet on its shelf, the spots where it can be, and a claim on it."""

from __future__ import annotations

import enum

from ..packet import CircuitKey, HTLCPacket

__all__ = ["AGAIN", "NEVER", "NOWHERE", "WAITING", "Claim", "Entry", "Place", "Spot"]

NEVER = 1 << 1024
"""Later than every deadline."""


class Place(enum.Enum):
    """Where a packet is, from when it is added until it is acked or failed."""

    WAITING = "undelivered"
    LINK = "delivered"
    OVERDUE = "expired"
    STUCK = "expired, and waits for another attempt to fail it"
    CLAIMED = "being failed"


class Spot:
    """What `Entry.at` can be: a place, as it is until the next reset.

    Attributes:
        place: which one; None only for `NOWHERE`.
        away: whether packets that are here are not WAITING. A reset makes it False.
    """

    __slots__ = ("away", "place")

    def __init__(self, place: Place | None, away: bool = True) -> None:
        self.place = place
        self.away = away


NOWHERE = Spot(None)
"""Where a packet is before it is added and after it is gone."""

WAITING = Spot(Place.WAITING, away=False)

AGAIN = Spot(Place.WAITING, away=False)
"""Where a packet is that a link has had and given back."""


class Entry:
    """A packet on its shelf (lnd: `pktWithExpiry`).

    Filled in by the shelf: without an `__init__` adding takes 50 ns less.
    """

    __slots__ = ("at", "deadline", "key", "number", "packet")

    packet: HTLCPacket | None  # None once it is gone
    key: CircuitKey  # the packet's own may change after delivery
    number: int  # its place in the order of arrival
    deadline: int  # ns on the mailbox's clock
    at: Spot


class Claim(Spot):
    """Somebody's right to fail an Add. Made before the Add is claimed, so that it is never lost.

    Attributes:
        entry: the Add; None until it is claimed.
        home: where the Add was before.
        out: whether the Add has been taken out in order to be failed.
        final: whether the Add is as good as failed, and can't be acked any more.
    """

    __slots__ = ("entry", "final", "home", "out")

    def __init__(self) -> None:
        super().__init__(Place.CLAIMED)
        self.entry: Entry | None = None
        self.home = NOWHERE
        self.out = False
        self.final = False
