"""Ctrl-C in the middle of a step waits for its end, and does so once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from lnmailbox.replay.playing.interrupts import Interrupts
from lnmailbox.testing.threads import Call


@pytest.fixture(autouse=True)
def handler() -> Iterator[Any]:
    """The handler of SIGINT, which each test must leave as it was."""
    before = signal.getsignal(signal.SIGINT)
    yield before
    after = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    assert before is after


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_between_steps_comes_at_once() -> None:
    """As without it."""
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        interrupt()


def test_an_interrupt_in_a_step_waits_for_its_end() -> None:
    """Then it comes, once."""
    with Interrupts() as interrupts:
        interrupts.are_held = True
        interrupt()
        interrupts.are_held = False

        assert interrupts.waits
        with pytest.raises(KeyboardInterrupt):
            interrupts.let_in()
        assert not interrupts.waits
        interrupts.let_in()


def test_a_second_interrupt_does_not_wait() -> None:
    """Who is in a hurry has it."""
    with Interrupts() as interrupts:
        interrupts.are_held = True
        interrupt()

        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_a_handler_of_the_program_is_called_instead() -> None:
    """With the signal's number, later too; and it is there again afterwards."""
    seen: list[int] = []

    def handle(number: int, frame: object) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGINT, handle)
    with Interrupts() as interrupts:
        interrupt()
        interrupts.are_held = True
        interrupt()
        assert [signal.SIGINT] == seen
        interrupts.let_in()
    assert handle is signal.signal(signal.SIGINT, before)

    assert [signal.SIGINT] * 2 == seen


def test_a_program_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    """Its handler is none that could be called."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupts() as interrupts:
        interrupts.are_held = True
        interrupt()
        interrupts.let_in()
    assert signal.SIG_IGN is signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_interrupts(handler: Any) -> None:
    """And no right to set a handler."""

    def use() -> object:
        with Interrupts():
            return signal.getsignal(signal.SIGINT)

    assert handler is Call(use).result()
