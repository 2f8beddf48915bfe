"""`lnmailbox demo`."""

from __future__ import annotations

import gzip
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import pytest

from lnmailbox.__main__ import main
from lnmailbox.replay import demo

Captured = pytest.CaptureFixture[str]


def test_the_sample_in_the_package_is_that_of_the_examples(project: Path) -> None:
    """Compressed; the same bytes each time it is made."""
    packed = (files("lnmailbox.replay") / demo.SAMPLE).read_bytes()
    example = (project / "examples" / "htlc_events.jsonl").read_bytes()

    assert example == gzip.decompress(packed)


def test_it_shows_what_a_peer_that_is_gone_costs_and_what_a_link_that_hangs(
    capsys: Captured,
) -> None:
    """And the whole report of the first."""
    assert 0 == main(["demo"])

    out = capsys.readouterr().out
    assert 4 == out.count("$ lnmailbox replay ")
    assert 2 == out.count("0 unroutable, 0 expired.\nFees lost: 0 sat.")
    assert "What the outages cost, by outgoing channel:" in out
    assert "lnmailbox replay --help" in out


def test_its_commands_print_what_it_says_of_them(capsys: Captured) -> None:
    """So they can be copied."""
    main(["demo"])
    out = capsys.readouterr().out
    commands = re.findall(r"^\$ (.*)\n(.*)$", out, re.MULTILINE)

    assert 4 == len(commands)
    for line, summary in commands:
        program, *arguments = shlex.split(line)
        assert ("lnmailbox", 0) == (program, main(arguments))
        report = capsys.readouterr().out
        counted = re.match(
            r"(\d+) Adds: (\d+) delivered, (\d+) refused, (\d+) unr.*, (\d+) exp", summary
        )
        assert counted is not None
        adds, delivered, refused, unroutable, expired = counted.groups()
        equation = (
            f"{adds} = {delivered} delivered + {refused} refused + {unroutable} unroutable"
            f" + {expired} expired + 0 waiting."
        )
        assert equation in " ".join(report.split())


def test_accounts_that_do_not_hold_have_a_status(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Of whichever replay."""
    simulate = demo.simulate
    played: list[Any] = []

    def broken(*arguments: Any, **options: Any) -> Any:
        played.append(arguments)
        return attrs.evolve(simulate(*arguments, **options), was_given_up=len(played) == 2)

    monkeypatch.setattr(demo, "simulate", broken)

    assert 1 == main(["demo"])
    assert 1 == capsys.readouterr().out.count("THE ACCOUNTING DOES NOT HOLD.")
