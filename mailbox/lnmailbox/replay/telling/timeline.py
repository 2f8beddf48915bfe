"""What a picture of a replay shows: a line per channel, with a bounded number of marks."""

from __future__ import annotations

from collections import defaultdict

import attrs

from lnmailbox.wire import ShortChannelID

from ..playing.outcome import EndedHtlc, Ending, Outcome
from .sketch import Away, Sketch
from .tables import sat

__all__ = ["BINS", "Line", "Mark", "lines"]

BINS = 300
"""Into so many equal parts the time is divided; a part has one mark of each kind at most."""


@attrs.frozen
class Mark:
    """HTLCs of one channel that failed in the same way at about the same time."""

    at_ns: int
    """Of the first of them, in ns since the first event."""
    ending: Ending
    is_lost: bool
    """Whether the log shows them as settled."""
    count: int


@attrs.frozen
class Line:
    """The story of one channel."""

    channel: ShortChannelID
    outages: list[Away]
    depths: list[tuple[int, int]]
    """Times and numbers of undelivered packets from then on; the times never go back."""
    marks: list[Mark]
    text: str
    """What it lost."""

    @property
    def deepest(self) -> int:
        """The greatest number of undelivered packets."""
        return max((depth for _, depth in self.depths), default=0)


def lines(outcome: Outcome, sketch: Sketch, top: int) -> list[Line]:
    """Return the lines of the channels that lost most, `top` of them.

    Channels without an outage have none, unless there was no outage at all.
    """
    failed: dict[ShortChannelID, list[EndedHtlc]] = defaultdict(list)
    for one in outcome.failed:
        failed[one.htlc.outgoing_channel].append(one)
    concerned = [
        channel for channel in outcome.channels if channel in failed or channel in sketch.outages
    ]

    def rank(channel: ShortChannelID) -> tuple[int, ...]:
        counts = outcome.channels[channel]
        loss = counts.fees_lost_msat, counts.volume_failed_msat
        return *(-amount for amount in loss), -len(failed[channel]), -counts.adds, int(channel)

    chosen = sorted(concerned or outcome.channels, key=rank)[:top]
    return [
        Line(
            channel=channel,
            outages=sketch.outages.get(channel, []),
            depths=sketch.depths.get(channel, []),
            marks=_marks(failed[channel], outcome.end_ns),
            text=_text(failed[channel]),
        )
        for channel in chosen
    ]


def _marks(failed: list[EndedHtlc], end_ns: int) -> list[Mark]:
    bins: dict[tuple[int, Ending, bool], Mark] = {}
    for one in failed:
        key = one.at_ns * BINS // (end_ns + 1), one.ending, one.is_settled
        mark = bins.get(key)
        if mark is None:
            bins[key] = Mark(one.at_ns, one.ending, one.is_settled, 1)
        else:
            bins[key] = attrs.evolve(mark, count=mark.count + 1)
    return list(bins.values())


def _text(failed: list[EndedHtlc]) -> str:
    if not failed:
        return "nothing failed"
    lost = sum(one.is_settled for one in failed)
    fees = sum(one.fee_lost_msat for one in failed)
    if not lost:
        return f"{len(failed):,} failed,\nnone settled in the log"
    return f"{len(failed):,} failed, {lost:,} settled\nin the log: {sat(fees)}"
