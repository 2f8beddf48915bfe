"""A node is killed at random moments, and nothing that it had said to be done is lost or undone.

20 kills for each kind of journal; `LNMAILBOX_KILLS=1000` does more.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import killed_node
from kill_ledger import Ledger
from lnmailbox.keeping.sqlite import JournalFile

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

KILLS = int(os.environ.get("LNMAILBOX_KILLS", "20"))


@pytest.fixture
def launcher() -> Iterator[subprocess.Popen[str]]:
    """Starts nodes, one after the other."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", killed_node.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        yield process
        process.stdin.close()


def run_node(launcher: subprocess.Popen[str], command: str, ledger: Ledger, lines: int) -> str:
    """Start a node, kill it after so many lines, hear all it said; return its last words."""
    launcher.stdin.write(command + "\n")
    launcher.stdin.flush()
    pid = int(launcher.stdout.readline().split()[1])
    last = ""
    for number, line in enumerate(launcher.stdout):
        if line == "dead\n":
            return last
        last = line.strip()
        ledger.hear(last)
        if number == lines:
            os.kill(pid, signal.SIGKILL)
    raise AssertionError("the launcher has ended")


@pytest.mark.parametrize("mode", killed_node.MODES)
def test_nothing_that_was_done_is_undone_by_a_kill(
    launcher: subprocess.Popen[str], tmp_path: Path, mode: str
):
    """Adds are there and in order, acks and Fails are final, a Fail is the same when it repeats.

    With `lazy_acks`, those acks are final that another commit followed.
    """
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    ledger = Ledger(lazy_acks=mode == "lazy_acks")
    path = tmp_path / "node.journal"
    for _ in range(KILLS):
        command = f"{path} {mode} {rng.randrange(1 << 30)} {ledger.next_id} -"
        run_node(launcher, command, ledger, int(rng.expovariate(1 / 100)))
        if path.exists():
            ledger.check(path)
    command = f"{path} {mode} 0 {ledger.next_id} last"

    assert "closed" == run_node(launcher, command, ledger, -1)
    ledger.check(path)
    file = JournalFile(path, read_only=True)
    assert ([], []) == (list(file.packets()), file.fail_data())
    file.close()
    print(f"{ledger.kills} kills, {ledger.added} packets added, {ledger.fails} Fails forwarded")
    assert ledger.added > 10 * KILLS
