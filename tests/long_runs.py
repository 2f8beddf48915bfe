"""How long the tests with a random part run; environment variables make them longer."""

from __future__ import annotations

import os
import sys

__all__ = ["DOES_MANY", "SCHEDULES", "STEPS", "examples"]

IS_FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()

DOES_MANY = sys.version_info[:2] == (3, 12) and not IS_FREE_THREADED
"""Whether this is the version that does all of what takes long; the others do some of it."""

_FEW, _SOME = (15, 300) if IS_FREE_THREADED else (30, 1_000)  # it takes three times as long

SCHEDULES = int(os.environ.get("LNMAILBOX_SCHEDULES") or (200 if DOES_MANY else _FEW))
"""How many schedules of each scenario and strategy."""

STEPS = int(os.environ.get("LNMAILBOX_STEPS") or (3_000 if DOES_MANY else _SOME))
"""How many steps each state machine does, at least."""


def examples(usual: int) -> int:
    """Return how many examples of up to 50 steps a state machine does."""
    return max(usual, STEPS // 25)
