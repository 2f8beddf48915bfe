"""Reading `--down CHANNEL:START:SECONDS`."""

from __future__ import annotations

import pytest

from lnmailbox.replay.outages import Outage, merge_outages, parse_outage
from lnmailbox.wire import ShortChannelID

CHANNEL = ShortChannelID(880000, 1, 1)
OTHER = ShortChannelID(880000, 1, 2)


@pytest.mark.parametrize("channel", ["880000x1x1", "880000:1:1", str(int(CHANNEL))])
def test_a_channel_is_written_in_any_of_the_usual_ways(channel: str) -> None:
    """As block, transaction and output, or as the number that these make."""
    assert Outage(CHANNEL, 90_000_000_000, 120_500_000_000) == parse_outage(f"{channel}:90:30.5")


def test_an_outage_may_begin_with_the_log() -> None:
    """START may be 0, and parts of seconds count to the ns."""
    assert Outage(CHANNEL, 0, 1) == parse_outage("880000x1x1:0:1e-9")


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "looks like CHANNEL:START:SECONDS"),
        ("880000x1x1:5", "looks like CHANNEL:START:SECONDS"),
        ("x:1:2", "a short channel id looks like"),
        ("0:1:2", "no channel has the short channel id 0x0x0"),
        ("880000x1x1:soon:2", "START must be a number of seconds from 0 on, got 'soon'"),
        ("880000x1x1:-1:2", "START must be a number of seconds from 0 on, got '-1'"),
        ("880000x1x1:1:nan", "SECONDS must be a number of seconds from 0 on, got 'nan'"),
        ("880000x1x1:1:inf", "SECONDS must be a number of seconds from 0 on, got 'inf'"),
        ("880000x1x1:1:0", "SECONDS must be more than 0, got '0'"),
        ("880000x1x1:1:1e-10", "SECONDS must be more than 0, got '1e-10'"),
    ],
)
def test_a_bad_outage_is_refused_with_the_reason(text: str, said: str) -> None:
    """The message names the part that is wrong and what stands there."""
    with pytest.raises(ValueError) as raised:
        parse_outage(text)

    assert said in str(raised.value)


def test_outages_of_a_channel_that_overlap_or_touch_are_one() -> None:
    """A link that is to be away is not called back in between."""
    outages = [
        Outage(CHANNEL, 50, 60),
        Outage(CHANNEL, 0, 10),
        Outage(CHANNEL, 10, 20),
        Outage(OTHER, 5, 15),
        Outage(CHANNEL, 51, 52),
        Outage(CHANNEL, 55, 70),
    ]

    merged = merge_outages(outages)

    assert [Outage(CHANNEL, 0, 20), Outage(CHANNEL, 50, 70), Outage(OTHER, 5, 15)] == merged
