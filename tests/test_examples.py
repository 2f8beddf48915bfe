"""The examples run, say what they are meant to show, and end by themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lnmailbox.testing.threads import PATIENCE

PRINTED = {
    "asyncio_link": [
        "to the peer: UpdateAddHTLC 0",
        "to the peer: UpdateFulfillHTLC 9",
        "from the peer: UpdateFailHTLC",
        "all is sent, and the peer is silent",
        "left unacked: 0",
    ],
    "durable_node": [
        "accepted 6 Adds",
        "to the peer: Add 2",
        "was killed",
        "started with 3 packets that the channel state does not have",
        "to the peer: Add 5",
        "0 packets are left",
        "ended with status 0",
        "node.journal: sound",
    ],
    "graceful_shutdown": [
        "told to end",
        "the workers are done",
        "880000x1x0: 0 unacked",
        "880000x2x0: 0 unacked",
        "880000x3x0: 10 unacked (to be replayed)",
        "880000x4x0: 0 unacked",
        "deliver: mailbox is shutting down",
    ],
    "interrupts": [
        "Broken.put: done or undone, locked for ever, nobody is told",
        "Broken.get: done or undone, lost",
        "Fixed.put: done or undone",
        "Fixed.get: done or undone",
    ],
    "one_file": [
        "was killed",
        "signed: [0, 1]",
        "held: [2, 3]",
        "left: 0",
        "ended with status 0",
    ],
    "processes": [
        "the first link took 64 and is killed",
        "1000 packets are unacked",
        "the second link: no more mail",
        "it committed 1000 packets, each once and in order: True",
        "0 packets are unacked",
    ],
    "select_link": [
        "from the peer: UpdateFailHTLC 3",
        "to the peer: UpdateAddHTLC 1",
        "to the peer: UpdateAddHTLC 2",
        "to the peer: UpdateFulfillHTLC 9",
        "committed 3 packets, 0 left",
    ],
    "selector_workers": [
        "4 workers, 1000 mailboxes, 5000 packets",
        "each delivered 1 time",
        "overtaken, the worker serves the second mailbox",
        "overtaken, the broken worker sits and waits at the first mailbox",
    ],
}
"""Lines that a run prints. Others may stand between them, and threads may change the order."""


def run(script) -> list[str]:
    """Run the script, warnings being errors; return the lines that it prints."""
    path = os.pathsep.join(filter(None, sys.path))
    finished = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        env={**os.environ, "PYTHONPATH": path},
    )

    assert (0, "") == (finished.returncode, finished.stderr)
    return finished.stdout.splitlines()


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_it_is_meant_to_show(project, name):
    printed = run(project / "examples" / f"{name}.py")

    assert [] == [line for line in PRINTED[name] if line not in printed]
    assert PRINTED[name][-1] == printed[-1]


def test_every_example_is_run(project):
    """Except the generator of the sample: the tests of the replay compare it with its output."""
    names = {path.stem for path in (project / "examples").glob("*.py")}

    assert {*PRINTED, "make_htlc_events"} == names
