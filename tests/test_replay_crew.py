"""Who does the work of links: one thread for all, or one for each."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lnmailbox.replay.playing.crew import Crew, Stalled
from lnmailbox.testing.threads import PATIENCE
from lnmailbox.wire import ShortChannelID


class Worker:
    """Stands in for a link: writes down in which thread it works."""

    def __init__(self, number: int, done: list[tuple[int, str]]) -> None:
        self.channel = ShortChannelID(number, 0, 0)
        self._number = number
        self._done = done
        self.begun = threading.Event()
        self.gate: threading.Event | None = None
        self.error: Exception | None = None

    def work(self) -> None:
        self.begun.set()
        if self.gate is not None:
            self.gate.wait()
        if self.error is not None:
            raise self.error
        self._done.append((self._number, threading.current_thread().name))


@pytest.fixture
def done() -> list[tuple[int, str]]:
    return []


@pytest.fixture
def workers(done: list[tuple[int, str]]) -> Any:
    return [Worker(number, done) for number in range(1, 4)]


@pytest.fixture(params=[False, True], ids=["shared", "per-link"])
def per_link(request: pytest.FixtureRequest) -> bool:
    is_per_link: bool = request.param
    return is_per_link


@pytest.fixture
def crew(per_link: bool) -> Iterator[Crew]:
    crew = Crew(per_link=per_link)
    yield crew
    crew.close()


def test_one_thread_does_the_work_of_all_in_order(workers: Any, done: Any) -> None:
    """However often; there is none before there is work."""
    before = threading.active_count()
    crew = Crew(per_link=False)
    assert before == threading.active_count()
    for _ in range(2):
        crew.hand_over(workers)
        crew.wait(PATIENCE)

    assert [(n, "links") for n in (1, 2, 3, 1, 2, 3)] == done
    crew.close()
    assert before == threading.active_count()


def test_each_link_can_have_a_thread(workers: Any, done: Any) -> None:
    """It is named after the channel, and lives on."""
    crew = Crew(per_link=True)
    for _ in range(2):
        crew.hand_over(workers)
        crew.wait(PATIENCE)
    crew.close()

    assert [(n, f"link of {n}x0x0") for n in (1, 1, 2, 2, 3, 3)] == sorted(done)


def test_nothing_to_wait_for_is_no_wait(crew: Crew) -> None:
    """Nor is what was done before."""
    crew.wait(0.0)
    crew.close()


def test_what_a_link_raises_is_raised_to_who_waits(crew: Crew, workers: Any) -> None:
    """The crew can be closed then."""
    workers[1].error = LookupError("that")
    crew.hand_over(workers)

    with pytest.raises(LookupError, match="that"):
        crew.wait(PATIENCE)


def test_a_link_that_does_not_move_is_named(crew: Crew, workers: Any, done: Any) -> None:
    """Others that move are no reason to wait longer than that."""
    gate = workers[1].gate = threading.Event()
    crew.hand_over(workers)

    with pytest.raises(Stalled) as stalled:
        crew.wait(0.2)

    assert workers[1] is stalled.value.link
    gate.set()


def test_there_is_patience_as_long_as_something_moves(workers: Any, done: Any) -> None:
    """The patience is for one link, not for all that was handed over."""
    first, second, _ = workers
    first.gate, second.gate = threading.Event(), threading.Event()
    crew = Crew(per_link=False)
    finished = crew._finished

    class Impatient:
        """Its time is up when the second link has begun."""

        def get(self, timeout: float) -> Any:
            crew._finished = finished
            first.gate.set()
            assert second.begun.wait(PATIENCE)
            second.gate.set()
            raise queue.Empty

    crew.hand_over(workers)
    crew._finished = Impatient()  # type: ignore[assignment]
    crew.wait(PATIENCE)
    crew.close()

    assert [1, 2, 3] == [number for number, _ in done]
