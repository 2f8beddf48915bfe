"""What every test gets: no thread may outlive it, and the shared data where there is any."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from lnmailbox.testing.threads import PATIENCE

# A slow machine is no finding, and neither is the time that a first example takes.
hypothesis.settings.register_profile("lnmailbox", deadline=None, print_blob=True)
hypothesis.settings.load_profile("lnmailbox")

# In a job that runs in the background, a shell has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parent.parent

FIRE = """
    faults interleavings interleavings_mistakes kill no_memory scheduler soak
""".split()
"""Files with tests of many faults, kills or schedules. A tracer would double their time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in these files."""
    for item in items:
        if item.path.stem.removeprefix("test_") in FIRE:
            item.add_marker("fire")


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests: many of them call it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail the test that leaves a thread behind, with the names of those it left."""
    before = set(threading.enumerate())

    yield

    leaked = [thread for thread in threading.enumerate() if thread not in before]
    if leaked:
        gc.collect()  # a mailbox in a reference cycle lets go of its thread only now
    for thread in leaked:
        thread.join(PATIENCE)
    names = sorted(thread.name for thread in leaked if thread.is_alive())
    if names:
        pytest.fail(f"threads that outlived the test: {', '.join(names)}", pytrace=False)


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root directory."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real-world data, which is no part of the project.

    It is `../shared/data` beside the project or where `LNMAILBOX_TEST_DATA` says. Tests that
    need it are skipped where it is absent, or fail if `LNMAILBOX_REQUIRE_DATA` is set.
    """
    default = PROJECT.parent / "shared" / "data"
    folder = Path(os.environ.get("LNMAILBOX_TEST_DATA") or default)
    if not folder.is_dir():
        reason = f"no test data at {folder} (set LNMAILBOX_TEST_DATA)"
        if os.environ.get("LNMAILBOX_REQUIRE_DATA"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return folder
