"""Couriers: daemon threads that carry to the switch what nobody collected."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Courier"]

_logger = logging.getLogger(__name__)

# Guards every courier's `_waits` and `_ended`. Waited on by couriers in `join_courier`: until
# another one has ended (`run`) or waits itself (`join_courier`).
_quiet = threading.Condition()


class Courier(threading.Thread):
    """Runs errands until there are none left (lnd: `mailCourier`).

    Args:
        name: of the thread.
        next_errand: returns what to do next, or None to end. Must not raise.
    """

    def __init__(self, name: str, next_errand: Callable[[], Callable[[], object] | None]) -> None:
        super().__init__(name=name, daemon=True)
        self._next_errand = next_errand
        self._waits = False
        self._ended = False

    def run(self) -> None:
        try:
            while (errand := self._next_errand()) is not None:
                try:
                    errand()
                except BaseException:  # even SystemExit: other mail is waiting
                    with suppress(BaseException):  # what a log's filter may raise
                        _logger.exception("%s: an errand failed", self.name)
        finally:
            with _quiet:
                self._ended = True
                _quiet.notify_all()

    def join_courier(self) -> None:
        """Block until the courier has ended, with no time limit; from itself, return at once.

        Where a courier waits for another, it does so until that one has ended or waits as well:
        two whose callbacks stop each other's mailboxes do not wait for ever.
        """
        me = threading.current_thread()
        if sys.is_finalizing():
            return  # daemon threads are frozen at the interpreter's end
        if not isinstance(me, Courier):
            self.join()
        elif me is not self:
            with _quiet:
                me._waits = True
                _quiet.notify_all()
                try:
                    while not (self._ended or self._waits):
                        _quiet.wait()
                finally:
                    me._waits = False
