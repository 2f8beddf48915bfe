"""Making out what a log tells: which events belong together, and when they were."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lnmailbox.replay.playing import history as history_module
from lnmailbox.replay.playing.history import History, Progress, Result, Step
from lnmailbox.replay.reading.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.wire import ShortChannelID

IN = ShortChannelID(1, 0, 0)
OUT = ShortChannelID(2, 0, 0)
SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND


class Past:
    """The history of events that are one second apart, unless they say when they are."""

    def __init__(self, *events: dict[str, Any], **options: Any) -> None:
        self.log_warnings = LogWarnings()
        self.history = History(
            [
                HtlcEvent(line=line, **{"timestamp_ns": START + (line - 1) * SECOND, **event})
                for line, event in enumerate(events, 1)
            ],
            self.log_warnings,
            **options,
        )
        self.steps: list[Step] = list(self.history.steps())

    @property
    def warnings(self) -> list[str]:
        return [str(warning) for warning in self.log_warnings]

    @property
    def results(self) -> list[tuple[float, bool, Result | None]]:
        return [(step.at_ns / SECOND, step.is_add, step.htlc.result) for step in self.steps]


def forward(kind: Kind, htlc_id: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "origin": Origin.FORWARD,
        "kind": kind,
        "incoming_channel": IN,
        "incoming_htlc_id": htlc_id,
        "outgoing_channel": OUT,
        **fields,
    }


def send(kind: Kind, htlc_id: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "origin": Origin.SEND,
        "kind": kind,
        "outgoing_channel": OUT,
        "outgoing_htlc_id": htlc_id,
        **fields,
    }


def receive(kind: Kind, htlc_id: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "origin": Origin.RECEIVE,
        "kind": kind,
        "incoming_channel": IN,
        "incoming_htlc_id": htlc_id,
        **fields,
    }


def counted(kind: Kind, **fields: Any) -> dict[str, Any]:
    return {"origin": Origin.UNKNOWN, "kind": kind, **fields}


@pytest.mark.parametrize(
    "kind, result", [(Kind.SETTLE, Result.SETTLED), (Kind.FAIL, Result.FAILED)]
)
@pytest.mark.parametrize("of", [forward, send])
def test_an_add_and_its_result_are_one_htlc(of: Any, kind: Kind, result: Result) -> None:
    """Both steps know how it ends; amounts and timelocks are the Add's."""
    past = Past(of(Kind.ADD, incoming_amount=1100, outgoing_amount=1000), of(kind))

    assert [(0, True, result), (1, False, result)] == past.results
    assert past.steps[0].htlc is past.steps[1].htlc
    assert 1000 == past.steps[0].htlc.outgoing_amount
    assert {Kind.ADD: 1, kind: 1} == past.history.events
    assert (START, SECOND) == (past.history.start_ns, past.history.end_ns)
    assert [] == past.warnings


def test_the_fee_is_what_a_forward_leaves() -> None:
    """It is 0 for own payments, and where the incoming amount is unknown."""
    amounts = {"incoming_amount": 1100, "outgoing_amount": 1000}

    assert 100 == Past(forward(Kind.ADD, **amounts)).steps[0].htlc.fee
    assert 0 == Past(send(Kind.ADD, outgoing_amount=1000)).steps[0].htlc.fee


def test_a_refusal_without_add_brings_its_own() -> None:
    """The link must have been given what it refused."""
    past = Past(forward(Kind.LINK_FAIL, outgoing_amount=7))

    assert [(0, True, Result.REFUSED), (0, False, Result.REFUSED)] == past.results
    assert 7 == past.steps[0].htlc.outgoing_amount


def test_a_refusal_may_come_after_its_add() -> None:
    """It belongs to the Add that is open."""
    for of in (forward, send):
        past = Past(of(Kind.ADD), of(Kind.LINK_FAIL))

        assert [(0, True, Result.REFUSED), (1, False, Result.REFUSED)] == past.results


def test_own_payments_refused_without_an_id_are_different_ones() -> None:
    """A link gives no id to what it refuses: zero is not the same HTLC each time."""
    past = Past(send(Kind.LINK_FAIL, 0), send(Kind.LINK_FAIL, 0), send(Kind.ADD, 0))

    assert [] == past.warnings
    ids = [step.htlc.outgoing_htlc_id for step in past.steps if step.is_add]
    assert [2**64 - 1, 2**64 - 2, 0] == ids


