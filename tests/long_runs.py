"""How long the tests with a random part run; environment variables make them longer."""

from __future__ import annotations

import os
import sys

__all__ = ["SCHEDULES", "STEPS", "examples"]

IS_FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()

DOES_MANY = sys.version_info[:2] == (3, 12) and not IS_FREE_THREADED
"""Whether this is the version that does many; schedules are the same on all of them."""

SCHEDULES = int(os.environ.get("LNMAILBOX_SCHEDULES") or (200 if DOES_MANY else 30))
"""How many schedules of each scenario and strategy."""

STEPS = int(os.environ.get("LNMAILBOX_STEPS") or (3_000 if DOES_MANY else 1_000))
"""How many steps each state machine does, at least."""


def examples(usual: int) -> int:
    """Return how many examples of up to 50 steps a state machine does."""
    return max(usual, STEPS // 25)
