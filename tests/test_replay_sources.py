"""Logs that are read more than once."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from lnmailbox.replay.reading.sources import is_one_of, rereadable


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    """One that is missing is the reader's matter."""
    file, missing = tmp_path / "log", tmp_path / "missing"
    file.write_bytes(b"x")

    with rereadable([str(file), str(missing)]) as paths:
        assert [str(file), str(missing)] == paths


def test_standard_input_is_copied_and_the_copy_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its name is `-`."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a log")))

    with rereadable(["-"]) as [path]:
        assert [b"a log", b"a log"] == [Path(path).read_bytes() for _ in range(2)]

    assert not Path(path).exists()


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_pipe_is_copied(tmp_path: Path) -> None:
    """As a shell's `<(zcat log.gz)` is one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a log",))
    writer.start()

    with rereadable([str(pipe)]) as [path]:
        assert [b"a log", b"a log"] == [Path(path).read_bytes() for _ in range(2)]

    writer.join()


def test_an_output_that_is_the_log_is_noticed(tmp_path: Path) -> None:
    """Under whichever name."""
    log, link, other = tmp_path / "log", tmp_path / "link", tmp_path / "other"
    log.write_bytes(b"x")
    link.symlink_to(log)
    other.write_bytes(b"y")
    logs = ["-", str(tmp_path / "missing"), str(log)]

    assert is_one_of(str(log), logs)
    assert is_one_of(str(link), logs)
    assert not is_one_of(str(other), logs)
    assert not is_one_of(str(tmp_path / "new"), logs)
