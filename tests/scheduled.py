"""The package's own classes under the scheduler.

`installed` replaces `threading` and `time` in the modules of the package. Nothing waits for real:
a timeout is over when the scheduler decides so.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from lnmailbox import bell, clock, life
from lnmailbox.failing import alarms, courier, workers
from lnmailbox.keeping import commits
from lnmailbox.receiving import selector
from lnmailbox.routing import parking
from scheduler import Choose, Run, Task, Waited, end_workers

_run: Run = Run(lambda *_: 0)  # the one that goes on


class Lock(Waited):
    """A `threading.Lock`: anybody may release it."""

    is_new = True  # nobody else knows it

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self.is_new:
            self.is_new = False
        else:
            _run.point()
        while self.owner is not None:
            if not blocking or timeout == 0 or not _run.wait(self, timeout):
                return False
        self.owner = _run.me() or _run
        return True

    def release(self) -> None:
        if self.owner is None:
            if _run._aborted:
                return
            raise RuntimeError("release unlocked lock")
        was_mine = self.owner is _run.me()
        self.owner = None
        if was_mine and not _run._aborted:
            _run.point()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    """A `threading.RLock`."""

    is_new = False
    count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._is_owned():
            self.count += 1
            return True
        if not super().acquire(blocking, timeout):
            return False
        self.count = 1
        return True

    def release(self) -> None:
        if not self._is_owned():
            if _run._aborted:
                return
            raise RuntimeError("cannot release un-acquired lock")
        self.count -= 1
        if not self.count:
            super().release()

    def _is_owned(self) -> bool:
        return self.owner is not None and self.owner is (_run.me() or _run)


class Condition:
    """A `threading.Condition` over an `RLock`, made as the standard library's."""

    def __init__(self, lock: RLock) -> None:
        self.lock = lock
        self.waiting: list[Lock] = []

    def __enter__(self) -> bool:
        return self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        assert self.lock._is_owned()
        waiter, count, notified = Lock(self), self.lock.count, False
        waiter.is_new = False
        self.waiting.append(waiter)
        self.lock.count = 0
        self.lock.owner = None
        try:
            notified = waiter.acquire(True, -1 if timeout is None else max(timeout, 0))
        finally:
            self.lock.acquire()
            self.lock.count = count
            if waiter in self.waiting:
                self.waiting.remove(waiter)
        return notified

    def notify_all(self) -> None:
        assert self.lock._is_owned()
        while self.waiting:
            self.waiting.pop(0).owner = None


class Local:
    """A `threading.local` that ends with the task, in its turn."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mine()[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._mine()[name] = value

    def _mine(self) -> dict[str, Any]:
        me = _run.me()
        return {} if me is None else me.locals.setdefault(id(self), {})


class Loop(asyncio.BaseEventLoop):
    """An event loop that waits for callbacks only, and by a lock of the scheduler."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._idle = Lock(self)

    def select(self, timeout: float | None) -> list[Any]:
        self._idle.acquire(True, -1 if timeout is None else max(timeout, 0))
        self._idle.owner = self
        return []

    def _process_events(self, events: list[Any]) -> None:
        assert not events

    def _write_to_self(self) -> None:
        self._idle.owner = None
        _run.point()

    def time(self) -> float:
        return _run.now / 1e9


def _sleep(seconds: float) -> None:
    _run.wait(Waited("the time"), seconds)


class _Started:
    """What the threads of the package have in place of `threading.Thread`'s methods."""

    task: Task | None = None

    def start(self) -> None:
        _run.start(self)  # type: ignore[arg-type]

    def is_alive(self) -> bool:
        return self.task is not None and not self.task.is_over

    def join(self, timeout: float | None = None) -> None:
        assert self.task is not None
        _run.point()
        if self.is_alive():
            _run.wait(self.task.ended, -1 if timeout is None else timeout)


@contextmanager
def installed() -> Iterator[None]:
    """Have the package use what is above. Its clocks, mailboxes and so on are to be made here."""
    names = {"Lock": Lock, "RLock": RLock, "Condition": Condition, "local": Local}
    real = {
        name: getattr(threading, name) for name in ("current_thread", "get_ident", "main_thread")
    }
    fake = SimpleNamespace(**names, **real, TIMEOUT_MAX=threading.TIMEOUT_MAX)
    with pytest.MonkeyPatch.context() as patch:
        for module in (bell, life, selector, commits, parking, clock, alarms, courier, workers):
            patch.setattr(module, "threading", fake)
        for module in (courier, workers):
            patch.setattr(module, "time", SimpleNamespace(sleep=_sleep))
        for thread in (courier.Courier, alarms._Watcher):
            for name in ("task", "start", "is_alive", "join"):
                patch.setattr(thread, name, vars(_Started)[name], raising=False)
        for where, name in (
            (courier, "_lock"),
            (courier, "_bells"),
            (alarms.Watch, "_lock_of_all"),
            (alarms.Watch, "_all"),
        ):
            patch.setattr(where, name, None)
        patch.setattr(bell, "_now_ns", lambda: _run.now)
        logging.disable()  # whose locks are real
        gc.collect()
        gc.disable()  # finalizers run at moments that no schedule knows
        try:
            yield
        finally:
            end_workers()
            gc.enable()
            logging.disable(logging.NOTSET)


def run_once(scenario: Callable[[Run], object], choose: Choose, *, lines: bool = False) -> Run:
    """Call `scenario` with a new run, which must be over afterwards; return the run.

    Its errors have an attribute `schedule`.
    """
    global _run  # noqa: PLW0603
    before, _run = _run, Run(choose, lines=lines)
    run = _run
    courier._lock = RLock()
    courier._bells = []
    alarms.Watch._lock_of_all = RLock()
    alarms.Watch._all = weakref.WeakValueDictionary()
    try:
        scenario(run)
        assert [] == [task.name for task in run.tasks if not task.is_over]
    except Exception as error:
        error.schedule = run.schedule  # type: ignore[attr-defined]
        raise
    finally:
        run.end()
        _run = before
    return run
