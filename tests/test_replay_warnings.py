"""Warnings: what is equal is said once, with how often and where first."""

from __future__ import annotations

import pytest

from lnmailbox.replay.reading.warnings import MAX_DISTINCT, LogWarning, LogWarnings


def texts(warnings: LogWarnings) -> list[str]:
    return [str(warning) for warning in warnings]


@pytest.mark.parametrize(
    "warning, expected",
    [
        (LogWarning("too late"), "too late"),
        (LogWarning("no event field", line=7), "line 7: no event field"),
        (LogWarning("not JSON", line=7, detail="nested"), "line 7: not JSON: nested"),
        (LogWarning("no JSON", line=7, file="b.log"), "line 7 of b.log: no JSON"),
        (LogWarning("damaged", file="b.gz", detail="end"), "b.gz: damaged: end"),
        (LogWarning("none", 98_248, 1), "98,248 lines: none (first: line 1)"),
        (LogWarning("none", 2, 1, "[]", "b.log"), "2 lines: none (first: line 1 of b.log: [])"),
        (LogWarning("damaged", 2, file="b.gz"), "2 times: damaged (first: b.gz)"),
        (LogWarning("too late", 2), "2 times: too late"),
    ],
)
def test_a_warning_reads_as_a_line(warning: LogWarning, expected: str) -> None:
    """It says where, what and the value; many say how many, and where the first was."""
    assert expected == str(warning)


def test_equal_texts_are_counted() -> None:
    """The line and the detail are those of the first; the order is that of the firsts."""
    warnings = LogWarnings()
    warnings.add("no event field", 1, "its fields are a")
    warnings.add("not JSON", 2)
    for line in range(3, 1003):
        warnings.add("no event field", line, "its fields are b")

    assert [
        "1,001 lines: no event field (first: line 1: its fields are a)",
        "line 2: not JSON",
    ] == texts(warnings)
    assert 2 == len(warnings)
    assert 1002 == warnings.total()


def test_there_is_a_bound_for_different_warnings() -> None:
    """What comes after that many kinds is counted together; known ones count as before."""
    warnings = LogWarnings()
    for number in range(MAX_DISTINCT + 5):
        warnings.add(f"kind {number}", number + 1)
    warnings.add("kind 0", 200)

    assert MAX_DISTINCT + 1 == len(warnings)
    assert "2 lines: kind 0 (first: line 1)" == texts(warnings)[0]
    assert (
        "5 lines: other warnings, of more than 100 kinds (first: line 101)" == texts(warnings)[-1]
    )
    assert MAX_DISTINCT + 6 == warnings.total()


def test_none_are_no_warnings() -> None:
    """Neither is anything else counted at first."""
    warnings = LogWarnings()

    assert [] == list(warnings)
    assert (0, 0) == (warnings.total(), warnings.adds_left_out)
