"""The page on the replay says what the commands do and print."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnmailbox.__main__ import _parser, main
from lnmailbox.replay.playing.outages import Absence
from lnmailbox.replay.playing.outcome import Ending
from lnmailbox.replay.playing.post import HAND_OVER_AT
from lnmailbox.replay.playing.switch import COMMIT_INTERVAL_NS
from lnmailbox.replay.telling.as_csv import COLUMNS
from pages import quoted, rows


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / "docs" / "replay.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def section(page: str) -> Callable[[str], str]:
    """Return the part of the page under a heading."""

    def section(title: str) -> str:
        _, part = page.split(f"\n## {title}\n")
        return part.split("\n## ")[0]

    return section


def options(command: str) -> set[str]:
    """The options of a command, without those that every one has."""
    for action in _parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions = action.choices[command]._actions
            return {text for one in actions for text in one.option_strings} - {"-h", "--help"}
    raise AssertionError("no commands")


def in_table(text: str) -> set[str]:
    """The options in the first cells of a section's tables."""
    return set(re.findall(r"--[a-z]+", " ".join(row[0] for row in rows(text))))


def shown(page: str) -> list[tuple[str, list[str]]]:
    """The commands of the page, each with the lines that it shows of its output."""
    blocks = re.findall(r"^```console\n\$ ([^\n]*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [(command, output.splitlines()) for command, output in blocks]


def test_the_commands_print_what_is_shown(
    page: str, project: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """In that order; a line of three dots stands for any lines left out."""
    (tmp_path / "examples").mkdir()
    log = project / "examples" / "htlc_events.jsonl"
    (tmp_path / "examples" / log.name).write_bytes(log.read_bytes())
    monkeypatch.chdir(tmp_path)

    assert len(shown(page)) > 5
    for command, lines in shown(page):
        program, *arguments = shlex.split(command)
        assert ("lnmailbox", 0) == (program, main(arguments))
        printed = iter(capsys.readouterr().out.splitlines())
        missing = [line for line in lines if line != "..." and line not in printed]
        assert [] == missing, command


def test_the_tables_have_every_option(section: Callable[[str], str]) -> None:
    """And no other; those of the forecast are told beside those of the replay."""
    replay = in_table(section("Options"))
    forecast = in_table(section("Which outage would have cost most?"))

    assert options("replay") == replay
    assert options("forecast") == forecast | {"--from", "--to", "--threads", "--top", "--json"}


def test_the_two_kinds_of_outage_are_explained(section: Callable[[str], str]) -> None:
    """With the words by which they are counted."""
    table = {row[0].strip(): row for row in rows(section("Gone, or hanging?"))}

    assert {f"`--{kind.value}`" for kind in Absence} == set(table)


def test_the_figures_of_the_threads_are_those_of_the_code(page: str) -> None:
    """When links have their turn, and how often they commit."""
    assert f"when {HAND_OVER_AT} packets are there" in page
    assert f"Links commit every {COMMIT_INTERVAL_NS // 10**6} ms" in page


def test_the_words_of_the_report_are_explained(section: Callable[[str], str]) -> None:
    """Every way in which an Add ends is among them."""
    words = {word for row in rows(section("The words of the report")) for word in quoted(row[0])}

    assert {ending.value for ending in Ending} <= words


def test_the_columns_of_the_csv_are_in_their_order(section: Callable[[str], str]) -> None:
    """All of them."""
    columns = [name for row in rows(section("A row for each HTLC")) for name in quoted(row[0])]

    assert list(COLUMNS) == columns


def test_the_keys_of_the_json_are_those_of_the_schema(
    section: Callable[[str], str], project: Path
) -> None:
    """In their order."""
    schema = json.loads((project / "docs" / "replay.schema.json").read_text(encoding="utf-8"))
    keys = [name for row in rows(section("For programs")) for name in quoted(row[0])]

    assert list(schema["properties"]) == keys


def test_the_exit_statuses_are_those_of_the_help(
    section: Callable[[str], str], capsys: Any
) -> None:
    """Except 141, which needs no words there."""
    with pytest.raises(SystemExit):
        main(["replay", "--help"])
    _, told = capsys.readouterr().out.split("Exit status: ")
    statuses = {quoted(row[0])[0] for row in rows(section("Exit status"))}

    assert {"0", "1", "2", "3", "130"} == statuses - {"141"}
    assert all(f"{status} " in told for status in statuses - {"141"})
