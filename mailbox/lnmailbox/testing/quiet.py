"""When the effects of a clock's move are over."""

from __future__ import annotations

from ..bell import Timeout
from ..clock import Clock
from ..failing.alarms import Watch
from .threads import PATIENCE

__all__ = ["wait_until_quiet"]


def wait_until_quiet(clock: Clock, timeout: float = PATIENCE) -> None:
    """Block until whatever was due at this time on this clock has happened.

    That is: every Add that has expired, in any running mailbox with this clock or one that equals
    it, was handed to `forward_packets`, and that has returned. Call it after
    `ManualClock.advance`, before you look.

    Args:
        clock: of the mailboxes.
        timeout: how long to wait at most, in seconds of real time.

    Raises:
        TimeoutError: it was not over in time; perhaps a callback blocks.
    """
    if not Watch.of(clock).wait_until_quiet(Timeout(timeout)):
        raise TimeoutError(f"mail was still being carried after {timeout} s")
