"""`lnmailbox forecast`: which outage of a node's links would have cost most."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

from ..console import UNUSABLE, argument, complain, say
from .options import DEFAULT_EXPIRY, add_log, parse_expiry, parse_top, show, shown_progress
from .playing.history import Progress
from .playing.outages import Absence
from .playing.times import NS, parse_length
from .reading.events import HtlcEvent
from .reading.logs import UnusableLog, read_events
from .reading.sources import rereadable
from .reading.warnings import LogWarnings
from .telling.forecast import Forecast, Unforeseeable, forecast
from .telling.forecast_report import forecast_json, forecast_text

__all__ = ["add_forecast_command"]

_STEPS = 4

_FORECAST = """\
Which outage would have cost most? For each channel: the mean and the worst
window of one length, from replays in which every channel is away in every other
window. Shifted by a part of the length, they try other windows.
"""

_NOTES = """\
It replays the log 2 x STEPS times for each expiry. A window that the end of
the log cuts off does not count.

Exit status: 0 if the accounts of all replays hold; 1 if not; 2 if input or
arguments cannot be used, or the output cannot be written; 3 after an error of
lnmailbox; 130 after Ctrl-C, then without a report.
"""


def add_forecast_command(commands: Any) -> None:
    """Add the subcommand to those of a parser; its `run` default takes the arguments.

    Args:
        commands: what `add_subparsers` returned.
    """
    parser = commands.add_parser(
        "forecast",
        help="find the outage that would have cost most",
        description=_FORECAST,
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--length",
        metavar="LENGTH",
        required=True,
        type=argument(_parse_length),
        help="of a window: seconds, or like 90s, 5m, 2h, 1d",
    )
    parser.add_argument(
        "--kind",
        choices=["down", "stall"],
        default="down",
        help="down: the peer is gone; stall: its link does not read (default: %(default)s)",
    )
    parser.add_argument(
        "--expiry",
        metavar="SECONDS,...",
        type=argument(_parse_expiries),
        help="how long an Add waits for a stalled link; several give a table (default: 60)",
    )
    parser.add_argument(
        "--steps",
        metavar="STEPS",
        default=_STEPS,
        type=argument(_parse_steps),
        help="how many windows begin in the time of one (default: %(default)s)",
    )
    add_log(parser)
    parser.set_defaults(run=_run)


def _parse_length(text: str) -> int:
    length_ns = parse_length("LENGTH", text)
    if length_ns < NS:
        raise ValueError(f"LENGTH must be a second or more, got {text!r}")
    return length_ns


def _parse_expiries(text: str) -> list[float]:
    return [parse_expiry(part) for part in text.split(",")]


def _parse_steps(text: str) -> int:
    steps = parse_top(text)
    if not 1 <= steps <= 1000:
        raise ValueError(f"not a number from 1 to 1000: {text!r}")
    return steps


def _run(arguments: argparse.Namespace) -> int:
    if arguments.expiry and arguments.kind == "down":
        complain("--expiry is for --kind stall: while its peer is gone, no Add waits")
        return UNUSABLE
    try:
        forecasts = _forecasts(arguments)
    except (UnusableLog, Unforeseeable) as error:
        complain(str(error))
        return UNUSABLE
    show(forecasts[0].warnings)
    report = (
        forecast_json(forecasts) if arguments.json else forecast_text(forecasts, top=arguments.top)
    )
    say(report)
    return 0 if all(forecast.holds for forecast in forecasts) else 1


def _forecasts(arguments: argparse.Namespace) -> list[Forecast]:
    expiries = arguments.expiry or [DEFAULT_EXPIRY]
    replays = 2 * arguments.steps * len(expiries)
    with rereadable(arguments.files) as paths, shown_progress("forecasting") as tell:

        def read(warnings: LogWarnings) -> Iterator[HtlcEvent]:
            return read_events(paths, warnings)

        def tell_number(before: int, number: int, progress: Progress) -> None:
            tell(progress, f"replay {before + number + 1} of {replays}, ")

        return [
            forecast(
                read,
                arguments.length,
                kind=Absence(arguments.kind),
                expiry=expiry,
                steps=arguments.steps,
                window=(arguments.start, arguments.end),
                threads=arguments.threads,
                on_progress=partial(tell_number, 2 * arguments.steps * index),
            )
            for index, expiry in enumerate(expiries)
        ]
