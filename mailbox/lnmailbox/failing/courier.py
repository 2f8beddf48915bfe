"""Couriers: daemon threads that carry to the switch what nobody collected."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from ..bell import FOREVER, Bell, Timeout
from .complaints import Complaints

__all__ = ["MAX_COURIERS", "Courier", "Couriers", "Desk", "start_thread"]

MAX_COURIERS = 64
"""How many threads carry failures at the same time, at most, for all mailboxes of a clock."""

_logger = logging.getLogger(__name__)
_complaints = Complaints(_logger)

_Thread = TypeVar("_Thread", bound=threading.Thread)

# Guards every pool and every courier. One for all, because a courier of one pool may wait for a
# courier of another.
_lock = threading.Lock()
# Of the threads in `Couriers.join`, rung by every courier that leaves a desk or begins to wait.
_bells: list[Bell] = []


class Desk(Protocol):
    """Where couriers get work: the part of a mailbox that fails its Adds."""

    @property
    def name(self) -> str: ...

    def carry(self) -> None:
        """Carry back everything that is overdue."""
        ...

    def try_again_later(self) -> None:
        """Be called when `carry` has raised: see to it that it is called again."""
        ...


class Couriers:
    """A pool of couriers, which are started when there is work, and end when there is none.

    One courier at a time works for a desk, so its Adds are failed in order. A callback that
    blocks holds up its own mailbox. When `limit` callbacks block, it holds up every mailbox of
    the pool.
    """

    def __init__(self, limit: int = MAX_COURIERS) -> None:
        self._limit = limit
        self._waiting: OrderedDict[Desk, None] = OrderedDict()  # desks with work
        self._serving: dict[Desk, Courier] = {}
        self._couriers: set[Courier] = set()
        self._ended: set[Courier] = set()  # perhaps still on their last lines

    def send(self, desk: Desk) -> bool:
        """Have `desk.carry()` called on a courier's thread. Does not block.

        Returns whether there is a courier. If there is none, and no thread can be had, the desk
        is still served by the next one that is started.
        """
        with _lock:
            self._waiting[desk] = None
            can_start = len(self._couriers) < self._limit and desk not in self._serving
            if can_start:
                start_thread(Courier, self, name=f"lnmailbox-courier-{desk.name}")
            return bool(self._couriers)

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
        """Block until no courier works for the desk, nor will, and those that did have ended.

        With no time limit. A courier that calls this, from a callback, does not wait for itself,
        nor for a courier that waits in `join` as well: two whose callbacks stop each other's
        mailboxes do not wait for ever.
        """
        me = threading.current_thread()
        while True:
            with _lock:
                self._waiting.pop(desk, None)
                serving = self._serving.get(desk)
                if serving is None or serving is me:
                    break
                if isinstance(me, Courier):
                    if serving.waits:
                        break
                    me.waits = True
                    _ring_all_locked()
                bell = Bell()
                _bells.append(bell)
            bell.wait(FOREVER)
        if isinstance(me, Courier):
            me.waits = False
        else:
            with _lock:
                ended = list(self._ended)
            for courier in ended:
                courier.join()

    def _next(self, courier: Courier, done: Desk | None) -> Desk | None:
        """Return the next desk to serve; None if the courier is to end."""
        with _lock:
            if done is not None:
                del self._serving[done]
            _ring_all_locked()
            for desk in self._waiting:
                if desk not in self._serving:
                    self._serving[desk] = courier
                    del self._waiting[desk]
                    return desk
            self._couriers.discard(courier)
            self._ended = {other for other in self._ended if other.is_alive()} | {courier}
        return None


class Courier(threading.Thread):
    """Serves one desk after the other (lnd: `mailCourier`)."""

    def __init__(self, pool: Couriers, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self.waits = False  # in `Couriers.join`

    def start(self) -> None:
        self._pool._couriers.add(self)
        try:
            super().start()
        except BaseException:
            if not self.is_alive():
                self._pool._couriers.discard(self)
            raise

    def run(self) -> None:
        desk = None
        while (desk := self._pool._next(self, desk)) is not None:
            self.name = f"lnmailbox-courier-{desk.name}"
            try:
                desk.carry()
            except BaseException:  # even SystemExit: other mail is waiting
                with suppress(BaseException):  # what a log's filter may raise
                    _logger.exception("%s was interrupted in its work", self.name)
                with suppress(Exception):
                    desk.try_again_later()


def start_thread(kind: type[_Thread], *args: Any, **kwargs: Any) -> _Thread | None:
    """Start a daemon thread and return it; None if the machine has none to give."""
    try:
        thread = kind(*args, **kwargs)
        thread.daemon = True
        thread.start()
    except (RuntimeError, MemoryError) as error:
        if not sys.is_finalizing() and threading.main_thread().is_alive():
            _complaints.report("no thread for a courier, Adds that expire wait for one: %s", error)
        return None
    return thread


def _ring_all_locked() -> None:
    while _bells:
        _bells.pop().ring()


def _begin_anew() -> None:
    """Forget, in a forked child, who held the lock and who waits."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _bells.clear()


getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_begin_anew)  # no fork, no need
