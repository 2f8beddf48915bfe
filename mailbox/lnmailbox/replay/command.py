"""`lnmailbox replay`: what outages of a node's links would have cost."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ..console import UNUSABLE, argument, complain, say
from ..errors import JournalError
from .options import DEFAULT_EXPIRY, add_log, parse_expiry, show, shown_progress
from .playing.journaling import mailboxes
from .playing.outages import parse_down, parse_flap, parse_stall
from .playing.outcome import Outcome
from .playing.simulation import simulate
from .reading.logs import RECORD_LINE, UnusableLog, read_events
from .reading.sources import check_stdin, is_one_of
from .reading.warnings import LogWarnings
from .telling.as_csv import CsvFile
from .telling.as_json import json_report
from .telling.report import text_report
from .telling.sketch import Sketch
from .telling.verdict import exit_status

__all__ = ["add_replay_command"]

_REPLAY = """\
Replay a node's HTLC events through real mailboxes, in virtual time. What would
an outage have cost? Without one, it shows what passed.
"""

_NOTES = f"""\
CHANNEL is a number, or like 880000x1x1, or all. START is in seconds after the
first event, or a date and time such as 2025-10-09T08:55 (UTC, if it has no
offset). LENGTH, PERIOD and DOWN are in seconds, or like 90s, 5m, 2h, 1d.
Time ends with the last event: an Add that waits then still waits.

To record the log of your own node:
{RECORD_LINE}

Exit status: 0 if the accounts hold: every Add ended in exactly one way, and
nothing was lost, duplicated or out of order; 1 if they do not; 2 if input or
arguments cannot be used, or the output cannot be written; 3 after an error of
lnmailbox; 130 after Ctrl-C, with a report on what was played so far.
"""


def add_replay_command(commands: Any) -> None:
    """Add the subcommand to those of a parser; its `run` default takes the arguments.

    Args:
        commands: what `add_subparsers` returned.
    """
    parser = commands.add_parser(
        "replay",
        help="replay a log of HTLC events through mailboxes",
        description=_REPLAY,
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    outages: tuple[tuple[str, str, Any, str], ...] = (
        ("--down", "CHANNEL:START:LENGTH", parse_down, "the peer is gone: Adds fail at once"),
        (
            "--stall",
            "CHANNEL:START:LENGTH",
            parse_stall,
            "the link is up and does not read: Adds wait, and expire",
        ),
        ("--flap", "CHANNEL:PERIOD:DOWN", parse_flap, "the peer is gone for DOWN of each PERIOD"),
    )
    for option, shape, parse, meaning in outages:
        parser.add_argument(
            option,
            metavar=shape,
            dest="outages",
            action="append",
            default=[],
            type=argument(parse),
            help=f"{meaning} (repeatable)",
        )
    parser.add_argument(
        "--expiry",
        metavar="SECONDS",
        default=DEFAULT_EXPIRY,
        type=argument(parse_expiry),
        help="how long an Add waits for its link before it is failed back (default: %(default)g)",
    )
    parser.add_argument(
        "--journal",
        metavar="FILE",
        help="keep the mail in this file, a new one, as a durable mailbox does",
    )
    parser.add_argument(
        "--csv", metavar="FILE", help="write each HTLC, its ending and its result, to this file"
    )
    parser.add_argument(
        "--plot",
        metavar="FILE.svg",
        type=argument(_svg),
        help="draw a time line per channel (needs: pip install 'lnmailbox[plot]')",
    )
    add_log(parser)
    parser.set_defaults(run=_run)


def _svg(text: str) -> str:
    if not text.lower().endswith(".svg"):
        raise ValueError(f"the picture is an SVG, so its name ends with .svg: {text!r}")
    return text


class _Unusable(Exception):
    """An argument that cannot be used, with the reason."""


def _run(arguments: argparse.Namespace) -> int:
    warnings = LogWarnings()
    try:
        _check(arguments)
        draw = None if arguments.plot is None else _drawing()
        sketch = None if arguments.plot is None else Sketch()
        outcome = _played(arguments, warnings, sketch)
        if not outcome.events and not outcome.was_interrupted:
            raise _Unusable("the log has no event between --from and --to")
    except (UnusableLog, JournalError, _Unusable) as error:
        show(warnings)
        complain(str(error))
        return UNUSABLE
    show(outcome.warnings)
    say(json_report(outcome) if arguments.json else text_report(outcome, top=arguments.top))
    if draw is not None:
        draw(arguments.plot, outcome, sketch, top=arguments.top)
    return exit_status(outcome)


def _check(arguments: argparse.Namespace) -> None:
    check_stdin(arguments.files)
    for output in arguments.csv, arguments.plot:
        if output is not None and is_one_of(output, arguments.files):
            raise _Unusable(f"{output} is the log: it would be overwritten")


def _played(
    arguments: argparse.Namespace, warnings: LogWarnings, sketch: Sketch | None
) -> Outcome:
    with ExitStack() as stack:
        csv = None if arguments.csv is None else stack.enter_context(CsvFile(arguments.csv))
        factory = stack.enter_context(mailboxes(arguments.journal))
        return simulate(
            read_events(arguments.files, warnings),
            arguments.outages,
            warnings=warnings,
            expiry=arguments.expiry,
            threads=arguments.threads,
            mailbox_factory=factory,
            window=(arguments.start, arguments.end),
            on_ended=None if csv is None else csv.write,
            on_progress=stack.enter_context(shown_progress("replaying")),
            recorder=sketch,
        )


def _drawing() -> Callable[..., None]:
    try:
        from .telling.plot import draw
    except ImportError as error:
        raise _Unusable(
            f"--plot needs matplotlib ({error}): pip install 'lnmailbox[plot]'"
        ) from error
    return draw
