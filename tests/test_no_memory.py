"""No allocation that fails loses anything. All operations: see CONTRIBUTING.md."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from long_runs import DOES_MANY
from mutants import unmeasured

pytestmark = pytest.mark.skipif(
    not DOES_MANY or not importlib.util.find_spec("_testcapi"),
    reason="done on CPython 3.12, with its own test module",
)


@pytest.mark.parametrize("only", ["add_packet of a first A", "fail_add of a wa", "get of"])
def test_an_operation_whose_memory_runs_out_is_done_or_undone(project, only):
    done = subprocess.run(
        [sys.executable, project / "tests" / "no_memory.py", "--only", only],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        env={**unmeasured(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    assert done.returncode == 0, done.stdout
    assert "'failed': " in done.stdout
    assert "'wrong'" not in done.stdout


def test_an_operation_that_does_harm_is_found_out(project):
    """Here, one that counts wrongly before it runs out of memory."""
    script = (
        "import no_memory, sys\n"
        "from operations import OPERATIONS\n"
        "row = OPERATIONS['add_packets']\n"
        "def harm(world):\n"
        "    world.box._adds.undelivered += 1\n"
        "    row.operation(world)\n"
        "OPERATIONS['harm'] = row._replace(operation=harm)\n"
        "no_memory.MOST = 1\n"
        "sys.argv[1:] = ['--only', 'harm']\n"
        "sys.exit(no_memory.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={**unmeasured(), "PYTHONPATH": os.pathsep.join([str(project / "tests"), *sys.path])},
    )

    assert done.returncode == 1, done.stdout + done.stderr
