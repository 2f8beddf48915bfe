"""The conformance tests on the port of lnd's mailbox, without those that lnd would not pass."""

from __future__ import annotations

import re
import weakref

import pytest

from lnmailbox import MailBox, MailBoxConfig
from lnmailbox.testing import MailBoxConformance
from reference_differences import DIFFERENCES, listed
from resting import RestingMailBox

DEMONSTRATIONS = ("test_reference.py", "test_reference_life.py", "test_reference_orchestrator.py")


class TestCourierMailBox(MailBoxConformance):
    @pytest.fixture(autouse=True)
    def skip_what_lnd_does_otherwise(self, request):
        row = listed(request.node.name)
        if row is not None:
            pytest.skip(f"{row.lnd} Shown by {row.demonstration}.")

    @pytest.fixture(autouse=True)
    def start_what_never_was(self, new_box):
        """The end of a test stops every mailbox; lnd's `stop` hangs if it was never started."""
        self.made: weakref.WeakSet[RestingMailBox] = weakref.WeakSet()

        yield

        for box in list(self.made):
            box.start()

    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        box = RestingMailBox(config)
        self.made.add(box)
        return box


def conformance_tests() -> set[str]:
    return {name for name in dir(MailBoxConformance) if name.startswith("test_")}


def test_the_table_lists_tests_that_exist():
    """By the function's name; what follows it are parameters."""
    known = conformance_tests()

    unknown = [
        entry for row in DIFFERENCES for entry in row.tests if entry.partition("[")[0] not in known
    ]

    assert [] == unknown


def test_no_test_is_listed_twice():
    entries = [entry for row in DIFFERENCES for entry in row.tests]

    assert sorted(set(entries)) == sorted(entries)
    assert [] == [
        entry for entry in entries if "[" in entry and entry.partition("[")[0] in entries
    ]


def test_every_row_has_its_demonstration(request):
    """And no demonstration is without a row."""
    folder = request.path.parent
    written = [
        name
        for file in DEMONSTRATIONS
        for name in re.findall(r"(?m)^def (test_\w+)", (folder / file).read_text("utf-8"))
    ]

    assert sorted(row.demonstration for row in DIFFERENCES) == sorted(written)


def test_every_row_says_what_and_why():
    for row in DIFFERENCES:
        assert row.lnd.endswith(".")
        assert re.search(r"\(\d+(, \d+)*\)", row.why), row.why
        assert row.promise


def test_every_sentence_about_lnd_in_the_guarantees_has_its_row(project):
    """And what a row quotes is there."""
    text = (project / "docs" / "guarantees.md").read_text("utf-8")
    about_lnd = [line for line in text.splitlines() if line.startswith("*lnd*")]
    quoted = {row.guarantee for row in DIFFERENCES if row.guarantee}

    assert [] == [line for line in about_lnd if not line.startswith(tuple(quoted))]
    assert [] == [
        start for start in quoted if not any(line.startswith(start) for line in about_lnd)
    ]
