"""`lnmailbox demo`: an outage of a made-up node, whose log is in the package."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ..console import say
from .playing.outages import Outage, parse_down, parse_stall
from .playing.outcome import Outcome
from .playing.simulation import simulate
from .reading.logs import read_events
from .reading.warnings import LogWarnings
from .telling.report import text_report
from .telling.tables import sat
from .telling.verdict import exit_status, verdict

__all__ = ["SAMPLE", "add_demo_command"]

SAMPLE = "sample.jsonl.gz"
"""Half an hour of a made-up node, beside this module: examples/htlc_events.jsonl, compressed."""

_AT = "881250x77x1:2025-10-09T08:56:33"

_STEPS = (
    ("Half an hour of a made-up node, as it was:", None, ""),
    ("One of its peers is gone for 55 s; lnd fails Adds for it at once:", "down", f"{_AT}:55s"),
    ("The link hangs for 55 s instead; Adds wait for it, up to 60 s:", "stall", f"{_AT}:55s"),
    ("It hangs for 5 min; now they expire:", "stall", f"{_AT}:5m"),
)
_PARSERS = {"down": parse_down, "stall": parse_stall}


def add_demo_command(commands: Any) -> None:
    """Add the subcommand to those of a parser; its `run` default takes the arguments.

    Args:
        commands: what `add_subparsers` returned.
    """
    parser = commands.add_parser(
        "demo",
        help="replay a sample that comes with the package",
        description="Replay a sample that comes with the package, with and without an outage.",
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    outcomes = []
    with as_file(files("lnmailbox.replay") / SAMPLE) as sample:
        for meaning, option, text in _STEPS:
            outages = [] if option is None else [_PARSERS[option](text)]
            arguments = [str(sample)] if option is None else [str(sample), f"--{option}", text]
            outcome = _played(sample, outages)
            say(f"{meaning}\n$ lnmailbox replay {shlex.join(arguments)}")
            say(f"{_summary(outcome)} {verdict(outcome)}\n")
            outcomes.append(outcome)
    say(f"The whole report of the second one:\n\n{text_report(outcomes[1])}\n")
    say("Next: lnmailbox replay --help says how to record the log of your own node.")
    return max(exit_status(outcome) for outcome in outcomes)


def _played(sample: Path, outages: Sequence[Outage]) -> Outcome:
    warnings = LogWarnings()
    return simulate(read_events([str(sample)], warnings), outages, warnings=warnings)


def _summary(outcome: Outcome) -> str:
    total = outcome.total
    ways = ("delivered", "refused", "unroutable", "expired")
    counts = ", ".join(f"{getattr(total, f'adds_{way}'):,} {way}" for way in ways)
    return f"{total.adds:,} Adds: {counts}.\nFees lost: {sat(total.fees_lost_msat)}."
