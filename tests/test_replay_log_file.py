"""One file: its events, what is said of the rest, and why it has none."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lnmailbox.replay.reading import log_file
from lnmailbox.replay.reading.chunks import UnusableLog
from lnmailbox.replay.reading.events import Kind
from lnmailbox.replay.reading.log_file import LogFile, earliest_ns
from lnmailbox.replay.reading.warnings import LogWarnings

FORWARD = {"chan_id_in": "1", "chan_id_out": "2", "timestamp": "5", "amt_in": "2", "amt_out": "1"}
ONE_KIND = (
    "a forwarding history: settled forwards only, each Add at the instant of its Settle; no"
    " failures, no refusals, no own payments"
)

EMPTY_HISTORY = "an empty forwarding history (lnd's default is the last 24 hours)"


def line(**fields: Any) -> str:
    event = {"event_type": "SEND", "outgoing_channel_id": "5", "forward_event": {}, **fields}
    return json.dumps(event) + "\n"


class Read:
    """What came of a file."""

    def __init__(self, path: Path, data: str | bytes, *, is_one_of_many: bool = False) -> None:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        self._name = str(path)
        self._warnings = LogWarnings()
        self.file = LogFile(str(path), self._warnings, is_one_of_many=is_one_of_many)
        self.events = [event for block in self.file.blocks() for event in block]

    @property
    def said(self) -> list[str]:
        return [str(warning).replace(self._name, "FILE") for warning in self._warnings]

    @property
    def reason(self) -> str:
        return self.file.why_without_events().replace(self._name, "FILE")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_events_are_read_and_the_rest_is_said(log: Path) -> None:
    """Blank lines are nothing, and count as lines."""
    read = Read(log, line(timestamp_ns=1) + "\n" + "oops\n" + line(timestamp_ns=2))

    assert [(1, 1), (4, 2)] == [(event.line, event.timestamp_ns) for event in read.events]
    assert ['line 3: not JSON: "oops"'] == read.said
    assert read.file.has_events


def test_equal_lines_are_said_once(log: Path) -> None:
    """However many there are, once there is an event."""
    read = Read(log, line(timestamp_ns=1) + '{"a": 1}\n' * 2_345)

    assert ['2,345 lines: no event field (first: line 2: its fields are "a")'] == read.said


def test_an_event_without_time_is_said_to_be_so(log: Path) -> None:
    """Unless it is one that is only counted."""
    read = Read(log, '{"subscribed_event": {}}\n' + line(timestamp_ns=7) + line())

    assert [0, 7, 7] == [event.timestamp_ns for event in read.events]
    assert ["line 3: no timestamp_ns; taken as simultaneous with the event before it"] == read.said


def test_an_error_of_the_node_is_told_as_such(log: Path) -> None:
    """The stream of lnd's REST interface ends with it."""
    error = '{"error": {"code": 2, "message": "closed", "details": []}}'
    read = Read(log, line(timestamp_ns=7) + error)

    assert ['line 2: the node reported an error: "closed"'] == read.said
    assert Read(log, '{"a": 1}\n' * 3 + error).reason == (
        'no HTLC event in FILE: the node reported an error, "closed"'
    )


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("is_camel", [False, True])
def test_a_forwarding_history_is_read(log: Path, indent: int | None, is_camel: bool) -> None:
    """With a warning that it has settled forwards only."""
    history = json.dumps({"forwarding_events": [FORWARD] * 3}, indent=indent)
    if is_camel:
        history = history.replace("chan_id_in", "chanIdIn").replace("chan_id_out", "chanIdOut")
        history = history.replace("amt_in", "amtIn").replace("amt_out", "amtOut")
    read = Read(log, history)

    assert [Kind.ADD, Kind.SETTLE] * 3 == [event.kind for event in read.events]
    assert [1000, 0] * 3 == [event.outgoing_amount for event in read.events]
    assert 3 == read.file.forwards
    assert [ONE_KIND] == read.said


def test_a_damaged_forward_is_said_to_be_one(log: Path) -> None:
    """In lnd's spelling and in camelCase."""
    read = Read(log, '{"chan_id_in": "1"}\n{"chanIdIn": 1, "chanIdOut": "x"}')

    assert [
        "line 1: a forward needs a chan_id_in and a chan_id_out",
        f'line 2: chan_id_out is no number from 0 to {2**64 - 1}: "x"',
    ] == read.said


