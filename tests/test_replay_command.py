"""`lnmailbox replay`."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lnmailbox
from lnmailbox.__main__ import main
from lnmailbox.replay import command
from lnmailbox.replay.playing import journaling
from lnmailbox.testing import PATIENCE
from logs import SETTLED, event

Captured = pytest.CaptureFixture[str]

needs_dev_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no file that is always full"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with one forward that settles, 2 seconds long."""
    file = tmp_path / "events.jsonl"
    file.write_text(SETTLED, encoding="utf-8")
    return file


@pytest.fixture
def sample(project: Path) -> str:
    return str(project / "examples" / "htlc_events.jsonl")


def replayed(capsys: Captured, *arguments: str, status: int = 0) -> Any:
    """Replay, and return the JSON."""
    assert status == main(["replay", "--json", *arguments])
    return json.loads(capsys.readouterr().out)


def test_a_healthy_replay_reports_and_exits_0(log: Path, capsys: Captured) -> None:
    """The report goes to stdout, and nothing to stderr."""
    assert 0 == main(["replay", str(log)])

    output = capsys.readouterr()
    assert "No packet was lost, duplicated or out of order." in output.out
    assert "" == output.err


def test_json_is_one_object_of_the_documented_shape(
    project: Path, sample: str, capsys: Captured
) -> None:
    """And nothing else is on stdout."""
    schema = json.loads((project / "docs" / "replay.schema.json").read_text(encoding="utf-8"))
    outages = ["--down", "880000x1x1:10:300", "--stall", "884096x13x2:0:1d", "--flap", "all:5m:9s"]

    report = replayed(capsys, sample, *outages)

    jsonschema.validate(report, schema)
    assert report["failed"]
    assert report["held"]
    assert report["verdict"]["is_complete"]


def test_a_peer_that_is_gone_and_a_link_that_hangs_are_counted_apart(
    log: Path, capsys: Captured
) -> None:
    """With either form of the channel's id; options may be repeated."""
    number = str(2 << 40 | 2 << 16 | 2)

    down = replayed(capsys, str(log), "--down", f"{number}:0:5", "--down", "1x1x1:0:1")
    stall = replayed(capsys, str(log), "--stall", "2x2x2:0:5", "--expiry", "1.5")
    flap = replayed(capsys, str(log), "--flap", "all:2s:1s")

    assert (1, 0) == (down["total"]["adds_unroutable"], down["total"]["adds_expired"])
    assert (0, 1) == (stall["total"]["adds_unroutable"], stall["total"]["adds_expired"])
    assert 100 == down["total"]["fees_lost_msat"] == stall["total"]["fees_lost_msat"]
    assert (0, 1) == (flap["total"]["adds_unroutable"], flap["total"]["adds_delivered"])


def test_an_outage_may_begin_at_a_date(log: Path, capsys: Captured) -> None:
    """The log begins at 08:53:20 UTC."""
    report = replayed(capsys, str(log), "--down", "all:2025-10-09T10:53:19+02:00:5s")

    assert 1 == report["total"]["adds_unroutable"]


def test_a_part_of_the_log_can_be_played(log: Path, capsys: Captured) -> None:
    """`--to` itself is no longer in it."""
    window = ["--from", "2025-10-09", "--to", "2025-10-09T08:53:22"]

    report = replayed(capsys, str(log), *window)

    assert (1, 0) == (report["total"]["adds"], report["total"]["replies"])


def test_a_part_without_events_is_a_message(log: Path, capsys: Captured) -> None:
    """A report on nothing would look like good news."""
    assert 2 == main(["replay", str(log), "--from", "2030-01-01"])

    expected = "lnmailbox: the log has no event between --from and --to\n"
    assert ("", expected) == capsys.readouterr()


