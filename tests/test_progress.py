"""The line that says how far a long reading has come."""

from __future__ import annotations

import io
import sys

import pytest

from lnmailbox.inspecting import progress
from lnmailbox.inspecting.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr one, and each line due at once."""
    shown = Terminal()
    monkeypatch.setattr(progress, "_FIRST", 0)
    monkeypatch.setattr(progress, "_NEXT", 0)
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


@pytest.mark.parametrize("done, shown", [(None, "0 s"), (12_345, "12,345"), ("2 of 3", "2 of 3")])
def test_the_line_has_what_is_done_or_how_long_it_takes(
    done: int | str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is taken away at the end."""
    stderr = terminal(monkeypatch)
    line = f"lnmailbox: reading: {shown}"

    with Progress("reading") as reading:
        reading.tick(done)

    assert f"\r{line}\r{' ' * len(line)}\r" == stderr.getvalue()


def test_there_is_no_line_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most readings are shorter."""
    stderr = terminal(monkeypatch)
    monkeypatch.setattr(progress, "_FIRST", 3600)

    with Progress("reading") as reading:
        assert [1, 2] == list(reading.count([1, 2]))

    assert "" == stderr.getvalue()


@pytest.mark.parametrize("stderr", [None, io.StringIO()])
def test_there_is_no_line_elsewhere(
    stderr: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """stderr may be a file, or closed."""
    monkeypatch.setattr(progress, "_FIRST", 0)
    monkeypatch.setattr(sys, "stderr", stderr)

    with Progress("reading") as reading:
        reading.tick(1)

    assert stderr is None or "" == stderr.getvalue()
