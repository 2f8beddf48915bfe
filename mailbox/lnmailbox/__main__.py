"""The command line: `lnmailbox`, or `python -m lnmailbox`."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from lnmailbox import JournalError, SQLiteJournal
from lnmailbox.inspecting.command import add_journal_command, parse_codec
from lnmailbox.replay.history import History, read_history
from lnmailbox.replay.outages import parse_outage
from lnmailbox.replay.outcome import Outcome
from lnmailbox.replay.packets import CODEC
from lnmailbox.replay.reading import UnusableLog, read_events
from lnmailbox.replay.report import json_report, text_report
from lnmailbox.replay.simulation import simulate
from lnmailbox.replay.warnings import LogWarning, LogWarnings

__all__ = ["main"]

_REPLAY = """\
Replay a log of lnd's HTLC events (SubscribeHtlcEvents, one JSON object a line)
through a mailbox per channel, in virtual time, and keep account of every packet.
"""

_REPLAY_NOTES = """\
Links take what their mailbox has at once, and ack it 50 ms later. Time ends with
the last event: a link that is away then stays away, and the Adds that wait for it
are still waiting. An Add whose deadline comes at the instant at which its link is
back has expired.

exit status: 0 if every Add ended in exactly one way and nothing was lost,
duplicated or out of order; 1 if not; 2 if the input cannot be used.
"""

_T = TypeVar("_T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments without the program's name; None is those of the process.

    Raises:
        SystemExit: with 2 after a message on stderr if the arguments are wrong, with 0 after
            `--help` and `--version`.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        return status
    except BrokenPipeError:
        # Nobody reads any more, not even what is left in the buffer at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE, as the shell reports it
    except KeyboardInterrupt:
        print("lnmailbox: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT


def _replay(arguments: argparse.Namespace) -> int:
    file = arguments.file
    warnings = LogWarnings()
    try:
        events = list(read_events([file], warnings))
    except OSError as error:
        return _unusable(f"cannot read {file}: {error.strerror}")
    except UnusableLog as error:
        _show(list(warnings))
        return _unusable(str(error))
    history = read_history(events)
    try:
        outcome = _simulate(history, arguments)
    except JournalError as error:
        return _unusable(str(error))
    outcome = attrs.evolve(outcome, warnings=[*warnings, *outcome.warnings])
    _show(outcome.warnings)
    print(json_report(outcome) if arguments.json else text_report(outcome), flush=True)
    return 0 if outcome.holds else 1


def _simulate(history: History, arguments: argparse.Namespace) -> Outcome:
    if arguments.journal is None:
        return simulate(history, arguments.down, expiry=arguments.expiry)
    with SQLiteJournal(arguments.journal, sync="normal", codec=CODEC) as journal:
        if journal.channels():
            raise JournalError(f"{arguments.journal} has mail in it: the replay needs a new file")
        factory = journal.mailbox
        return simulate(history, arguments.down, expiry=arguments.expiry, mailbox_factory=factory)


def _show(warnings: Sequence[LogWarning]) -> None:
    for warning in warnings:
        print(f"lnmailbox: warning: {warning}", file=sys.stderr)


def _unusable(reason: str) -> int:
    print(f"lnmailbox: {reason}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lnmailbox",
        description="The mailboxes between a Lightning node's switch and its links.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    replay = commands.add_parser(
        "replay",
        help="replay a log of HTLC events through mailboxes",
        description=_REPLAY,
        epilog=_REPLAY_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("file", metavar="FILE", help="the log; - is standard input")
    replay.add_argument(
        "--down",
        metavar="CHANNEL:START:SECONDS",
        action="append",
        default=[],
        type=_argument(parse_outage),
        help="that channel's link is away, from START seconds after the first event; CHANNEL is"
        " a number or like 880000x1x1 (repeatable)",
    )
    replay.add_argument(
        "--expiry",
        metavar="SECONDS",
        default=60.0,
        type=_argument(_expiry),
        help="how long an Add waits for its link before it is failed back (default: %(default)g)",
    )
    replay.add_argument(
        "--journal",
        metavar="FILE",
        help="keep the mail in this file, a new one, as a durable mailbox does",
    )
    replay.add_argument("--json", action="store_true", help="print one JSON object instead")
    replay.set_defaults(run=_replay)
    add_journal_command(commands, _argument(parse_codec))
    return parser


def _expiry(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1e-9 <= seconds < math.inf:
        raise ValueError(f"not a number of seconds above 0: {text!r}")
    return seconds


def _argument(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    def parse_argument(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_argument


class _Version(argparse.Action):
    """Looks the version up when it is asked for: the import costs more than all others."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"lnmailbox {version('lnmailbox')}")
        except PackageNotFoundError:
            print("lnmailbox, not installed")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
