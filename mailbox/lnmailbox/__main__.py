"""The command line: `lnmailbox`, or `python -m lnmailbox`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lnmailbox.console import argument, guarded
from lnmailbox.inspecting.command import add_journal_command, parse_codec
from lnmailbox.replay.command import add_replay_command
from lnmailbox.replay.demo import add_demo_command
from lnmailbox.replay.forecast_command import add_forecast_command

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments without the program's name; None is those of the process.

    Raises:
        SystemExit: with 2 after a message on stderr if the arguments are wrong, with 0 after
            `--help` and `--version`.
    """
    arguments = _parser().parse_args(argv)
    return guarded(arguments.run, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lnmailbox",
        description="The mailboxes between a Lightning node's switch and its links.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_demo_command(commands)
    add_replay_command(commands)
    add_forecast_command(commands)
    add_journal_command(commands, argument(parse_codec))
    return parser


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