@pytest.mark.parametrize(
    "damaged, count",
    [
        ({"event_type": "SEND", "forward_event": {}}, 1),
        ({"result": {"eventType": "KEYSEND", "forwardEvent": {}}}, 1),
        ({**FORWARD, "chan_id_out": "x"}, 1),
        ({"event_type": "SEND", "settle_event": {}}, 0),
        ({"event_type": "SEND"}, 0),
    ],
)
def test_an_add_with_a_damaged_field_counts_as_left_out(
    log: Path, damaged: dict[str, Any], count: int
) -> None:
    """A report must not say that nothing was lost of it."""
    read = Read(log, line(timestamp_ns=1) + json.dumps(damaged))

    assert 1 == len(read.events) == len(read.said)
    assert count == read._warnings.adds_left_out


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize(
    "text, count",
    [
        ('{"incoming_htlc_id": "7", "forward_event": {"info": {"incoming_amt', 1),
        ('{"chan_id_in": "1", "chan_id_out": "2", "amt_', 1),
        ('{"incoming_htlc_id": "7", "settle_event": {"preim', 0),
    ],
)
def test_an_add_that_was_cut_off_counts_as_left_out(
    log: Path, text: str, count: int, indent: int | None
) -> None:
    """Whether it is one line or several."""
    if indent is not None:
        text = text.replace(", ", ",\n    ").replace("{", "{\n    ", 1)
    read = Read(log, f"{text}\n{line(timestamp_ns=1)}{text}")

    assert 2 * count == read._warnings.adds_left_out


@pytest.mark.parametrize("count, is_said", [(99, False), (100, True), (101, False)])
def test_a_history_as_long_as_lnds_limit_may_go_on(log: Path, count: int, is_said: bool) -> None:
    """It is the default of `--max_events`, which is easily overlooked."""
    read = Read(log, json.dumps({"forwarding_events": [FORWARD] * count}))

    limit = "a forwarding history as long as lnd's limit: there may be more forwards"
    said = [ONE_KIND, f"{limit} (--max_events, --index_offset): 100 forwards"]
    assert said[: 1 + is_said] == read.said


@pytest.mark.parametrize(
    "data, reason",
    [
        ("", "FILE is empty"),
        (gzip.compress(b""), "FILE is empty"),
        ("\n \n", "no HTLC event in FILE: blank lines"),
        ("oops", 'no HTLC event in FILE: not JSON: "oops"'),
        ('{"a": 1}\noops\n{"b": 1}', 'no HTLC event in FILE: no event field: its fields are "a"'),
        (
            '{"payments": []}',
            "no HTLC event in FILE: the output of lncli listpayments, which has no HTLC events",
        ),
        (
            '{"forwarding_events": [], "last_offset_index": 0}',
            f"no HTLC event in FILE: {EMPTY_HISTORY}",
        ),
        (
            gzip.compress(b"")[:12],
            "no HTLC event in FILE: the compressed data ends too early",
        ),
    ],
)
def test_a_file_without_events_has_a_reason(log: Path, data: str | bytes, reason: str) -> None:
    """The likely cause: what most of its lines are."""
    read = Read(log, data)

    assert [] == read.events
    assert not read.file.has_events
    assert reason == read.reason


def test_one_of_many_files_may_be_without_events(log: Path) -> None:
    """That is a warning then, and warnings name the file."""
    read = Read(log, "", is_one_of_many=True)
    odd = Read(log, line(timestamp_ns=1) + "oops", is_one_of_many=True)

    assert ["FILE: a file without HTLC events"] == read.said
    assert ['line 2 of FILE: not JSON: "oops"'] == odd.said


def test_a_file_is_given_up_after_a_thousand_lines_without_an_event(log: Path) -> None:
    """One event before that, and it is read to its end."""
    with pytest.raises(UnusableLog) as raised:
        Read(log, "oops\n" * 1000 + line(timestamp_ns=1))

    assert f'no HTLC event in the first 1,000 lines of {log}: not JSON: "oops"' == str(
        raised.value
    )
    assert 1 == len(Read(log, "oops\n" * 999 + line(timestamp_ns=1) + "oops\n" * 2000).events)


def test_a_file_without_lines_is_given_up_too(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many characters; with an event, one may be followed by as much of anything."""
    monkeypatch.setattr(log_file, "HOPELESS_CHARACTERS", 1 << 18)
    with pytest.raises(UnusableLog, match='no HTLC event in the beginning of .*: not JSON: "x'):
        Read(log, "x" * (1 << 20))

    assert 1 == len(Read(log, line(timestamp_ns=1) + "x" * (1 << 20)).events)


def test_the_earliest_time_is_that_of_the_first_events(log: Path) -> None:
    """Those among which the first may have to be sorted; so a file is opened early enough."""
    later = "".join(line(timestamp_ns=number) for number in range(9, 5000))
    Read(log, '{"subscribed_event": {}}\n' + later + line(timestamp_ns=7))
    assert 7 == earliest_ns(str(log))
    assert 9 == earliest_ns(str(log), 100)

    Read(log, '{"subscribed_event": {}}\n')
    assert 0 == earliest_ns(str(log))


def test_what_cannot_be_read_twice_has_no_earliest_time(tmp_path: Path) -> None:
    """It must be opened at once."""
    assert 0 == earliest_ns("-")
    assert 0 == earliest_ns(str(tmp_path))


def test_standard_input_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """In reasons and in warnings."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"oops")))
    warnings = LogWarnings()
    file = LogFile("-", warnings, is_one_of_many=True)

    assert [[]] == list(file.blocks())
    assert 'no HTLC event in standard input: not JSON: "oops"' == file.why_without_events()
    assert "line 1 of standard input: not JSON" in str(next(iter(warnings)))
