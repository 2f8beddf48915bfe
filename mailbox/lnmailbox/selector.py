"""Receiving from several outboxes at once, as lnd's link does with Go's `select`."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from itertools import count
from operator import attrgetter
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, TypeVar

from .clock import SystemClock, seconds_to_ns
from .errors import MailBoxShuttingDown
from .outbox import Outbox

__all__ = ["MailSelector", "SelectorKey", "select"]

T = TypeVar("T")

_now_ns = SystemClock.now_ns
_turns = count(1)
_last_turn = attrgetter("last_turn")


def select(*outboxes: Outbox[T], timeout: float | None = None) -> tuple[Outbox[T], T]:
    """Take one item from whichever outbox has one; wait until one has.

    Fair: of several that have one it takes the one it has not taken from for longest, so an
    outbox with mail waits for at most n - 1 calls with the same n outboxes. Outboxes of stopped
    mailboxes are passed over. Takes exactly one item, or, where it raises, none.

    Args:
        outboxes: one or more, of one mailbox or of several.
        timeout: how long to wait at most, in seconds of real time; 0 is not at all, None for ever.

    Returns:
        The outbox, and the item taken from it.

    Raises:
        queue.Empty: there was no item in time.
        MailBoxShuttingDown: all the mailboxes are stopped.
        ValueError: there are no outboxes, or `timeout` is not a finite number of at least 0.
    """
    if not outboxes:
        raise ValueError("select needs at least one outbox")
    deadline = None
    if timeout is not None:
        deadline = _now_ns() + seconds_to_ns("timeout", timeout)
    taken = _take_one(outboxes)
    if taken is not None:
        return taken
    with MailSelector() as selector:
        for outbox in dict.fromkeys(outboxes):
            selector.register(outbox)
        while True:
            remaining = None
            if deadline is not None:
                remaining = max(deadline - _now_ns(), 0) / 1_000_000_000
            if not selector.select(remaining):
                raise queue.Empty
            taken = _take_one(outboxes)
            if taken is not None:
                return taken


def _take_one(outboxes: tuple[Outbox[T], ...]) -> tuple[Outbox[T], T] | None:
    stopped = 0
    for outbox in sorted(outboxes, key=_last_turn):
        turn = next(_turns)
        try:
            item = outbox.get_nowait()
        except queue.Empty:
            pass
        except MailBoxShuttingDown:
            stopped += 1
        else:
            outbox.last_turn = turn
            return outbox, item
    if stopped == len(outboxes):
        raise MailBoxShuttingDown
    return None


class SelectorKey(NamedTuple):
    """A registered outbox, and what its owner wants to know it by."""

    outbox: Outbox[Any]
    data: Any


class MailSelector:
    """Waits for many outboxes at once, in the manner of `selectors`.

    Level-triggered: `select` reports an outbox as long as there is an item to take from it, and
    takes none. A call costs in proportion to the outboxes that have had mail since the last one,
    not to those that are registered. Any number of threads may share a selector: each is told
    of the same outboxes, and has to be ready for another one being faster (`queue.Empty`).
    """

    def __init__(self) -> None:
        # Guards what follows. An outbox's lock is never taken while it is held.
        self._lock = threading.Lock()
        # Waited on in `select`, until there is an outbox to look at, a `wake`, or the end.
        # Notified by `_on_mail`, `wake`, `unregister` and `close`.
        self._changed = threading.Condition(self._lock)
        self._keys: dict[Outbox[Any], SelectorKey] = {}
        # The outboxes that had mail when last looked at, or have had news since; first the one
        # that has waited longest.
        self._news: dict[Outbox[Any], None] = {}
        self._stopped: set[Outbox[Any]] = set()
        self._wakes = 0
        self._closed = False
        self._seen = threading.local()  # the `wakes` that a thread has returned for

    def register(self, outbox: Outbox[Any], data: Any = None) -> SelectorKey:
        """Report this outbox from now on; costs once what it costs.

        Args:
            data: anything; it comes back in the key.

        Raises:
            KeyError: it is registered.
            RuntimeError: the selector is closed.
        """
        key = SelectorKey(outbox, data)
        outbox.add_listener(self._on_mail)
        try:
            with self._lock:
                self._require_open_locked()
                if outbox in self._keys:
                    raise KeyError(f"{outbox!r} is registered")
                self._keys[outbox] = key
        except BaseException:
            outbox.remove_listener(self._on_mail)
            raise
        self._on_mail(outbox)  # there may be mail already
        return key

    def unregister(self, outbox: Outbox[Any]) -> SelectorKey:
        """Report this outbox no more; return its key.

        Raises:
            KeyError: it is not registered.
        """
        with self._lock:
            if outbox not in self._keys:
                raise KeyError(f"{outbox!r} is not registered")
            key = self._keys.pop(outbox)
            self._news.pop(outbox, None)
            self._stopped.discard(outbox)
            self._changed.notify_all()
        outbox.remove_listener(self._on_mail)
        return key

    def get_map(self) -> Mapping[Outbox[Any], SelectorKey]:
        """Return a copy of what is registered."""
        with self._lock:
            return MappingProxyType(dict(self._keys))

    def select(self, timeout: float | None = None) -> list[SelectorKey]:
        """Return the keys of all outboxes that have an item to take; wait until there is one.

        First those that have waited longest. Outboxes of stopped mailboxes are passed over.

        Args:
            timeout: how long to wait at most, in seconds of real time; 0 is not at all, None for
                ever.

        Returns:
            The keys; none when the time was up or `wake` was called.

        Raises:
            MailBoxShuttingDown: the mailboxes of all registered outboxes, of which there is at
                least one, are stopped.
            RuntimeError: the selector is closed, now or while waiting.
            ValueError: `timeout` is not a finite number of at least 0.
        """
        deadline = None
        if timeout is not None:
            deadline = _now_ns() + seconds_to_ns("timeout", timeout)
        while True:
            news: dict[Outbox[Any], None] = {}
            try:
                with self._lock:
                    woken = self._wait_for_news_locked(deadline)
                    news, self._news = self._news, news
                polled = [(outbox, outbox.poll()) for outbox in news]
            except BaseException:
                self._put_back(news)
                raise
            ready = self._note(polled)
            if ready or woken:
                return ready

    def wake(self) -> None:
        """Make each thread that is in `select` return, and any other one at its next call.

        From any thread. That is how a caller's own events get in.
        """
        with self._lock:
            self._wakes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Unregister all outboxes, and end every `select`. Idempotent."""
        with self._lock:
            self._closed = True
            outboxes = list(self._keys)
            self._keys.clear()
            self._news.clear()
            self._stopped.clear()
            self._changed.notify_all()
        for outbox in outboxes:
            outbox.remove_listener(self._on_mail)

    def __enter__(self) -> MailSelector:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _on_mail(self, outbox: Outbox[Any]) -> None:
        with self._lock:
            if outbox in self._keys and outbox not in self._news:
                self._news[outbox] = None
                self._changed.notify_all()

    def _require_open_locked(self) -> None:
        if self._closed:
            raise RuntimeError("the selector is closed")

    def _wait_for_news_locked(self, deadline: int | None) -> bool:
        """Wait for something to look at; return whether to return in any case."""
        while True:
            self._require_open_locked()
            if self._keys and len(self._stopped) == len(self._keys):
                raise MailBoxShuttingDown
            if getattr(self._seen, "wakes", 0) != self._wakes:
                self._seen.wakes = self._wakes
                return True
            if self._news:
                return False
            remaining = None
            if deadline is not None:
                remaining = (deadline - _now_ns()) / 1_000_000_000
                if remaining <= 0:
                    return True
                remaining = min(remaining, threading.TIMEOUT_MAX)
            self._changed.wait(remaining)

    def _note(self, polled: list[tuple[Outbox[Any], bool | None]]) -> list[SelectorKey]:
        """Keep the outboxes that have mail for the next look; return their keys."""
        ready = []
        with self._lock:
            for outbox, has_mail in polled:
                key = self._keys.get(outbox)
                if key is None:
                    continue  # unregistered meanwhile
                if has_mail:
                    self._news[outbox] = None
                    ready.append(key)
                elif has_mail is None:
                    self._stopped.add(outbox)
            # For who began to wait while the outboxes were out of `_news`.
            self._changed.notify_all()
        return ready

    def _put_back(self, news: dict[Outbox[Any], None]) -> None:
        with self._lock:
            self._news.update((outbox, None) for outbox in news if outbox in self._keys)
            self._changed.notify_all()
