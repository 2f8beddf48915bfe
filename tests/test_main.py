"""The command line."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lnmailbox.__main__
from durable import Boxes
from lnmailbox.__main__ import main
from lnmailbox.replay.simulation import simulate
from lnmailbox.testing.conformance.base import add

NOTICE = '{"event_type": "UNKNOWN", "subscribed_event": {}}\n'


def event(seconds: int, kind: str, **fields: Any) -> str:
    """A line about a forward from channel 1x1x1 to channel 2x2x2."""
    return (
        json.dumps(
            {
                "event_type": "FORWARD",
                "incoming_channel_id": str(1 << 40 | 1 << 16 | 1),
                "incoming_htlc_id": "7",
                "outgoing_channel_id": str(2 << 40 | 2 << 16 | 2),
                "outgoing_htlc_id": "9",
                "timestamp_ns": str((1_760_000_000 + seconds) * 10**9),
                kind: {"info": {"incoming_amt_msat": "1100", "outgoing_amt_msat": "1000"}},
                **fields,
            }
        )
        + "\n"
    )


SETTLED = NOTICE + event(0, "forward_event") + event(2, "settle_event")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with one forward that settles, 2 seconds long."""
    file = tmp_path / "events.jsonl"
    file.write_text(SETTLED, encoding="utf-8")
    return file


