"""Couriers: daemon threads that carry uncollected Adds back to the switch."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from typing import Any, Protocol

from ..bell import FOREVER, Bell, Timeout
from .complaints import Complaints
from .workers import NO_THREAD, persist, report_no_thread

__all__ = ["MAX_COURIERS", "Courier", "Couriers", "Desk"]

MAX_COURIERS = 64
"""How many threads carry failures at the same time, at most, for all mailboxes of a clock."""

_LINGER = 0.002  # seconds; starting a thread takes a tenth of that

_complaints = Complaints(logging.getLogger(__name__))

# Guards every pool and every courier. One for all, because a courier of one pool may wait for a
# courier of another. Garbage collection may call a finalizer that stops a mailbox in a thread
# that holds it. (Any for `_is_owned`, which type checkers don't know.)
_lock: Any = threading.RLock()
# Of the threads in `Couriers.join`, rung by every courier that leaves a desk, begins to serve
# one, ends, or begins to wait.
_bells: list[Bell] = []
_pools: weakref.WeakSet[Couriers] = weakref.WeakSet()


class Desk(Protocol):
    """The part of a mailbox that fails its Adds, and has work for couriers."""

    @property
    def name(self) -> str: ...

    @property
    def is_open(self) -> bool:
        """Whether `carry` may have something to do. Once it is closed, it does not open again."""
        ...

    def carry(self) -> None:
        """Carry back everything that is overdue."""
        ...

    def try_again_later(self) -> None:
        """Arrange that `send` is called again. Called when `carry` has raised."""
        ...


class Couriers:
    """A pool of couriers, which are started when there is work, and end when there is none.

    One courier at a time works for a desk, so its Adds are failed in order. A callback that
    blocks holds up its own mailbox. When `limit` callbacks block, it holds up every mailbox of
    the pool.
    """

    def __init__(self, limit: int = MAX_COURIERS) -> None:
        self._limit = limit
        self._begin()
        _pools.add(self)

    def _begin(self) -> None:
        self._waiting: OrderedDict[Desk, None] = OrderedDict()  # with work, without a courier
        self._serving: dict[Desk, Courier] = {}
        # Started and not ended. Those that serve no desk are looking for one.
        self._couriers: set[Courier] = set()
        self._found = 0  # how often a courier found a desk
        self._ended: set[Courier] = set()  # perhaps still on their last lines

    def send(self, desk: Desk) -> bool:
        """Have `desk.carry()` called on a courier's thread. Does not block.

        Returns False if another thread is wanted, and none can be had. Then the desk has to try
        again later; until then it may be served by a courier that is there.
        """
        try:
            with _lock:
                self._send_locked(desk)
        except NO_THREAD:
            report_no_thread("a courier")
            return False
        return True

    def _send_locked(self, desk: Desk) -> None:
        if not desk.is_open:
            return
        serving = self._serving.get(desk)
        if serving is not None:
            serving.once_more = True
            return
        self._waiting[desk] = None
        try:
            enough = len(self._looking_locked()) >= len(self._waiting)
            if not enough and len(self._couriers) < self._limit:
                self._start_locked(desk)
        finally:
            if not self._couriers:
                del self._waiting[desk]

    def _start_locked(self, desk: Desk) -> None:
        courier = Courier(self, desk.name)
        try:
            self._couriers.add(courier)
            courier.start()
        except BaseException:
            self._end_locked(courier)
            raise

    def are_idle(self) -> bool:
        with _lock:
            return not (self._waiting or self._serving)

    def wait_until_idle(self, timeout: Timeout) -> None:
        """Block until no desk has work for a courier, or the time is up."""
        while not timeout.is_over():
            with _lock:
                if not (self._waiting or self._serving):
                    return
                bell = Bell()
                _bells.append(bell)
            bell.wait(timeout)

    def join(self, desk: Desk) -> None:
        """Block until no courier works for the desk, and those that did have ended or gone on.

        With no time limit. A courier that calls this, from a callback, does not wait for itself,
        nor for a courier that waits in `join` as well: two whose callbacks stop each other's
        mailboxes do not wait for ever. The desk must be closed.
        """
        me = threading.current_thread()
        with _lock:
            self._waiting.pop(desk, None)
            turns = {courier: courier.turn for courier in self._looking_locked()}
            self._await_server_locked(desk, me, turns)
        if _lock._is_owned():
            return  # couriers wait for this thread
        try:
            while (bell := self._hang_bell(desk, me, turns)) is not None:
                bell.wait(FOREVER)
        finally:
            if isinstance(me, Courier):
                me.waits = False
        for courier in self._ended:
            courier.join()

    def _hang_bell(
        self, desk: Desk, me: threading.Thread, turns: dict[Courier, int]
    ) -> Bell | None:
        """Return a bell that rings when `join` has to look again; None if it is done.

        `turns` has the couriers that it waits for, and the turns that they have to leave.
        """
        with _lock:
            self._await_server_locked(desk, me, turns)
            if all(courier.turn != turn for courier, turn in turns.items()):
                return None
            if isinstance(me, Courier) and not me.waits:
                me.waits = True
                _ring_all_locked()
            bell = Bell()
            _bells.append(bell)
            return bell

    def _await_server_locked(
        self, desk: Desk, me: threading.Thread, turns: dict[Courier, int]
    ) -> None:
        serving = self._serving.get(desk)
        if serving is not None and serving is not me:
            turns[serving] = serving.turn
            if serving.waits and isinstance(me, Courier):
                del turns[serving]

    def _next(self, courier: Courier) -> Desk | None:
        """Return the next desk that the courier is to serve; None if it is to end.

        A courier without work lingers while others find some: in a storm, a thread for each desk
        would be slower.
        """
        found = -1
        while True:
            with _lock:
                self._leave_locked(courier)
                if self._waiting:
                    desk = next(iter(self._waiting))
                    courier.once_more = True  # until it begins
                    courier.serves = desk
                    self._serving[desk] = courier
                    self._waiting.pop(desk, None)
                    courier.turn += 1
                    self._found += 1
                    return desk
                if found == self._found:
                    self._ended = {other for other in self._ended if other.is_alive()} | {courier}
                    self._end_locked(courier)
                    return None
                if found >= 0:
                    courier.turn += 1
                found = self._found
            time.sleep(_LINGER)

    def _looking_locked(self) -> list[Courier]:
        """Return those that are looking for a desk. One that died before it began is none."""
        looking = [courier for courier in list(self._couriers) if courier.serves is None]
        for courier in looking:
            if not courier.is_alive():
                self._end_locked(courier)
        return [courier for courier in looking if courier in self._couriers]

    def _leave_locked(self, courier: Courier) -> None:
        desk = courier.serves
        if desk is not None:
            if courier.once_more and desk.is_open:
                self._waiting[desk] = None
            courier.once_more = False
            courier.serves = None
            self._serving.pop(desk, None)
        _ring_all_locked()

    def _end_locked(self, courier: Courier) -> None:
        self._couriers.discard(courier)
        courier.turn += 1
        _ring_all_locked()


class Courier(threading.Thread):
    """Serves one desk after the other (lnd: `mailCourier`).

    Attributes:
        serves: a desk; None while it looks for one.
        once_more: whether the desk has got more work since the courier began.
        turn: counts the desks it has found, the times it went on looking, and its end.
        waits: whether it is in `Couriers.join`.
    """

    def __init__(self, pool: Couriers, name: str) -> None:
        super().__init__(name=f"lnmailbox-courier-{name}", daemon=True)
        self._pool = pool
        self._has_failed = False  # and the desk is to be told
        self.serves: Desk | None = None
        self.once_more = False
        self.turn = 0
        self.waits = False

    def run(self) -> None:
        while persist(self._serve_next):
            pass
        del self._pool  # which knows this thread

    def _serve_next(self) -> bool:
        desk = self.serves if self._has_failed else self._pool._next(self)
        if desk is None:
            return False
        if not self._has_failed:
            try:
                self.name = f"lnmailbox-courier-{desk.name}"
                self.once_more = False
                desk.carry()
            except BaseException:  # even SystemExit: other mail is waiting
                self._has_failed = True
                _complaints.report("%s was interrupted in its work", self.name)
        if self._has_failed:
            desk.try_again_later()
            self._has_failed = False
        return True


def _ring_all_locked() -> None:
    while _bells:
        bell = _bells[-1]
        del _bells[-1]
        bell.ring()


def _begin_anew() -> None:
    """Forget, in a forked child, the threads that are not there and the lock they may hold."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()
    _bells.clear()
    for pool in list(_pools):
        pool._begin()


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_begin_anew)  # no fork, no need
