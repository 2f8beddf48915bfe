"""A scheduler that decides which thread runs: every run can be repeated.

One thread runs at a time. It can lose its turn before it takes a lock and after it releases one,
and, if `lines` is set, at every line of the package. What the scheduler has chosen makes a short
text, the schedule; a run with the same schedule does the same.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Choose = Callable[["list[Task]", bool], int]

MAX_STEPS = 20_000
"""A run that has more does not come to an end."""


class Stuck(AssertionError):
    """Somebody waits in vain, or a run does not end."""


class Abort(BaseException):
    """Ends the threads of a run that has failed."""


class Waited:
    """Something to wait for: that it has no owner.

    Attributes:
        owner: anything; None if it is free.
    """

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner


class Task:
    """A thread of a run."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.waits_for: Waited | None = None
        self.until: int | None = None  # when its wait is over, in ns
        self.timed_out = False
        self.is_over = False
        self.ident = 0
        self.may_wait = False
        self.result: Any = None
        self.turn = threading.Lock()
        self.turn.acquire()
        self.locals: dict[int, dict[str, Any]] = {}  # by Local
        self.ended = Waited(self)
        self.wait_until_done: Callable[[], object] = lambda: None

    @property
    def can_run(self) -> bool:
        return not self.is_over and (self.waits_for is None or self.waits_for.owner is None)


