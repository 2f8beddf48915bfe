"""What `mailbox.go` has of Go itself: channels, `select`, `sync.Cond`, `sync.Once`.

One lock guards all channels of the process. That is slow and short, which suits a port that is
read and tested against.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from ..clock import Clock, SystemClock

__all__ = ["Channel", "Cond", "Deadline", "Once", "Receive", "Send", "select", "wait_for_rest"]

T = TypeVar("T")

# An RLock because a condition takes that back without being interruptible.
_lock = threading.RLock()
# Waited on in `wait_for_rest`. Notified when a thread is about to stand still, in `select` or
# in `Cond.wait`, and when a channel is closed.
_rest = threading.Condition(_lock)


class Channel(Generic[T]):
    """What `make(chan T, capacity)` makes in Go.

    With a capacity of 0 it holds nothing: an item passes when a sender and a receiver meet.
    """

    def __init__(self, capacity: int = 0) -> None:
        self._capacity = capacity
        self._buffer: deque[T] = deque()
        # The cases of parked selects, first come, first served.
        self._senders: dict[Send[T], _Parked] = {}
        self._receivers: dict[Receive[T], _Parked] = {}
        self.closed = False
        #: Called when an item is on offer, and at the close, under no lock.
        self.watchers: list[Callable[[], object]] = []

    def close(self) -> None:
        """Let everybody receive nothing, now and for ever; Go's `close`.

        Raises:
            RuntimeError: the channel is closed.
        """
        with _lock:
            if self.closed:
                raise RuntimeError("close of a closed channel")
            self.closed = True
            for case, parked in list(self._receivers.items()):
                parked.complete(case)
            _rest.notify_all()
        self._tell_watchers()

    def has_offer(self) -> bool:
        """Whether a receiver would get an item now."""
        with _lock:
            return bool(self._buffer) or _first(self._senders) is not None

    def is_offering(self) -> bool:
        """Whether a thread stands in a `select` that sends."""
        with _lock:
            return _first(self._senders) is not None

    def give_back(self, items: list[T]) -> None:
        """Undo the receiving of these items. Go has no such thing, nor KeyboardInterrupt."""
        with _lock:
            self._buffer.extendleft(reversed(items))
            self._serve_locked()
        self._tell_watchers()

    def _serve_locked(self) -> None:
        while self._buffer and (receive := _first(self._receivers)):
            receive.received.append(self._buffer.popleft())
            self._receivers[receive].complete(receive)

    def _tell_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()


class Send(Generic[T]):
    """The case `channel <- item` of a `select`; never ready if there is no channel."""

    def __init__(self, channel: Channel[T] | None, item: T) -> None:
        self.channel = channel
        self.item = item

    def is_ready(self) -> bool:
        channel = self.channel
        if channel is None:
            return False
        if channel.closed:
            raise RuntimeError("send on a closed channel")
        has_room = len(channel._buffer) < channel._capacity
        return has_room or _first(channel._receivers) is not None

    def perform(self) -> None:
        assert self.channel is not None
        self.channel._buffer.append(self.item)
        self.channel._serve_locked()

    def park(self, parked: _Parked) -> None:
        if self.channel is not None:
            self.channel._senders[self] = parked

    def withdraw(self) -> None:
        if self.channel is not None:
            self.channel._senders.pop(self, None)


class Receive(Generic[T]):
    """The case `item := <-channel` of a `select`.

    Args:
        channel: to receive from.
        received: where the item goes. Nothing goes there from a channel that is closed.
    """

    def __init__(self, channel: Channel[T], received: list[T] | None = None) -> None:
        self.channel = channel
        self.received: list[T] = [] if received is None else received
        self._offer: Send[T] | None = None

    def is_ready(self) -> bool:
        channel = self.channel
        self._offer = _first(channel._senders)  # whose deadline may come before `perform`
        return channel.closed or bool(channel._buffer) or self._offer is not None

    def perform(self) -> None:
        channel, send = self.channel, self._offer
        if send is not None and len(channel._buffer) <= channel._capacity:
            channel._buffer.append(send.item)
            channel._senders[send].complete(send)
        if channel._buffer:
            self.received.append(channel._buffer.popleft())

    def park(self, parked: _Parked) -> None:
        self.channel._receivers[self] = parked

    def withdraw(self) -> None:
        self.channel._receivers.pop(self, None)


Case = Send[Any] | Receive[Any]
_C = TypeVar("_C", Send[Any], Receive[Any])


class Deadline(NamedTuple):
    """When a `select` ends at the latest; Go's channel of a timer."""

    clock: Clock
    at_ns: int

    @classmethod
    def after(cls, span_ns: int) -> Deadline:
        """So many nanoseconds of real time from now; Go's `time.After`."""
        return cls(SystemClock(), SystemClock.now_ns() + span_ns)

    def has_come(self) -> bool:
        return self.clock.now_ns() >= self.at_ns