def test_an_id_of_zero_may_be_taken_already() -> None:
    """By the channel's first HTLC: what is refused after its end is another payment."""
    past = Past(send(Kind.ADD, 0), send(Kind.SETTLE, 0), send(Kind.LINK_FAIL, 0))

    assert [] == past.warnings
    assert [0, 2**64 - 1] == [step.htlc.outgoing_htlc_id for step in past.steps if step.is_add]


def test_a_refused_payment_without_an_id_is_not_the_one_that_is_open() -> None:
    """The channel's first HTLC has the id zero, and settles when a later one was refused."""
    past = Past(send(Kind.ADD, 0), send(Kind.LINK_FAIL, 0), send(Kind.SETTLE, 0))

    assert [] == past.warnings
    assert [0, 2**64 - 1] == [step.htlc.outgoing_htlc_id for step in past.steps if step.is_add]
    assert [Result.REFUSED, Result.SETTLED] == [
        step.htlc.result for step in past.steps if not step.is_add
    ]


def test_own_payments_refused_with_an_id_are_known_by_it() -> None:
    """Then a repetition is a repetition."""
    past = Past(send(Kind.LINK_FAIL, 5), send(Kind.LINK_FAIL, 5))

    assert [(0, True, Result.REFUSED), (0, False, Result.REFUSED)] == past.results
    assert ["line 2: HTLC had ended before; left out: own HTLC 2x0x0/5"] == past.warnings


def test_what_this_node_is_paid_has_no_add() -> None:
    """A failure of the incoming link is a Fail like any other."""
    past = Past(receive(Kind.SETTLE, 1), receive(Kind.LINK_FAIL, 2), receive(Kind.FAIL, 3))

    results = [(0, False, Result.SETTLED), (1, False, Result.FAILED), (2, False, Result.FAILED)]
    assert results == past.results
    assert not any(step.htlc.has_add for step in past.steps)


def test_what_the_incoming_link_cannot_forward_has_no_add() -> None:
    """An onion that cannot be read names no outgoing channel; the Fail goes back at once."""
    unread = {"outgoing_channel": ShortChannelID(), "failure_detail": "ONION_DECODE"}
    past = Past(forward(Kind.LINK_FAIL, **unread))

    assert [(0, False, Result.FAILED)] == past.results
    assert {"ONION_DECODE": 1} == past.history.refusals
    assert [] == past.warnings


def test_a_result_may_be_older_than_the_log() -> None:
    """Its reply is due all the same."""
    past = Past(forward(Kind.SETTLE))

    assert [(0, False, Result.SETTLED)] == past.results
    assert not past.steps[0].htlc.has_add
    assert [] == past.warnings


def test_repetitions_are_left_out_with_a_warning() -> None:
    """lnd may report an event again after a restart; the first one counts."""
    past = Past(
        forward(Kind.ADD),
        forward(Kind.ADD),
        forward(Kind.FAIL),
        forward(Kind.SETTLE),
        forward(Kind.ADD),
    )

    assert [(0, True, Result.FAILED), (2, False, Result.FAILED)] == past.results
    assert [
        "2 lines: HTLC occurred before; left out (first: line 2: HTLC 1x0x0/1)",
        "line 4: HTLC had ended before; left out: HTLC 1x0x0/1",
    ] == past.warnings


def test_own_and_foreign_htlcs_of_the_same_numbers_differ() -> None:
    """An own payment is known by outgoing numbers, a forward by incoming ones."""
    past = Past(send(Kind.ADD, outgoing_channel=IN), forward(Kind.ADD))

    assert 2 == len(past.steps)
    assert [] == past.warnings


