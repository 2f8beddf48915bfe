"""Reading logs: several files as one stream, and input of which nothing can come."""

from __future__ import annotations

import gzip
import json
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from lnmailbox.replay.reading.events import HtlcEvent, Kind
from lnmailbox.replay.reading.logs import RECORD_LINE, UnusableLog, read_events
from lnmailbox.replay.reading.warnings import LogWarnings


@pytest.fixture
def sample(project: Path) -> str:
    return (project / "examples" / "htlc_events.jsonl").read_text(encoding="utf-8")


def read(*paths: Path) -> tuple[list[HtlcEvent], list[str]]:
    warnings = LogWarnings()
    events = list(read_events([str(path) for path in paths], warnings))
    return events, [str(warning) for warning in warnings]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def in_rest_form(text: str) -> str:
    return "".join(f'{{"result": {line}}}\n' for line in text.splitlines())


def pretty(text: str) -> str:
    return "\n".join(json.dumps(json.loads(line), indent=2) for line in text.splitlines())


def in_camel_case(text: str) -> str:
    def camel(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name[0] + name.title().replace("_", "")[1:]: camel(inner)
            for name, inner in value.items()
        }

    return "".join(json.dumps(camel(json.loads(line))) for line in text.splitlines())


def as_array(text: str) -> str:
    return json.dumps([json.loads(line) for line in text.splitlines()])


@pytest.mark.parametrize("form", [in_rest_form, pretty, in_camel_case, as_array])
def test_a_log_is_the_same_in_every_form(tmp_path: Path, sample: str, form: Any) -> None:
    """All but the lines on which the events are."""
    plain, _ = read(written(tmp_path / "plain", sample))
    events, said = read(written(tmp_path / "other", form(sample)))

    for event in plain + events:
        event.line = 0
    assert 310 == len(plain)
    assert plain == events
    assert [] == said


def test_files_that_overlap_are_one_log(tmp_path: Path, sample: str) -> None:
    """Whatever their order: what is in both counts once, and what comes of it is the same."""
    lines = sample.splitlines(keepends=True)
    whole = written(tmp_path / "whole", sample)
    first = written(tmp_path / "first", "".join(lines[:200]))
    second = tmp_path / "second"
    second.write_bytes(gzip.compress("".join([lines[0], *lines[150:]]).encode()))
    expected, _ = read(whole)

    for paths in (first, second), (second, first):
        events, said = read(*paths)

        assert ["50 lines: the same event again, as when two files overlap"] == [
            warning.partition(" (first")[0] for warning in said
        ]
        assert 2 == sum(event.kind is Kind.SUBSCRIBED for event in events)
        assert told(expected) == told(events)


def told(events: list[HtlcEvent]) -> list[HtlcEvent]:
    """All but on which lines they are, and where a subscription began."""
    return [attrs.evolve(each, line=0) for each in events if each.kind is not Kind.SUBSCRIBED]


def test_a_log_out_of_order_is_sorted(tmp_path: Path, sample: str) -> None:
    """Backwards, even."""
    expected, _ = read(written(tmp_path / "log", sample))
    events, said = read(written(tmp_path / "log", "\n".join(sample.splitlines()[::-1])))

    assert [event.timestamp_ns for event in expected] == [event.timestamp_ns for event in events]
    assert [] == said


def test_a_pipe_is_read_once(tmp_path: Path, sample: str) -> None:
    """As a shell's process substitution makes them."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    log = written(tmp_path / "log", "".join(sample.splitlines(keepends=True)[:100]))
    writer = threading.Thread(target=written, args=(pipe, sample))
    writer.start()
    events, _ = read(log, pipe)
    writer.join()

    assert 311 == len(events)  # the notice at the beginning of each


def test_a_forwarding_history_goes_with_a_log(tmp_path: Path, sample: str) -> None:
    """With a warning: a forward without ids is not known to be the same."""
    forward = {"chan_id_in": "1", "chan_id_out": "2", "timestamp_ns": "5", "amt_out_msat": "1"}
    history = written(tmp_path / "history", json.dumps({"forwarding_events": [forward]}))
    log = written(tmp_path / "log", sample)

    assert 2 == len(read(history)[0])
    events, said = read(history, log)
    assert 312 == len(events)
    assert (
        "a forwarding history and HTLC events: a forward in both counts twice if the history has"
        " no HTLC ids" == said[-1]
    )


def test_input_without_events_is_unusable(tmp_path: Path) -> None:
    """Every file has its reason."""
    empty = written(tmp_path / "a", "")
    odd = written(tmp_path / "b", "[lncli] rpc error\n")

    with pytest.raises(UnusableLog) as one:
        read(empty)
    with pytest.raises(UnusableLog) as both:
        read(empty, odd)
    with pytest.raises(UnusableLog, match="^no file$"):
        read()

    assert f"{empty} is empty" == str(one.value)
    said = f'no HTLC event in {odd}: a message of lncli: "[lncli] rpc error"'
    assert f"{empty} is empty; {said}" == str(both.value)


def test_one_of_several_files_may_have_no_event(tmp_path: Path, sample: str) -> None:
    """As a log of a quiet day; but one that is no log at all is not read over."""
    empty = written(tmp_path / "a", "")
    log = written(tmp_path / "b", sample)
    garbage = written(tmp_path / "c", "oops\n" * 2000)

    events, said = read(empty, log)
    assert (310, [f"{empty}: a file without HTLC events"]) == (len(events), said)
    with pytest.raises(UnusableLog, match=f"first 1,000 lines of {garbage}"):
        read(log, garbage)


def test_an_error_of_the_system_passes(tmp_path: Path) -> None:
    """For one file and for several."""
    for paths in [tmp_path / "none"], [tmp_path / "none"] * 2, [tmp_path]:
        with pytest.raises(OSError, match=str(tmp_path)):
            read(*paths)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """And who stops asking leaves no file open."""
    log = written(tmp_path / "log", '{"subscribed_event": {}}\n')
    events = read_events([str(log)], LogWarnings())
    assert isinstance(events, Iterator)
    log.unlink()

    with pytest.raises(FileNotFoundError):
        next(events)


def test_a_long_log_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """The reader keeps twice the window of events, and a piece of the file."""
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as file:
        for number in range(40_000):
            event = {"timestamp_ns": str(10**18 + number), "final_htlc_event": {}}
            print(json.dumps({**event, "incoming_htlc_id": number}), file=file)
    events = read_events([str(log)], LogWarnings())
    tracemalloc.start()
    try:
        count = sum(1 for _ in events)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 40_000 == count
    assert peak < 16 * 2**20


def test_the_line_to_record_reads_what_lnd_serves() -> None:
    """With the macaroon that may read and nothing else; it fits a terminal."""
    assert "readonly.macaroon" in RECORD_LINE
    assert "https://localhost:8080/v2/router/htlcevents" in RECORD_LINE
    assert max(map(len, RECORD_LINE.splitlines())) <= 78
