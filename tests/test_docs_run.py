"""The code in the pages runs and prints what they show, or is taken from an example that runs."""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import lnmailbox
from lnmailbox import HTLCPacket, MailOrchestrator, MailOrchestratorConfig
from lnmailbox.testing import PATIENCE, Switch
from lnmailbox.wire import ChannelID, ShortChannelID, UpdateAddHTLC
from pages import code_of
from running_pages import is_excerpt, printed_and_shown


@pytest.mark.parametrize("name", ["index.md", "tutorial.md", "mistakes.md"])
def test_a_page_prints_what_it_shows(project, name):
    """Block by block, in one namespace. No thread is left."""
    text = (project / "docs" / name).read_text(encoding="utf-8")

    pairs = printed_and_shown(text)

    assert pairs
    for printed, shown in pairs:
        assert printed == shown


def test_a_difference_would_be_noticed():
    text = "```python\nprint(1)\n```\n```text\n2\n```\n```python\nprint(3)\n```\n"

    assert [("1\n", "2\n"), ("3\n", "")] == printed_and_shown(text)


EXAMPLES = [
    "receiving.md",
    "many_channels.md",
    "asyncio.md",
    "shutdown.md",
    "durable.md",
    "processes.md",
]
"""Pages with code from examples; `test_examples.py` runs those."""

PASTED = re.compile(r"(?ms)^<!-- from (\S+)(?:: \w+)? -->\n```py\n(.*?)^```$")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_code_of_a_page_is_that_of_the_example(project, name):
    """A comment over each piece says which it is, and the page leads to the whole example."""
    page = (project / "docs" / name).read_text(encoding="utf-8")
    pieces = PASTED.findall(page)

    assert pieces
    assert len(pieces) == page.count("<!-- from ") == page.count("```py\n")
    for path, piece in pieces:
        assert is_excerpt(piece, (project / "docs" / path).read_text(encoding="utf-8")), piece
        assert f"({path})" in page


# Code that needs a node around it


@pytest.fixture
def around(switch) -> dict[str, Any]:
    """What the code of the how-to pages finds there: names, and a node with one channel."""
    chan_id, short_chan_id = ChannelID(bytes(32)), ShortChannelID(880000, 1, 0)
    config = MailOrchestratorConfig(
        fetch_update=switch.fetch_update, forward_packets=switch.forward_packets
    )
    orchestrator = MailOrchestrator(config)
    return {name: getattr(lnmailbox, name) for name in lnmailbox.__all__} | {
        "ShortChannelID": ShortChannelID,
        "fetch_update": switch.fetch_update,
        "forward_packets": switch.forward_packets,
        "chan_id": chan_id,
        "short_chan_id": short_chan_id,
        "packet": HTLCPacket(amount=1000, htlc=UpdateAddHTLC()),
        "orchestrator": orchestrator,
        "mailbox": orchestrator.get_or_create_mailbox(chan_id, short_chan_id),
    }


@pytest.fixture
def switch() -> Switch:
    return Switch()


def run_blocks(page: Path, numbers: list[int], names: dict[str, Any]) -> str:
    """Run these blocks of the page; return what they print."""
    blocks = code_of(page.read_text(encoding="utf-8"))
    with redirect_stdout(io.StringIO()) as printed:
        for number in numbers:
            exec(compile(blocks[number], f"{page.name}, block {number}", "exec"), names)
    names["orchestrator"].stop()
    return printed.getvalue()


def test_a_channel_is_opened_and_closed_as_shown(project, around):
    """The packet that was delivered is handed back."""
    printed = run_blocks(project / "docs" / "many_channels.md", [0, -1], around)

    assert printed == f"was not acked: {around['packet'].keystone}\n"


def test_dust_is_counted_as_shown(project, around):
    """An output of 1 sat is dust on both commitments."""
    around["mailbox"].add_packet(around["packet"])
    run_blocks(project / "docs" / "dust.md", [0], around)

    assert (1000, 1000) == (around["local_msat"], around["remote_msat"])


def test_numbers_are_read_as_shown(project, around):
    printed = run_blocks(project / "docs" / "operating.md", [-1], around)

    assert printed == "1 0 0 0\n"


def test_every_metric_on_the_page_is_collected(project, around):
    """And there are as many as it says."""
    prometheus_client = pytest.importorskip("prometheus_client")
    text = (project / "docs" / "operating.md").read_text(encoding="utf-8")
    registry = prometheus_client.CollectorRegistry()
    registry.register(
        importlib.import_module("lnmailbox.metrics").MailCollector(around["orchestrator"])
    )
    families = list(registry.collect())
    samples = [sample for family in families for sample in family.samples]
    labelled = {sample.name for sample in samples if sample.labels}
    around["orchestrator"].stop()

    alerts = set(re.findall(r"\blnmailbox_\w+", text))
    assert len(alerts) == 6
    assert set() == alerts - {sample.name for sample in samples}
    assert f"{len(samples)} time series" in text
    assert f"{len(families)} metrics, {['', '', '', '', 'four'][len(labelled)]} of which" in text


# The deadlock


@pytest.fixture(scope="module")
def stuck(project) -> str:
    return (project / "docs" / "stuck.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ended(stuck, tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """The code of the page, run as one script in a process of its own."""
    script = tmp_path_factory.mktemp("stuck") / "stuck.py"
    script.write_text("".join(code_of(stuck)), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_the_script_with_the_deadlock_ends_and_prints_what_is_shown(stuck, ended):
    shown = re.findall(r"(?ms)^```text\n(.*?)^```$", stuck)

    assert len(shown) == 4
    assert ended.stdout == "".join(shown)


def stacks_of(text: str) -> list[list[str]]:
    """Return the stack of each thread: file and function, and the line in the script.

    Files of the package are named from there.
    """
    text = text.replace(str(Path(lnmailbox.__file__).parent), "lnmailbox").replace("\\", "/")
    frame = r'File "(lnmailbox/.+)", line .+ in (.+)|File ".*?(stuck.py)", (line .+)'
    return [
        [" ".join(found) for found in re.findall(frame, thread)]
        for thread in re.split(r"(?m)^(?:Current thread|Thread) 0x", text)[1:]
    ]


def test_the_stacks_are_those_that_are_shown(stuck, ended):
    """Of both threads, as far as they are shown, the newest first."""
    [shown] = re.findall(r"(?ms)^```console\n(.*?)^```$", stuck)
    stacks = stacks_of(shown)
    printed = stacks_of(ended.stderr)
    if is_shown_alone():
        stacks = []

    assert [2, 5] == [len(stack) for stack in stacks_of(shown)]
    assert stacks == [whole[: len(stack)] for whole, stack in zip(printed, stacks, strict=False)]


def is_shown_alone() -> bool:
    """Whether `faulthandler` shows the current thread only, as it says in its documentation."""
    return sys.version_info >= (3, 14) and not sys._is_gil_enabled()