def test_time_counts_from_the_first_event_that_has_one() -> None:
    """Notices have none, and final events count like others."""
    past = Past(
        counted(Kind.SUBSCRIBED, timestamp_ns=0),
        counted(Kind.FINAL),
        receive(Kind.SETTLE, timestamp_ns=START + 5 * SECOND),
        counted(Kind.SUBSCRIBED, timestamp_ns=0),
        counted(Kind.FINAL, timestamp_ns=0),
        counted(Kind.FINAL, timestamp_ns=START + 9 * SECOND),
    )

    assert [(4, False, Result.SETTLED)] == past.results
    assert 8 * SECOND == past.history.end_ns
    assert {Kind.SETTLE: 1, Kind.FINAL: 3, Kind.SUBSCRIBED: 2} == past.history.events
    assert [] == past.warnings


def test_time_never_goes_back() -> None:
    """What is older than an event before it, or has no time, happens when that one did."""
    past = Past(
        receive(Kind.SETTLE, 1, timestamp_ns=START + 5 * SECOND),
        receive(Kind.SETTLE, 2, timestamp_ns=START + 4 * SECOND),
        receive(Kind.SETTLE, 3, timestamp_ns=0),
        receive(Kind.SETTLE, 4, timestamp_ns=START + 6 * SECOND),
    )

    assert [0, 0, 0, 1] == [at for at, _, _ in past.results]
    assert [
        "line 2: older than an event before it; taken as simultaneous: 1.000000000 s",
        "line 3: no timestamp_ns; taken as simultaneous with the event before it",
    ] == past.warnings


def test_a_log_without_any_time_happens_at_once() -> None:
    """There is nothing to warn of: absent fields are zero."""
    past = Past(
        forward(Kind.ADD, timestamp_ns=0),
        forward(Kind.SETTLE, timestamp_ns=0),
    )

    assert [(0, True, Result.SETTLED), (0, False, Result.SETTLED)] == past.results
    assert (0, 0) == (past.history.start_ns, past.history.end_ns)
    assert [] == past.warnings


def test_what_comes_before_the_first_time_happens_with_it() -> None:
    """A log may begin with events that have no time."""
    past = Past(forward(Kind.ADD, timestamp_ns=0), forward(Kind.SETTLE))

    assert [0, 0] == [at for at, _, _ in past.results]
    assert [] == past.warnings


def test_a_log_without_payments_is_a_history_too() -> None:
    """It has events and nothing to play."""
    past = Past(counted(Kind.SUBSCRIBED, timestamp_ns=0))

    assert [] == past.steps
    assert {Kind.SUBSCRIBED: 1} == past.history.events
    assert (0, 0) == (past.history.start_ns, past.history.end_ns)


def test_failures_of_links_are_counted_by_their_reason() -> None:
    """Those of the node itself as well; repeated ones, and other failures, do not count."""
    past = Past(
        forward(Kind.LINK_FAIL, 1, failure_detail="INSUFFICIENT_BALANCE"),
        forward(Kind.LINK_FAIL, 1, failure_detail="INSUFFICIENT_BALANCE"),
        forward(Kind.LINK_FAIL, 2, failure_detail="INSUFFICIENT_BALANCE"),
        receive(Kind.LINK_FAIL, 3, failure_detail="UNKNOWN_INVOICE"),
        forward(Kind.LINK_FAIL, 4),
        forward(Kind.FAIL, 5),
    )

    assert {"INSUFFICIENT_BALANCE": 2, "UNKNOWN_INVOICE": 1, "": 1} == past.history.refusals


# A stream


@pytest.fixture
def short_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the history look 2 steps ahead, and remember 2 HTLCs."""
    monkeypatch.setattr(history_module, "LOOK_AHEAD", 2)
    monkeypatch.setattr(history_module, "REMEMBERED", 2)


def adds(*ids: int) -> list[dict[str, Any]]:
    return [forward(Kind.ADD, n) for n in ids]


@pytest.mark.usefixtures("short_sight")
def test_a_failure_of_the_link_is_a_refusal_within_sight_of_its_add_only() -> None:
    """Later, the Add is played: the link has committed to it, and the failure is the peer's."""
    near = Past(*adds(1, 2), forward(Kind.LINK_FAIL, 1), *adds(3))
    far = Past(*adds(1, 2, 3), forward(Kind.LINK_FAIL, 1))

    assert Result.REFUSED is near.steps[0].htlc.result
    assert [] == near.warnings
    assert Result.FAILED is far.steps[0].htlc.result
    (warning,) = far.log_warnings
    text = "link_fail_event long after its forward_event; taken as a forward_fail_event"
    assert (text, 4, "HTLC 1x0x0/1") == (warning.text, warning.line, warning.detail)


