"""Making out what a log tells: which events belong together, and when they were."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox.replay.events import HtlcEvent, Kind, Origin
from lnmailbox.replay.history import History, Result, read_history
from lnmailbox.wire import ShortChannelID

NOWHERE = ShortChannelID()
IN = ShortChannelID(1, 0, 0)
OUT = ShortChannelID(2, 0, 0)
SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND


def history(*events: dict[str, Any]) -> History:
    """The history of events that are one second apart, unless they say when they are."""
    return read_history(
        [
            HtlcEvent(line=line, **{"timestamp_ns": START + (line - 1) * SECOND, **event})
            for line, event in enumerate(events, 1)
        ]
    )


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


def texts(history: History) -> list[str]:
    return [str(warning) for warning in history.warnings]


def steps(history: History) -> list[tuple[float, bool, Result | None]]:
    return [(step.at_ns / SECOND, step.is_add, step.htlc.result) for step in history.steps]


@pytest.mark.parametrize(
    "kind, result", [(Kind.SETTLE, Result.SETTLED), (Kind.FAIL, Result.FAILED)]
)
@pytest.mark.parametrize("of", [forward, send])
def test_an_add_and_its_result_are_one_htlc(of: Any, kind: Kind, result: Result) -> None:
    """Both steps know how it ends; amounts and timelocks are the Add's."""
    past = history(of(Kind.ADD, incoming_amount=1100, outgoing_amount=1000), of(kind))

    assert [(0, True, result), (1, False, result)] == steps(past)
    assert past.steps[0].htlc is past.steps[1].htlc
    assert 1000 == past.steps[0].htlc.outgoing_amount
    assert {Kind.ADD: 1, kind: 1} == past.events
    assert SECOND == past.end_ns
    assert [] == past.warnings


def test_the_channels_are_those_that_get_packets() -> None:
    """Zero is no channel; the outgoing channel of a result without Add gets nothing."""
    assert [IN, OUT] == history(forward(Kind.ADD)).channels
    assert [OUT] == history(send(Kind.ADD)).channels
    assert [IN] == history(receive(Kind.SETTLE)).channels
    assert [IN] == history(forward(Kind.SETTLE)).channels
    assert [] == history(send(Kind.SETTLE), counted(Kind.FINAL, incoming_channel=IN)).channels


def test_the_fee_is_what_a_forward_leaves() -> None:
    """It is 0 for own payments, and where the incoming amount is unknown."""
    amounts = {"incoming_amount": 1100, "outgoing_amount": 1000}

    assert 100 == history(forward(Kind.ADD, **amounts)).steps[0].htlc.fee
    assert 0 == history(send(Kind.ADD, outgoing_amount=1000)).steps[0].htlc.fee


def test_a_refusal_without_add_brings_its_own() -> None:
    """The link must have been given what it refused."""
    past = history(forward(Kind.LINK_FAIL, outgoing_amount=7))

    assert [(0, True, Result.REFUSED), (0, False, Result.REFUSED)] == steps(past)
    assert 7 == past.steps[0].htlc.outgoing_amount


def test_a_refusal_may_come_after_its_add() -> None:
    """It belongs to the Add that is open, also with zero for the outgoing id."""
    for of in (forward, send):
        past = history(of(Kind.ADD, 0), of(Kind.LINK_FAIL, 0))

        assert [(0, True, Result.REFUSED), (1, False, Result.REFUSED)] == steps(past)


def test_own_payments_refused_without_an_id_are_different_ones() -> None:
    """A link gives no id to what it refuses: zero is not the same HTLC each time."""
    past = history(send(Kind.LINK_FAIL, 0), send(Kind.LINK_FAIL, 0), send(Kind.ADD, 0))

    assert [] == past.warnings
    ids = [step.htlc.outgoing_htlc_id for step in past.steps if step.is_add]
    assert [2**64 - 1, 2**64 - 2, 0] == ids


def test_an_id_of_zero_may_be_taken_already() -> None:
    """By the channel's first HTLC: what is refused after its end is another payment."""
    past = history(send(Kind.ADD, 0), send(Kind.SETTLE, 0), send(Kind.LINK_FAIL, 0))

    assert [] == past.warnings
    assert [0, 2**64 - 1] == [step.htlc.outgoing_htlc_id for step in past.steps if step.is_add]


def test_own_payments_refused_with_an_id_are_known_by_it() -> None:
    """Then a repetition is a repetition."""
    past = history(send(Kind.LINK_FAIL, 5), send(Kind.LINK_FAIL, 5))

    assert [(0, True, Result.REFUSED), (0, False, Result.REFUSED)] == steps(past)
    assert ["line 2: own HTLC 2x0x0/5 had ended before; left out"] == texts(past)


