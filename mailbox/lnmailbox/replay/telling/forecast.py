"""Which outage would have cost most: replays with every channel away in every other window.

The outages of different channels do not touch each other in a replay: an Add is failed by its
own outgoing link only. So one replay tries a window of all channels at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import attrs

from lnmailbox.wire import ShortChannelID

from ..playing.history import Progress
from ..playing.outages import Absence, Change
from ..playing.outcome import Outcome
from ..playing.simulation import simulate
from ..reading.events import HtlcEvent
from ..reading.warnings import LogWarning, LogWarnings
from .tables import age
from .windows import Risk, Tally, offsets

__all__ = ["Forecast", "Unforeseeable", "forecast"]

Read = Callable[[LogWarnings], Iterator[HtlcEvent]]
"""Reads the log from its beginning."""


@attrs.frozen
class Windows:
    """Outages of all channels, as long as the times between them."""

    kind: Absence
    length_ns: int
    offset_ns: int
    """When the first one begins, in ns since the first event."""
    channel: None = None
    """All."""

    def changes(self, first_ns: int) -> Iterator[Change]:
        """Yield their beginnings and ends, without end."""
        at_ns = self.offset_ns
        while True:
            yield Change(at_ns, None, self.kind, begins=True)
            at_ns += self.length_ns
            yield Change(at_ns, None, self.kind, begins=False)
            at_ns += self.length_ns

    def trouble(self, first_ns: int, end_ns: int) -> str:
        """Return that there is none: a window later than the log is only not tried."""
        return ""


class Unforeseeable(ValueError):
    """The log is shorter than a window."""


@attrs.frozen(kw_only=True)
class Forecast:
    """What windows without a peer would have cost."""

    kind: Absence
    expiry: float
    """In seconds."""
    length_ns: int
    """Of a window."""
    steps: int
    """Windows begin at each multiple of the length divided by this."""
    windows: int
    """How many were tried."""
    start_ns: int
    """Unix time of the first event, in ns."""
    end_ns: int
    """Length of the log, in ns."""
    channels: dict[ShortChannelID, Risk]
    """Of every channel with an Add, sorted."""
    node: Risk
    """If all channels are away at once."""
    holds: bool
    """Whether the accounts of all replays hold."""
    adds_left_out: int
    warnings: list[LogWarning]


def forecast(
    read: Read,
    length_ns: int,
    *,
    kind: Absence,
    expiry: float,
    steps: int,
    window: tuple[int | None, int | None] = (None, None),
    threads: Literal["shared", "per-link"] = "shared",
    on_progress: Callable[[int, Progress], None],
) -> Forecast:
    """Replay the log 2 x `steps` times, and return the risk of each channel.

    It blocks until that is over.

    Args:
        read: returns the events, from the first one each time.
        length_ns: of a window.
        kind: what happens in it.
        expiry: how long an Add waits for its link, in seconds.
        steps: how many windows begin in the time of one.
        window: what of the log is played, as for `simulate`.
        threads: as for `simulate`.
        on_progress: called with the number of the replay, from 0, and its progress.

    Raises:
        Unforeseeable: the log is shorter than a window.
        KeyboardInterrupt: somebody interrupted a replay.
    """
    channels: dict[ShortChannelID, Risk] = {}
    node = Risk()
    windows = 0
    holds = True
    outcome: Outcome | None = None
    for number, offset_ns in enumerate(offsets(length_ns, steps)):
        tally = Tally(length_ns, offset_ns)
        warnings = LogWarnings()
        outcome = simulate(
            read(warnings),
            [Windows(kind, length_ns, offset_ns)],
            warnings=warnings,
            expiry=expiry,
            window=window,
            threads=threads,
            keep_failed=False,
            on_ended=tally.count,
            on_progress=partial(on_progress, number),
        )
        if outcome.was_interrupted:
            raise KeyboardInterrupt
        risks, whole = tally.risks(outcome.end_ns)
        for channel, counts in outcome.channels.items():
            if counts.adds:
                channels[channel] = channels.get(channel, Risk()) | risks.get(channel, Risk())
        node |= whole
        windows += tally.windows(outcome.end_ns)
        holds = holds and outcome.holds
    assert outcome is not None  # steps >= 1
    if not windows:
        raise Unforeseeable(
            f"the log is {age(outcome.end_ns)} long, which is less than a window of"
            f" {age(length_ns)}"
        )
    return Forecast(
        kind=kind,
        expiry=expiry,
        length_ns=length_ns,
        steps=steps,
        windows=windows,
        start_ns=outcome.start_ns,
        end_ns=outcome.end_ns,
        channels=channels,
        node=node,
        holds=holds,
        adds_left_out=outcome.adds_left_out,
        warnings=outcome.warnings,
    )
