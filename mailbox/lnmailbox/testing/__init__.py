"""Tools for your own tests: a switch that records, threads that report, the conformance suite.

Nothing here sleeps. `MailBoxConformance` and `IdentityConformance` need pytest; everything else
works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .packets import contents
from .quiet import wait_until_quiet
from .switch import Gate, Switch
from .threads import PATIENCE, Call, blocked, run_threads

if TYPE_CHECKING:
    from .conformance import IdentityConformance, MailBoxConformance

__all__ = [
    "PATIENCE",
    "Call",
    "Gate",
    "IdentityConformance",
    "MailBoxConformance",
    "Switch",
    "blocked",
    "contents",
    "run_threads",
    "wait_until_quiet",
]


def __getattr__(name: str) -> Any:
    if name not in ("IdentityConformance", "MailBoxConformance"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import conformance
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise ImportError(f"{name} is made of pytest tests, and there is no pytest") from error
    return getattr(conformance, name)