def test_what_this_node_is_paid_has_no_add() -> None:
    """A failure of the incoming link is a Fail like any other."""
    past = history(receive(Kind.SETTLE, 1), receive(Kind.LINK_FAIL, 2), receive(Kind.FAIL, 3))

    results = [(0, False, Result.SETTLED), (1, False, Result.FAILED), (2, False, Result.FAILED)]
    assert results == steps(past)
    assert not any(step.htlc.has_add for step in past.steps)


def test_a_result_may_be_older_than_the_log() -> None:
    """Its reply is due all the same."""
    past = history(forward(Kind.SETTLE))

    assert [(0, False, Result.SETTLED)] == steps(past)
    assert not past.steps[0].htlc.has_add
    assert [] == past.warnings


def test_repetitions_are_left_out_with_a_warning() -> None:
    """lnd may report an event again after a restart; the first one counts."""
    past = history(
        forward(Kind.ADD),
        forward(Kind.ADD),
        forward(Kind.FAIL),
        forward(Kind.SETTLE),
        forward(Kind.ADD),
    )

    assert [(0, True, Result.FAILED), (2, False, Result.FAILED)] == steps(past)
    assert [
        "line 2: HTLC 1x0x0/1 occurred before; left out",
        "line 4: HTLC 1x0x0/1 had ended before; left out",
        "line 5: HTLC 1x0x0/1 occurred before; left out",
    ] == texts(past)


def test_own_and_foreign_htlcs_of_the_same_numbers_differ() -> None:
    """An own payment is known by outgoing numbers, a forward by incoming ones."""
    past = history(send(Kind.ADD, outgoing_channel=IN), forward(Kind.ADD))

    assert 2 == len(past.steps)
    assert [] == past.warnings


def test_time_counts_from_the_first_event_that_has_one() -> None:
    """Notices have none, and final events count like others."""
    past = history(
        counted(Kind.SUBSCRIBED, timestamp_ns=0),
        counted(Kind.FINAL),
        receive(Kind.SETTLE, timestamp_ns=START + 5 * SECOND),
        counted(Kind.SUBSCRIBED, timestamp_ns=0),
        counted(Kind.FINAL, timestamp_ns=0),
        counted(Kind.FINAL, timestamp_ns=START + 9 * SECOND),
    )

    assert [(4, False, Result.SETTLED)] == steps(past)
    assert 8 * SECOND == past.end_ns
    assert {Kind.SETTLE: 1, Kind.FINAL: 3, Kind.SUBSCRIBED: 2} == past.events
    assert [] == past.warnings


def test_time_never_goes_back() -> None:
    """What is older than an event before it, or has no time, happens when that one did."""
    past = history(
        receive(Kind.SETTLE, 1, timestamp_ns=START + 5 * SECOND),
        receive(Kind.SETTLE, 2, timestamp_ns=START + 4 * SECOND),
        receive(Kind.SETTLE, 3, timestamp_ns=0),
        receive(Kind.SETTLE, 4, timestamp_ns=START + 6 * SECOND),
    )

    assert [0, 0, 0, 1] == [at for at, _, _ in steps(past)]
    assert [
        "line 2: 1.000000000 s older than an event before it; taken as simultaneous",
        "line 3: no timestamp_ns; taken as simultaneous with the event before it",
    ] == texts(past)


def test_a_log_without_any_time_happens_at_once() -> None:
    """There is nothing to warn of: absent fields are zero."""
    past = history(
        forward(Kind.ADD, timestamp_ns=0),
        forward(Kind.SETTLE, timestamp_ns=0),
    )

    assert [(0, True, Result.SETTLED), (0, False, Result.SETTLED)] == steps(past)
    assert 0 == past.end_ns
    assert [] == past.warnings


def test_what_comes_before_the_first_time_happens_with_it() -> None:
    """A log may begin with events that have no time."""
    past = history(forward(Kind.ADD, timestamp_ns=0), forward(Kind.SETTLE))

    assert [0, 0] == [at for at, _, _ in steps(past)]
    assert [] == past.warnings


def test_a_log_without_payments_is_a_history_too() -> None:
    """It has events and nothing to play."""
    past = history(counted(Kind.SUBSCRIBED, timestamp_ns=0))

    expected = History(events={Kind.SUBSCRIBED: 1}, steps=[], end_ns=0, channels=[], warnings=[])
    assert expected == past
