"""The command line's `journal`: a file is listed, checked and compacted."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import lnmailbox.inspecting.command
from journal_files import DATA, NOW, make_journal, scid
from lnmailbox.__main__ import main
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.sqlite import JournalFile

LISTED = """\
{path}
2 channels with mail, 1 without
3 Adds, 1 replies, 1 Fails to hand over, 2 parked
9.0 KiB of packets

channel     mailbox     Adds  overdue  replies  Fails   deadline  reply
880000x1x0  0a0a..0a0a     3        1        0      1  5 min ago
pending     0b0b..0b0b     0        0        1      0               3 h
880000x9x0  parked         1        0        1      0               7 s

Stuck: 1 Adds are overdue.
They are failed back when their mailboxes are reset, at the next start.
Stuck: the switch may not have 1 Fails.
They are handed over again at the next start.
"""


@pytest.fixture(autouse=True)
def a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The date of the files is today."""
    monkeypatch.setattr(lnmailbox.inspecting.command, "today_ns", lambda: NOW)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return make_journal(tmp_path / "node.journal")


class Output:
    """Runs the command, and has what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> int:
        status = main(["journal", *map(str, arguments)])
        self.out, self.err = self._capsys.readouterr()
        return status


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Output:
    return Output(capsys)


def damage(journal: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute(statement, values)


# Listing


def test_channels_deadlines_and_what_is_stuck_are_listed(command: Output, journal: Path):
    """Parked packets and channels without mail as well; nothing goes to stderr."""
    assert 0 == command(journal)

    assert LISTED.format(path=journal) == command.out
    assert "" == command.err


def test_the_text_fits_80_columns(command: Output, tmp_path: Path):
    """Also with many Adds and each packet listed, except for a longer path."""
    assert 0 == command(make_journal(tmp_path / "many", adds=1200), "--packets")

    _, *lines = command.out.splitlines()
    assert [] == [line for line in lines if len(line) > 80]
    assert 1200 < len(lines)


def test_each_packet_is_listed_if_asked_for(command: Output, journal: Path):
    """In order of arrival, with its key."""
    assert 0 == command(journal, "--packets")

    _, table = command.out.split("\n\n")[1:3]
    rows = [line.split() for line in table.splitlines()]
    first = "880000x1x0 0a0a..0a0a Add 880000x7x0/"
    assert "channel mailbox kind incoming HTLC bytes deadline or age".split() == rows[0]
    assert f"{first}0 1849 5 min ago".split() == rows[1]
    assert f"{first}2 1849 in 6 min".split() == rows[3]
    assert "pending 0b0b..0b0b reply 880000x8x0/40 1849 3 h".split() == rows[4]
    assert ["880000x1x0", "0a0a..0a0a", "Fail", "1849"] == rows[5]
    assert ["880000x9x0", "parked", "Add", "880000x7x0/50", "1849"] == rows[6]


def test_ids_above_2_63_are_shown_as_they_are(command: Output, journal: Path):
    """SQLite's integers have a sign, the file's are stored with it."""
    damage(journal, "UPDATE lnmailbox_packet SET chan_id = -1, htlc_id = -2 WHERE id = 0")

    assert 0 == command(journal, "--packets")
    assert f" 16777215x16777215x65535/{2**64 - 2} " in command.out


def test_an_empty_journal_is_listed(command: Output, tmp_path: Path):
    """It has two lines of zeros, and no table."""
    JournalFile(tmp_path / "empty").close()

    assert 0 == command(tmp_path / "empty", "--packets")
    assert [
        str(tmp_path / "empty"),
        "0 channels with mail, 0 without",
        "0 Adds, 0 replies, 0 Fails to hand over, 0 parked",
        "0 bytes of packets",
    ] == command.out.splitlines()


def test_json_has_the_same_as_one_object(command: Output, journal: Path):
    """Ids are strings and dates ns since 1970."""
    assert 0 == command(journal, "--json", "--packets")

    report = json.loads(command.out)
    first, pending = report["channels"]
    assert (str(journal), NOW, 1) == (report["file"], report["now_ns"], report["empty_channels"])
    assert {"adds": 3, "adds_overdue": 1, "replies": 1, "fails": 1, "size": 5 * 1849} == (
        report["total"]
    )
    assert {
        "chan_id": "0a" * 32,
        "short_chan_id": "880000x1x0",
        "adds": 3,
        "adds_overdue": 1,
        "first_deadline_ns": NOW - 300 * 10**9,
        "replies": 0,
        "oldest_reply_ns": None,
        "fails": 1,
        "size": 4 * 1849,
    } == first
    assert ("0x0x0", NOW - 3 * 3600 * 10**9) == (
        pending["short_chan_id"],
        pending["oldest_reply_ns"],
    )
    assert [(None, "880000x9x0", 1, 1)] == [
        (mail["chan_id"], mail["short_chan_id"], mail["adds"], mail["replies"])
        for mail in report["parked"]
    ]
    assert ["Add", "Add", "Add", "reply", "Fail", "Add", "reply"] == [
        packet["kind"] for packet in report["packets"]
    ]
    assert {
        "id": 0,
        "kind": "Add",
        "chan_id": "0a" * 32,
        "short_chan_id": "880000x1x0",
        "incoming_chan_id": "880000x7x0",
        "incoming_htlc_id": 0,
        "date_ns": NOW - 300 * 10**9,
        "size": 1849,
    } == report["packets"][0]
    assert (None, None) == (
        report["packets"][4]["incoming_chan_id"],
        report["packets"][4]["incoming_htlc_id"],
    )


def test_packets_are_in_json_only_if_asked_for(command: Output, journal: Path):
    """There may be a million."""
    assert 0 == command(journal, "--json")

    assert "packets" not in json.loads(command.out)


def test_a_date_in_the_future_is_no_age(command: Output, journal: Path):
    """After the date was set back, a reply is 0 s old."""
    damage(journal, "UPDATE lnmailbox_packet SET date = ? WHERE is_add = 0", NOW + 10**12)

    assert 0 == command(journal)
    assert "  0 s\n" in command.out


def test_listing_changes_nothing(command: Output, journal: Path):
    """Not one byte of the file."""
    before = journal.read_bytes()

    assert 0 == command(journal, "--packets")
    assert before == journal.read_bytes()


# Checking


def test_a_sound_file_is_said_to_be_sound(command: Output, journal: Path):
    """Also with encrypters of kinds that only the application knows."""
    assert 0 == command(journal, "check")

    assert f"{journal}: sound\n" == command.out


def test_what_is_wrong_is_said_line_by_line(command: Output, journal: Path):
    """A damaged packet, a row without its channel, two packets of one key."""
    damage(journal, "UPDATE lnmailbox_packet SET data = substr(data, 1, 80) WHERE id = 0")
    damage(journal, "UPDATE lnmailbox_fail SET channel = 77")
    damage(
        journal,
        "INSERT INTO lnmailbox_packet SELECT 9, channel, is_add, chan_id, htlc_id, date, data"
        " FROM lnmailbox_packet WHERE id = 1",
    )

    assert 1 == command(journal, "check")

    lines = command.out.splitlines()
    assert 3 == len(lines)
    assert all(line.startswith(f"{journal}: ") for line in lines)
    assert any("lnmailbox_packet 0: a damaged packet" in line for line in lines)
    assert any("lnmailbox_fail have a channel that is not there" in line for line in lines)
    assert any("1 packets have the class and key of another" in line for line in lines)


def test_json_has_the_problems_in_a_list(command: Output, journal: Path):
    """An empty one for a sound file."""
    assert 0 == command(journal, "check", "--json")
    assert {"file": str(journal), "problems": []} == json.loads(command.out)

    damage(journal, "UPDATE lnmailbox_packet SET data = 'text' WHERE id = 0")
    assert 1 == command(journal, "check", "--json")
    assert 1 == len(json.loads(command.out)["problems"])


STRICT = PacketCodec()
NO_CODEC = 7


def test_packets_can_be_checked_with_a_codec_of_your_own(command: Output, journal: Path):
    """It is named as module and name; this one knows no encrypters."""
    assert 1 == command(journal, "check", "--codec", f"{__name__}:STRICT")

    assert "is an encrypter of kind 'reverser', which this codec does not know" in command.out


@pytest.mark.parametrize(
    "name, reason",
    [
        (f"{__name__}:MISSING", "has no attribute 'MISSING'"),
        (f"{__name__}:NO_CODEC", "it has no decode"),
        ("no_such_module:codec", "No module named 'no_such_module'"),
        ("", "Empty module name"),
    ],
)
def test_a_codec_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], journal: Path, name: str, reason: str
):
    """Before the file is opened, with what was asked for."""
    with pytest.raises(SystemExit) as ended:
        main(["journal", str(journal), "check", "--codec", name])

    assert 2 == ended.value.code
    error = capsys.readouterr().err
    assert f"no codec {name!r}" in error
    assert reason in error


# Compacting


def test_compacting_gives_back_the_space_of_what_is_gone(command: Output, tmp_path: Path):
    """What is left is the same."""
    journal = make_journal(tmp_path / "node.journal", adds=500)
    damage(journal, "DELETE FROM lnmailbox_packet WHERE id BETWEEN 1 AND 498")
    before = journal.stat().st_size
    assert 0 == command(journal, "--json")
    listed = command.out

    assert 0 == command(journal, "compact")

    after = journal.stat().st_size
    assert 20 * after < before
    assert f"{journal}: {after / 1024:.1f} KiB, was {before / 1048576:.1f} MiB\n" == command.out
    assert 0 == command(journal, "--json")
    assert listed == command.out


def test_json_has_both_sizes(command: Output, journal: Path):
    """In bytes."""
    before = journal.stat().st_size
    assert 0 == command(journal, "compact", "--json")

    report = json.loads(command.out)
    assert (str(journal), before) == (report["file"], report["bytes_before"])
    assert journal.stat().st_size == report["bytes_after"]


# What can't be used

actions = pytest.mark.parametrize("action", ["list", "check", "compact"])


@actions
def test_a_missing_file_is_refused_and_not_made(command: Output, tmp_path: Path, action: str):
    """A misspelled name must not leave an empty journal behind."""
    assert 2 == command(tmp_path / "missing", action)

    assert f"lnmailbox: can't open the journal {tmp_path}/missing: no such file\n" == command.err
    assert [] == list(tmp_path.iterdir())


@actions
@pytest.mark.parametrize("size", [3, 5000])
def test_a_foreign_file_is_refused_and_left_alone(
    command: Output, tmp_path: Path, action: str, size: int
):
    """Text, for example."""
    file = tmp_path / "notes.txt"
    file.write_bytes(b"n" * size)

    assert 2 == command(file, action)
    assert "file is not a database" in command.err
    assert b"n" * size == file.read_bytes()


@actions
def test_a_foreign_database_is_refused_and_left_alone(
    command: Output, tmp_path: Path, action: str
):
    """It has none of the tables, and gets none."""
    file = tmp_path / "wallet.db"
    damage(file, "CREATE TABLE coins (id)")
    before = file.read_bytes()

    assert 2 == command(file, action)
    assert "is no journal" in command.err
    assert before == file.read_bytes()


@actions
def test_a_newer_file_is_refused(command: Output, journal: Path, action: str):
    """With both versions."""
    damage(journal, "UPDATE lnmailbox_meta SET value = 99 WHERE name = 'version'")

    assert 2 == command(journal, action)
    assert "is of version 99, this lnmailbox reads versions up to 1" in command.err


@actions
def test_a_file_in_use_is_refused(command: Output, journal: Path, action: str):
    """The process that has it open is not disturbed."""
    with closing(JournalFile(journal)):
        assert 2 == command(journal, action)

    assert "somebody has it open" in command.err
    assert 0 == command(journal, action)


@pytest.mark.parametrize("action", ["list", "check"])
def test_damaged_pages_are_reported(command: Output, tmp_path: Path, action: str):
    """By SQLite's words; a listing that fails shows no half of the file."""
    journal = make_journal(tmp_path / "node.journal", adds=200)
    with journal.open("r+b") as file:
        for page in range(10, 90):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)

    status = command(journal, action)
    if action == "check":
        assert (1, "") == (status, command.err) or 2 == status
    else:
        assert (2, "") == (status, command.out)
        assert (
            f"lnmailbox: {journal} is damaged: database disk image is malformed\n" == command.err
        )


