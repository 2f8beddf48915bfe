"""A file as pieces of text: plain or gzip, found out by its content, in UTF-8."""

from __future__ import annotations

import codecs
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from io import BufferedIOBase
from itertools import chain
from pathlib import Path
from typing import cast

from .causes import cause_of_data

__all__ = ["CHUNK", "UnusableLog", "open_log", "read_chunks"]

CHUNK = 1 << 17
"""How many bytes are read at once."""

_LEAST = 64
_DEFLATED = 1 << 12
_MAX_INFLATED = 1 << 20
_GZIP = b"\x1f\x8b"
_WITH_GZIP_HEADER = 16 + zlib.MAX_WBITS


class UnusableLog(ValueError):
    """The input has no HTLC events; the text names the likely cause."""


def open_log(path: str) -> AbstractContextManager[BufferedIOBase]:
    """Open a file for `read_chunks`; `-` is standard input, which stays open afterwards.

    Raises:
        OSError: it can't be opened.
        UnusableLog: standard input is closed, or no file can have this name.
    """
    if path == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise UnusableLog("standard input is closed")
        return nullcontext(cast(BufferedIOBase, sys.stdin.buffer))
    try:
        return Path(path).open("rb")
    except ValueError as error:
        raise UnusableLog(f"{path!r} can be no file: {error}") from error


def read_chunks(
    file: BufferedIOBase, name: str, on_damage: Callable[[str], None]
) -> Iterator[str]:
    """Return the text of a file in pieces, each as soon as it is there.

    Bytes that are not UTF-8 become lone surrogates. Text in a log that is not for us, such as
    failure_string, may be anything.

    Args:
        file: a binary file; blocks as long as its reads do.
        name: the file, for errors.
        on_damage: called if compressed data is damaged or ends too early, with the words for it.
            The text ends there.

    Raises:
        OSError: reading fails.
        UnusableLog: it is no text; the file's first bytes tell what it is.
    """
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    is_first = True
    for data in _inflated(_raw_chunks(file), on_damage):
        if is_first:
            cause = cause_of_data(data)
            if cause is not None:
                raise UnusableLog(f"{name} is {cause}")
            is_first = False
        yield decode(data)
    rest = decode(b"", True)
    if rest:
        yield rest


def _raw_chunks(file: BufferedIOBase) -> Iterator[bytes]:
    """Return what is read, in pieces that are not tiny but for the last."""
    while data := file.read1(CHUNK):
        while len(data) < _LEAST and (more := file.read1(CHUNK)):
            data += more
        yield data


def _inflated(chunks: Iterator[bytes], on_damage: Callable[[str], None]) -> Iterator[bytes]:
    first = next(chunks, b"")
    if not first.startswith(_GZIP):
        if first:
            yield first
        yield from chunks
        return
    try:
        yield from _members(_sliced(chain([first], chunks)), on_damage)
    except zlib.error as error:
        on_damage(f"the compressed data is damaged: {error}")


def _sliced(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Return smaller pieces: a damaged one costs all that could be inflated of it."""
    for data in chunks:
        for start in range(0, len(data), _DEFLATED):
            yield data[start : start + _DEFLATED]


def _members(chunks: Iterator[bytes], on_damage: Callable[[str], None]) -> Iterator[bytes]:
    data = next(chunks)
    inflate = zlib.decompressobj(_WITH_GZIP_HEADER)
    while True:
        piece = inflate.decompress(data, _MAX_INFLATED)
        if piece:
            yield piece
        data = inflate.unconsumed_tail
        if inflate.eof:
            data = inflate.unused_data.lstrip(b"\0") or _next_member(chunks)
            if not data:
                return
            inflate = zlib.decompressobj(_WITH_GZIP_HEADER)
        elif not data:
            data = next(chunks, b"")
            if not data:
                on_damage("the compressed data ends too early")
                return


def _next_member(chunks: Iterator[bytes]) -> bytes:
    for data in chunks:
        data = data.lstrip(b"\0")
        if data:
            return data
    return b""
