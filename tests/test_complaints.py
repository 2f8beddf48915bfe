"""Errors that repeat: told once, then counted."""

from __future__ import annotations

import logging

import pytest

from lnmailbox.failing.complaints import Complaints
from lnmailbox.testing import run_threads


@pytest.fixture
def complaints():
    return Complaints(logging.getLogger("lnmailbox.test"))


@pytest.fixture
def report(complaints):
    def report(error, text="%s failed", level=logging.ERROR):
        try:
            raise error
        except Exception:
            complaints.report(text, "Add 7", level=level)

    return report


def test_an_error_is_told_once_with_its_traceback(report, caplog):
    """Then there is a line at the 10th, the 100th, and so on."""
    for _ in range(1234):
        report(ValueError("no key"))

    assert ["Add 7 failed"] + [f"Add 7 failed ({n} times so far)" for n in (10, 100, 1000)] == [
        record.getMessage() for record in caplog.records
    ]
    assert [True, False, False, False] == [bool(record.exc_info) for record in caplog.records]
    assert "ValueError: no key" in caplog.text


def test_each_text_and_each_class_of_errors_is_told(report, caplog):
    """At the level that is wanted."""
    for _ in range(2):
        report(ValueError())
        report(KeyError(), level=logging.WARNING)
        report(KeyError(), text="%s failed again")

    assert [
        (logging.ERROR, "Add 7 failed"),
        (logging.WARNING, "Add 7 failed"),
        (logging.ERROR, "Add 7 failed again"),
    ] == [(record.levelno, record.getMessage()) for record in caplog.records]


def test_what_is_no_error_is_told_to_those_who_debug(complaints, caplog):
    complaints.mention("%s expired", "Add 7")
    with caplog.at_level(logging.DEBUG, logger="lnmailbox"):
        complaints.mention("%s expired", "Add 8")

    assert [("lnmailbox.test", logging.DEBUG, "Add 8 expired")] == caplog.record_tuples


def test_a_log_that_raises_is_not_heard(complaints, report, monkeypatch):
    """Unless it was interrupted."""

    def complain(*_, **__):
        raise error

    error = RuntimeError("no log today")
    monkeypatch.setattr(logging.Logger, "log", complain)
    monkeypatch.setattr(logging.Logger, "debug", complain)
    report(ValueError())
    complaints.mention("nothing")
    error = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        report(KeyError())
    with pytest.raises(KeyboardInterrupt):
        complaints.mention("nothing")


def test_several_threads_count_together(report, caplog):
    def complain():
        for _ in range(250):
            report(ValueError())

    run_threads(*[complain] * 4)

    assert ["Add 7 failed"] + [f"Add 7 failed ({n} times so far)" for n in (10, 100, 1000)] == [
        record.getMessage() for record in sorted(caplog.records, key=lambda r: len(r.getMessage()))
    ]
