"""Whole logs: the sample in examples/, a real node's, and made-up nonsense by the hundred."""

from __future__ import annotations

import json
import random
import runpy
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lnmailbox import SQLiteJournal
from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outages import (
    Absence,
    Flap,
    Outage,
    Outages,
    parse_down,
    parse_stall,
)
from lnmailbox.replay.playing.outcome import Ending, Outcome
from lnmailbox.replay.playing.packets import CODEC
from lnmailbox.replay.reading.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.logs import read_events
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.wire import ShortChannelID
from playing import plain, play_once
from playing import play as play_both_ways

_NS = 1_000_000_000


def read(file: Path) -> list[HtlcEvent]:
    warnings = LogWarnings()
    events = list(read_events([str(file)], warnings))
    assert [] == list(warnings)
    return events


@pytest.fixture(scope="module")
def sample(project: Path) -> list[HtlcEvent]:
    return read(project / "examples" / "htlc_events.jsonl")


@pytest.fixture(scope="module")
def mainnet(shared_data: Path) -> list[HtlcEvent]:
    return read(shared_data / "htlc_events_mainnet.jsonl")


def play(events: list[HtlcEvent], outages: Sequence[Outages], **options: Any) -> Outcome:
    """A replay that holds, and is the same with both kinds of threads."""
    outcome = play_both_ways(events, *outages, **options)

    total = outcome.total
    assert outcome.holds, total
    assert total.acked == total.adds_delivered + total.replies_delivered
    assert total.adds_expired + total.adds_unroutable == len(outcome.failed)
    assert total.replies - total.replies_delivered == len(outcome.held)
    assert total.fees_lost_msat == sum(each.fee_lost_msat for each in outcome.failed)
    assert total.own_failed == sum(each.is_own for each in outcome.failed)
    for ending, count in (
        (Ending.EXPIRED, total.adds_expired),
        (Ending.UNROUTABLE, total.adds_unroutable),
    ):
        assert count == sum(each.ending is ending for each in outcome.failed)
    assert all(earlier.at_ns <= later.at_ns for earlier, later in pairwise(outcome.failed))
    assert all(earlier.since_ns <= later.since_ns for earlier, later in pairwise(outcome.held))
    return outcome


def test_the_sample_is_what_its_generator_writes(project: Path, tmp_path: Path) -> None:
    """Whoever changes the one must run the other."""
    generator = runpy.run_path(str(project / "examples" / "make_htlc_events.py"))
    written = "".join(f"{json.dumps(event)}\n" for event in generator["made_up_events"]())

    sample = (project / "examples" / "htlc_events.jsonl").read_text(encoding="utf-8")
    assert sample == written


def test_the_sample_has_something_of_everything(sample: list[HtlcEvent]) -> None:
    """Forwards, own payments, settles, fails and refusals, over several channels."""
    outcome = play(sample, [])

    total = outcome.total
    assert 5 == len(outcome.channels)
    assert 100 <= total.adds == total.adds_delivered + total.adds_refused
    assert total.adds_refused
    assert total.replies == total.replies_delivered
    assert {"INSUFFICIENT_BALANCE", "UNKNOWN_INVOICE"} == outcome.refusals.keys()


def test_the_sample_shows_what_an_outage_costs(sample: list[HtlcEvent]) -> None:
    """Adds expire or are not routable, some of which the log settled."""
    stalled = play(sample, [parse_stall("880000x1x1:300:300")]).total
    down = play(sample, [parse_down("880000x1x1:5m:5m")]).total

    assert stalled.adds_expired
    assert stalled.fees_lost_msat
    assert stalled.adds_expired <= down.adds_unroutable
    assert stalled.fees_lost_msat <= down.fees_lost_msat


def test_the_real_log_replays_without_an_outage(mainnet: list[HtlcEvent]) -> None:
    """All of it is understood, and every packet delivered once."""
    outcome = play(mainnet, [])

    expected = Counts(
        adds=36,
        adds_delivered=33,
        adds_refused=3,
        replies=142,
        replies_delivered=142,
        acked=175,
        own_adds=11,
    )
    assert expected == outcome.total
    assert 330 == sum(outcome.events.values())
    assert [] == outcome.warnings


@pytest.mark.parametrize(
    "outages, expected",
    [
        pytest.param(
            # Three busy channels, each over the deadline of some of its Adds.
            ["836980x2376x0:12162:7200", "747058x1468x1:17000:1000", "820027x2353x1:457:20000"],
            {"adds_expired": 4, "fees_lost_msat": 85_704},
            id="long",
        ),
        pytest.param(
            # Short, and right after a delivery.
            ["727671x1048x1:457.8:1", "747058x1468x1:34097.02:30", "836980x2376x0:3086.44:1"],
            {"adds_expired": 0, "redelivered": 3, "replies_delivered": 142},
            id="short",
        ),
        pytest.param(
            # One channel for all of the log, the others until after its end.
            ["747058x1468x1:17600:40000", "836980x2376x0:3000:9400", "863483x3624x1:0:100000"],
            {"adds_expired": 9, "replies_delivered": 70},
            id="till the end",
        ),
        pytest.param(
            # The last Add of the log, and two channels that this node is paid through.
            ["872744x3155x1:57000:1000", "810431x1987x3:50000:3600", "863483x3624x1:40000:9999"],
            {"adds_expired": 1},
            id="late",
        ),
    ],
)
def test_the_real_log_replays_with_stalls(
    mainnet: list[HtlcEvent], outages: list[str], expected: dict[str, int]
) -> None:
    """Whatever busy links do not read, no packet is lost, duplicated or out of order."""
    total = play(mainnet, [parse_stall(outage) for outage in outages]).total

    assert expected == {name: getattr(total, name) for name in expected}


