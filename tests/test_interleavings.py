"""The real classes under a scheduler: thousands of schedules, and those that once failed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exploring import STRATEGIES, explore
from long_runs import SCHEDULES
from scenarios import SCENARIOS
from scheduled import installed


@pytest.fixture(autouse=True)
def scheduler() -> Iterator[None]:
    with installed():
        yield


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_fails(name, strategy):
    """What a scenario promises holds whoever loses its turn, and whenever."""
    count = explore(SCENARIOS[name], strategy, SCHEDULES)

    assert count == SCHEDULES or strategy == "DFS"


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_fails_that_switches_at_any_line(name):
    """Also where the package reads without the lock."""
    explore(SCENARIOS[name], "random", SCHEDULES // 15, lines=True)
