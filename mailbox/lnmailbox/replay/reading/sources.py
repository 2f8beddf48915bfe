"""Logs that can be read more than once."""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_stdin", "is_one_of", "rereadable"]


def check_stdin(files: Sequence[str]) -> None:
    """See that standard input is there if it is one of the files.

    Raises:
        OSError: it is closed.
    """
    if "-" in files and sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed", "standard input")


@contextmanager
def rereadable(files: Sequence[str]) -> Iterator[list[str]]:
    """Give paths to the same contents: what is no regular file is copied first.

    Such are standard input, named `-`, and pipes. The copies are gone at the end.

    Raises:
        OSError: a file cannot be read, or a copy not be written.
    """
    check_stdin(files)
    with tempfile.TemporaryDirectory(prefix="lnmailbox-") as folder:
        yield [_kept(file, Path(folder) / f"{number}") for number, file in enumerate(files)]


def _kept(file: str, copy: Path) -> str:
    if file == "-":
        return _copied(sys.stdin.buffer, copy)
    if Path(file).is_file() or not Path(file).exists():
        return file
    with Path(file).open("rb") as pipe:
        return _copied(pipe, copy)


def _copied(pipe: BinaryIO, copy: Path) -> str:
    with copy.open("wb") as kept:
        shutil.copyfileobj(pipe, kept)
    return str(copy)


def is_one_of(output: str, files: Sequence[str]) -> bool:
    """Whether writing this file would overwrite one of those."""
    path = Path(output)
    return path.exists() and any(
        Path(file).exists() and path.samefile(file) for file in files if file != "-"
    )
