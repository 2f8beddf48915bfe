"""Reading `--down`, `--stall` and `--flap`, and what is away when."""

from __future__ import annotations

from itertools import islice

import pytest

from lnmailbox.replay.playing.outages import (
    Absence,
    Change,
    Flap,
    Outage,
    Presence,
    changes,
    parse_down,
    parse_flap,
    parse_stall,
)
from lnmailbox.replay.playing.times import NS
from lnmailbox.wire import ShortChannelID

CHANNEL = ShortChannelID(880000, 1, 1)
OTHER = ShortChannelID(880000, 1, 2)
DOWN = Absence.DOWN
STALL = Absence.STALL
FIRST_NS = 1_760_000_000 * NS  # 2025-10-09T08:53:20Z


@pytest.mark.parametrize("channel", ["880000x1x1", "880000:1:1", str(int(CHANNEL))])
def test_a_channel_is_written_in_any_of_the_usual_ways(channel: str) -> None:
    """As block, transaction and output, or as the number that these make."""
    assert Outage(DOWN, CHANNEL, 90 * NS, 30 * NS + NS // 2) == parse_down(f"{channel}:90:30.5")
    assert Outage(STALL, CHANNEL, 0, 60 * NS) == parse_stall(f"{channel}:0:1m")
    assert Flap(CHANNEL, 60 * NS, 5 * NS) == parse_flap(f"{channel}:1m:5")


def test_all_channels_may_be_meant() -> None:
    """Channel None is every one, also those that come later."""
    assert Outage(DOWN, None, 0, NS) == parse_down("all:0:1")
    assert Outage(STALL, None, 60 * NS, NS) == parse_stall("all:1m:1s")
    assert Flap(None, 3600 * NS, NS) == parse_flap("all:1h:1")


@pytest.mark.parametrize("channel", ["880000x1x1", "880000:1:1"])
def test_an_outage_may_begin_at_a_date(channel: str) -> None:
    """With colons in the time, in the offset and in the channel."""
    for start, after in (
        ("2025-10-09", -32_000),
        ("2025-10-09T08:54", 40),
        ("2025-10-09 08:53:21", 1),
        ("2025-10-09T10:53:21.5+02:00", 1.5),
    ):
        outage = parse_down(f"{channel}:{start}:2h")

        assert (CHANNEL, 7200 * NS) == (outage.channel, outage.length_ns)
        assert after * NS == outage.starts_at(FIRST_NS)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "looks like CHANNEL:START:LENGTH, got ''"),
        ("880000x1x1:5", "looks like CHANNEL:START:LENGTH"),
        ("x:1:2", "a short channel id looks like"),
        ("All:1:2", "a short channel id looks like"),
        ("0:1:2", "no channel has the short channel id 0x0x0"),
        ("880000x1x1:soon:2", "START must be a time such as"),
        ("880000x1x1:-1:2", "START must be a time such as 90, 90s, 5m, 2h or 1d, got '-1'"),
        ("880000x1x1:2025-13-01:2", "there is no such moment: '2025-13-01'"),
        ("880000x1x1:2025-10-09T1:2", "a moment looks like"),
        ("880000x1x1:1:nan", "LENGTH must be a time such as"),
        ("880000x1x1:1:0", "LENGTH must be more than 0, got '0'"),
    ],
)
def test_a_bad_outage_is_refused_with_the_reason(text: str, said: str) -> None:
    """The message names the part that is wrong and what stands there."""
    for parse in (parse_down, parse_stall):
        with pytest.raises(ValueError) as raised:
            parse(text)

        assert said in str(raised.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("880000x1x1:5", "looks like CHANNEL:PERIOD:DOWN"),
        ("0:10:2", "no channel has the short channel id 0x0x0"),
        ("all:0:2", "PERIOD must be more than 0"),
        ("all:x:2", "PERIOD must be a time such as"),
        ("all:10:x", "DOWN must be a time such as"),
        ("all:0.9:0.1", "PERIOD must be a second or more, got '0.9'"),
        ("all:10:10", "DOWN must be less than PERIOD, got 'all:10:10'"),
    ],
)
def test_a_bad_flap_is_refused_with_the_reason(text: str, said: str) -> None:
    """A link that is never there is a long outage; one that flaps for ever faster is nothing."""
    with pytest.raises(ValueError) as raised:
        parse_flap(text)

    assert said in str(raised.value)