def test_an_interrupt_before_the_first_event_is_an_interrupt(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """With a report on nothing."""

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(command, "read_events", interrupted)

    assert 0 == replayed(capsys, str(log), status=130)["total"]["adds"]


def test_threads_and_journal_make_no_difference(
    sample: str, tmp_path: Path, capsys: Captured
) -> None:
    """With links that are away, and Adds that expire."""
    outages = ["--down", "880000x1x1:10:300", "--stall", "884096x13x2:0:1800"]
    expected = replayed(capsys, sample, *outages)

    for options in (["--threads", "per-link"], ["--journal", str(tmp_path / "replay.journal")]):
        report = replayed(capsys, sample, *outages, *options)
        assert expected | {"handoffs": 0} == report | {"handoffs": 0}


def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Its name is `-`."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SETTLED.encode())))

    assert 1 == replayed(capsys, "-")["total"]["adds_delivered"]


def test_standard_input_that_is_closed_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """`None` is Python's way to say so."""
    monkeypatch.setattr(sys, "stdin", None)

    assert 2 == main(["replay", "-"])
    assert ("", "lnmailbox: standard input: it is closed\n") == capsys.readouterr()


def test_warnings_go_to_stderr_and_into_the_report(log: Path, capsys: Captured) -> None:
    """Equal ones are counted; the status is still 0."""
    with log.open("ab") as file:
        file.write(b"{}\n{}\n" + event(2.5, "settle_event").encode())

    assert 0 == main(["replay", str(log), "--json", "--down", "8x8x8:0:5"])

    output = capsys.readouterr()
    warnings = json.loads(output.out)["warnings"]
    lines = output.err.splitlines()
    assert len(warnings) == len(lines) == 3
    assert all(line.startswith("lnmailbox: warning: ") for line in lines)
    assert [2, 1, 1] == [warning["count"] for warning in warnings]
    assert "outage of 8x8x8" in lines[2]


def test_an_account_that_does_not_hold_exits_1(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """With the same report, on stdout."""

    class Forgetful(lnmailbox.MemoryMailBox):
        def ack_packet(self, key: lnmailbox.CircuitKey) -> bool:
            return False

        def ack_packets(self, keys: Any) -> int:
            return 0

    monkeypatch.setattr(journaling, "MemoryMailBox", Forgetful)

    assert 1 == main(["replay", str(log)])

    assert "THE ACCOUNTING DOES NOT HOLD." in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "\n\n", "no event\n"])
def test_a_file_without_event_exits_2(tmp_path: Path, content: str, capsys: Captured) -> None:
    """With the reason on stderr; stdout stays empty."""
    file = tmp_path / "events.jsonl"
    file.write_text(content, encoding="utf-8")

    assert 2 == main(["replay", str(file)])

    output = capsys.readouterr()
    assert "" == output.out
    assert output.err.splitlines()[-1].startswith("lnmailbox: ")
    assert "Traceback" not in output.err


def test_a_file_that_cannot_be_read_exits_2(tmp_path: Path, capsys: Captured) -> None:
    """With the system's reason."""
    missing = tmp_path / "absent"

    assert 2 == main(["replay", str(missing)])

    assert ("", f"lnmailbox: {missing}: No such file or directory\n") == capsys.readouterr()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "the following arguments are required: FILE"),
        (["x", "--down", "1x1x1:5"], "an outage looks like CHANNEL:START:LENGTH"),
        (["x", "--stall", "1x1x1:5:0"], "LENGTH must be more than 0, got '0'"),
        (["x", "--flap", "1x1x1:5:9"], "DOWN must be less than PERIOD"),
        (["x", "--from", "soon"], "a moment looks like 2025-10-09"),
        (["x", "--expiry", "soon"], "not a number of seconds above 0 and up to 1e9: 'soon'"),
        (["x", "--expiry", "0"], "not a number of seconds above 0 and up to 1e9: '0'"),
        (["x", "--expiry", "nan"], "not a number of seconds above 0 and up to 1e9: 'nan'"),
        (["x", "--expiry", "1e300"], "not a number of seconds above 0 and up to 1e9: '1e300'"),
        (["x", "--down", "1x1x1:0:1e300"], "LENGTH must be"),
        (["x", "--top", "0"], "not a number from 1 on: '0'"),
        (["x", "--top", "-3"], "not a number from 1 on: '-3'"),
        (["x", "--threads", "many"], "invalid choice: 'many'"),
        (["x", "--plot", "x.png"], "its name ends with .svg: 'x.png'"),
    ],
)
def test_wrong_arguments_exit_2_with_the_reason(
    arguments: list[str], said: str, capsys: Captured
) -> None:
    """Nothing is read then."""
    with pytest.raises(SystemExit) as raised:
        main(["replay", *arguments])

    assert 2 == raised.value.code
    assert said in capsys.readouterr().err


# The HTLCs


def test_every_add_is_a_row_of_the_csv(sample: str, tmp_path: Path, capsys: Captured) -> None:
    """The sums are those of the report."""
    path = tmp_path / "htlcs.csv"

    report = replayed(capsys, sample, "--csv", str(path), "--down", "all:300:300")

    with path.open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    total = report["total"]
    assert total["adds"] == len(rows)
    for ending in ("delivered", "refused", "unroutable", "expired", "waiting"):
        assert total[f"adds_{ending}"] == sum(row["ending"] == ending for row in rows)
    assert total["fees_lost_msat"] == sum(int(row["fee_lost_msat"]) for row in rows)
    assert total["own_adds"] == sum(not row["incoming_channel"] for row in rows)


