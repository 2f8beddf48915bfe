"""The HTLCs that an outage ended, and what the log shows to be lost with them."""

from __future__ import annotations

from collections.abc import Callable

from .history import Htlc
from .ledger import Counts
from .outcome import Ending, FailedHtlc

__all__ = ["Failures"]


class Failures:
    """Keeps the HTLCs that failed, and waits for the log to tell how they ended.

    Args:
        on_failed: called with each, once its result is known, or at the end.

    Attributes:
        failed: all of them, in order of time.
    """

    def __init__(self, on_failed: Callable[[FailedHtlc], None] | None = None) -> None:
        self.failed: list[FailedHtlc] = []
        self._on_failed = on_failed
        # Those whose result is not known yet, with the counts of their channel.
        self._open: dict[Htlc, tuple[FailedHtlc, Counts]] = {}

    def add(self, failed: FailedHtlc, counts: Counts) -> None:
        """An HTLC failed, for the channel with these counts."""
        self.failed.append(failed)
        counts.own_failed += failed.is_own
        if failed.htlc.result is None:
            self._open[failed.htlc] = failed, counts
        else:
            self._close(failed, counts)

    def ended(self, htlc: Htlc) -> None:
        """The log tells how the HTLC ended."""
        known = self._open.pop(htlc, None)
        if known is not None:
            self._close(*known)

    def finish(self) -> None:
        """The log tells no more."""
        for failed, counts in self._open.values():
            self._close(failed, counts)
        self._open.clear()

    def _close(self, failed: FailedHtlc, counts: Counts) -> None:
        counts.volume_failed_msat += failed.volume_failed_msat
        counts.fees_lost_msat += failed.fee_lost_msat
        if self._on_failed is not None:
            self._on_failed(failed)
