"""`lnmailbox demo`: an outage of a made-up node, whose log is in the package."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ..console import say
from .outages import Outage, parse_down, parse_stall
from .outcome import Outcome
from .reading import read_events
from .report import text_report
from .simulation import simulate
from .tables import sat
from .verdict import exit_status, verdict
from .warnings import LogWarnings

__all__ = ["SAMPLE", "add_demo_command"]

SAMPLE = "sample.jsonl.gz"
"""Half an hour of a made-up node, beside this module: examples/htlc_events.jsonl, compressed."""

_OUTAGE = "884096x13x2:300:240"
_CHANNEL = _OUTAGE.partition(":")[0]

_STEPS = (
    ("Half an hour of a made-up node, as it was:", "", None),
    (f"The peer of {_CHANNEL} is gone for four minutes:", f" --down {_OUTAGE}", parse_down),
    ("It is there, but its link hangs (nobody has noticed):", f" --stall {_OUTAGE}", parse_stall),
)


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
    statuses = []
    report = ""
    with as_file(files(__package__) / SAMPLE) as sample:
        for meaning, options, parse in _STEPS:
            outages = [] if parse is None else [parse(_OUTAGE)]
            outcome = _played(sample, outages)
            say(f"{meaning}\n$ lnmailbox replay {shlex.quote(str(sample))}{options}")
            say(f"{_summary(outcome)}\n{verdict(outcome)}\n")
            statuses.append(exit_status(outcome))
            if parse is parse_down:
                report = text_report(outcome)
    say(f"The report on the peer that is gone:\n\n{report}\n")
    say("Next: lnmailbox replay --help says how to record the log of your own node.")
    return max(statuses)


def _played(sample: Path, outages: Sequence[Outage]) -> Outcome:
    warnings = LogWarnings()
    return simulate(read_events([str(sample)], warnings), outages, warnings=warnings)


def _summary(outcome: Outcome) -> str:
    total = outcome.total
    return (
        f"{total.adds:,} Adds: {total.adds_delivered:,} delivered, {total.adds_refused:,} refused,"
        f" {total.adds_unroutable:,} unroutable, {total.adds_expired:,} expired."
        f" {sat(total.fees_lost_msat)} of fees lost."
    )
