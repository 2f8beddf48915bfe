"""The returns desk of a mailbox: where its Adds are failed back to the switch (lnd: `FailAdd`).

An Add is claimed, its fail packet is made, it is taken out, and the fail packet is handed over.
If the packet cannot be made, the claim is given up. Nobody else can fail, deliver or give up what
is claimed; an ack ends the claim.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from operator import attrgetter

from ..bell import Bell, Timeout, ring_first
from ..clock import seconds_to_ns
from ..contract import MailBoxConfig
from ..keeping.entry import NEVER, Claim
from ..keeping.shelf import Shelf
from ..life import Life
from ..packet import CircuitKey, HTLCPacket
from ..receiving.outbox import LocalOutbox
from ..wire.shown import shown
from .alarms import RETRY_NS, Alarm, Watch
from .complaints import Complaints
from .fail_packet import make_fail_packet

__all__ = ["ReturnsDesk"]

_MAX_BACK_OFF = 64  # times the first delay

_is_over = attrgetter("is_over")

_logger = logging.getLogger(__name__)


class ReturnsDesk:
    """Fails Adds: those that expire, on a courier's thread, and those of `fail_add`.

    Attributes:
        alarm: rings when Adds are due.
        alarm_at: when it rings at the latest; `NEVER` if it is not set. No Add is due before,
            if the mailbox runs and a thread could be had.
        adds_failed, adds_expired, encrypt_errors, forward_errors: as in `MailBoxStatistics`.
    """

    __slots__ = (
        "__weakref__",
        "_adds",
        "_attempts",
        "_back_off",
        "_complaints",
        "_config",
        "_couriers",
        "_last_error",
        "_life",
        "_now_ns",
        "_outbox",
        "_quit",
        "adds_expired",
        "adds_failed",
        "alarm",
        "alarm_at",
        "encrypt_errors",
        "forward_errors",
    )

    def __init__(
        self, config: MailBoxConfig, life: Life, adds: Shelf, outbox: LocalOutbox[HTLCPacket]
    ) -> None:
        watch = Watch.of(config.clock)
        self._config = config
        self._life = life
        self._adds = adds
        self._outbox = outbox
        self._now_ns = config.clock.now_ns
        self._couriers = watch.couriers
        self.alarm = Alarm(watch, type(self)._on_deadline, self)
        self.alarm_at = NEVER
        # Those that are not settled. One may be over and here because settling it raised.
        self._attempts: dict[_Attempt, None] = {}
        self._back_off = 1  # how many times the first delay, until what is stuck is tried again
        self._complaints = Complaints(_logger)
        self._quit = _Quit(life)
        self._last_error = ""
        self.adds_failed = 0
        self.adds_expired = 0
        self.encrypt_errors = 0
        self.forward_errors = 0

    def fail(self, key: CircuitKey) -> bool:
        """Fail the Add with this key, if there is one; return whether it was handed over."""
        attempt = _Attempt()
        try:
            with self._life.lock:
                self._attempts[attempt] = None
                found = self._adds.claim(attempt.claim, key)
            return found and self._fail(attempt, expired=False)
        finally:
            attempt.is_over = True
            self._settle()

    def trouble(self) -> str | None:
        """Return what keeps Adds from being failed, in words; None if nothing does."""
        with self._life.lock:
            count, retry_at = self._adds.stuck
            error, now = self._last_error, self._now_ns()
        if not count:
            return None
        seconds = max(retry_at - now, 0) / 1_000_000_000
        return f"{count} Adds could not be failed, again in {seconds:.1f} s: {error}"

    # For couriers

    @property
    def name(self) -> str:
        return str(self._life.short_chan_id)

    @property
    def is_open(self) -> bool:
        return self._life.running

    def carry(self) -> None:
        """Fail everything that is overdue."""
        while self._life.running:
            attempt = _Attempt()
            try:
                with self._life.lock:
                    self._attempts[attempt] = None
                    if not self._adds.claim_overdue(attempt.claim):
                        self._require_watch_locked(self._adds.next_deadline())
                        return
                with suppress(BaseException):  # it is reported, and other mail is waiting
                    self._fail(attempt, expired=True)
            finally:
                attempt.is_over = True
                self._settle()

    def try_again_later(self) -> None:
        with self._life.lock:
            self._require_watch_locked(self._now_ns() + RETRY_NS)

    def _require_watch_locked(self, deadline: int) -> None:
        """Do as `watch_locked`, for a thread that can try again: raise if no other can be had."""
        if not self.watch_locked(deadline):
            raise RuntimeError("no thread watches Adds that expire")

    # For the mailbox

    def watch_locked(self, deadline: int) -> bool:
        """See to it that Adds that are due at `deadline` are failed then.

        Returns False if no thread can be had for that. Then the next call tries again.
        """
        if not self._life.running or deadline >= self.alarm_at:
            return True
        if not self.alarm.set(deadline):
            return False
        self.alarm_at = deadline
        return True

    def open_locked(self) -> None:
        """Watch what is there already. The mailbox is about to run."""
        if self._adds.overdue:  # found so by a look, before there was anybody to fail them
            self.alarm.ring_soon()
        deadline = self._adds.next_deadline()
        if deadline < NEVER and self.alarm.set(deadline):
            self.alarm_at = deadline

    def signal_quit_locked(self) -> None:
        """Wake callbacks that wait for `quit`. The mailbox is about to be stopped."""
        self._quit.ring_locked()

    def close(self) -> None:
        """Wait until nothing is being failed. The mailbox is stopped."""
        self.alarm.cancel()
        self._couriers.join(self)

    def _on_deadline(self) -> None:
        """Send a courier if Adds have expired. Called by the alarm, with no lock held."""
        with self._life.lock:
            self.alarm_at = NEVER
            if not self._life.running:
                return
            has_overdue = self._adds.expire(self._now_ns())
            self.watch_locked(self._adds.next_deadline())
        if has_overdue and not self._couriers.send(self):
            self.try_again_later()
        self._settle()

    def _fail(self, attempt: _Attempt, *, expired: bool) -> bool:
        """Make the fail packet, and hand it over. Runs the callbacks, without lock."""
        claim = attempt.claim
        entry = claim.entry
        assert entry is not None
        packet = entry.packet
        if packet is None:
            return False  # acked just now
        try:
            if expired:
                self._complaints.mention("Add %s expired", packet.keystone)
            fail_packet = make_fail_packet(
                entry.key,
                packet,
                self._life.short_chan_id,
                self._config,
                self._complaints,
            )
        except BaseException as error:
            return self._stays(attempt, error)
        return self._hand_over(attempt, fail_packet, expired=expired)

    def _stays(self, attempt: _Attempt, error: BaseException) -> bool:
        """Give up the claim because of an error. Raises it if it is no `Exception`."""
        entry = attempt.claim.entry
        assert entry is not None
        attempt.is_over = True
        self._settle()
        text = shown(error)
        with self._life.lock:
            self.encrypt_errors += 1
            self._last_error = text
        self._complaints.report("Add %s can't be failed and stays in the mailbox", entry.key)
        if isinstance(error, Exception):
            return False
        raise error

    def _hand_over(self, attempt: _Attempt, fail_packet: HTLCPacket, *, expired: bool) -> bool:
        """Take the Add out, and call `forward_packets`; return whether it was there."""
        claim = attempt.claim
        forward, quit_signal = self._config.forward_packets, self._quit
        try:
            with self._life.lock:
                try:
                    self._adds.take_out(claim)
                finally:
                    if claim.out:
                        self.adds_failed += 1
                        self.adds_expired += expired
                        del self._attempts[attempt]
        finally:
            # An interrupt that comes after the Add is out comes too late to undo it. No calls
            # before this one: an interrupt may come after each.
            if claim.out:
                try:
                    forward(quit_signal, fail_packet)
                except BaseException as error:
                    self._was_not_accepted(fail_packet, error)
        if claim.out:
            self._back_off = 1
        return claim.out

    def _was_not_accepted(self, fail_packet: HTLCPacket, error: BaseException) -> None:
        with self._life.lock:
            self.forward_errors += 1
        with suppress(Exception):  # what a log's filter may raise
            _logger.error(
                "the switch did not accept the failure of Add %s",
                fail_packet.in_key,
                exc_info=error,
            )
        if not isinstance(error, Exception):
            raise error

    def _settle(self) -> None:
        """Give up the claims of attempts that are over; if this raises, the next call does."""
        if not self._attempts:
            return
        try:
            with self._life.lock:
                for attempt in list(filter(_is_over, self._attempts)):
                    if attempt.claim.entry is not None:
                        self._give_up_locked(attempt.claim)
                    del self._attempts[attempt]
        except BaseException:
            # If the alarm is not set, and this does not set it, the next Add does.
            with suppress(BaseException):
                self.try_again_later()
            raise

    def give_back_locked(self, claim: Claim) -> None:
        """End a claim of somebody who did not want to fail the Add. If it is due, it is now."""
        self._adds.give_up(claim, self._now_ns())
        self.watch_locked(self._adds.next_deadline())

    def _give_up_locked(self, claim: Claim) -> None:
        adds = self._adds
        self._outbox._ring_locked()
        was_stuck = adds.is_stuck
        delay_ns = self._back_off * max(seconds_to_ns("expiry", self._config.expiry), RETRY_NS)
        adds.give_up(claim, self._now_ns() + delay_ns)
        if adds.is_stuck and not was_stuck:
            self._back_off = min(2 * self._back_off, _MAX_BACK_OFF)
        self.watch_locked(adds.next_deadline())


class _Attempt:
    """An attempt to fail an Add.

    Attributes:
        is_over: whether the claim is to be given up. Setting it can neither be interrupted nor
            run out of memory.
    """

    __slots__ = ("claim", "is_over")

    def __init__(self) -> None:
        self.claim = Claim()
        self.is_over = False


class _Quit:
    """What callbacks learn about the end of their mailbox.

    A `threading.Event` could be left locked by an interrupt of `stop`.
    """

    __slots__ = ("_bells", "_life")

    def __init__(self, life: Life) -> None:
        self._life = life
        self._bells: list[Bell] = []  # of the callbacks that wait

    def is_set(self) -> bool:
        return self._life.stopped

    def wait(self, timeout: float | None = None) -> bool:
        until = Timeout(None if timeout is None else max(timeout, 0))
        bell = None
        while True:
            with self._life.lock:
                if bell in self._bells:  # its time is up
                    self._bells.remove(bell)
                if self._life.stopped or until.is_over():
                    return self._life.stopped
                bell = Bell()
                self._bells.append(bell)
            bell.wait(until)

    def ring_locked(self) -> None:
        ring_first(self._bells, len(self._bells))
