"""Waiting for the effects of `ManualClock.advance`."""

from __future__ import annotations

from ..bell import Timeout
from ..clock import Clock
from ..failing.alarms import Watch
from .threads import PATIENCE

__all__ = ["wait_until_quiet"]


def wait_until_quiet(clock: Clock, timeout: float = PATIENCE) -> None:
    """Block until everything that is due now on this clock has happened.

    Then each Add that had expired was handed to `forward_packets`, and this has returned. That
    goes for all running mailboxes of this package with this clock, or one that equals it. To be
    called after `ManualClock.advance`, before a test looks at the effects.

    Args:
        clock: of the mailboxes.
        timeout: how long to wait at most, in seconds of real time.

    Raises:
        TimeoutError: it was not over in time; perhaps a callback blocks.
    """
    if not Watch.of(clock).wait_until_quiet(Timeout(timeout)):
        raise TimeoutError(f"mail was still being carried after {timeout} s")
