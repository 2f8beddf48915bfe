"""Whether a journal's file is sound: its pages, its rows, and the bytes of every packet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ..failure import ErrorEncrypter
from ..keeping.codec import JournalCodec, PacketCodec
from ..keeping.encrypters import Encrypters, take_name, take_prefixed
from ..keeping.sqlite import JournalFile
from ..wire.reader import Reader
from .progress import Progress

__all__ = ["any_encrypter", "problems"]


def problems(file: JournalFile, codec: JournalCodec, progress: Progress) -> Iterator[str]:
    """Yield what is wrong, one line each."""
    yield from file.check()
    for table, number, data in progress.count(file.data()):
        try:
            codec.decode(data)
        except Exception as error:
            yield f"lnmailbox_{table} {number}: {error}"


def any_encrypter() -> PacketCodec:
    """Return a codec that reads packets with encrypters of kinds that nobody has registered."""
    return PacketCodec(_AnyEncrypters())


class _AnyEncrypters(Encrypters):
    def decode(self, reader: Reader, field: str) -> ErrorEncrypter:
        take_name(reader, f"{field} kind")
        take_prefixed(reader, field)
        return cast("ErrorEncrypter", None)  # nobody asks it