@pytest.mark.usefixtures("short_sight")
def test_the_log_is_read_a_little_ahead_and_no_further() -> None:
    """As many steps as it looks ahead, and the one that is played."""
    read = Counter[int]()

    def events() -> Any:
        for line in range(1, 9):
            read["events"] += 1
            yield HtlcEvent(line=line, **forward(Kind.ADD, line))

    steps = History(events(), LogWarnings()).steps()
    next(steps)
    assert 3 == read["events"]
    next(steps)
    assert 4 == read["events"]

    assert 6 == len(list(steps))


@pytest.mark.usefixtures("short_sight")
def test_what_ended_is_remembered_for_a_while() -> None:
    """A repetition after that is a new HTLC, or a result that is older than the log."""
    settled = [forward(Kind.SETTLE, n) for n in (1, 2)]
    ends = [receive(Kind.FAIL, n) for n in (8, 9)]

    soon = Past(*adds(1), settled[0], ends[0], *adds(1), settled[0])
    late = Past(*adds(1), settled[0], *ends, *adds(1), settled[0], *ends, settled[0])

    assert 2 == len(soon.warnings)
    assert [] == late.warnings
    assert [True, False, False, False, True, False, False, False, False] == [
        step.is_add for step in late.steps
    ]
    assert not late.steps[-1].htlc.has_add


@pytest.mark.usefixtures("short_sight")
def test_what_is_open_is_known_however_long_it_takes() -> None:
    """Only what has ended is forgotten."""
    past = Past(*adds(1), *(receive(Kind.FAIL, n) for n in range(5, 15)), forward(Kind.SETTLE, 1))

    assert past.steps[0].htlc is past.steps[-1].htlc


def test_a_window_shows_part_of_a_log() -> None:
    """From the first time on, before the second one; times count from its first event."""
    past = Past(
        *adds(1, 2, 3),
        forward(Kind.SETTLE, 1),
        counted(Kind.FINAL),
        forward(Kind.SETTLE, 2),
        window=(START + SECOND, START + 5 * SECOND),
    )

    assert [(0, True, None), (1, True, None), (2, False, Result.SETTLED)] == past.results
    assert not past.steps[2].htlc.has_add
    assert (START + SECOND, 3 * SECOND) == (past.history.start_ns, past.history.end_ns)
    assert {Kind.ADD: 2, Kind.SETTLE: 1, Kind.FINAL: 1} == past.history.events


def test_a_window_may_have_one_end() -> None:
    """And what has no time belongs to what was before it."""
    begun = Past(
        *adds(1), forward(Kind.ADD, 2, timestamp_ns=0), *adds(3), window=(START + 1, None)
    )
    ended = Past(
        *adds(1), forward(Kind.ADD, 2, timestamp_ns=0), *adds(3), window=(None, START + 1)
    )

    assert [3] == [step.htlc.incoming_htlc_id for step in begun.steps]
    assert [1, 2] == [step.htlc.incoming_htlc_id for step in ended.steps]


def test_a_log_that_is_broken_off_ends_there() -> None:
    """What was read by then can still be played."""

    def events() -> Any:
        yield HtlcEvent(line=1, **forward(Kind.ADD))
        yield HtlcEvent(line=2, **forward(Kind.SETTLE))
        raise KeyboardInterrupt

    history = History(events(), LogWarnings())

    with pytest.raises(KeyboardInterrupt):
        next(history.steps())

    assert [True, False] == [step.is_add for step in history.rest()]
    assert [] == list(history.rest())


def test_progress_is_told_now_and_then() -> None:
    """Every 10,000 events."""
    told: list[Progress] = []
    event = HtlcEvent(line=1, origin=Origin.UNKNOWN, kind=Kind.FINAL, timestamp_ns=START)
    later = HtlcEvent(line=1, origin=Origin.UNKNOWN, kind=Kind.FINAL, timestamp_ns=START + 7)

    history = History([event] + [later] * 25_000, LogWarnings(), on_progress=told.append)

    assert [] == list(history.steps())
    assert [Progress(10_000, START, 7), Progress(20_000, START, 7)] == told