def test_many_short_outages_cost_nothing_as_stalls_and_nearly_all_as_downs(
    sample: list[HtlcEvent],
) -> None:
    """29 of 55 s, 89 % of the log: an Add can wait for 55 s, but not without a peer."""
    times = [f"880000x1x1:{start}:55" for start in range(5, 29 * 62, 62)]
    assert 29 == len(times)

    stalled = play(sample, [parse_stall(text) for text in times])
    down = play(sample, [parse_down(text) for text in times])

    channel = ShortChannelID(880000, 1, 1)
    assert (21, 0) == (stalled.channels[channel].adds, stalled.total.adds_expired)
    assert (21, 20) == (down.channels[channel].adds, down.channels[channel].adds_unroutable)
    assert 0 == stalled.total.fees_lost_msat < down.total.fees_lost_msat


def test_a_link_that_flaps_is_down_for_the_end_of_each_period(sample: list[HtlcEvent]) -> None:
    """As the same downs one by one."""
    channel = ShortChannelID(880000, 1, 1)
    outages = [Outage(Absence.DOWN, channel, n * 62 * _NS + 7 * _NS, 55 * _NS) for n in range(29)]

    one_by_one = play(sample, outages)
    flapping = play(sample, [Flap(channel, 62 * _NS, 55 * _NS)])

    assert one_by_one.total == flapping.total


def test_durable_mailboxes_have_the_same_outcome(sample: list[HtlcEvent], tmp_path: Path) -> None:
    """The mail is in a file, and comes back as what it was."""
    outages = [parse_stall("880000x1x1:300:300"), parse_down("883000x2048x0:5m:5m")]
    memory = play_once(sample, *outages)

    for threads in ("shared", "per-link"):
        with SQLiteJournal(tmp_path / threads, sync="normal", codec=CODEC) as journal:
            options = {"threads": threads, "mailbox_factory": journal.mailbox}
            durable = play_once(sample, *outages, **options)

        assert plain(memory) == plain(durable)


def random_outages(chance: random.Random, events: list[HtlcEvent]) -> list[Outages]:
    """Outages of all kinds and lengths, at any time or just when something happens."""
    channels: list[ShortChannelID | None] = [
        event.outgoing_channel for event in events if event.outgoing_channel
    ]
    channels += [event.incoming_channel for event in events if event.incoming_channel]
    times = sorted(event.timestamp_ns for event in events if event.timestamp_ns) or [0]
    length_ns = times[-1] - times[0]
    outages: list[Outages] = []
    for _ in range(chance.randint(0, 8)):
        channel = chance.choice([*channels, None]) if chance.random() < 0.9 else None
        start_ns = chance.randrange(length_ns + 1)
        if chance.random() < 0.6:
            start_ns = chance.choice(times) - times[0] + chance.choice([0, 10**7, 5 * 10**7])
        lasting_ns = chance.choice([1, 10**7, 10**9, 10**10, 6 * 10**10, 10**11, 10**12])
        if chance.random() < 0.1:
            outages.append(Flap(channel, lasting_ns + 2 * 10**9, lasting_ns))
        elif chance.random() < 0.2:
            moment_ns = times[0] + start_ns - chance.choice([0, 10**9])
            outages.append(
                Outage(chance.choice(list(Absence)), channel, moment_ns, lasting_ns, is_unix=True)
            )
        else:
            absence = chance.choice(list(Absence))
            outages.append(Outage(absence, channel, start_ns, lasting_ns))
    return outages


def random_log(chance: random.Random) -> list[HtlcEvent]:
    """Few channels and ids, so that events collide in every way."""
    channels = [ShortChannelID(n, 0, 0) for n in (1, 2, 3)]
    now_ns = 10**18
    events = []
    for line in range(1, chance.randint(2, 61)):
        now_ns += chance.choice([0, 0, 1, 10**7, 5 * 10**7, 10**9, 10**10, -(10**8)])
        kinds = [Kind.ADD, Kind.SETTLE, Kind.FAIL, Kind.LINK_FAIL, Kind.FINAL]
        kind = chance.choices(kinds, [3, 2, 1, 1, 1])[0]
        origin = chance.choice([Origin.FORWARD, Origin.FORWARD, Origin.SEND, Origin.RECEIVE])
        if origin is Origin.RECEIVE and kind is Kind.ADD:
            origin = Origin.FORWARD
        events.append(
            HtlcEvent(
                line,
                origin,
                kind,
                now_ns if chance.random() < 0.95 else 0,
                incoming_channel=chance.choice(channels),
                incoming_htlc_id=chance.randrange(8),
                outgoing_channel=chance.choice(channels),
                outgoing_htlc_id=chance.randrange(8),
                incoming_amount=chance.randrange(2000),
                outgoing_amount=1000,
            )
        )
    return events


@pytest.mark.parametrize("seed", range(40))
def test_no_log_and_no_outages_break_the_accounting(seed: int) -> None:
    """Events in any order, any number of times, with links that come and go at any instant."""
    chance = random.Random(seed)
    for _ in range(5):
        events = random_log(chance)
        play(events, random_outages(chance, events), expiry=chance.choice([60.0, 1.0, 0.01]))


@pytest.mark.parametrize("seed", range(10))
def test_no_outages_break_the_accounting_of_the_sample(sample: list[HtlcEvent], seed: int) -> None:
    """The same for a log in which events belong together."""
    play(sample, random_outages(random.Random(seed), sample))
