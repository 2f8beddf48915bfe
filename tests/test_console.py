"""What commands say, and their exit statuses."""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import io
import os
import sys
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest

from lnmailbox.console import argument, complain, guarded, say

NOTHING = argparse.Namespace()

needs_dev_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no file that is always full"
)


def raiser(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        raise error

    return run


def test_a_command_that_works_has_its_own_status(capsys: pytest.CaptureFixture[str]) -> None:
    """And says what it says."""

    def run(_: argparse.Namespace) -> int:
        say("a report")
        complain("a warning")
        return 1

    assert 1 == guarded(run, NOTHING)
    assert ("a report\n", "lnmailbox: a warning\n") == capsys.readouterr()


@pytest.mark.parametrize(
    "error, said",
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "log"), "log: No such file"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("of another kind"), "of another kind"),
    ],
)
def test_what_the_system_refuses_is_a_message(
    error: OSError, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2."""
    assert 2 == guarded(raiser(error), NOTHING)
    assert ("", f"lnmailbox: {said}\n") == capsys.readouterr()


def test_an_interrupt_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 130, as shells expect of Ctrl-C."""
    assert 130 == guarded(raiser(KeyboardInterrupt()), NOTHING)
    assert ("", "lnmailbox: interrupted\n") == capsys.readouterr()


def metadata(*urls: str) -> Callable[[str], Message]:
    message = Message()
    for url in urls:
        message["Project-URL"] = url
    return lambda _: message


def missing(name: str) -> Message:
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(
    "found, place",
    [
        (metadata("Home, https://a", "Issues, https://b"), "https://b"),
        (metadata("Bug Tracker, https://c"), "https://c"),
        (metadata("Home, https://a"), "the project's issue tracker"),
        (metadata(), "the project's issue tracker"),
        (missing, "the project's issue tracker"),
    ],
)
def test_an_error_of_ours_has_a_traceback_and_a_place_to_report_it(
    found: Callable[[str], Message],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 3. The place is that of the package's metadata."""
    monkeypatch.setattr(importlib.metadata, "metadata", found)

    assert 3 == guarded(raiser(ZeroDivisionError("by us")), NOTHING)

    out, err = capsys.readouterr()
    assert "" == out
    assert err.startswith("Traceback (most recent call last):")
    assert "ZeroDivisionError: by us\n" in err
    assert err.endswith(f"Please report it, with the lines above: {place}\n")


def test_stdout_that_is_closed_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the command begins; `None` is Python's way to say that it is closed."""
    monkeypatch.setattr(sys, "stdout", None)

    assert 2 == guarded(raiser(AssertionError("it has begun")), NOTHING)
    with pytest.raises(OSError, match="it is closed"):
        say("a report")

    assert "lnmailbox: standard output: it is closed\n" == capsys.readouterr().err


@needs_dev_full
def test_stdout_on_a_full_disk_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And closing it afterwards raises nothing."""

    def run(_: argparse.Namespace) -> int:
        say("a report")
        raise AssertionError("it was written")

    with Path("/dev/full").open("w", encoding="ascii") as full:
        monkeypatch.setattr(sys, "stdout", full)

        assert 2 == guarded(run, NOTHING)

    assert "lnmailbox: standard output: No space left on device\n" == capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with `| head`: status 141, and closing stdout afterwards raises nothing."""
    reading, writing = os.pipe()
    os.close(reading)

    def run(_: argparse.Namespace) -> int:
        say("a report")
        raise AssertionError("it was written")

    with os.fdopen(writing, "w", encoding="ascii") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)

        assert 141 == guarded(run, NOTHING)

    assert "" == capsys.readouterr().err


def test_stderr_that_is_closed_or_full_is_done_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it goes to stdout."""

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    for stderr in (None, Full()):
        monkeypatch.setattr(sys, "stderr", stderr)
        complain("a warning")

        assert 3 == guarded(raiser(ZeroDivisionError()), NOTHING)
    assert "" == capsys.readouterr().out


def test_an_argument_that_cannot_be_parsed_has_the_reason() -> None:
    """argparse would say `invalid int value` otherwise."""
    assert 7 == argument(int)("7")
    with pytest.raises(argparse.ArgumentTypeError, match="^invalid literal"):
        argument(int)("x")
