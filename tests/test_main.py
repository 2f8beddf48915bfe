"""The command line."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnmailbox.__main__ import main
from lnmailbox.replay import command
from lnmailbox.testing import PATIENCE
from logs import SETTLED


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with one forward that settles."""
    file = tmp_path / "events.jsonl"
    file.write_text(SETTLED, encoding="utf-8")
    return file


def run(*arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program, or a shell's script that has it as `"$@"`."""
    program = [sys.executable, "-W", "error", "-m", "lnmailbox", *arguments]
    shell = ["sh", "-c", script, "sh"] if script else []
    return subprocess.run(
        [*shell, *program],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_a_command_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, as for all wrong arguments."""
    with pytest.raises(SystemExit) as raised:
        main([])

    assert 2 == raised.value.code
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_the_help_has_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with a line."""
    with pytest.raises(SystemExit) as raised:
        main(["--help"])

    assert 0 == raised.value.code
    out = capsys.readouterr().out
    assert all(f"    {name} " in out for name in ("demo", "replay", "forecast", "journal"))


def test_an_error_of_ours_is_told_as_one(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3."""

    def simulate(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "simulate", simulate)

    assert 3 == main(["replay", str(log)])

    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("installed", [True, False])
def test_the_version_is_that_of_the_installed_package(
    installed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source tree that is not installed has none."""

    def version(name: str) -> str:
        if not installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return f"7.8.9 of {name}"

    monkeypatch.setattr(importlib.metadata, "version", version)

    with pytest.raises(SystemExit) as raised:
        main(["--version"])

    assert 0 == raised.value.code
    expected = "lnmailbox 7.8.9 of lnmailbox" if installed else "lnmailbox, not installed"
    assert f"{expected}\n" == capsys.readouterr().out


def test_it_runs_as_a_module(log: Path) -> None:
    """`python -m lnmailbox` is the same program."""
    done = run("replay", str(log))

    assert (0, "") == (done.returncode, done.stderr)
    assert "No packet was lost" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    "script, status, said",
    [
        ('"$@" >&-', 2, "lnmailbox: standard output: it is closed\n"),
        ('"$@" >/dev/full', 2, "lnmailbox: standard output: No space left on device\n"),
        ('"$@" - <&-', 2, "lnmailbox: standard input: it is closed\n"),
        ('"$@" 2>&-', 0, ""),
    ],
)
def test_closed_and_full_files_are_messages(
    log: Path, script: str, status: int, said: str
) -> None:
    """Also those of the interpreter at its exit."""
    if "/dev/full" in script and not Path("/dev/full").exists():
        pytest.skip("this system has no file that is always full")

    done = run("replay", str(log), script=script)

    assert (status, said) == (done.returncode, done.stderr)
