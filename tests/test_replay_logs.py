"""Whole logs: the sample in examples/, a real node's, and made-up nonsense by the hundred."""

from __future__ import annotations

import json
import random
import runpy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lnmailbox.replay.events import EventParser
from lnmailbox.replay.fields import NoEvent
from lnmailbox.replay.history import History, read_history
from lnmailbox.replay.ledger import Counts
from lnmailbox.replay.outages import Outage, parse_outage
from lnmailbox.replay.reading import read_events
from lnmailbox.replay.report import json_report, text_report
from lnmailbox.replay.simulation import simulate
from lnmailbox.replay.warnings import LogWarnings
from lnmailbox.wire import ShortChannelID


def read(file: Path) -> History:
    warnings = LogWarnings()
    events = list(read_events([str(file)], warnings))
    assert [] == list(warnings)
    return read_history(events)


@pytest.fixture(scope="module")
def sample(project: Path) -> History:
    return read(project / "examples" / "htlc_events.jsonl")


@pytest.fixture(scope="module")
def mainnet(shared_data: Path) -> History:
    return read(shared_data / "htlc_events_mainnet.jsonl")


def play(history: History, outages: list[Outage], **options: Any) -> Counts:
    """The total of a replay that holds and is the same the second time, to the letter."""
    outcome = simulate(history, outages, **options)
    again = simulate(history, outages, **options)

    assert outcome.holds, text_report(outcome)
    assert text_report(outcome) == text_report(again)
    assert json_report(outcome) == json_report(again)
    total = outcome.total
    assert total.acked == total.adds_delivered + total.replies_delivered
    assert total.adds_expired == len(outcome.failed_back)
    return total


def test_the_sample_is_what_its_generator_writes(project: Path, tmp_path: Path) -> None:
    """Whoever changes the one must run the other."""
    generator = runpy.run_path(str(project / "examples" / "make_htlc_events.py"))
    written = "".join(f"{json.dumps(event)}\n" for event in generator["made_up_events"]())

    sample = (project / "examples" / "htlc_events.jsonl").read_text(encoding="utf-8")
    assert sample == written


def test_the_sample_has_something_of_everything(sample: History) -> None:
    """Forwards, own payments, settles, fails and refusals, over several channels."""
    total = play(sample, [])

    assert 5 == len(sample.channels)
    assert [] == sample.warnings
    assert 100 <= total.adds == total.adds_delivered + total.adds_refused
    assert total.adds_refused
    assert total.replies == total.replies_delivered


def test_the_sample_shows_what_an_outage_costs(sample: History) -> None:
    """Adds expire, some of which the log settled."""
    total = play(sample, [parse_outage("880000x1x1:300:300")])

    assert total.adds_expired
    assert total.fees_lost_msat


def test_the_real_log_replays_without_an_outage(mainnet: History) -> None:
    """All of it is understood, and every packet delivered once."""
    total = play(mainnet, [])

    expected = Counts(
        adds=36,
        adds_delivered=33,
        adds_refused=3,
        replies=142,
        replies_delivered=142,
        acked=175,
    )
    assert expected == total
    assert 330 == sum(mainnet.events.values())
    assert [] == mainnet.warnings


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
def test_the_real_log_replays_with_outages(
    mainnet: History, outages: list[str], expected: dict[str, int]
) -> None:
    """Whatever busy channels are away, no packet is lost, duplicated or out of order."""
    total = play(mainnet, [parse_outage(outage) for outage in outages])

    assert expected == {name: getattr(total, name) for name in expected}


def random_outages(chance: random.Random, history: History) -> list[Outage]:
    """Outages of all lengths, at any time or just when something happens."""
    outages = []
    for _ in range(chance.randint(0, 8)):
        start_ns = chance.randrange(history.end_ns + 1)
        if history.steps and chance.random() < 0.6:
            start_ns = chance.choice(history.steps).at_ns + chance.choice([0, 10**7, 5 * 10**7])
        length_ns = chance.choice([1, 10**7, 10**9, 10**10, 6 * 10**10, 10**11, 10**12])
        if history.channels:
            outages.append(Outage(chance.choice(history.channels), start_ns, start_ns + length_ns))
    return outages


def random_log(chance: random.Random) -> History:
    """Few channels and ids, so that events collide in every way."""
    channels = [int(ShortChannelID(n, 0, 0)) for n in (1, 2, 3)]
    now_ns = 10**18
    parser = EventParser()
    events = []
    for line in range(chance.randint(1, 60)):
        now_ns += chance.choice([0, 0, 1, 10**7, 5 * 10**7, 10**9, 10**10, -(10**8)])
        kinds = ["forward_event", "settle_event", "forward_fail_event", "link_fail_event"]
        kind = chance.choices([*kinds, "final_htlc_event"], [3, 2, 1, 1, 1])[0]
        info = {"incoming_amt_msat": chance.randrange(2000), "outgoing_amt_msat": 1000}
        event = {
            "event_type": chance.choice(["FORWARD", "FORWARD", "SEND", "RECEIVE"]),
            "incoming_channel_id": chance.choice(channels),
            "incoming_htlc_id": chance.randrange(8),
            "outgoing_channel_id": chance.choice(channels),
            "outgoing_htlc_id": chance.randrange(8),
            "timestamp_ns": now_ns if chance.random() < 0.95 else 0,
            kind: {"info": info},
        }
        with suppress(NoEvent):
            events.append(parser.parse(event, line)[0])
    return read_history(events)


@pytest.mark.parametrize("seed", range(40))
def test_no_log_and_no_outages_break_the_accounting(seed: int) -> None:
    """Events in any order, any number of times, with links that come and go at any instant."""
    chance = random.Random(seed)
    for _ in range(5):
        history = random_log(chance)
        play(history, random_outages(chance, history), expiry=chance.choice([60.0, 1.0, 0.01]))


@pytest.mark.parametrize("seed", range(10))
def test_no_outages_break_the_accounting_of_the_sample(sample: History, seed: int) -> None:
    """The same for a log in which events belong together."""
    play(sample, random_outages(random.Random(seed), sample))
