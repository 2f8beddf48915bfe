"""What lnd's two couriers a channel cost in Python, beside a mailbox without a thread."""

from __future__ import annotations

import gc
import statistics
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from lnmailbox import HTLCPacket, MailBox, MailBoxConfig, MemoryMailBox
from lnmailbox.reference import CourierMailBox

from .harness import make_config, make_packets, ratio, run_threads, take_turns
from .peers import add_get_ack

__all__ = ["couriers"]

Kind = Callable[[MailBoxConfig], MailBox]

KINDS: dict[str, Kind] = {"memory": MemoryMailBox, "lnd": CourierMailBox}
MAILBOXES = 1_000
ROUNDS = 5


def couriers(scale: float) -> dict[str, float]:
    """Threads, memory and time of a mailbox with an Add in it, and packets a second.

    The smaller kind comes first: memory that was freed would not be seen to be used again.
    """
    numbers = {}
    packets = make_packets(max(400, int(20_000 * scale)))
    for name, kind in KINDS.items():
        for label, value in _cost(kind, packets[: max(50, int(MAILBOXES * scale))]).items():
            numbers[f"{name}: {label}"] = value
    ways = {name: partial(_seconds_each, kind, packets) for name, kind in KINDS.items()}
    taken = take_turns(ways, ROUNDS)
    for name, seconds in taken.items():
        numbers[f"{name}: packets/s"] = 1 / statistics.median(seconds)
    numbers["speed: ratio"] = ratio(taken["memory"], taken["lnd"])
    return numbers


def _cost(kind: Kind, packets: list[HTLCPacket]) -> dict[str, float]:
    with kind(make_config()) as first:  # whatever the first one costs once
        first.add_packet(packets[0])
        gc.collect()
        threads, resident = threading.active_count(), _resident()
        start = perf_counter()
        boxes = [kind(make_config()) for _ in packets]
        for box, packet in zip(boxes, packets, strict=True):
            box.start()
            box.add_packet(packet)
        seconds = perf_counter() - start
        threads, resident = threading.active_count() - threads, _resident() - resident
        start = perf_counter()
        for box in boxes:
            box.stop()
        stopping = perf_counter() - start
    return {
        "threads": threads / len(packets),
        "resident KiB": resident / len(packets) / 1024,
        "made and started µs": seconds / len(packets) * 1e6,
        "stopped µs": stopping / len(packets) * 1e6,
    }


def _resident() -> int:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def _seconds_each(kind: Kind, packets: list[HTLCPacket]) -> float:
    """Add, get and ack between two threads."""
    with kind(make_config()) as box:
        ends = add_get_ack(box)
        seconds = run_threads(partial(ends.produce, packets), partial(ends.consume, len(packets)))
        return seconds / len(packets)