class _Parked:
    """A `select` that waits. Whoever completes one of its cases withdraws all of them."""

    def __init__(self, cases: tuple[Case, ...], deadline: Deadline | None) -> None:
        self._cases = cases
        self._deadline = deadline
        # Waited on in `wait`, for a case or the deadline. Notified by `complete`, and by clocks.
        self._changed = threading.Condition(_lock)
        self._chosen: Case | None = None
        for case in cases:
            case.park(self)

    def is_due(self) -> bool:
        return self._deadline is not None and self._deadline.has_come()

    def complete(self, case: Case) -> None:
        self._chosen = case
        self.withdraw()
        self._changed.notify()

    def wait(self) -> Case | None:
        while self._chosen is None and not self.is_due():
            if self._deadline is None:
                self._changed.wait()
            else:
                self._deadline.clock.wait(self._changed, self._deadline.at_ns)
        return self._chosen

    def withdraw(self) -> None:
        for case in self._cases:
            case.withdraw()


def _first(parked: dict[_C, _Parked]) -> _C | None:
    """Return the case that waits longest; not of a select whose deadline has come."""
    return next((case for case, select in parked.items() if not select.is_due()), None)


def select(*cases: Case, deadline: Deadline | None = None, wait: bool = True) -> Case | None:
    """Perform one of the cases, a random one of those that are ready; wait until one is.

    A deadline that has come is ready as well.

    Args:
        cases: `Send` and `Receive`.
        deadline: when to give up; None is never, as with Go's nil channel.
        wait: whether to; not waiting is Go's `default`.

    Returns:
        The case that was performed; None when the deadline has come, or when none was ready and
        `wait` is false.
    """
    with _lock:
        ready: list[Case | None] = [case for case in cases if case.is_ready()]
        if deadline is not None and deadline.has_come():
            ready.append(None)
        if ready or not wait:
            chosen = random.choice(ready) if ready else None
            if chosen is not None:
                chosen.perform()
            return chosen
        parked = _Parked(cases, deadline)
        _rest.notify_all()
    try:
        for case in cases:
            if isinstance(case, Send) and case.channel is not None:
                case.channel._tell_watchers()
        with _lock:
            return parked.wait()
    finally:
        with _lock:
            parked.withdraw()


class Cond(threading.Condition):
    """Go's `sync.Cond` with one thread that waits; others can see whether it does."""

    waiting = False

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting = True
        with _lock:
            _rest.notify_all()
        return super().wait(timeout)

    def notify(self, n: int = 1) -> None:
        self.waiting = False
        super().notify(n)

    def signal(self) -> None:
        """Wake the thread that waits; unlike Go's, takes the lock to do so."""
        with self:
            self.notify()


class Once:
    """Go's `sync.Once`: later calls block until the first one is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done = False

    def do(self, function: Callable[[], object]) -> None:
        with self._lock:
            if not self.done:
                try:
                    function()
                finally:
                    self.done = True


def wait_for_rest(is_at_rest: Callable[[], bool], timeout: float) -> bool:
    """Wait until `is_at_rest()`, asked whenever a thread may have come to a standstill.

    Returns:
        Whether it is; False after `timeout` seconds of real time.
    """
    with _lock:
        return _rest.wait_for(is_at_rest, timeout)
