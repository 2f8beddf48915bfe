"""Outages and waiting mail of a replay, kept for a picture of bounded size."""

from __future__ import annotations

from collections import defaultdict

import attrs

from lnmailbox.wire import ShortChannelID

from ..playing.outages import Absence

__all__ = ["Away", "Sketch", "thinned"]

_MOST = 4_096  # points and outages of a channel, before they are thinned


@attrs.frozen
class Away:
    """An outage of a link, in ns since the first event."""

    start_ns: int
    end_ns: int
    kind: Absence


class Sketch:
    """A recorder for `simulate`. It keeps at most some thousand points for each channel."""

    def __init__(self) -> None:
        self.outages: dict[ShortChannelID, list[Away]] = defaultdict(list)
        self.depths: dict[ShortChannelID, list[tuple[int, int]]] = defaultdict(list)
        """Times and numbers of undelivered packets from then on."""

    def outage(self, channel: ShortChannelID, kind: Absence, start_ns: int, end_ns: int) -> None:
        """Note an outage."""
        outages = self.outages[channel]
        outages.append(Away(start_ns, end_ns, kind))
        if len(outages) > _MOST:
            outages[:] = [
                attrs.evolve(first, end_ns=second.end_ns)
                for first, second in zip(outages[::2], outages[1::2] + outages[-1:], strict=False)
            ]

    def depth(self, channel: ShortChannelID, at_ns: int, depth: int) -> None:
        """Note how many undelivered packets a mailbox has from now on."""
        points = self.depths[channel]
        points.append((at_ns, depth))
        if len(points) > _MOST:
            points[:] = thinned(points)


def thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return half of the points: of each two the earlier time and the greater depth."""
    pairs = zip(points[::2], points[1::2] + points[-1:], strict=False)
    return [(first[0], max(first[1], second[1])) for first, second in pairs]