class _Worker(threading.Thread):
    """A thread for one task after the other: starting one takes longer than a run."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._job: Callable[[], object] | None = None
        self._given, self._done = threading.Lock(), threading.Lock()
        self._given.acquire()
        self._done.acquire()
        self.start()

    def begin(self, job: Callable[[], object] | None) -> Callable[[], object]:
        """Have the job done; return a function that blocks until it is, called once."""
        self._job = job
        self._given.release()
        return self._wait

    def _wait(self) -> None:
        self._done.acquire()
        _idle.append(self)

    def run(self) -> None:
        while self._given.acquire() and self._job is not None:
            self._job()
            self._job = None
            self._done.release()


_idle: list[_Worker] = []


def end_workers() -> None:
    """End the threads that wait for another task."""
    while _idle:
        worker = _idle.pop()
        worker.begin(None)
        worker.join()


class Run:
    """One run of a scenario: `play` lets functions run, each in a thread, until nobody can go on.

    Args:
        choose: called with the tasks that could go on, and whether the first one is the one that
            runs now; returns the number of one. Those whose timeout would end are the last.
        lines: whether a thread can lose its turn at every line of the package.
    """

    def __init__(self, choose: Choose, *, lines: bool = False) -> None:
        self.tasks: list[Task] = []
        self.choices: list[int] = []
        self.now = 0
        self.current: Task | None = None
        self.at_end: list[Callable[[], object]] = []  # called when all threads have ended
        self.lines = lines
        self._choose = choose
        self._steps = 0
        self._error: BaseException | None = None
        self._aborted = False
        self._rest = threading.Lock()  # released when nobody can go on
        self._rest.acquire()

    @property
    def schedule(self) -> str:
        """The choices other than 0, each as `n:choice` with the number of zeros before it."""
        zeros, parts = 0, []
        for choice in self.choices:
            if choice:
                parts.append(f"{zeros}:{choice}")
            zeros = 0 if choice else zeros + 1
        return " ".join(parts)

    def play(self, *functions: Callable[[], Any], waiting: bool = False) -> list[Any]:
        """Run these to their ends, and all that runs beside them until nobody can go on.

        Returns what they return. With `waiting`, they may wait at the end.
        """
        new = [self.spawn(function, may_wait=waiting) for function in functions]
        self._go(None)
        self._rest.acquire()
        self.current = None
        if self._error is not None:
            raise self._error
        stuck = [task for task in self.tasks if not (task.is_over or task.may_wait)]
        if stuck:
            raise Stuck("; ".join(f"{task.name} waits in vain" for task in stuck))
        return [task.result for task in new]

    def spawn(self, function: Callable[[], Any], *, may_wait: bool = False) -> Task:
        name = getattr(function, "__name__", "") or type(function).__name__
        task = self._task(name)
        task.may_wait = may_wait
        worker = _idle.pop() if _idle else _Worker()
        task.wait_until_done = worker.begin(lambda: self._main(task, function))
        return task

    def start(self, thread: threading.Thread) -> None:
        """Stand for `start` of a thread that the package has made."""
        task = thread.task = self._task(thread.name)  # type: ignore[attr-defined]
        task.may_wait = True
        body = thread.run
        thread.run = lambda: self._main(task, body)  # type: ignore[method-assign]
        threading.Thread.start(thread)
        task.wait_until_done = lambda: threading.Thread.join(thread)
        self.point()

    def _task(self, name: str) -> Task:
        task = Task(name, len(self.tasks))
        self.tasks.append(task)
        return task

    def _main(self, task: Task, function: Callable[[], Any]) -> None:
        task.turn.acquire()
        task.ident = threading.get_ident()
        try:
            if not self._aborted:
                if self.lines:
                    sys.settrace(self._trace)
                task.result = function()
                task.locals.clear()
        except Abort:
            pass
        except BaseException as error:
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            self._error = self._error or error
        finally:
            if self.lines:
                sys.settrace(None)
            task.is_over = True
            task.ended.owner = None
            if not self._aborted:
                self._go(None)

    def me(self) -> Task | None:
        """Return the task of this thread; None for a finalizer in a thread of no task."""
        me = self.current
        return me if me is not None and me.ident == threading.get_ident() else None

    def point(self) -> None:
        """Let another thread go on, if the schedule says so."""
        me = self.me()
        if me is None or me.is_over:
            return
        if self._aborted:
            raise Abort
        self._go(me)
        if self._aborted:
            raise Abort

    def wait(self, lock: Waited, timeout: float) -> bool:
        """Block until the lock is free; return False if the time was up before."""
        me = self.me()
        if me is None or me.is_over:
            if timeout < 0:
                raise Stuck("a lock is held though nobody can go on")
            return False
        me.waits_for, me.timed_out = lock, False
        me.until = None if timeout < 0 else self.now + round(timeout * 1e9)
        self.point()  # which returns when the wait is over
        me.waits_for = me.until = None
        return not me.timed_out

    def _go(self, me: Task | None) -> None:
        """Give the turn to somebody; return when `me` has it again."""
        chosen = None if self._error else self._next(me)
        if chosen is me and me is not None:
            return
        self.current = chosen
        if chosen is None:
            self._rest.release()
        else:
            chosen.turn.release()
        if me is not None:
            me.turn.acquire()

    def _next(self, me: Task | None) -> Task | None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            self._error = Stuck(f"no end after {MAX_STEPS} steps")
            return None
        ready = [task for task in self.tasks if task.can_run]
        in_time = len(ready)
        here = me is not None and me.can_run
        if here:
            assert me is not None
            ready.remove(me)
            ready.insert(0, me)
        late = [t for t in self.tasks if not t.is_over and not t.can_run and t.until is not None]
        ready += sorted(late, key=lambda task: (task.until, task.number))
        if not ready:
            return None
        choice = 0
        if len(ready) > 1:
            choice = self._choose(ready, here)
            self.choices.append(choice)
        chosen = ready[choice]
        if choice >= in_time:
            assert chosen.until is not None
            self.now = max(self.now, chosen.until)
            chosen.waits_for, chosen.timed_out = None, True
        return chosen

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.point()
        name = frame.f_globals.get("__name__", "")
        return self._trace if name in TRACED else None

    def end(self) -> None:
        """End every thread that is left."""
        self._aborted = True
        for task in self.tasks:
            self.current = task
            task.turn.release()
            task.wait_until_done()
        self.current = None
        for call in self.at_end:
            call()


TRACED = {
    f"lnmailbox.{name}"
    for name in """life receiving.outbox receiving.selector receiving.select receiving.awaiting
    failing.desk failing.alarms failing.courier mailboxes.base mailboxes.memory
    routing.orchestrator""".split()
}
