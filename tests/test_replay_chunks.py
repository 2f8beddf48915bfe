"""Files as text: gzip by its content, UTF-8, standard input, and what is no text."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from lnmailbox.replay.reading import chunks
from lnmailbox.replay.reading.chunks import UnusableLog, open_log, read_chunks

TEXT = "".join(f'{{"number": {number}, "name": "é €"}}\n' for number in range(3_000))
DATA = TEXT.encode()


def read(data: bytes) -> tuple[str, list[str]]:
    damage: list[str] = []
    return "".join(read_chunks(io.BytesIO(data), "FILE", damage.append)), damage


@pytest.mark.parametrize("size", [1, 63, 1 << 17])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(DATA, id="plain"),
        pytest.param(gzip.compress(DATA), id="gzip"),
        pytest.param(gzip.compress(DATA[:99]) + gzip.compress(DATA[99:]), id="members"),
        pytest.param(gzip.compress(DATA[:99]) + b"\0\0" + gzip.compress(DATA[99:]), id="gap"),
        pytest.param(gzip.compress(DATA) + b"\0" * 9_000, id="padded"),
    ],
)
def test_text_is_read_whatever_it_is_packed_in(
    data: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content tells gzip, not the name; a character may be cut by the end of a piece."""
    monkeypatch.setattr(chunks, "CHUNK", size)
    monkeypatch.setattr(chunks, "_DEFLATED", size)

    assert (TEXT, []) == read(data)


def test_an_empty_file_has_no_text() -> None:
    """It is no damage either."""
    assert ("", []) == read(b"")
    assert ("", []) == read(gzip.compress(b""))


def test_what_is_not_utf_8_becomes_lone_surrogates() -> None:
    """Also at the very end; all else is as it was."""
    assert ("a\udcffb\udce2\udc82", []) == read(b"a\xffb\xe2\x82")


def test_compressed_text_comes_in_bounded_pieces() -> None:
    """Though a hundred megabytes may come of a hundred kilobytes."""
    bomb = gzip.compress(b" " * 30_000_000, 9)
    pieces = read_chunks(io.BytesIO(bomb), "FILE", pytest.fail)
    lengths = [len(piece) for piece in pieces]

    assert 30_000_000 == sum(lengths)
    assert max(lengths) <= 1 << 20


def test_compressed_data_that_ends_too_early_gives_what_it_has() -> None:
    """As of a recorder that still writes."""
    text, damage = read(gzip.compress(DATA)[:-500])

    assert ["the compressed data ends too early"] == damage
    assert TEXT.startswith(text)
    assert len(text) > len(TEXT) / 2


def test_damaged_data_gives_what_comes_before_the_damage() -> None:
    """But for the last few kilobytes."""
    noise = os.urandom(40_000).hex().encode()
    data = bytearray(gzip.compress(noise))
    data[-9_000:-8_000] = bytes(1_000)
    text, damage = read(bytes(data))

    assert noise.decode().startswith(text[:50_000])
    assert len(text) > 50_000
    assert 1 == len(damage)
    assert damage[0].startswith("the compressed data is damaged: Error -")


def test_what_follows_compressed_data_is_damage() -> None:
    """It is no member of the file."""
    text, damage = read(gzip.compress(DATA) + b"not gzip at all, though there is much of it")

    assert TEXT == text
    assert ["the compressed data is damaged: Error -3 while decompressing data: incorrect"] == [
        " ".join(said.split()[:11]) for said in damage
    ]


@pytest.mark.parametrize("data", [b"SQLite format 3\0", gzip.compress(b"SQLite format 3\0")])
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    """The error names the file and what it is."""
    with pytest.raises(UnusableLog, match="^FILE is an SQLite database$"):
        read(data)


def test_a_file_is_opened_and_closed(tmp_path: Path) -> None:
    """An error of the system passes through."""
    path = tmp_path / "log"
    path.write_bytes(b"abc")
    with open_log(str(path)) as file:
        assert b"abc" == file.read1(9)

    assert file.closed
    with pytest.raises(FileNotFoundError):
        open_log(str(tmp_path / "none"))
    with pytest.raises(IsADirectoryError):
        open_log(str(tmp_path))
    with pytest.raises(UnusableLog, match=r"'a\\x00b' can be no file: embedded null"):
        open_log("a\0b")


def test_standard_input_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not ours to close."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc")))
    with open_log("-") as file:
        assert b"abc" == file.read1(9)

    assert not sys.stdin.closed


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has None for it if it was closed from the beginning."""
    for stdin in None, io.TextIOWrapper(io.BytesIO()):
        monkeypatch.setattr(sys, "stdin", stdin)
        if stdin is not None:
            stdin.close()
        with pytest.raises(UnusableLog, match="^standard input is closed$"):
            open_log("-")


def test_text_comes_as_soon_as_it_is_there() -> None:
    """A pipe is read as it fills; only tiny pieces are put together."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file, os.fdopen(writer, "wb", buffering=0) as pipe:
        pieces = read_chunks(file, "FILE", pytest.fail)
        pipe.write(b"x" * 100)
        assert "x" * 100 == next(pieces)
        pipe.write(b"y" * 10)
        pipe.close()
        assert "y" * 10 == next(pieces)
        assert [] == list(pieces)


def test_a_member_whose_text_fills_a_piece_is_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """zlib keeps data back until there is room for its text."""
    data = gzip.compress(b"x" * 10_000)
    for size in 1, 64, 5_000, 10_000:
        monkeypatch.setattr(chunks, "_MAX_INFLATED", size)

        assert ("x" * 10_000, []) == read(data)
