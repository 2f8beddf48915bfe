"""Break the core on purpose, one line at a time, and see whether the tests notice.

    python tests/mutants.py [--jobs 2] [--only TEXT]

Each row of `mutations/` is a mutation: a file, a text in it, what comes in its place, and the
tests that concern it. It is made in a copy of the package in a temporary directory, and the tests
run until the first one fails. A row whose mutation changes nothing that anybody can see says why
in `equivalent`; all others have to be killed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "mailbox" / "lnmailbox"
TEST_TIMEOUT = 45  # seconds for one test: a lost notification makes it hang
RUN_TIMEOUT = 600  # for all


class Mutant(NamedTuple):
    """A mutation of the package.

    Attributes:
        title: what is wrong then, in words.
        file: where, as a path in the package.
        old: the text that is replaced; exactly one place has it.
        new: what it is replaced by.
        tests: files of tests without `test_` and `.py`, the likeliest first.
        equivalent: why nothing can be seen of it; empty if it is to be killed.
    """

    title: str
    file: str
    old: str
    new: str
    tests: str
    equivalent: str = ""

    def source(self) -> str:
        """Return the mutated file.

        Raises:
            ValueError: the row is stale.
        """
        source = (PACKAGE / self.file).read_text(encoding="utf-8")
        if source.count(self.old) != 1:
            raise ValueError(f"{self.title}: {source.count(self.old)} places in {self.file}")
        mutated = source.replace(self.old, self.new)
        compile(mutated, self.file, "exec")
        return mutated


def run_tests(source_root: Path, tests: str) -> tuple[int | None, str]:
    """Run these tests on the package in `source_root` until one fails; return code and output."""
    files = [f"tests/test_{name}.py" for name in tests.split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    path = os.pathsep.join(filter(None, [str(source_root), os.environ.get("PYTHONPATH", "")]))
    # A session of its own, of which nothing is left after a hang.
    process = subprocess.Popen(
        [*command, f"--timeout={TEST_TIMEOUT}", *files],
        cwd=PROJECT,
        env={**unmeasured(), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=RUN_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, ""
    return process.returncode, output


def unmeasured() -> dict[str, str]:
    """Return the environment without coverage, which would miss the copy when it is gone."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}


def fate(mutant: Mutant) -> tuple[bool | None, str]:
    """Return whether the mutant was killed, None if it could not be run, and by which test."""
    mutated = mutant.source()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "lnmailbox"
        shutil.copytree(PACKAGE, copy)
        (copy / mutant.file).write_text(mutated, encoding="utf-8")
        code, output = run_tests(Path(folder), mutant.tests)
    if code is None:
        return True, f"no end of {mutant.tests}"
    failed = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", output, re.MULTILINE)
    if failed:
        return True, failed[1]
    if "Timeout" in output and code:
        hung = re.search(r"^  File \".*/tests/(test_\w+\.py)\"", output, re.MULTILINE)
        return True, f"{hung[1] if hung else mutant.tests} hangs"
    return (False, "") if code == 0 else (None, output[-2000:])


def run(mutants: list[Mutant], jobs: int) -> int:
    """Print the fate of each mutant; return how many are not as the table says."""
    wrong = 0
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, (killed, by) in zip(mutants, pool.map(fate, mutants), strict=True):
            verdict = {True: "killed", False: "SURVIVED", None: "NOT RUN"}[killed]
            if killed is False and mutant.equivalent:
                verdict, by = "equivalent", mutant.equivalent
            elif killed is not True or mutant.equivalent:
                wrong += 1
            print(f"{verdict:10} {mutant.file:26} {mutant.title}: {by}", flush=True)
    equivalent = sum(bool(mutant.equivalent) for mutant in mutants)
    print(f"{len(mutants)} mutants, {equivalent} of them equivalent, {wrong} not as expected")
    return wrong


def all_tests(mutants: Iterable[Mutant]) -> str:
    return " ".join(dict.fromkeys(name for mutant in mutants for name in mutant.tests.split()))


def main() -> int:
    from mutations import MUTANTS  # which imports this module

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="a text in the title or the file")
    arguments = parser.parse_args()
    mutants = [m for m in MUTANTS if arguments.only in m.title or arguments.only in m.file]
    for mutant in mutants:
        mutant.source()  # a stale row is told before anything is run
    code, output = run_tests(PACKAGE.parent, all_tests(mutants))
    if code != 0:
        print(output, "The tests fail without a mutation.", sep="\n")
        return 1
    return bool(run(mutants, arguments.jobs))


if __name__ == "__main__":
    sys.exit(main())
