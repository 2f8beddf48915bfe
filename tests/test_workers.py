"""Threads that can't be had, or fail."""

from __future__ import annotations

import logging
import sys
from unittest.mock import Mock

import pytest

from lnmailbox.failing import workers
from lnmailbox.failing.complaints import Complaints
from lnmailbox.failing.workers import NO_THREAD, persist, report_no_thread
from lnmailbox.testing.switch import raiser


@pytest.fixture(autouse=True)
def nothing_told_yet(monkeypatch):
    monkeypatch.setattr(workers, "_complaints", Complaints(logging.getLogger(workers.__name__)))


@pytest.mark.parametrize("broken_log", [True, False])
def test_a_duty_is_done_until_it_has_succeeded(monkeypatch, caplog, broken_log):
    """With a second between two attempts, whatever is raised, also by the log."""
    errors = [ValueError("lost the way"), SystemExit(), MemoryError(), ValueError()]
    pause = Mock()
    monkeypatch.setattr("time.sleep", pause)
    if broken_log:
        monkeypatch.setattr(logging.Logger, "log", raiser(SystemExit))

    assert "done" == persist(Mock(side_effect=[*errors, "done"]))

    assert [((1.0,),)] * 4 == pause.call_args_list
    if not broken_log:
        text = "MainThread failed, and will try again"
        assert [text] * 3 == [record.getMessage() for record in caplog.records]
        assert "ValueError: lost the way" in caplog.text


@pytest.mark.parametrize("ending", [False, True])
def test_a_machine_without_threads_is_told_of_once(ending, monkeypatch, caplog):
    """Not at the interpreter's end: there are no new threads then, and that is right."""
    monkeypatch.setattr(sys, "is_finalizing", lambda: ending)
    for error in NO_THREAD:
        for _ in range(2):
            try:
                raise error
            except NO_THREAD:
                report_no_thread("a courier")

    text = "no thread for a courier: Adds that expire have to wait"
    told = [] if ending else [(workers.__name__, logging.ERROR, text)] * 2
    assert told == caplog.record_tuples
