"""`lnmailbox journal`: what is in a journal's file, whether it is sound, and a smaller one."""

from __future__ import annotations

import argparse
import importlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import JournalError
from ..keeping.codec import JournalCodec
from ..keeping.sqlite import JournalFile
from .check import any_encrypter, problems
from .contents import read_contents
from .progress import Progress
from .report import json_report, size, text_report

__all__ = ["add_journal_command", "parse_codec"]

today_ns = time.time_ns  # in a test, another day

_STEPS = 100_000  # of SQLite's machine, some milliseconds

_JOURNAL = """\
Look at the file of a journal that nobody has open, or at a backup of one.

  list     each channel with mail, deadlines, and what is stuck (the default)
  check    read every page, row and packet, and say what is wrong
  compact  make the file as small as its contents
"""

_NOTES = """\
A deadline is that of the channel's first Add, a reply's age that of its oldest.

exit status: 0 if all is well; 1 if check found something wrong; 2 if the file
cannot be used: it is missing, no journal, of a newer version, or in use.
"""


def add_journal_command(commands: Any, codec_type: Any) -> None:
    """Add the subcommand to those of a parser; its `run` default takes the arguments.

    Args:
        commands: what `add_subparsers` returned.
        codec_type: `parse_codec`, with errors for a person.
    """
    journal = commands.add_parser(
        "journal",
        help="show, check or compact a journal's file",
        description=_JOURNAL,
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    journal.add_argument("file", metavar="FILE", help="of a SQLiteJournal, or its backup")
    journal.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=sorted(_ACTIONS),
        default="list",
        help="list, check or compact",
    )
    journal.add_argument("--packets", action="store_true", help="list each packet, too")
    journal.add_argument("--json", action="store_true", help="print one JSON object instead")
    journal.add_argument(
        "--codec",
        metavar="MODULE:NAME",
        type=codec_type,
        help="check packets with this codec, if they were not written by PacketCodec",
    )
    journal.set_defaults(run=run)


def parse_codec(text: str) -> JournalCodec:
    """Return the codec that `text` names.

    Raises:
        ValueError: it names none.
    """
    module, _, name = text.partition(":")
    try:
        codec: JournalCodec = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"no codec {text!r}: {error}") from error
    if not callable(getattr(codec, "decode", None)):
        raise ValueError(f"no codec {text!r}: it has no decode()")
    return codec


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says, and return the exit status."""
    try:
        return _ACTIONS[arguments.action](arguments)
    except JournalError as error:
        reason = str(error)
    except (sqlite3.Error, ValueError) as error:
        reason = f"{arguments.file} is damaged: {error}"
    print(f"lnmailbox: {reason}", file=sys.stderr)
    return 2


def _list(arguments: argparse.Namespace) -> int:
    with _opened(arguments.file) as file, _progress(file, "reading") as progress:
        contents = read_contents(file, today_ns(), progress, packets=arguments.packets)
    report = json_report if arguments.json else text_report
    print(report(arguments.file, contents), flush=True)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    codec = arguments.codec or any_encrypter()
    with _opened(arguments.file) as file, _progress(file, "checking") as progress:
        wrong = list(problems(file, codec, progress))
    if arguments.json:
        print(json.dumps({"file": arguments.file, "problems": wrong}, indent=2), flush=True)
    else:
        lines = [f"{arguments.file}: {problem}" for problem in wrong]
        print("\n".join(lines or [f"{arguments.file}: sound"]), flush=True)
    return 1 if wrong else 0


def _compact(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    # First look at it: opening a file to write makes a journal of it.
    with _opened(arguments.file):
        before = path.stat().st_size
    with _opened(arguments.file, read_only=False) as file, _progress(file, "compacting"):
        file.compact()
    after = path.stat().st_size
    if arguments.json:
        report = {"file": arguments.file, "bytes_before": before, "bytes_after": after}
        print(json.dumps(report, indent=2), flush=True)
    else:
        print(f"{arguments.file}: {size(after)}, was {size(before)}", flush=True)
    return 0


@contextmanager
def _opened(path: str, *, read_only: bool = True) -> Iterator[JournalFile]:
    file = JournalFile(path, read_only=read_only)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def _progress(file: JournalFile, doing: str) -> Iterator[Progress]:
    """Tell a person at a terminal what goes on, also while SQLite is at work for long."""
    with Progress(f"{doing} {file.path}") as progress:
        file.connection.set_progress_handler(progress.tick, _STEPS)
        try:
            yield progress
        finally:
            file.connection.set_progress_handler(None, 0)


_ACTIONS = {"list": _list, "check": _check, "compact": _compact}
