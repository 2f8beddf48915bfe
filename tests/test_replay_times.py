"""Times as people write them."""

from __future__ import annotations

import pytest

from lnmailbox.replay.playing.times import NS, parse_length, parse_moment, parse_seconds

DAY = 1_759_968_000 * NS  # 2025-10-09 in UTC


@pytest.mark.parametrize(
    "text, ns",
    [
        ("1970-01-01", 0),
        ("2025-10-09", DAY),
        ("2025-10-09T08:53", DAY + (8 * 60 + 53) * 60 * NS),
        ("2025-10-09 08:53:20", DAY + (8 * 3600 + 53 * 60 + 20) * NS),
        ("2025-10-09T08:53:20.000000001", DAY + (8 * 3600 + 53 * 60 + 20) * NS + 1),
        ("2025-10-09T00:00:00.5Z", DAY + NS // 2),
        ("2025-10-09t00:00z", DAY),
        ("2025-10-09T02:00+02:00", DAY),
        ("2025-10-08 19:30 -0430", DAY),
        ("1969-12-31T23:59:59.25", -3 * NS // 4),
    ],
)
def test_a_moment_is_an_iso_date_with_or_without_a_time(text: str, ns: int) -> None:
    """UTC unless it says otherwise, to the nanosecond."""
    assert ns == parse_moment(text)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "a moment looks like 2025-10-09"),
        ("1760000000", "a moment looks like"),
        ("2025-10-09T8:53", "a moment looks like"),
        ("2025-10-09T08:53:20.1234567890", "a moment looks like"),
        ("٢٠٢٥-10-09", "a moment looks like"),
        ("2025-02-30", "there is no such moment: '2025-02-30'"),
        ("2025-10-09T25:00", "there is no such moment"),
        ("2025-10-09T00:00+99:99", "there is no such moment"),
        ("0000-01-01", "there is no such moment"),
    ],
)
def test_a_bad_moment_is_refused_with_the_reason(text: str, said: str) -> None:
    """Also one with digits of other scripts, or a date that no calendar has."""
    with pytest.raises(ValueError) as raised:
        parse_moment(text)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text, seconds",
    [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("1.5h", 5400)],
)
def test_a_length_may_have_a_unit(text: str, seconds: int) -> None:
    """Seconds, minutes, hours or days."""
    assert seconds * NS == parse_length("LENGTH", text)


def test_a_length_counts_to_the_nanosecond() -> None:
    """And to the largest that a float of ns can tell."""
    assert 1 == parse_length("LENGTH", "1e-9")
    assert parse_length("LENGTH", "1e290") > 10**298
    assert 0 == parse_seconds("START", "0")


@pytest.mark.parametrize("text", ["", "s", "x", "5y", "-1", "nan", "inf", "1e300", "5 m m"])
def test_a_bad_length_is_refused_by_name(text: str) -> None:
    """The message says what is meant, and what stands there."""
    with pytest.raises(ValueError) as raised:
        parse_length("LENGTH", text)

    assert f"LENGTH must be a time such as 90, 90s, 5m, 2h or 1d, got {text!r}" == str(
        raised.value
    )


@pytest.mark.parametrize("text", ["0", "0h", "1e-10"])
def test_a_length_is_more_than_nothing(text: str) -> None:
    """A nanosecond at least."""
    with pytest.raises(ValueError, match="DOWN must be more than 0, got"):
        parse_length("DOWN", text)
