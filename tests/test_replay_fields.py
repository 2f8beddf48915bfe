"""Fields of JSON objects: numbers, names in any spelling, and values in messages."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox.replay.reading.fields import NoEvent, in_snake_case, names_of, shown, uint


@pytest.mark.parametrize("value", [0, 7, 2**64 - 1, "0", "007", "18446744073709551615"])
def test_a_number_may_be_its_digits(value: Any) -> None:
    """64-bit numbers count the same with quotes and without, to the last bit."""
    assert int(value) == uint(value, "x")


@pytest.mark.parametrize(
    "value",
    [-1, 2**64, 1.0, True, None, "", " 1", "1_0", "-1", "٣", "²", "1" * 21, "9" * 20, [], {}],
)
def test_a_number_is_digits_within_64_bits(value: Any) -> None:
    """Neither signs, blanks, fractions, booleans nor other digits than ASCII's are a number."""
    with pytest.raises(NoEvent) as raised:
        uint(value, "x")

    assert f"x is no number from 0 to {2**64 - 1}" == raised.value.text
    assert shown(value) == raised.value.detail


def test_a_number_may_have_a_smaller_bound() -> None:
    """The bound is inclusive."""
    assert 9 == uint("9", "x", 9)
    with pytest.raises(NoEvent, match="x is no number from 0 to 9: 10"):
        uint(10, "x", 9)


def test_no_event_says_why_and_what() -> None:
    """The text is the same for all values."""
    assert "odd: 7" == str(NoEvent("odd", "7"))
    assert "odd" == str(NoEvent("odd"))


def test_camel_case_becomes_lnds_spelling() -> None:
    """As deep as an event has names that are known; other names stay."""
    camel = {
        "incomingChannelId": "1",
        "forwardEvent": {"info": {"incomingAmtMsat": "2", "Other": {"eventType": {}}}},
        "outgoing_htlc_id": 3,
        "chanIdIn": ["amtIn"],
    }

    assert {
        "incoming_channel_id": "1",
        "forward_event": {"info": {"incoming_amt_msat": "2", "Other": {"eventType": {}}}},
        "outgoing_htlc_id": 3,
        "chan_id_in": ["amtIn"],
    } == in_snake_case(camel)


def test_the_first_fields_name_an_object() -> None:
    """Four of them, shortened; an empty object has none."""
    assert 'its fields are "a", "b"' == names_of({"a": 1, "b": 2})
    assert 'its fields are "a", "b", "c", "d", ...' == names_of(dict.fromkeys("abcde"))
    assert f'its fields are "{"x" * 20}"' == names_of({"x" * 1000: 1})
    assert "it is empty" == names_of({})


def test_a_value_is_shown_on_one_short_line() -> None:
    """Whatever is in it, a terminal shows it as it is."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert '"a\\u001b[31m\\n\\ud800"' == shown("a\x1b[31m\n\ud800")
    assert 63 == len(shown("x" * 1000))
    assert 13 == len(shown("x" * 1000, 10))
    assert "..." == shown(deep)