def test_a_channel_id_of_a_wrong_length_is_damage(command: Output, journal: Path):
    """The value is in the error."""
    damage(journal, "UPDATE lnmailbox_channel SET chan_id = x'0102' WHERE id = 1")

    assert 2 == command(journal)
    assert "is damaged: ChannelID must be 32 bytes" in command.err


def test_an_unknown_action_is_refused(capsys: pytest.CaptureFixture[str], journal: Path):
    """With those that there are."""
    with pytest.raises(SystemExit) as ended:
        main(["journal", str(journal), "destroy"])

    assert 2 == ended.value.code
    assert "'destroy' (choose from" in capsys.readouterr().err


def test_help_fits_80_columns(capsys: pytest.CaptureFixture[str]):
    """It says what the actions do, and the exit statuses."""
    with pytest.raises(SystemExit):
        main(["journal", "--help"])

    text = capsys.readouterr().out
    assert [] == [line for line in text.splitlines() if len(line) > 80]
    assert "exit status: " in text


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_a_long_reading_shows_progress_on_a_terminal(journal: Path):
    """On stderr, and takes it away at the end; the report goes elsewhere."""
    import pty

    parent, child = pty.openpty()
    code = (
        "import sys, lnmailbox.inspecting.progress as p; p._FIRST = p._NEXT = 0;"
        "from lnmailbox.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "journal", str(journal)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=child,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    os.close(child)
    shown = os.read(parent, 65536).decode()
    os.close(parent)

    assert 0 == done.returncode
    assert b"2 channels with mail" in done.stdout
    assert f"\rlnmailbox: reading {journal}: 0" in shown
    assert shown.endswith(" \r")


def test_the_rows_of_these_tests_are_what_they_say():
    """The data is a packet, so that a sound file is sound."""
    assert scid(1) == 880_000 << 40 | 1 << 16
    assert 1849 == len(DATA)
