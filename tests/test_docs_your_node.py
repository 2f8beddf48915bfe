"""The page "Your own node": its commands, its numbers, and what it says of bad input."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from lnmailbox.replay.reading.events import Kind
from lnmailbox.replay.reading.log_file import HOPELESS_CHARACTERS, HOPELESS_LINES
from lnmailbox.replay.reading.logs import RECORD_LINE, read_events
from lnmailbox.replay.reading.objects import MAX_OBJECT
from lnmailbox.replay.reading.sorting import WINDOW
from lnmailbox.replay.reading.warnings import LogWarnings


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / "docs" / "your_node.md").read_text(encoding="utf-8")


def test_the_line_to_record_is_that_of_the_help(page: str) -> None:
    """There is one, and it is the same everywhere."""
    assert f"```sh\n{RECORD_LINE}```" in page


def test_the_bounds_are_those_of_the_reader(page: str) -> None:
    """Each number that the page has is one of the package."""
    assert f"its first {HOPELESS_LINES:,} lines have no event" in page
    assert f"its first {HOPELESS_CHARACTERS >> 20} MiB if they have few lines" in page
    assert f"An object of more than {MAX_OBJECT >> 20} MiB is left out" in page
    assert f"keeps {2 * WINDOW:,} events at most" in page
    assert f"at most {WINDOW:,} later events of the same file" in page


@pytest.mark.parametrize("colon", [":", ": "])
def test_the_preimages_are_gone_after_the_command_for_it(
    page: str, tmp_path: Path, colon: str
) -> None:
    """And all else is as it was. Several events may be on one line."""
    [command] = re.findall(r"^sed .*$", page, re.MULTILINE)
    ids = {"event_type": "SEND", "outgoing_channel_id": "5", "timestamp_ns": "7"}
    event = json.dumps({"result": {**ids, "settle_event": {"preimage": "c2VjcmV0"}}})
    log = tmp_path / "htlc_events.jsonl"
    log.write_text(f"{event} {event}\n".replace(": ", colon), encoding="utf-8")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    shared = (tmp_path / "to_share.jsonl").read_text(encoding="utf-8")

    assert shared == log.read_text(encoding="utf-8").replace("c2VjcmV0", "")
    [settle, *_] = read_events([str(tmp_path / "to_share.jsonl")], LogWarnings())
    assert Kind.SETTLE is settle.kind


def test_the_commands_are_shell(page: str) -> None:
    """A shell can read them all."""
    commands = re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)

    assert 5 == len(commands)
    for command in commands:
        subprocess.run(["sh", "-n"], input=command, text=True, check=True)
