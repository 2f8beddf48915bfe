"""Which schedules to try: at random, by priorities, or one after the other."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator

from scheduled import run_once
from scheduler import Choose, Run, Task

__all__ = ["STRATEGIES", "Failed", "explore", "replay", "shrink"]

Scenario = Callable[[Run], object]

BETWEEN_COLLECTIONS = 200


class Failed(AssertionError):
    """A scenario failed; the text has the shortest schedule that was found."""


def at_random(seed: int) -> Iterator[Choose]:
    """Yield choices by chance, from those that nearly never switch to those that always do."""
    while True:
        rng = random.Random(seed)
        stay = rng.choice([0.0, 0.5, 0.8, 0.95])

        def choose(ready: list[Task], here: bool, rng: random.Random = rng, stay=stay) -> int:
            return 0 if here and rng.random() < stay else rng.randrange(len(ready))

        yield choose
        seed += 1


def by_priority(seed: int, depth: int = 3, length: int = 80) -> Iterator[Choose]:
    """Yield the choices of PCT (Burckhardt et al. 2010).

    The ready task of the highest priority runs. At `depth` moments the one that runs gets the
    lowest priority, and so does one whose timeout was over.
    """
    while True:
        rng = random.Random(seed)
        changes = set(rng.sample(range(length), depth))
        yield _Priorities(rng, changes)
        seed += 1


class _Priorities:
    def __init__(self, rng: random.Random, changes: set[int]) -> None:
        self.rng = rng
        self.changes = changes
        self.step = 0
        self.lowest = 0.0
        self.of: dict[int, float] = {}

    def __call__(self, ready: list[Task], here: bool) -> int:
        for task in ready:
            self.of.setdefault(task.number, self.rng.random())
        if here and self.step in self.changes:
            self.demote(ready[0])
        self.step += 1
        best = max(ready, key=lambda task: self.of[task.number])
        if not best.can_run:
            self.demote(best)
        return ready.index(best)

    def demote(self, task: Task) -> None:
        self.lowest -= 1
        self.of[task.number] = self.lowest


def in_order(_: int) -> Iterator[Choose]:
    """Yield every schedule in which a task loses its turn, or a timeout comes early, at most
    0 times, then at most once, and so on; and end after 3.
    """
    for bound in range(4):
        path: list[list[int]] = []  # of each choice: the choice, and its alternatives' costs
        while True:
            yield _Search(path)
            while path and not _advance(path, bound):
                path.pop()
            if not path:
                break


class _Search:
    def __init__(self, path: list[list[int]]) -> None:
        self.path = path
        self.depth = 0

    def __call__(self, ready: list[Task], here: bool) -> int:
        if self.depth == len(self.path):
            costs = [int(here or not task.can_run) for task in ready[1:]]
            self.path.append([0, 0, *costs])
        choice = self.path[self.depth][0]
        self.depth += 1
        return choice


def _advance(path: list[list[int]], bound: int) -> bool:
    """Go on to the next choice at the end of the path; False if there is none."""
    spent = sum(step[1 + step[0]] for step in path[:-1])
    last = path[-1]
    for choice in range(last[0] + 1, len(last) - 1):
        if spent + last[1 + choice] <= bound:
            last[0] = choice
            return True
    return False


STRATEGIES = {"DFS": in_order, "random": at_random, "PCT": by_priority}


def explore(
    scenario: Scenario, strategy: str, count: int, *, seed: int = 0, lines: bool = False
) -> int:
    """Run the scenario with `count` schedules, or all that the strategy knows; return how many.

    Raises:
        Failed: it raised.
    """
    number = 0
    for number, choose in zip(range(1, count + 1), STRATEGIES[strategy](seed), strict=False):
        if number % BETWEEN_COLLECTIONS == 0:
            gc.collect()
        try:
            run_once(scenario, choose, lines=lines)
        except Exception as error:
            schedule = shrink(scenario, error.schedule, lines=lines)
            name = getattr(scenario, "__name__", "scenario")
            raise Failed(f"{name}, run {number}, with schedule {schedule!r}: {error!r}") from error
    return number


def replay(scenario: Scenario, schedule: str, *, lines: bool = False) -> Run:
    """Run the scenario with this schedule; return the run, or raise what it raises."""
    choices: list[int] = []
    for part in schedule.split():
        zeros, choice = part.split(":")
        choices += [0] * int(zeros) + [int(choice)]
    left = iter(choices)
    return run_once(scenario, lambda ready, _: min(next(left, 0), len(ready) - 1), lines=lines)


def shrink(scenario: Scenario, schedule: str, *, lines: bool = False) -> str:
    """Return a schedule from which no choice can be left out: without it, nothing raises."""
    longer = ""
    while longer != schedule:
        longer = schedule
        number = 0
        while number < len(schedule.split()):
            shorter = _without(schedule.split(), number)
            try:
                replay(scenario, shorter, lines=lines)
            except Exception:
                schedule = shorter
            else:
                number += 1
    return schedule


def _without(parts: list[str], number: int) -> str:
    """Leave out a choice: the next one comes as late as before."""
    if number < len(parts) - 1:
        zeros = int(parts[number].split(":")[0])
        more, choice = parts[number + 1].split(":")
        parts[number + 1] = f"{zeros + 1 + int(more)}:{choice}"
    del parts[number]
    return " ".join(parts)
