"""Numbers and tables for people."""

from __future__ import annotations

import pytest

from lnmailbox.replay.telling.tables import age, moment, paragraph, sat, table


@pytest.mark.parametrize(
    "msat, expected",
    [
        (0, "0 sat"),
        (1, "1 msat"),
        (999, "999 msat"),
        (1_000, "1 sat"),
        (1_018, "1.018 sat"),
        (999_999, "999.999 sat"),
        (560_584_691, "560,585 sat"),
        (2_100_000_000_000_000_000, "2,100,000,000,000,000 sat"),
    ],
)
def test_an_amount_has_its_unit(msat: int, expected: str) -> None:
    """Parts of a sat show only in small amounts."""
    assert expected == sat(msat)


@pytest.mark.parametrize(
    "ns, expected",
    [
        (0, "0 s"),
        (1_500_000_000, "1.5 s"),
        (59_999_999_999, "59 s"),
        (60_000_000_000, "1 min"),
        (7_322_000_000_000, "2 h 2 min"),
        (7_200_000_000_000, "2 h"),
        (7_215_000_000_000, "2 h"),
        (90_000_000_000_000, "1 d 1 h"),
        (86_400_000_000_000 * 400, "400 d"),
    ],
)
def test_an_age_has_its_two_largest_units(ns: int, expected: str) -> None:
    """And says nothing of a unit that is zero."""
    assert expected == age(ns)


def test_a_moment_is_in_utc_to_the_second() -> None:
    """Whatever the time zone of the machine is, and also at the end of lnd's numbers."""
    assert "2025-10-09 08:53:20" == moment(1_760_000_000_999_999_999)
    assert "1970-01-01 00:00:00" == moment(0)
    assert "2554-07-21 23:34:33" == moment((1 << 64) - 1)


def test_a_table_is_aligned_and_fits_80_columns() -> None:
    """Two spaces between columns become one if that saves it; else commas go."""
    rows = [["a", "b"], ["long", "12"]]

    assert ["a      b", "long  12"] == list(table(rows, left=1))
    assert ["a     b", "long  12"] == list(table(rows, left=2))
    [line] = table([["x" * 39, "y" * 40]], left=1)
    assert 80 == len(line)
    [line] = table([["x" * 39, "1,2" * 15]], left=1)
    assert "x" * 39 + "  " + "12" * 15 == line


def test_a_paragraph_has_lines_of_80_columns() -> None:
    """A long word stays whole."""
    lines = list(paragraph("word " * 40 + "x" * 90))

    assert [79, 79, 39, 90] == [len(line) for line in lines]