def test_an_outage_begins_and_ends() -> None:
    """If it began before the log, it begins with it; if it ended before, it is none."""
    at_date = Outage(STALL, CHANNEL, FIRST_NS - 5, 7, is_unix=True)

    assert [Change(3, CHANNEL, DOWN, True), Change(8, CHANNEL, DOWN, False)] == list(
        Outage(DOWN, CHANNEL, 3, 5).changes(FIRST_NS)
    )
    assert [Change(0, CHANNEL, STALL, True), Change(2, CHANNEL, STALL, False)] == list(
        at_date.changes(FIRST_NS)
    )
    assert [] == list(at_date.changes(FIRST_NS + 2))


def test_a_flap_goes_on_for_ever() -> None:
    """Away at the end of each period; only what is asked for is made."""
    assert [
        Change(7, None, DOWN, True),
        Change(10, None, DOWN, False),
        Change(17, None, DOWN, True),
        Change(20, None, DOWN, False),
    ] == list(islice(Flap(None, 10, 3).changes(FIRST_NS), 4))


def test_what_has_no_effect_says_why() -> None:
    """It is before or after the log; at its very end it is not."""
    outage = Outage(DOWN, CHANNEL, FIRST_NS + 10, 5, is_unix=True)

    assert "" == outage.trouble(FIRST_NS, 10)
    assert "" == outage.trouble(FIRST_NS + 14, 0)
    assert "it begins after the last event" == outage.trouble(FIRST_NS, 9)
    assert "it ends before the first event" == outage.trouble(FIRST_NS + 15, 9)
    assert "" == Flap(None, 10, 3).trouble(FIRST_NS, 7)
    assert "it begins after the last event" == Flap(None, 10, 3).trouble(FIRST_NS, 6)


def test_the_changes_of_all_outages_come_in_order_of_time() -> None:
    """One by one, though some have no end."""
    outages = [Flap(CHANNEL, 10, 3), Outage(STALL, OTHER, 8, 9), Flap(None, 4, 1)]

    times = [change.at_ns for change in islice(changes(outages, 0), 12)]

    assert [3, 4, 7, 7, 8, 8, 10, 11, 12, 15, 16, 17] == times


def test_a_link_is_back_when_no_outage_lasts() -> None:
    """Outages may overlap; each kind counts for itself, and `all` for every channel."""
    presence = Presence()
    assert not presence.is_away(DOWN, CHANNEL)

    presence.note(Change(1, CHANNEL, DOWN, True))
    presence.note(Change(2, CHANNEL, DOWN, True))
    presence.note(Change(3, None, DOWN, True))

    assert presence.is_away(DOWN, CHANNEL)
    assert presence.is_away(DOWN, OTHER)
    assert not presence.is_away(STALL, CHANNEL)
    assert [1, 3] == [presence.since(DOWN, channel) for channel in (CHANNEL, OTHER)]

    presence.note(Change(4, None, DOWN, False))
    presence.note(Change(5, CHANNEL, DOWN, False))

    assert presence.is_away(DOWN, CHANNEL)
    assert not presence.is_away(DOWN, OTHER)

    presence.note(Change(6, CHANNEL, DOWN, False))

    assert not presence.is_away(DOWN, CHANNEL)


def test_an_end_and_a_beginning_of_the_same_instant_may_come_in_any_order() -> None:
    """Only both together say whether the link is away."""
    presence = Presence()
    presence.note(Change(1, CHANNEL, DOWN, True))

    presence.note(Change(2, CHANNEL, DOWN, False))
    presence.note(Change(2, CHANNEL, DOWN, True))
    presence.note(Change(3, CHANNEL, DOWN, True))
    presence.note(Change(3, CHANNEL, DOWN, False))

    assert presence.is_away(DOWN, CHANNEL)
    assert 2 == presence.since(DOWN, CHANNEL)
