"""Ten thousand channels: what each costs, what they do when nothing happens, waiting for all."""

from __future__ import annotations

import gc
import os
import random
import statistics
import threading
import time
import tracemalloc
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from lnmailbox import HTLCPacket, MailBoxConfig, MailSelector, MemoryMailBox
from lnmailbox.wire import ChannelUpdate, ShortChannelID

from .harness import make_mailbox, make_packets, ratio, take_turns

__all__ = ["idle", "mailboxes", "selector"]

CHANNELS = 10_000


def mailboxes(scale: float) -> dict[str, float]:
    """Threads, memory and time of 10,000 started mailboxes with an Add in each.

    Each has a config of its own, which counts as part of it. Memory is what the process has
    resident, and again what Python has allocated, of which the greater counts.
    """
    packets = make_packets(max(100, int(CHANNELS * scale)))
    kept = _make(packets[:10])  # whatever the first one costs once
    resident = _resident()
    threads = threading.active_count()
    gc.collect()
    start = perf_counter()
    made = _make(packets)
    seconds = perf_counter() - start
    resident = _resident() - resident
    threads = threading.active_count() - threads + 1  # the clock's runs already
    _stop(made)
    del made

    unstarted = [_new_mailbox(number) for number in range(len(packets))]
    for mailbox, packet in zip(unstarted, packets, strict=True):
        mailbox.add_packet(packet)
    gc.collect()
    start = perf_counter()
    for mailbox in unstarted:
        mailbox.start()
    only_start = perf_counter() - start
    _stop(unstarted)
    del unstarted

    gc.collect()
    tracemalloc.start()
    traced, _ = tracemalloc.get_traced_memory()
    made = _make(packets)
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    _stop([*made, *kept])
    return {
        "threads": threads,
        "resident bytes": resident / len(packets),
        "allocated bytes": traced / len(packets),
        "bytes": max(resident, traced) / len(packets),
        "made and started µs": seconds / len(packets) * 1e6,
        "started µs": only_start / len(packets) * 1e6,
    }


def idle(scale: float) -> dict[str, float]:
    """Voluntary context switches in 10 s of all threads but the one that looks."""
    made = _make(make_packets(max(100, int(CHANNELS * scale))))
    time.sleep(min(1.0, 10 * scale))  # until the last one has settled
    before = _context_switches()
    time.sleep(10 * scale)
    after = _context_switches()
    _stop(made)
    return {"switches": sum(after.values()) - sum(before.values()), "threads": len(after)}


def selector(scale: float) -> dict[str, float]:
    """A wake-up of `MailSelector` with 10,000 outboxes, compared with 10.

    First the work alone, in one thread: a message is added, `select` names its outbox, and it is
    taken. Then from the call of `add_message` until the thread that waited has the message.
    """
    numbers = {}
    events = max(100, int(10_000 * scale))
    for way, measure in ("work", _select_seconds), ("waiting thread", _wake_up_seconds):
        turns = {}
        opened = []
        for count in 10, max(20, int(CHANNELS * scale)):
            boxes = [make_mailbox() for _ in range(count)]
            selector = MailSelector()
            for box in boxes:
                selector.register(box.message_outbox)
            order = random.Random(count).choices(boxes, k=events)
            turns[str(count)] = partial(measure, selector, order)
            opened.append((selector, boxes))
        few, many = take_turns(turns, 5).values()
        numbers[f"{way}: ratio"] = ratio(many, few)
        numbers[f"{way}: µs"] = statistics.median(many) * 1e6
        for selector, boxes in opened:
            selector.close()
            _stop(boxes)
    return numbers


def _select_seconds(selector: MailSelector, order: list[MemoryMailBox]) -> float:
    message: Any = object()
    start = perf_counter()
    for mailbox in order:
        mailbox.add_message(message)
        (key,) = selector.select()
        key.outbox.get()
    return (perf_counter() - start) / len(order)


def _wake_up_seconds(selector: MailSelector, order: list[MemoryMailBox]) -> float:
    order = order[: len(order) // 10]
    done = threading.Semaphore(0)
    stamps: list[float] = []

    def receive() -> None:
        for _ in order:
            (key,) = selector.select()
            key.outbox.get()
            stamps.append(perf_counter())
            done.release()

    receiver = threading.Thread(target=receive)
    receiver.start()
    starts = []
    message: Any = object()
    for mailbox in order:
        time.sleep(0.0002)  # until it waits
        starts.append(perf_counter())
        mailbox.add_message(message)
        done.acquire()
    receiver.join()
    return statistics.median(b - a for a, b in zip(starts, stamps, strict=True))


def _new_mailbox(number: int) -> MemoryMailBox:
    return MemoryMailBox(
        MailBoxConfig(
            short_chan_id=ShortChannelID(880_000, number, 1),
            fetch_update=_fetch_update,
            forward_packets=_forward_packets,
            expiry=3600.0,
        )
    )


def _fetch_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    return ChannelUpdate()


def _forward_packets(quit: object, *packets: HTLCPacket) -> None:  # noqa: A002
    pass


def _make(packets: list[HTLCPacket]) -> list[MemoryMailBox]:
    made = []
    for number, packet in enumerate(packets):
        mailbox = _new_mailbox(number)
        mailbox.start()
        mailbox.add_packet(packet)
        made.append(mailbox)
    return made


def _stop(made: list[MemoryMailBox]) -> None:
    for mailbox in made:
        mailbox.signal_stop()
    for mailbox in made:
        mailbox.stop()


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _context_switches() -> dict[int, int]:
    me = threading.get_native_id()
    switches = {}
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != me:
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    switches[int(task.name)] = int(line.split()[1])
    return switches
