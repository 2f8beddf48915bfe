"""Logs with random damage: what is left is read, and nothing but the errors that are promised."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from lnmailbox.replay.reading import chunks
from lnmailbox.replay.reading.logs import UnusableLog, read_events
from lnmailbox.replay.reading.warnings import LogWarnings

FORWARDS = [
    {
        "chan_id_in": "970868767460425728",
        "chan_id_out": "972073832071102466",
        "timestamp_ns": str(1_760_000_000_000_000_000 + number),
        "amt_in_msat": str(1000 + number),
        "amt_out_msat": "1000",
    }
    for number in range(50)
]
PIECES = [
    *[piece.encode() for piece in '{ } [ ] , : " \\ -1 NaN 1e999 \\u12 null true [[[['.split()],
    *[b"\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"9" * 30, b'{"a":' * 50],
    *[b'{"result":', b'{"error":{"message":"x"}}\n', b'{"forwarding_events":[', b"[lncli] x\n"],
    *[b'"timestamp_ns":0', b'"chanIdIn"', b"{'a", b"event_type", b'"last_offset_index": 1}'],
]


def logs(sample: str) -> list[bytes]:
    """The same log in its forms, and forwarding histories."""
    objects = [json.loads(line) for line in sample.splitlines()]
    history = {"forwarding_events": FORWARDS, "last_offset_index": 50}
    texts = [
        sample,
        "".join(f'{{"result":{line}}}\n' for line in sample.splitlines()),
        "\n".join(json.dumps(each, indent=2) for each in objects),
        json.dumps(objects),
        json.dumps(history),
        json.dumps(history, indent=4),
        sample.replace("_event", "Event").replace("event_type", "eventType"),
    ]
    return [text.encode() for text in texts]


def damaged(chance: random.Random, log: bytes, others: list[bytes]) -> bytes:
    start = chance.randrange(len(log)) if chance.random() < 0.3 else 0
    data = bytearray(log[start : start + chance.choice([200, 2_000, 50_000])])
    for _ in range(chance.choice([1, 3, 10, 50])):
        begin = chance.randrange(len(data) + 1)
        end = begin + chance.choice([0, 1, 10, 1000])
        other = chance.choice(others)
        middle = chance.randrange(len(other))
        data[begin:end] = chance.choice(
            [
                b"",
                bytes([chance.randrange(256)]),
                chance.choice(PIECES),
                bytes(data[begin : begin + 300] * 3),
                other[middle : middle + chance.choice([10, 300])],
            ]
        )
    return bytes(data)


def read(path: Path) -> tuple[list[object], list[str], str]:
    """What came of a file: events in order of time, warnings, and the error."""
    warnings = LogWarnings()
    events: list[object] = []
    now_ns = 0
    try:
        for event in read_events([str(path)], warnings):
            assert event.timestamp_ns >= now_ns
            now_ns = event.timestamp_ns
            events.append(event)
    except UnusableLog as error:
        assert not events
        return events, [str(warning) for warning in warnings], str(error)
    return events, [str(warning) for warning in warnings], ""


@pytest.mark.parametrize("seed", range(8))
def test_no_damage_breaks_the_reader(
    project: Path, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it makes no difference in what pieces a file is read."""
    chance = random.Random(seed)
    forms = logs((project / "examples" / "htlc_events.jsonl").read_text(encoding="utf-8"))
    path = tmp_path / "log"
    for _ in range(25):
        path.write_bytes(damaged(chance, chance.choice(forms), forms))
        monkeypatch.setattr(chunks, "CHUNK", 1 << 17)
        whole = read(path)
        monkeypatch.setattr(chunks, "CHUNK", chance.choice([64, 100, 1000]))

        assert whole == read(path)


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_of_compressed_data_breaks_the_reader(
    project: Path, tmp_path: Path, seed: int
) -> None:
    """Whatever zlib makes of it."""
    chance = random.Random(seed)
    forms = logs((project / "examples" / "htlc_events.jsonl").read_text(encoding="utf-8"))
    path = tmp_path / "log"
    for _ in range(25):
        data = bytearray(gzip.compress(chance.choice(forms)))
        for _ in range(chance.choice([0, 1, 5])):
            data[chance.randrange(10, len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(2, len(data))])])

        read(path)


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_of_a_real_log_breaks_the_reader(
    shared_data: Path, tmp_path: Path, seed: int
) -> None:
    """The same for a log of a node on mainnet."""
    chance = random.Random(seed)
    forms = logs((shared_data / "htlc_events_mainnet.jsonl").read_text(encoding="utf-8"))
    path = tmp_path / "log"
    for _ in range(25):
        path.write_bytes(damaged(chance, chance.choice(forms), forms))

        read(path)
