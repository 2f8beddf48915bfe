"""Ctrl-C at a time that suits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Holds SIGINT back while `are_held` is set, as a context manager.

    An interrupt in the middle of a step would leave packets that are in the book and not in a
    mailbox. So it waits for `let_in`, which calls the handler that was there before. A second one
    does not wait.

    It does nothing in other threads than the main one, which has no interrupts, and if the
    process ignores SIGINT, or dies of it.

    Attributes:
        are_held: set and cleared by the owner.
        waits: whether one was held back.
    """

    def __init__(self) -> None:
        self.are_held = False
        self.waits = False
        self._handler: Callable[[int, FrameType | None], Any] | None = None

    def __enter__(self) -> Interrupts:
        handler = signal.getsignal(signal.SIGINT)
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and callable(handler):
            self._handler = handler
            signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def let_in(self) -> None:
        """Deliver the interrupt that waits, if there is one."""
        if self.waits:
            self.waits = False
            self._deliver(signal.SIGINT, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.are_held and not self.waits:
            self.waits = True
        else:
            self._deliver(number, frame)

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        assert self._handler is not None
        self._handler(number, frame)
