"""A replay of a made-up log: its time, to that of `json.loads` alone, and its memory."""

from __future__ import annotations

import gc
import heapq
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import process_time

from lnmailbox.replay.playing.simulation import simulate
from lnmailbox.replay.reading.logs import read_events
from lnmailbox.replay.reading.warnings import LogWarnings

from .harness import ratio, take_turns

__all__ = ["log_lines", "replay", "replay_file"]

ROUNDS = 3
CHANNELS = 50
PER_SECOND = 20
START_NS = 1_760_000_000_000_000_000


def replay(scale: float) -> dict[str, float]:
    """A replay without outages, reading included, to `json.loads` of the same lines.

    CPU time of all threads. And the memory of a process that replays a million events.
    """
    events = max(100, int(50_000 * scale))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        with path.open("w", encoding="ascii") as file:
            file.writelines(log_lines(events))
        turns = {
            "json.loads": partial(_cpu, _load, path),
            "replay": partial(_cpu, replay_file, path),
        }
        load, replayed = take_turns(turns, ROUNDS).values()
        per_link = _cpu(replay_file, path, threads="per-link")
    return {
        "ratio": ratio(replayed, load),
        "per-link: ratio": per_link / statistics.median(load),
        "events a second": events / statistics.median(replayed),
        "json.loads: µs": statistics.median(load) / events * 1e6,
        "MiB": _memory(max(100, int(1_000_000 * scale))),
    }


def replay_file(path: Path | str, threads: str = "shared") -> None:
    """Replay a log in which all links keep up; `-` is standard input."""
    warnings = LogWarnings()
    events = read_events([str(path)], warnings)
    outcome = simulate(events, warnings=warnings, threads=threads)  # type: ignore[arg-type]
    assert outcome.holds
    assert not outcome.warnings


def log_lines(count: int, channels: int = CHANNELS, seed: int = 1) -> Iterator[str]:
    """Make up the events of a busy node, as `lncli` writes them; in order of time."""
    chance = random.Random(seed)
    ids = [880_000 + n << 40 | 7 << 16 | 1 for n in range(channels)]
    last = [0] * channels
    later: list[tuple[int, int, str]] = []
    now_ns = START_NS
    written = number = 0
    while written < count:
        while later and later[0][0] <= now_ns and written < count:
            yield heapq.heappop(later)[2]
            written += 1
        incoming, outgoing = chance.sample(range(channels), 2)
        last[incoming] += 1
        last[outgoing] += 1
        amount = chance.randrange(10_000, 10**8)
        key = f'"incoming_channel_id":"{ids[incoming]}","incoming_htlc_id":"{last[incoming]}",'
        both = (
            f'{key}"outgoing_channel_id":"{ids[outgoing]}","outgoing_htlc_id":"{last[outgoing]}",'
        )
        info = (
            '"info":{"incoming_timelock":885080,"outgoing_timelock":885000,'
            f'"incoming_amt_msat":"{amount + 1000}","outgoing_amt_msat":"{amount}"}}'
        )
        of_forward = '"event_type":"FORWARD"'
        end_ns = now_ns + int(chance.uniform(0.4e9, 9e9))
        if chance.random() < 0.1:
            failure = (
                f'"link_fail_event":{{{info},"wire_failure":"TEMPORARY_CHANNEL_FAILURE",'
                '"failure_detail":"INSUFFICIENT_BALANCE",'
                '"failure_string":"insufficient bandwidth to route htlc"}'
            )
            parts = [(now_ns, f'{both}"timestamp_ns":"{now_ns}",{of_forward},{failure}')]
            end_ns = now_ns + 200_000_000
        else:
            result = "settle_event" if chance.random() < 0.7 else "forward_fail_event"
            parts = [
                (
                    now_ns,
                    f'{both}"timestamp_ns":"{now_ns}",{of_forward},"forward_event":{{{info}}}',
                ),
                (end_ns, f'{both}"timestamp_ns":"{end_ns}",{of_forward},"{result}":{{}}'),
            ]
        end_ns += 300_000_000
        final = '"event_type":"UNKNOWN","final_htlc_event":{"settled":true,"offchain":true}'
        parts.append((end_ns, f'{key}"timestamp_ns":"{end_ns}",{final}'))
        for at_ns, text in parts:
            number += 1
            heapq.heappush(later, (at_ns, number, f"{{{text}}}\n"))
        now_ns += int(chance.expovariate(PER_SECOND / 3) * 1e9)


def _load(path: Path) -> None:
    loads = json.loads
    with path.open("rb") as lines:
        for line in lines:
            loads(line)


def _cpu(function: Callable[..., None], *arguments: Path, **options: str) -> float:
    gc.collect()
    start = process_time()
    function(*arguments, **options)
    return process_time() - start


def _memory(events: int) -> float:
    """Return the most memory that a process has which replays a log of so many, in MiB."""
    program = (
        "import resource; from benchmarks.replay import replay_file; replay_file('-');"
        " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", program]
    project = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=project, encoding="ascii"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.writelines(log_lines(events))
        process.stdin.close()
        return int(process.stdout.read()) / 1024
