"""`lnmailbox forecast`: the outage that would have cost most."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lnmailbox.__main__ import main
from lnmailbox.inspecting import progress
from lnmailbox.replay import forecast_command
from lnmailbox.replay.playing import history
from lnmailbox.replay.playing.outages import Absence, Outage
from lnmailbox.replay.playing.simulation import simulate
from lnmailbox.replay.reading.logs import read_events
from lnmailbox.replay.reading.warnings import LogWarnings
from lnmailbox.replay.telling.forecast import Windows
from lnmailbox.wire import ShortChannelID
from logs import event, forward

Captured = pytest.CaptureFixture[str]

NOW = 1_760_000_000 * 10**9


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two minutes: one forward in the first seconds, three around 70 s, a fee of 100 msat each."""
    lines = [
        event(0, "final_htlc_event", body={}),
        *forward(1, 5, 7),
        *forward(2, 65, 81),
        *forward(3, 70, 82),
        *forward(4, 79, 83),
        event(120, "final_htlc_event", body={}),
    ]
    lines.sort(key=lambda line: int(json.loads(line)["timestamp_ns"]))
    file = tmp_path / "events.jsonl"
    file.write_text("".join(lines), encoding="utf-8")
    return file


def forecasted(capsys: Captured, *arguments: str, status: int = 0) -> Any:
    """Make a forecast, and return the JSON."""
    assert status == main(["forecast", "--json", *arguments])
    return json.loads(capsys.readouterr().out)


def worst(risk: Any) -> tuple[float, int]:
    """When the worst window began, in seconds, and its fees in msat."""
    return (risk["worst"]["start_ns"] - NOW) / 10**9, risk["worst"]["fees_msat"]


def test_the_worst_window_is_found_with_its_date_and_sum(log: Path, capsys: Captured) -> None:
    """Windows begin every 5 seconds; the first of the worst ones is told."""
    report = forecasted(capsys, str(log), "--length", "20s")

    [forecast] = report["forecasts"]
    assert (21, 5 * 10**9, "down") == (report["windows"], report["shift_ns"], report["kind"])
    assert {"2x2x2"} == set(forecast["channels"])
    assert (60, 300) == worst(forecast["channels"]["2x2x2"]) == worst(forecast["node"])
    assert "2025-10-09T08:54:20+00:00" == forecast["node"]["worst"]["start"]
    assert 3_000 == forecast["node"]["worst"]["volume_msat"]


def test_the_mean_is_over_all_windows_tried(log: Path, capsys: Captured) -> None:
    """Each forward is in as many windows as there are steps, except near the ends."""
    [forecast] = forecasted(capsys, str(log), "--length", "20s")["forecasts"]

    assert pytest.approx((2 + 4 * 3) / 21) == forecast["node"]["mean"]["forwards"]
    assert pytest.approx(100 * (2 + 4 * 3) / 21) == forecast["node"]["mean"]["fees_msat"]


def test_more_steps_try_more_windows(log: Path, capsys: Captured) -> None:
    """With one step, windows touch and none is in between."""
    report = forecasted(capsys, str(log), "--length", "20s", "--steps", "1")

    assert (6, (60, 300)) == (report["windows"], worst(report["forecasts"][0]["node"]))


def test_stalls_cost_by_their_expiry(log: Path, capsys: Captured) -> None:
    """What waits less than that is saved; one that expires late in the window is still lost."""
    stall = ["--kind", "stall", "--length", "20s", "--expiry", "1,10,60"]

    report = forecasted(capsys, str(log), *stall)

    assert [1, 10, 60] == [forecast["expiry_s"] for forecast in report["forecasts"]]
    nodes = [forecast["node"]["worst"] for forecast in report["forecasts"]]
    assert [300, 200, None] == [node and node["fees_msat"] for node in nodes]


