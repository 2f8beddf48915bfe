"""How HTLCs end in the replay, and what the log shows to be lost with those that fail."""

from __future__ import annotations

from collections.abc import Callable

from .history import Htlc
from .ledger import Counts
from .outcome import EndedHtlc, Ending

__all__ = ["Endings"]


class Endings:
    """Keeps the HTLCs that outages end, and waits for the log to tell how they ended there.

    Args:
        start_ns: the Unix time of the first event.
        on_ended: called with each Add, once its ending and its result are known, or at the end.
        keep_failed: whether to keep them all.

    Attributes:
        failed: the HTLCs that outages ended, in order of time.
    """

    def __init__(
        self,
        start_ns: int,
        on_ended: Callable[[EndedHtlc], None] | None = None,
        *,
        keep_failed: bool = True,
    ) -> None:
        self.failed: list[EndedHtlc] = []
        self._start_ns = start_ns
        self._on_ended = on_ended
        self._keep_failed = keep_failed
        # Those that failed and whose result is not known yet, with the counts of their channel.
        self._open: dict[Htlc, tuple[EndedHtlc, Counts]] = {}

    def tell(self, ending: Ending, at_ns: int, htlc: Htlc) -> None:
        """Tell `on_ended` of an HTLC that did not fail, and the result of which is known."""
        if self._on_ended is not None:
            self._on_ended(EndedHtlc(self._start_ns, at_ns, ending, htlc))

    def fail(self, ending: Ending, at_ns: int, htlc: Htlc, counts: Counts) -> None:
        """An outage ended an HTLC of the channel that has these counts."""
        failed = EndedHtlc(self._start_ns, at_ns, ending, htlc)
        if self._keep_failed:
            self.failed.append(failed)
        counts.own_failed += failed.is_own
        if htlc.result is None:
            self._open[htlc] = failed, counts
        else:
            self._close(failed, counts)

    def result(self, htlc: Htlc) -> None:
        """The result of an HTLC that has failed is known."""
        known = self._open.pop(htlc, None)
        if known is not None:
            self._close(*known)

    def finish(self) -> None:
        """No more results come."""
        for failed, counts in self._open.values():
            self._close(failed, counts)
        self._open.clear()

    def _close(self, failed: EndedHtlc, counts: Counts) -> None:
        counts.volume_failed_msat += failed.volume_failed_msat
        counts.fees_lost_msat += failed.fee_lost_msat
        if self._on_ended is not None:
            self._on_ended(failed)
