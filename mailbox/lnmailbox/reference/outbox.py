"""Receiving from a courier's channel as from any other outbox."""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ..clock import seconds_to_ns
from ..contract import Hand, Listener, Outbox
from ..errors import MailBoxShuttingDown
from ..receiving.awaiting import take_or_await
from .channel import Case, Channel, Deadline, Receive, select, wait_for_rest

__all__ = ["CourierOutbox"]

T = TypeVar("T")

# How long a call that does not block waits for a courier whose callback may wait for that call.
_PATIENCE = 1.0


class CourierOutbox(Channel[T], Outbox[T]):
    """A channel without a buffer on which a courier offers one item at a time.

    So a batch is taken item by item, `qsize` is 1 at most, and an ack or a reset between two
    items of a batch may come in between. A call that does not block, or whose time is up, gives
    the courier a moment to come to rest: what it will offer is not known before. A courier that
    carries a failed Add to the switch offers nothing, and is waited for 1 s at most.

    Args:
        quit_channel: closed when the mailbox is stopped.
        is_at_rest: whether the courier stands still, or is the calling thread.
    """

    def __init__(self, quit_channel: Channel[None], is_at_rest: Callable[[], bool]) -> None:
        super().__init__()
        self._quit = quit_channel
        self._is_at_rest = is_at_rest
        self._last_turn = 0
        self._listeners: dict[Listener, None] = {}
        self.watchers.append(self._tell_listeners)
        quit_channel.watchers.append(self._tell_listeners)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        deadline = _deadline(timeout)
        hand: Hand[T] = self._hand()
        try:
            self._receive(hand, block, deadline)
            item: T = hand[0]
            return item
        except BaseException:
            hand.put_back()
            raise

    def get_batch(
        self, max_items: int, block: bool = True, timeout: float | None = None
    ) -> list[T]:
        _check_max_items(max_items)
        deadline = _deadline(timeout)
        hand: Hand[T] = self._hand()
        try:
            self._receive(hand, block, deadline)
            self._receive_more(hand, max_items)
            return hand[:]
        except BaseException:
            hand.put_back()
            raise

    async def async_get_batch(self, max_items: int) -> list[T]:
        """Do as `get_batch`, in a coroutine; more than one item only if it is on offer at once."""
        _check_max_items(max_items)
        hand: Hand[T] = self._hand()
        try:
            await take_or_await(self, hand, max_items)
            if hand:
                return hand[:]
        except BaseException:
            hand.put_back()
            raise
        raise MailBoxShuttingDown

    def qsize(self) -> int:
        return int(self.has_offer())

    def _hand(self) -> Hand[T]:
        hand: Hand[T] = Hand()
        hand.outbox, hand.since = self, 0
        return hand

    def _receive(self, hand: Hand[T], block: bool, deadline: Deadline | None) -> None:
        if self._quit.closed:
            raise MailBoxShuttingDown
        item, stopped = Receive(self, hand), Receive(self._quit)
        chosen: Case | None = None
        if block:
            chosen = select(item, stopped, deadline=deadline)
        if chosen is None:
            wait_for_rest(self._is_at_rest, _PATIENCE)
            chosen = select(item, stopped, wait=False)
        if chosen is None:
            raise queue.Empty
        if chosen is stopped:
            raise MailBoxShuttingDown

    def _receive_more(self, hand: Hand[T], max_items: int) -> None:
        with suppress(queue.Empty, MailBoxShuttingDown):
            while len(hand) < max_items:
                self._receive(hand, False, None)

    # For select, selectors and coroutines

    def _look(self) -> bool | None:
        return None if self._quit.closed else self.has_offer()

    def _take_into(self, hand: Hand[T], size: int, turn: int = 0) -> bool:
        if self._quit.closed:
            return False
        hand.outbox, hand.since = self, 0
        while len(hand) < size and select(Receive(self, hand), wait=False) is not None:
            self._last_turn = max(turn, self._last_turn)
        return True

    def _put_back(self, items: list[T], since: int) -> None:
        """Offer these items first, in the order in which they came; after a reset, too."""
        self.give_back(items)

    def _add_listener(self, listener: Listener) -> None:
        self._listeners[listener] = None

    def _remove_listener(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    def _tell_listeners(self) -> None:
        for listener in list(self._listeners):
            if listener(self):
                self._remove_listener(listener)


def _deadline(timeout: float | None) -> Deadline | None:
    return None if timeout is None else Deadline.after(seconds_to_ns("timeout", timeout))


def _check_max_items(max_items: int) -> None:
    if not isinstance(max_items, int) or max_items < 1:
        raise ValueError(f"max_items must be an integer >= 1, got {max_items!r}")