@pytest.mark.parametrize("kind, expiry", [("down", 60.0), ("stall", 30.0)])
def test_the_worst_outage_costs_the_same_alone(
    project: Path, kind: str, expiry: float, capsys: Captured
) -> None:
    """Replayed with one channel away, in one window: so channels do not touch each other."""
    sample = str(project / "examples" / "htlc_events.jsonl")
    options = ["--kind", kind, *(["--expiry", f"{expiry}"] if kind == "stall" else [])]
    report = forecasted(capsys, sample, "--length", "4m", *options)
    length_ns = report["length_ns"]

    assert 5 == len(report["forecasts"][0]["channels"])
    for name, risk in report["forecasts"][0]["channels"].items():
        channel = ShortChannelID.from_string(name)
        start_ns = risk["worst"]["start_ns"] - report["log"]["start_ns"]
        warnings = LogWarnings()
        alone = simulate(
            read_events([sample], warnings),
            [Outage(Absence(kind), channel, start_ns, length_ns)],
            warnings=warnings,
            expiry=expiry,
        ).total
        assert (risk["worst"]["fees_msat"], risk["worst"]["volume_msat"]) == (
            alone.fees_lost_msat,
            alone.volume_failed_msat,
        )


def test_the_json_has_the_documented_shape(project: Path, log: Path, capsys: Captured) -> None:
    """Of both kinds, with warnings."""
    schema = json.loads((project / "docs" / "forecast.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    with log.open("a", encoding="utf-8") as file:
        file.write("{}\n")

    for options in ([], ["--kind", "stall", "--expiry", "5,6"]):
        report = forecasted(capsys, str(log), "--length", "20s", *options)
        jsonschema.validate(report, schema)
        assert report["warnings"]


def test_people_get_a_table_of_the_worst_windows(log: Path, capsys: Captured) -> None:
    """With the windows that were tried."""
    assert 0 == main(["forecast", str(log), "--length", "20s"])

    output = capsys.readouterr()
    assert output.out.startswith("""\
What if a channel's peer had been gone for 20 s? Between 2025-10-09 08:53:20 and
2025-10-09 08:55:20 UTC, 21 windows were tried in replays; one began every 5 s.

channel     mean fees  worst fees  with volume       began at (UTC)
2x2x2         67 msat    300 msat        3 sat  2025-10-09 08:54:20
whole node    67 msat    300 msat        3 sat  2025-10-09 08:54:20

The accounts of all replays hold.

Words: """)
    assert "" == output.err


def test_several_expiries_are_a_table_with_a_column_each(log: Path, capsys: Captured) -> None:
    """At most four in a row, so that they fit 80 columns."""
    stall = ["--kind", "stall", "--length", "20s", "--expiry", "1,5,10,60,120"]

    assert 0 == main(["forecast", str(log), *stall])

    [worst, mean] = capsys.readouterr().out.split("\n\n")[1:3]
    assert (
        """\
Fees lost in the worst window, by expiry:
channel          1 s       5 s      10 s   60 s
2x2x2       300 msat  300 msat  200 msat  0 sat
whole node  300 msat  300 msat  200 msat  0 sat
channel     120 s
2x2x2       0 sat
whole node  0 sat"""
        == worst
    )
    assert mean.startswith("""\
and in the mean of all windows:
channel         1 s      5 s     10 s   60 s
2x2x2       67 msat  62 msat  48 msat  0 sat
""")


def test_channels_beyond_the_top_are_one_line(project: Path, capsys: Captured) -> None:
    """Their means are summed, and the worst of them is told, for one expiry and for several."""
    sample = str(project / "examples" / "htlc_events.jsonl")
    report = forecasted(capsys, sample, "--length", "5m")
    channels = report["forecasts"][0]["channels"].values()
    least = sorted(channel["worst"]["fees_msat"] for channel in channels)[:3]

    for options in ([], ["--kind", "stall", "--expiry", "0.001,0.002"]):
        assert 0 == main(["forecast", sample, "--length", "5m", "--top", "2", *options])
        out = capsys.readouterr().out
        [line, *_] = [line for line in out.splitlines() if line.startswith("3 others")]
        assert f"{least[-1] / 1000:.3f} sat" in line
        assert out.count("whole node  ") == out.count("3 others")
        assert [] == [line for line in out.splitlines() if len(line) > 80]


def test_an_expiry_is_for_stalls(log: Path, capsys: Captured) -> None:
    """While the peer is gone, no Add waits, so that a table would have equal columns."""
    assert 2 == main(["forecast", str(log), "--length", "20s", "--expiry", "1,2"])

    assert "lnmailbox: --expiry is for --kind stall" in capsys.readouterr().err


def test_a_log_shorter_than_a_window_is_a_message(log: Path, capsys: Captured) -> None:
    """Status 2."""
    assert 2 == main(["forecast", str(log), "--length", "1h"])

    expected = "lnmailbox: the log is 2 min long, which is less than a window of 1 h\n"
    assert ("", expected) == capsys.readouterr()


def test_standard_input_is_read_once(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """And played as often as it must be. Closed, it is a message."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.read_bytes())))
    assert 21 == forecasted(capsys, "-", "--length", "20s")["windows"]

    monkeypatch.setattr(sys, "stdin", None)
    assert 2 == main(["forecast", "-", "--length", "20s"])
    assert "lnmailbox: standard input: it is closed\n" == capsys.readouterr().err


def test_accounts_that_do_not_hold_and_adds_left_out_are_told(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Status 1."""
    import attrs

    from lnmailbox.replay.telling import forecast

    simulate = forecast.simulate

    def broken(*arguments: Any, **options: Any) -> Any:
        outcome = simulate(*arguments, **options)
        return attrs.evolve(outcome, was_given_up=True, adds_left_out=3)

    monkeypatch.setattr(forecast, "simulate", broken)

    assert 1 == main(["forecast", str(log), "--length", "20s"])
    out = capsys.readouterr().out
    assert "\nTHE ACCOUNTING DOES NOT HOLD.\n" in out
    assert "\nLeft out: 3 Adds of the log; the warnings say why.\n" in out
    assert not forecasted(capsys, str(log), "--length", "20s", status=1)["holds"]


def test_progress_says_which_replay_it_is(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """And of how many."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(history, "_PROGRESS_EVERY", 10)
    monkeypatch.setattr(progress, "_FIRST", 0)
    monkeypatch.setattr(progress, "_NEXT", 0)
    monkeypatch.setattr(sys, "stderr", Terminal())

    stall = ["--kind", "stall", "--expiry", "5,6", "--steps", "1"]
    forecasted(capsys, str(log), "--length", "20s", *stall)

    shown = sys.stderr.getvalue()
    assert ["1", "2", "3", "4"] == re.findall(r"forecasting: replay (\d) of 4, 10 events, ", shown)


def test_an_interrupt_ends_it_without_a_report(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A part of the windows would be none to compare."""

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(forecast_command, "read_events", interrupted)

    assert 130 == main(["forecast", str(log), "--length", "20s"])
    assert ("", "lnmailbox: interrupted\n") == capsys.readouterr()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["x"], "the following arguments are required: --length"),
        (["x", "--length", "0"], "LENGTH must be more than 0, got '0'"),
        (["x", "--length", "0.999"], "LENGTH must be a second or more, got '0.999'"),
        (["x", "--length", "5m", "--steps", "1001"], "not a number from 1 to 1000: '1001'"),
        (["x", "--length", "5m", "--expiry", "1,,2"], "not a number of seconds above 0"),
        (["x", "--length", "5m", "--kind", "flap"], "invalid choice: 'flap'"),
    ],
)
def test_wrong_arguments_exit_2_with_the_reason(
    arguments: list[str], said: str, capsys: Captured
) -> None:
    """Nothing is read then."""
    with pytest.raises(SystemExit) as raised:
        main(["forecast", *arguments])

    assert 2 == raised.value.code
    assert said in capsys.readouterr().err


def test_windows_are_made_when_they_are_needed() -> None:
    """A log of a year has a hundred thousand of them."""
    windows = Windows(Absence.STALL, length_ns=10, offset_ns=5)
    changes = windows.changes(first_ns=0)

    assert [(5, True), (15, False), (25, True)] == [
        (change.at_ns, change.begins) for change, _ in zip(changes, range(3), strict=False)
    ]
    assert "" == windows.trouble(0, 1)
    assert windows.channel is None


def test_the_help_fits_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """And says what the exit status means."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["forecast", "--help"])

    output = capsys.readouterr().out
    assert "Exit status: 0 if the accounts of all replays hold" in output
    assert [] == [line for line in output.splitlines() if len(line) > 80]
