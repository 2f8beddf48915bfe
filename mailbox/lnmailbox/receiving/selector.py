"""Waiting for many outboxes at once, as lnd's link does with Go's `select`."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from itertools import starmap
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

from ..bell import FOREVER, Bell, Timeout, check_max, ring_first
from ..contract import Outbox
from ..errors import MailBoxShuttingDown
from ..wire.shown import shown

__all__ = ["MailSelector", "SelectorKey", "require_outbox"]


class SelectorKey(NamedTuple):
    """A registered outbox, and what its owner wants to know it by."""

    outbox: Outbox[Any]
    data: Any


class MailSelector:
    """Waits for many outboxes at once, in the manner of `selectors`.

    Level-triggered: `select` reports an outbox as long as there is an item to take from it, and
    takes none. A call costs in proportion to the outboxes that have mail, or have had some since
    the last call, not to those that are registered.

    Any number of threads may share a selector. An item wakes one of those that wait in `select`.
    That one wakes the next if there are more items. So a thread that was told of outboxes must
    take something, call `select` again, or end; and it must be ready for another one being
    faster (`queue.Empty`).

    A selector keeps its outboxes alive until it is closed. They do not keep the selector: one
    that is dropped without `close` is gone, and its outboxes forget it with their next mail.
    """

    def __init__(self) -> None:
        # Guards what follows. Listeners take it while they hold a mailbox's lock, so a thread
        # that has it must not take a mailbox's lock.
        self._lock = threading.Lock()
        # Of the threads in `select`, until there is an outbox to look at, a `wake`, or the end.
        # News ring one, unless one is on its way that will look at them. It passes the ring on
        # when it leaves items, or goes without a look.
        self._bells: list[Bell] = []
        self._is_rung = False  # whether one is on its way
        self._registered: dict[Outbox[Any], tuple[SelectorKey, _Listener]] = {}
        # Outboxes to look at, with the number of their latest news. One is dropped when a look
        # finds no mail and no newer news has come.
        self._news: OrderedDict[Outbox[Any], int] = OrderedDict()
        self._news_count = 0
        self._stopped: set[Outbox[Any]] = set()  # as far as looks have shown
        self._wakes = 0
        self._closed = False
        self._seen = threading.local()  # the number of `wakes` that a thread has returned for

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"of {len(self._registered)} outboxes"
        return f"<{type(self).__name__} {state}>"

    def register(self, outbox: Outbox[Any], data: Any = None) -> SelectorKey:
        """Report this outbox from now on; costs once what it costs.

        Args:
            outbox: of any mailbox, also of one that is not started yet, or stopped.
            data: anything; it comes back in the key.

        Raises:
            KeyError: it is registered.
            TypeError: `outbox` is no outbox.
            RuntimeError: the selector is closed.
        """
        require_outbox(outbox)
        key = SelectorKey(outbox, data)
        listener = _Listener(self)
        try:
            with self._lock:
                self._require_open_locked()
                if outbox in self._registered:
                    raise KeyError(f"{outbox!r} is registered")
                self._registered[outbox] = key, listener
            outbox._add_listener(listener)
            self._on_mail(outbox, listener)  # there may be mail already
        except BaseException:
            with self._lock:
                if self._is_registered_locked(outbox, listener):
                    self._drop_locked(outbox)
            outbox._remove_listener(listener)
            raise
        return key

    def unregister(self, outbox: Outbox[Any]) -> SelectorKey:
        """Report this outbox no more; return its key.

        A `select` that is under way in another thread may still report it.

        Raises:
            KeyError: it is not registered.
            TypeError: `outbox` is no outbox.
        """
        require_outbox(outbox)
        with self._lock:
            if outbox not in self._registered:
                raise KeyError(f"{outbox!r} is not registered")
            key, listener = self._registered[outbox]
            self._drop_locked(outbox)
        outbox._remove_listener(listener)
        return key

    def get_map(self) -> Mapping[Outbox[Any], SelectorKey]:
        """Return a copy of what is registered."""
        with self._lock:
            return MappingProxyType({outbox: key for outbox, (key, _) in self._registered.items()})

    def select(
        self, timeout: float | None = None, max_keys: int | None = None
    ) -> list[SelectorKey]:
        """Return the keys of outboxes that have an item to take; wait until there is one.

        They come in turn: of those that keep having mail another one is first in each call. With
        `max_keys`, threads that share the selector are told of different ones, if there are
        enough.
        Outboxes of stopped mailboxes are passed over, and those of mailboxes that are not
        started are waited for.

        Args:
            timeout: how long to wait at most, in seconds of real time; 0 is not at all, None for
                ever.
            max_keys: how many keys to return at most; None is all.

        Returns:
            The keys; none when the time was up or `wake` was called. A `wake` may also coincide
            with mail: look at your own events after every call.

        Raises:
            MailBoxShuttingDown: the mailboxes of all registered outboxes, of which there is at
                least one, are stopped, now or while waiting.
            RuntimeError: the selector is closed, now or while waiting.
            ValueError: `timeout` is not a finite number of at least 0, or `max_keys` is neither
                None nor an integer of at least 1.
        """
        if max_keys is not None:
            check_max("max_keys", max_keys)
        until = FOREVER if timeout is None else Timeout(timeout)
        told: _Told | None = getattr(self._seen, "told", None)
        if told is not None:
            told.is_over = True  # this thread looks again itself
        try:
            while True:
                last_look = self._wait(until)
                with self._lock:
                    self._is_rung = False  # what comes now comes too late for this look
                    wakes = self._wakes
                    news = list(self._news.items())
                # Interrupted from here on, everything is still in `_news`.
                ready = self._look(news, len(news) if max_keys is None else max_keys)
                if ready or last_look:
                    if ready and self._bells:  # whoever comes later looks itself
                        if told is None:
                            told = self._seen.told = _Told(self)
                        told.is_over = False
                    self._seen.wakes = wakes
                    return ready
        except BaseException:
            self._pass_on()
            raise

    def _look(self, news: list[tuple[Outbox[Any], int]], max_keys: int) -> list[SelectorKey]:
        """Look at these outboxes; return the keys of those with mail. Wake others for the rest."""
        found = items = 0
        polled: list[tuple[Outbox[Any], int, int | None]] = []
        for outbox, count in news:
            if found == max_keys:
                items += 1  # perhaps
                break
            waiting = outbox._look()
            polled.append((outbox, count, waiting))
            if waiting:
                items += waiting
                found += 1
        keys = self._note(polled, len(polled) == len(news))
        if items > 1:
            self._pass_on()
        return keys

    def _pass_on(self) -> None:
        """Wake another thread, if there is something to look at."""
        with self._lock:
            if self._news:
                self._ring_locked()

    def _ring_locked(self) -> None:
        is_rung = bool(self._bells)
        ring_first(self._bells, 1)
        self._is_rung = is_rung

    def wake(self) -> None:
        """Make each thread that is in `select` return, and any other one at its next call.

        From any thread, but not from a signal handler, which may have interrupted `select` in
        the middle of its bookkeeping. Use it for events of your own: change what the callers of
        `select` look at, then wake them. Several wakes before a thread's next return count as
        one for that thread.
        """
        with self._lock:
            self._ring_all_locked()
            self._wakes += 1

    def close(self) -> None:
        """Unregister all outboxes, and end every `select`. Idempotent."""
        nothing: dict[Outbox[Any], tuple[SelectorKey, _Listener]] = {}
        with self._lock:
            self._ring_all_locked()
            self._closed = True
            registered = self._registered
            self._registered = nothing
            self._news.clear()
            self._stopped.clear()
        for outbox, (_, listener) in registered.items():
            outbox._remove_listener(listener)

    def __enter__(self) -> MailSelector:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _on_mail(self, outbox: Outbox[Any], listener: _Listener) -> bool:
        """Look at this outbox again; False if this listener's registration is over."""
        with self._lock:
            if not self._is_registered_locked(outbox, listener):
                return False
            if not self._is_rung:
                self._ring_locked()
            self._add_news_locked(outbox)
            return True

    def _add_news_locked(self, outbox: Outbox[Any]) -> None:
        self._news_count += 1
        self._news[outbox] = self._news_count

    def _is_registered_locked(self, outbox: Outbox[Any], listener: _Listener) -> bool:
        registered = self._registered.get(outbox)
        return registered is not None and registered[1] is listener

    def _drop_locked(self, outbox: Outbox[Any]) -> None:
        # Wakes all, because those that are left may be stopped. If this is interrupted, the next
        # look at the outbox finds again what is forgotten here.
        self._ring_all_locked()
        self._add_news_locked(outbox)
        self._stopped.discard(outbox)
        del self._registered[outbox]
        del self._news[outbox]

    def _require_open_locked(self) -> None:
        if self._closed:
            raise RuntimeError("the selector is closed")

    def _require_running_locked(self) -> None:
        self._require_open_locked()
        if self._registered and len(self._stopped) == len(self._registered):
            raise MailBoxShuttingDown

    def _wait(self, until: Timeout) -> bool:
        """Wait for something to look at; return whether `select` is to return in any case."""
        bell = None
        try:
            while True:
                with self._lock:
                    self._require_running_locked()
                    if getattr(self._seen, "wakes", 0) != self._wakes or until.is_over():
                        return True
                    if self._news:
                        return False
                    self._is_rung = False  # there is nothing to come for
                    bell = Bell()
                    self._bells.append(bell)
                bell.wait(until)
        finally:
            if bell is not None:
                with self._lock:
                    if bell in self._bells:
                        self._bells.remove(bell)

    def _ring_all_locked(self) -> None:
        ring_first(self._bells, len(self._bells))

    def _note(
        self, polled: list[tuple[Outbox[Any], int, int | None]], all_: bool
    ) -> list[SelectorKey]:
        """Keep in `_news` what has mail or has had news meanwhile; return the keys with mail.

        The next call begins after them, or after the first one if it is told of all.
        """
        with self._lock:
            ready = list(filter(None, starmap(self._note_locked, polled)))
            self._to_the_end_locked(ready[:1] if all_ else ready)
            if not ready:
                self._require_running_locked()
        return ready

    def _note_locked(
        self, outbox: Outbox[Any], count: int, waiting: int | None
    ) -> SelectorKey | None:
        if outbox not in self._registered:
            return None  # unregistered meanwhile
        if waiting:
            return self._registered[outbox][0]
        if waiting is None:
            if len(self._stopped | {outbox}) == len(self._registered):
                self._ring_all_locked()  # nobody has anything to wait for
            self._stopped.add(outbox)
        if self._news.get(outbox) == count:
            del self._news[outbox]
        return None

    def _to_the_end_locked(self, keys: list[SelectorKey]) -> None:
        for key in keys:
            if key.outbox in self._news:
                self._news.move_to_end(key.outbox)


class _Told:
    """What a thread knows of mail while others wait. It wakes one if the thread ends with it.

    Attributes:
        is_over: whether the thread was not told, or looks again itself.
    """

    is_over = True

    def __init__(self, selector: MailSelector) -> None:
        self._selector = weakref.ref(selector)

    def __del__(self) -> None:
        selector = None if self.is_over else self._selector()
        if selector is not None:
            selector._pass_on()


class _Listener:
    """What an outbox has of a registration: not enough to keep the selector alive.

    It is over when its registration is.
    """

    __slots__ = ("_selector",)

    def __init__(self, selector: MailSelector) -> None:
        self._selector = weakref.ref(selector)

    def __call__(self, outbox: Outbox[Any]) -> bool:
        selector = self._selector()
        return selector is None or not selector._on_mail(outbox, self)


def require_outbox(value: object) -> None:
    if not isinstance(value, Outbox):
        raise TypeError(
            f"expected an outbox, such as mailbox.packet_outbox or mailbox.message_outbox, "
            f"got {shown(value)}"
        )
