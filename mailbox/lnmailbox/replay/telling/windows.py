"""What windows of one length cost: their mean, and the worst of them, for each channel.

A replay has every other window of the log without the peer. Shifted, it is another replay with
other windows; together they try each start that is a multiple of the shift.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import attrs

from lnmailbox.wire import ShortChannelID

from ..playing.outcome import EndedHtlc

__all__ = ["Loss", "Risk", "Tally", "offsets"]


@attrs.frozen(order=True)
class Loss:
    """What forwards that failed, but settled in the log, would have brought."""

    fees_msat: int = 0
    volume_msat: int = 0
    """Their outgoing amounts."""
    forwards: int = 0

    def __add__(self, other: Loss) -> Loss:
        return Loss(
            self.fees_msat + other.fees_msat,
            self.volume_msat + other.volume_msat,
            self.forwards + other.forwards,
        )


@attrs.frozen
class Risk:
    """What windows cost, those of a channel or those of the whole node."""

    total: Loss = Loss()
    """Of all windows; divided by their number it is the mean."""
    worst: Loss = Loss()
    """Of the window that lost most: fees first, then volume, then forwards."""
    worst_start_ns: int | None = None
    """When that one began, in ns since the first event; the first of equal ones. None: no loss."""

    def __or__(self, other: Risk) -> Risk:
        """The risk of both sets of windows."""
        mine, theirs = self.worst, other.worst
        start_ns, their_start_ns = self.worst_start_ns, other.worst_start_ns
        takes_theirs = their_start_ns is not None and (
            start_ns is None or mine < theirs or (mine == theirs and their_start_ns < start_ns)
        )
        worst = other if takes_theirs else self
        return Risk(self.total + other.total, worst.worst, worst.worst_start_ns)


class Tally:
    """The losses of one replay, by channel and window.

    Args:
        length_ns: of a window, and of the gap between two of them.
        offset_ns: when the first one begins.
    """

    def __init__(self, length_ns: int, offset_ns: int) -> None:
        self._length_ns = length_ns
        self._offset_ns = offset_ns
        # By channel, then by the window's number; only windows that lost something.
        self._losses: dict[ShortChannelID, dict[int, Loss]] = defaultdict(dict)

    def count(self, ended: EndedHtlc) -> None:
        """Take note of an HTLC, if an outage ended it and that was a loss."""
        if ended.has_failed and ended.is_settled and not ended.is_own:
            # An Add that expires at the end of its window is nearer to it than to the next one.
            number = (ended.at_ns - self._offset_ns) // (2 * self._length_ns)
            losses = self._losses[ended.htlc.outgoing_channel]
            loss = Loss(ended.htlc.fee, ended.htlc.outgoing_amount, 1)
            losses[number] = losses.get(number, Loss()) + loss

    def windows(self, end_ns: int) -> int:
        """Return how many whole windows a log of this length has."""
        return max(0, (end_ns - self._offset_ns + self._length_ns) // (2 * self._length_ns))

    def risks(self, end_ns: int) -> tuple[dict[ShortChannelID, Risk], Risk]:
        """Return the risk of each channel that lost something, and that of the node.

        A window that the end of the log cuts off does not count.
        """
        numbers = range(self.windows(end_ns))
        whole: dict[int, Loss] = defaultdict(Loss)
        channels = {}
        for channel, losses in self._losses.items():
            within = {number: loss for number, loss in losses.items() if number in numbers}
            channels[channel] = self._risk(within.items())
            for number, loss in within.items():
                whole[number] += loss
        return channels, self._risk(whole.items())

    def _risk(self, losses: Iterable[tuple[int, Loss]]) -> Risk:
        risk = Risk()
        for number, loss in losses:
            start_ns = self._offset_ns + number * 2 * self._length_ns
            risk |= Risk(loss, loss, start_ns)
        return risk


def offsets(length_ns: int, steps: int) -> list[int]:
    """Return when the first windows of the replays begin: 2 x `steps` multiples of the shift."""
    return [number * length_ns // steps for number in range(2 * steps)]