@needs_dev_full
@pytest.mark.parametrize("option", ["--csv", "--journal"])
def test_a_full_disk_is_a_message(log: Path, option: str, capsys: Captured) -> None:
    """With the name of the file."""
    assert 2 == main(["replay", str(log), option, "/dev/full"])

    error = capsys.readouterr().err
    assert "/dev/full" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("option", ["--csv", "--plot"])
def test_the_log_is_not_overwritten(tmp_path: Path, option: str, capsys: Captured) -> None:
    """Whatever it is called."""
    log = tmp_path / "events.svg"
    log.write_text(SETTLED, encoding="utf-8")

    assert 2 == main(["replay", str(log), option, str(log)])

    assert f"lnmailbox: {log} is the log: it would be overwritten\n" == capsys.readouterr().err
    assert SETTLED == log.read_text(encoding="utf-8")


def test_a_picture_that_cannot_be_written_costs_no_report(
    log: Path, tmp_path: Path, capsys: Captured
) -> None:
    """That is printed before."""
    path = tmp_path / "missing" / "replay.svg"

    assert 2 == main(["replay", str(log), "--plot", str(path)])

    output = capsys.readouterr()
    assert "No packet was lost" in output.out
    assert f"lnmailbox: {path}: No such file or directory\n" == output.err


# The picture


def test_a_picture_is_drawn_after_the_report(
    sample: str, tmp_path: Path, capsys: Captured
) -> None:
    """An SVG with a line for each channel that was away."""
    path = tmp_path / "replay.svg"
    outages = ["--down", "880000x1x1:10:300", "--stall", "884096x13x2:0:1800"]

    assert 0 == main(["replay", sample, "--plot", str(path), *outages])

    assert "No packet was lost" in capsys.readouterr().out
    svg = path.read_text(encoding="utf-8")
    assert "880000x1x1" in svg
    assert "884096x13x2" in svg
    assert "880144x512x0" not in svg


def test_without_matplotlib_a_picture_is_refused_at_once(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """With what to install; nothing is replayed."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "lnmailbox.replay.telling.plot", raising=False)

    assert 2 == main(["replay", str(log), "--plot", str(tmp_path / "replay.svg")])

    output = capsys.readouterr()
    assert "" == output.out
    assert "lnmailbox: --plot needs matplotlib" in output.err
    assert "pip install 'lnmailbox[plot]'" in output.err


# Interrupts and progress


def test_an_interrupt_ends_with_a_report_on_what_was_played(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Status 130, and no claim about the rest."""
    read_events = command.read_events

    def interrupted(*arguments: Any) -> Any:
        for number, one in enumerate(read_events(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(command, "read_events", interrupted)

    report = replayed(capsys, str(log), status=130)

    assert report["verdict"]["was_interrupted"]
    assert not report["verdict"]["is_complete"]
    assert (1, 0) == (report["total"]["adds"], report["total"]["replies"])


def terminal(script: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a script with stderr on a terminal; return what was there."""
    import pty

    parent, child = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=child,
            text=True,
            timeout=PATIENCE * 3,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        os.close(child)
        return done, os.read(parent, 65536).decode()
    finally:
        os.close(parent)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_a_long_replay_shows_progress_on_a_terminal(tmp_path: Path) -> None:
    """Events, virtual time and rate, taken away before the report."""
    log = tmp_path / "events.jsonl"
    with log.open("w", encoding="utf-8") as file:
        file.writelines(event(n, "final_htlc_event", body={}) for n in range(10_000))
    script = (
        "import sys, lnmailbox.inspecting.progress as p; p._FIRST = p._NEXT = 0;"
        "from lnmailbox.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )

    done, shown = terminal(script, "replay", str(log))

    assert 0 == done.returncode
    assert "10,000 events" in done.stdout
    assert "\rlnmailbox: replaying: 10,000 events, 2025-10-09 11:39:59 UTC, " in shown
    assert "/s" in shown
    assert shown.endswith(" \r")


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_prints_what_was_played_so_far(tmp_path: Path) -> None:
    """A log that never ends is one that is followed."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-W", "error", "-m", "lnmailbox", "replay", "--json", str(pipe)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    with pipe.open("w", encoding="utf-8") as log:
        log.write(SETTLED * 2_000)
        log.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE * 3)

    assert 130 == process.returncode, err
    assert json.loads(out)["verdict"]["was_interrupted"]


def test_the_help_fits_80_columns_and_says_how_to_record_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """And what the exit status means, and when time ends."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["replay", "--help"])

    output = capsys.readouterr().out
    assert command.RECORD_LINE in output
    assert "Exit status: 0 if the accounts hold" in output
    assert "Time ends with the last event" in output
    assert "(default: 60)" in output
    assert [] == [line for line in output.splitlines() if len(line) > 80]
