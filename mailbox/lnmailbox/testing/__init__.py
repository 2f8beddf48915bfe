"""For your own tests: a switch that records, threads that report, and the conformance suite.

Nothing here sleeps, and nothing is on the way of a program that is not tested. `pytest` is needed
for `MailBoxConformance` only, and imported with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .quiet import wait_until_quiet
from .switch import Gate, Switch
from .threads import PATIENCE, Call, blocked, run_threads

if TYPE_CHECKING:
    from .conformance import MailBoxConformance

__all__ = [
    "PATIENCE",
    "Call",
    "Gate",
    "MailBoxConformance",
    "Switch",
    "blocked",
    "run_threads",
    "wait_until_quiet",
]


def __getattr__(name: str) -> Any:
    if name == "MailBoxConformance":
        from .conformance import MailBoxConformance

        return MailBoxConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
