"""How the class of a failure code is found."""

from __future__ import annotations

import subprocess
import sys

from lnmailbox.wire import FailureMessage, KnownFailure, UnknownFailure, failures
from lnmailbox.wire.failure_kinds import find_kind


def test_every_known_class_is_found_by_its_code():
    """There are 25 of them, and no two have the same code."""
    kinds = [getattr(failures, name) for name in failures.__all__]

    assert kinds == [find_kind(kind.CODE) for kind in kinds]
    assert 25 == len(set(kinds))
    assert all(issubclass(kind, KnownFailure) for kind in kinds)


def test_no_class_is_found_for_another_code():
    """It is for the caller to keep such a failure as it came."""
    assert find_kind(0xFFFF) is None
    assert UnknownFailure(0xFFFF) == FailureMessage.decode(b"\xff\xff")


def test_the_classes_are_imported_when_the_first_code_is_looked_up():
    """Not with the package, whose import they would slow down."""
    script = """
import sys
from lnmailbox.wire import FailureMessage
before = "lnmailbox.wire.failures" in sys.modules
print(before, type(FailureMessage.decode(b"\\x20\\x02")).__name__)
"""
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout

    assert "False TemporaryNodeFailure" == output.strip()
