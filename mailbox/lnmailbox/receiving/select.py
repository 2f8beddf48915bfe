"""Taking one item from several outboxes, as lnd's link does with Go's `select`."""

from __future__ import annotations

import queue
from operator import attrgetter
from typing import Any, TypeVar, overload

from ..bell import FOREVER, Timeout
from ..contract import Hand, Outbox
from ..errors import MailBoxShuttingDown
from .selector import MailSelector, require_outbox

__all__ = ["select"]

T = TypeVar("T")

_last_turn = attrgetter("_last_turn")


@overload
def select(*outboxes: Outbox[T], timeout: float | None = None) -> tuple[Outbox[T], T]: ...
@overload
def select(*outboxes: Outbox[Any], timeout: float | None = None) -> tuple[Outbox[Any], Any]: ...
def select(*outboxes: Outbox[Any], timeout: float | None = None) -> tuple[Outbox[Any], Any]:
    """Take one item from whichever outbox has one; wait until one has.

    Fair: an outbox that has mail is served within n calls of a thread, where n is the number of
    outboxes. Outboxes of stopped mailboxes are passed over, and those of mailboxes that are not
    started are waited for. Takes exactly one item or, if it raises, none.

    Args:
        outboxes: one or more, of one mailbox or of several.
        timeout: how long to wait at most, in seconds of real time; 0 is not at all, None for ever.

    Returns:
        The outbox, and the item taken from it.

    Raises:
        queue.Empty: there was no item in time.
        MailBoxShuttingDown: all the mailboxes are stopped, now or while waiting.
        ValueError: there are no outboxes, or `timeout` is not a finite number of at least 0.
        TypeError: an argument is no outbox.
    """
    if not outboxes:
        raise ValueError("select needs at least one outbox")
    for outbox in outboxes:
        require_outbox(outbox)
    until = FOREVER if timeout is None else Timeout(timeout)
    hand: Hand[Any] = Hand()
    try:
        if not _take_in_turn(outboxes, hand):
            if timeout == 0:
                raise queue.Empty
            with MailSelector() as selector:
                for outbox in dict.fromkeys(outboxes):
                    selector.register(outbox)
                while True:
                    if _take_in_turn(outboxes, hand):
                        break
                    _wait(selector, until)
        return hand.outbox, hand[0]
    except BaseException:
        hand.put_back()
        raise


def _wait(selector: MailSelector, until: Timeout) -> None:
    if not selector.select(until.seconds()):
        raise queue.Empty


def _take_in_turn(outboxes: tuple[Outbox[Any], ...], hand: Hand[Any]) -> bool:
    """Take one item into `hand`, if there is one; return whether there was."""
    in_turn = sorted(outboxes, key=_last_turn)
    turn = in_turn[-1]._last_turn + 1
    running = False
    for outbox in in_turn:
        running |= outbox._take_into(hand, 1, turn)
        if hand:
            return True
    if not running:
        raise MailBoxShuttingDown
    return False
