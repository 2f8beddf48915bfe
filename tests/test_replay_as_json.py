"""What programs get to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outcome import Ending
from lnmailbox.replay.reading.warnings import LogWarning
from lnmailbox.replay.telling.as_json import json_report
from outcomes import NS, OWN, START, A, B, ended, held, outcome


@pytest.fixture(scope="module")
def schema(project: Path) -> Any:
    return json.loads((project / "docs" / "replay.schema.json").read_text(encoding="utf-8"))


FULL = outcome(
    channels={A: Counts(adds=2, adds_unroutable=1, adds_expired=1, fees_lost_msat=2000)},
    failed=[ended(60), ended(61, Ending.UNROUTABLE, incoming_channel=OWN, result=None)],
    held=[held(22.5), held(30, is_settle=False, outgoing_channel=OWN)],
    refusals={"INSUFFICIENT_BALANCE": 2, "": 1},
    warnings=[LogWarning("no event field", 98_248, 1, "x"), LogWarning("given up")],
    adds_left_out=3,
    was_interrupted=True,
)


@pytest.mark.parametrize("made_up", [outcome(), FULL, outcome(channels={}, was_given_up=True)])
def test_the_report_has_the_documented_shape(schema: Any, made_up: Any) -> None:
    """Every key is in the schema, and every key of the schema is there."""
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(json.loads(json_report(made_up)), schema)


def test_all_counts_are_in_the_schema(schema: Any) -> None:
    """With their names."""
    assert list(Counts.__annotations__) == sorted(
        schema["$defs"]["counts"]["properties"], key=list(Counts.__annotations__).index
    )


def test_a_report_that_lacks_a_key_or_has_another_one_would_be_noticed(schema: Any) -> None:
    """The schema allows neither."""
    report = json.loads(json_report(FULL))
    for changed in (
        {name: value for name, value in report.items() if name != "held"},
        report | {"more": 1},
        report | {"version": 2},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed, schema)


def test_it_has_all_that_the_text_has() -> None:
    """Times are dates; HTLC ids are strings."""
    report = json.loads(json_report(FULL))

    assert {
        "holds": True,
        "is_complete": False,
        "was_given_up": False,
        "was_interrupted": True,
        "adds_left_out": 3,
        "text": "Interrupted: what comes later in the log was not played."
        " Left out: 3 Adds of the log; the warnings say why."
        " Of what was played, no packet was lost, duplicated or out of order.",
    } == report["verdict"]
    assert ("2025-10-09T08:53:20+00:00", START) == (
        report["log"]["start"],
        report["log"]["start_ns"],
    )
    assert "2025-10-09T10:55:22+00:00" == report["log"]["end"]
    assert {"forward_event": 1200, "final_htlc_event": 34} == report["log"]["events"]
    assert (2, 2000) == (report["total"]["adds"], report["channels"][str(A)]["fees_lost_msat"])
    first, second = report["failed"]
    assert (START + 60 * NS, "expired", 2000) == (
        first["at_ns"],
        first["ending"],
        first["fee_lost_msat"],
    )
    assert (str(B), "41", "settled") == (
        first["incoming_channel"],
        first["incoming_htlc_id"],
        first["result"],
    )
    assert (None, None, 0) == (
        second["incoming_channel"],
        second["result"],
        second["fee_lost_msat"],
    )
    settle, fail = report["held"]
    assert ("settle", 885_120, 7_300_400_000_000) == (
        settle["reply"],
        settle["incoming_timelock"],
        settle["age_ns"],
    )
    assert ("fail", None) == (fail["reply"], fail["outgoing_channel"])
    assert {"INSUFFICIENT_BALANCE": 2, "": 1} == report["refusals"]
    assert {"text": "no event field", "count": 98_248, "line": 1, "detail": "x", "file": ""} == (
        report["warnings"][0]
    )
