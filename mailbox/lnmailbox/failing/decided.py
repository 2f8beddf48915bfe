"""The returns desk of a durable mailbox: a Fail is decided on disk before it is handed over."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import attrs

from ..contract import MailBoxConfig
from ..keeping.entry import Claim
from ..keeping.journal import Journal
from ..keeping.shelf import Shelf
from ..keeping.tickets import Ticket
from ..life import Life
from ..packet import HTLCPacket
from ..receiving.outbox import LocalOutbox
from .desk import ReturnsDesk, _Attempt

__all__ = ["DurableDesk"]

_logger = logging.getLogger(__name__)


class DurableDesk(ReturnsDesk):
    """Fails Adds once in the file, and at least once at the switch.

    The commit that removes the Add's row writes the Fail's. The Fail's row goes, with a later
    commit, when `forward_packets` has returned. A Fail whose row an earlier process left is
    handed over again, with the same key and bytes.

    Attributes:
        open_fails: how many Fails have a row, or may have one.
    """

    __slots__ = ("_channel", "_journal", "_left", "_refused", "open_fails")

    def __init__(
        self,
        config: MailBoxConfig,
        life: Life,
        adds: Shelf,
        outbox: LocalOutbox[HTLCPacket],
        journal: Journal,
        channel: Any,
        left: Iterable[tuple[int, bytes]],
    ) -> None:
        super().__init__(config, life, adds, outbox)
        self._journal = journal
        self._channel = channel
        self._left = deque(left)  # of an earlier process: ids and data
        self._refused: set[HTLCPacket] = set()  # which `forward_packets` raised on just now
        self.open_fails = len(self._left)

    # What an earlier process left

    def open_locked(self) -> None:
        super().open_locked()
        if self._left:
            self.alarm.ring_soon()

    def _on_deadline(self) -> None:
        super()._on_deadline()
        if self._left and self._life.running and not self._couriers.send(self):
            self.try_again_later()

    def carry(self) -> None:
        while self._left and self._life.running:
            self._hand_over_again(*self._left[0])
            self._left.popleft()
        super().carry()

    def _hand_over_again(self, row: int, data: bytes) -> None:
        """Hand over a Fail. If that raises, it stays in the file, for the next process."""
        try:
            fail_packet = self._journal.decode(data)
        except Exception:
            with self._life.lock:
                self.forward_errors += 1
            with suppress(Exception):  # what a log's filter may raise
                _logger.exception("Fail %d of %s can't be decoded", row, self._life)
            return
        try:
            self._config.forward_packets(self._quit, fail_packet)
        except Exception as error:
            self._was_not_accepted(fail_packet, error)
            self._refused.discard(fail_packet)
        else:
            self._is_handed_over(row)

    # What this one decides

    def _hand_over(self, attempt: _Attempt, fail_packet: HTLCPacket, *, expired: bool) -> bool:
        claim = attempt.claim
        entry = claim.entry
        assert entry is not None
        decision = _Decision(self, claim)
        is_out = False
        try:
            row = entry.number
            self._decide(decision, claim, (row, self._channel.id, self._encoded(fail_packet)))
            is_out = super()._hand_over(attempt, fail_packet, expired=expired)
        except BaseException as error:
            self._journal.settle(decision)
            if not decision.is_written:
                return self._stays(attempt, error)
            if not claim.out:  # an interrupt came between the commit and the switch
                super()._hand_over(attempt, fail_packet, expired=expired)
            raise
        if is_out and fail_packet not in self._refused:
            self._is_handed_over(row)
        self._refused.discard(fail_packet)
        return is_out

    def _decide(self, decision: Ticket, claim: Claim, fail: tuple[int, int, bytes]) -> None:
        """Write down the Fail, unless the Add was acked."""
        entry = claim.entry
        assert entry is not None
        decision.rows = {"gone": [fail[:1]], "fails": [fail]}
        with self._life.lock:
            if entry.at is not claim:
                return
            self._channel.require_mine()
            self.open_fails += 1
            claim.final = True
            self._journal.submit(decision)
        self._journal.wait(decision)

    def _encoded(self, fail_packet: HTLCPacket) -> bytes:
        encode = self._journal.encode
        try:
            return encode(fail_packet)
        except (TypeError, ValueError):
            # A failure of the application's own may have no form. What the peer gets has one.
            return encode(attrs.evolve(fail_packet, link_failure=None))

    def _was_not_accepted(self, fail_packet: HTLCPacket, error: BaseException) -> None:
        self._refused.add(fail_packet)
        super()._was_not_accepted(fail_packet, error)

    def _is_handed_over(self, row: int) -> None:
        """Remove the row of a Fail with the next commit."""
        with suppress(Exception):  # then it is handed over again by the next process
            self._journal.submit_lazily(Ticket({"handed_over": [(row,)]}, keeps=True))
            with self._life.lock:
                self.open_fails -= 1


class _Decision(Ticket):
    """An Add that goes, and its Fail that comes."""

    __slots__ = ("_claim", "_desk")

    def __init__(self, desk: DurableDesk, claim: Claim) -> None:
        super().__init__()
        self._desk = desk
        self._claim = claim

    def undone(self) -> None:
        # A removal waits for this, and then returns the Add.
        with self._desk._life.lock:
            if self._claim.final:
                self._claim.final = False
                self._desk.open_fails -= 1