def test_a_healthy_replay_reports_and_exits_0(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report goes to stdout, and nothing to stderr."""
    assert 0 == main(["replay", str(log)])

    output = capsys.readouterr()
    assert output.out.endswith("Nothing was lost, duplicated or out of order.\n")
    assert "" == output.err


def test_json_is_one_object_and_nothing_else(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All counts are integers, those of the channels too."""
    assert 0 == main(["replay", "--json", str(log)])

    report = json.loads(capsys.readouterr().out)
    channels = report.pop("channels")
    assert ["1x1x1", "2x2x2"] == list(channels)
    assert all(
        type(count) is int for counts in (report, *channels.values()) for count in counts.values()
    )
    assert (3, 1, 1) == (report["events"], report["adds_delivered"], report["replies_delivered"])


def test_outages_and_expiry_can_be_asked_for(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--down` may be repeated, with either form of the channel's id."""
    number = str(1 << 40 | 1 << 16 | 1)
    down = ["--down", "2x2x2:0:5", "--down", f"{number}:0:1"]

    assert 0 == main(["replay", str(log), *down, "--expiry", "1.5", "--json"])

    report = json.loads(capsys.readouterr().out)
    assert (1, 100) == (report["adds_expired"], report["fees_lost_msat"])
    assert 1 == report["channels"]["1x1x1"]["replies_delivered"]


def test_a_replay_on_disk_says_the_same(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With links that are away, and Adds that expire."""
    command = ["replay", str(project / "examples" / "htlc_events.jsonl")]
    command += ["--down", "880000x1x1:10:300", "--down", "884096x13x2:0:1800"]
    assert 0 == main(command)
    expected = capsys.readouterr().out
    journal = tmp_path / "replay.journal"

    assert 0 == main([*command, "--journal", str(journal)])

    assert expected == capsys.readouterr().out


def test_a_replay_needs_a_new_journal(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One with mail in it, or none at all, is refused."""
    node = Boxes(tmp_path / "journal")
    node.box().add_packet(add(1))
    node.close()

    for path, reason in ((node.path, "has mail in it"), (tmp_path, "can't open the journal")):
        assert 2 == main(["replay", str(log), "--journal", str(path)])
        assert reason in capsys.readouterr().err


def test_standard_input_is_a_file_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name is `-`."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SETTLED.encode())))

    assert 0 == main(["replay", "-"])

    assert "3 events" in capsys.readouterr().out


def test_warnings_go_to_stderr_and_are_counted(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those about lines, about events and about outages; the status is still 0."""
    with log.open("ab") as file:
        file.write(b"no event\n\xff\n" + event(2, "settle_event").encode())

    assert 0 == main(["replay", str(log), "--json", "--down", "8x8x8:0:5"])

    output = capsys.readouterr()
    assert [
        "lnmailbox: warning: line 4: not JSON: Expecting value: line 1 column 1 (char 0)",
        "lnmailbox: warning: line 5: not UTF-8: invalid start byte at byte 0",
        "lnmailbox: warning: line 6: HTLC 1x1x1/7 had ended before; left out",
        "lnmailbox: warning: outage of 8x8x8: the log has no packet for that channel",
    ] == output.err.splitlines()
    assert 4 == json.loads(output.out)["warnings"]


def test_an_account_that_does_not_hold_exits_1(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the same report, on stdout."""

    class Forgetful(lnmailbox.MemoryMailBox):
        def ack_packet(self, key: lnmailbox.CircuitKey) -> bool:
            return False

    monkeypatch.setattr(
        lnmailbox.__main__, "simulate", partial(simulate, mailbox_factory=Forgetful)
    )

    assert 1 == main(["replay", str(log)])

    assert "THE ACCOUNTING DOES NOT HOLD." in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "\n\n", "no event\n"])
def test_a_file_without_event_exits_2(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the warnings, which may say why it has none; stdout stays empty."""
    file = tmp_path / "events.jsonl"
    file.write_text(content, encoding="utf-8")

    assert 2 == main(["replay", str(file)])

    output = capsys.readouterr()
    assert "" == output.out
    assert f"lnmailbox: no HTLC event in {file}" == output.err.splitlines()[-1]
    assert bool(content.strip()) == ("warning: line 1:" in output.err)


def test_a_file_that_cannot_be_read_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the system's reason."""
    assert 2 == main(["replay", str(tmp_path / "absent")])

    reason = f"lnmailbox: cannot read {tmp_path / 'absent'}: No such file or directory\n"
    assert reason == capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "the following arguments are required: COMMAND"),
        (["replay"], "the following arguments are required: FILE"),
        (["replay", "x", "--down", "1x1x1:5"], "an outage looks like CHANNEL:START:SECONDS"),
        (["replay", "x", "--down", "1x1x1:5:0"], "SECONDS must be more than 0, got '0'"),
        (["replay", "x", "--expiry", "soon"], "not a number of seconds above 0: 'soon'"),
        (["replay", "x", "--expiry", "0"], "not a number of seconds above 0: '0'"),
        (["replay", "x", "--expiry", "nan"], "not a number of seconds above 0: 'nan'"),
        (["replay", "x", "--expiry", "inf"], "not a number of seconds above 0: 'inf'"),
    ],
)
def test_wrong_arguments_exit_2_with_the_reason(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is read then."""
    with pytest.raises(SystemExit) as raised:
        main(arguments)

    assert 2 == raised.value.code
    assert said in capsys.readouterr().err


def test_an_interrupt_ends_it_without_a_traceback(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is the one that shells expect of Ctrl-C."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lnmailbox.__main__, "simulate", interrupted)

    assert 130 == main(["replay", str(log)])

    assert "lnmailbox: interrupted\n" == capsys.readouterr().err


def test_a_reader_that_has_gone_ends_it_without_a_traceback(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with `| head`; closing stdout afterwards raises nothing either."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)

        assert 141 == main(["replay", str(log)])

    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("installed", [True, False])
def test_the_version_is_that_of_the_installed_package(
    installed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source tree that is not installed has none."""

    def version(name: str) -> str:
        if not installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return f"7.8.9 of {name}"

    monkeypatch.setattr(importlib.metadata, "version", version)

    with pytest.raises(SystemExit) as raised:
        main(["--version"])

    assert 0 == raised.value.code
    expected = "lnmailbox 7.8.9 of lnmailbox" if installed else "lnmailbox, not installed"
    assert f"{expected}\n" == capsys.readouterr().out


def test_the_help_says_what_the_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    """And when time ends."""
    with pytest.raises(SystemExit):
        main(["replay", "--help"])

    output = capsys.readouterr().out
    assert "exit status: 0 if every Add ended in exactly one way" in output
    assert "Time ends with\nthe last event" in output
    assert "(default: 60)" in output


def test_it_runs_as_a_module(log: Path) -> None:
    """`python -m lnmailbox` is the same program."""
    command = [sys.executable, "-W", "error", "-m", "lnmailbox", "replay", str(log)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert "Nothing was lost" in done.stdout
