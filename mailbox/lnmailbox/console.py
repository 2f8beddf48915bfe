"""What commands say on stdout and stderr, and the exit statuses of what goes wrong."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = [
    "ERROR_OF_OURS",
    "INTERRUPTED",
    "UNUSABLE",
    "argument",
    "complain",
    "guarded",
    "naming",
    "say",
]

UNUSABLE = 2
"""Input or arguments cannot be used, or the output cannot be written."""
ERROR_OF_OURS = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_PIPE_CLOSED = 141  # 128 + SIGPIPE

_STDOUT = "standard output"

_T = TypeVar("_T")


def say(text: str) -> None:
    """Print a text to stdout, and see that it has got there.

    Raises:
        BrokenPipeError: nobody reads it any more.
        OSError: it cannot be written; `filename` is `standard output`.
    """
    if sys.stdout is None:  # Python's way to say that the descriptor was closed
        raise OSError(errno.EBADF, "it is closed", _STDOUT)
    with naming(_STDOUT):
        print(text, flush=True)


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Give an OSError that comes out of the `with` the name of a file, except a BrokenPipeError.

    The system gives it one when a file is opened, but not when it is written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, file) from error


def complain(text: str) -> None:
    """Print `lnmailbox: ` and the text to stderr, if there is one that can be written."""
    _print_error(f"lnmailbox: {text}\n")


def guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command and return its exit status; of what it raises, that of the error.

    A message on stderr says what was wrong. Only an error of this package has a traceback.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed", _STDOUT)
        return run(arguments)
    except BrokenPipeError:
        _drop_output()
        return _PIPE_CLOSED
    except OSError as error:
        reason = error.strerror or str(error)
        complain(reason if error.filename is None else f"{error.filename}: {reason}")
        if error.filename == _STDOUT:
            _drop_output()
        return UNUSABLE
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except Exception:
        _print_error(traceback.format_exc())
        complain(f"this is an error of lnmailbox. Please report it, with the lines above: {_to()}")
        return ERROR_OF_OURS


def argument(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """Return a `type` for argparse: the text of a ValueError is the message."""

    def parse_argument(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_argument


def _print_error(text: str) -> None:
    if sys.stderr is not None:  # else `print` would take stdout
        try:
            print(text, end="", file=sys.stderr, flush=True)
        except OSError:
            pass  # the exit status has to do


def _drop_output() -> None:
    """Let nobody write at exit what is left in the buffer: it would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to() -> str:
    """The address for reports: that of the installed package's metadata, if there is one."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("lnmailbox").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    for url in urls:
        label, _, address = str(url).partition(", ")
        if "issue" in label.lower() or "tracker" in label.lower():
            return address
    return "the project's issue tracker"
