"""Each HTLC as a row."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from lnmailbox.replay.playing.outcome import Ending
from lnmailbox.replay.telling.as_csv import COLUMNS, CsvFile
from outcomes import NS, OWN, START, ended

needs_dev_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no file that is always full"
)


def test_every_htlc_is_a_row_under_the_header(tmp_path: Path) -> None:
    """Lines end with CR and LF, as RFC 4180 has it."""
    path = tmp_path / "htlcs.csv"

    with CsvFile(str(path)) as file:
        file.write(ended(60))
        file.write(ended(61, Ending.DELIVERED, incoming_channel=OWN, result=None))

    header, first, second, end = path.read_bytes().decode("ascii").split("\r\n")
    assert ",".join(COLUMNS) == header
    assert (
        f"2025-10-09T08:54:20+00:00,{START + 60 * NS},expired,settled,9x9x9,41,1002000,885120,"
        "880000x1x1,3,1000000,885080,2000,2000"
    ) == first
    assert (
        f"2025-10-09T08:54:21+00:00,{START + 61 * NS},delivered,,,,0,885120,"
        "880000x1x1,3,1000000,885080,0,0"
    ) == second
    assert "" == end


def test_a_row_has_a_cell_for_each_column(tmp_path: Path) -> None:
    """A file that exists is overwritten, and one without an HTLC has the header."""
    path = tmp_path / "htlcs.csv"
    path.write_text("older\n", encoding="ascii")

    with CsvFile(str(path)):
        pass
    with path.open(newline="", encoding="ascii") as rows:
        assert [list(COLUMNS)] == list(csv.reader(rows))


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Such as a folder."""
    with pytest.raises(OSError, match="directory|denied") as raised:
        CsvFile(str(tmp_path))

    assert str(tmp_path) == raised.value.filename


@needs_dev_full
def test_a_full_disk_is_named_whenever_it_is_noticed() -> None:
    """While rows are written, or at the end."""

    def write(count: int) -> None:
        with CsvFile("/dev/full") as file:
            for _ in range(count):
                file.write(ended(60))

    for count in (1, 10_000):
        with pytest.raises(OSError, match="No space left") as raised:
            write(count)
        assert "/dev/full" == raised.value.filename


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_reader_that_has_gone_is_a_broken_pipe(tmp_path: Path) -> None:
    """That is no matter of the file's name."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BrokenPipeError) as raised, CsvFile(str(path)):
        os.close(reading)
    assert raised.value.filename is None
