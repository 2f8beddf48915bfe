"""Every allocation of memory fails, one after the other, in every operation.

    python tests/no_memory.py [--only TEXT]

Each attempt is a process of its own, because CPython itself crashes at some of them, or loses the
error: those are counted. In all others the operation has to be done or undone, and everything in
one place.

To leave a `with lock`, CPython makes a tuple of three. If it has none left over and no memory for
one, the lock stays locked. Nothing in Python can help that, so it has some left over here.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import traceback
from collections import Counter
from contextlib import suppress
from itertools import count

from operations import EXPECTED, OPERATIONS, World, is_between, outcome

FAILED, ENOUGH, WRONG, CRASHED = "failed", "enough", "wrong", "crashed"
LAST = 3  # that many attempts in a row that had memory are the end: some allocations are optional
MOST = 2_000  # allocations


def attempt(name: str, number: int) -> str:
    """Return what came of the operation if its allocation of this number fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        try:
            os._exit(_is_short_of_memory(name, number))
        except BaseException:
            traceback.print_exc()
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: ENOUGH, 1: FAILED, 2: WRONG}.get(status, CRASHED)


def _is_short_of_memory(name: str, number: int) -> bool:
    import _testcapi

    logging.disable()
    row = OPERATIONS[name]
    before, after = (outcome(row, times=times) for times in (0, 1))
    with World() as world:
        row.state(world)
        operation = row.operation
        failed = False
        gc.collect()
        gc.disable()
        del [(name, number, spare) for spare in range(100)][:]
        _testcapi.set_nomemory(number, number + 1)
        try:
            operation(world)
        except (MemoryError, RuntimeError):  # as which CPython tells that there is no lock
            failed = True
        except SystemError:  # CPython has lost the exception
            os._exit(3)
        except EXPECTED:
            pass
        finally:
            _testcapi.remove_mem_hooks()
        world.check()
        world.pass_by()
        world.settle()
        state = world.state()
        assert is_between(state, before, after), (before, state, after)
        world.finish()
    return failed


def run(name: str) -> Counter[str]:
    """Return how many allocations failed, crashed the interpreter, or did harm."""
    found: Counter[str] = Counter()
    last = 0
    for number in count(1):
        what = attempt(name, number)
        found[what] += 1
        last = last + 1 if what == ENOUGH else 0
        if last == LAST or number == MOST:
            return found
    raise AssertionError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="a text in the name of the operation")
    only = parser.parse_args().only
    total: Counter[str] = Counter()
    for name in OPERATIONS:
        if only in name:
            with suppress(KeyboardInterrupt):
                found = run(name)
                total += found
                print(f"{name}: {dict(found)}", flush=True)
    print(f"all: {dict(total)}")
    return bool(total[WRONG])


if __name__ == "__main__":
    sys.exit(main())
