"""How everything here is measured: in turns, on the same two cores, after a warm-up round.

What is compared runs round by round within one process, each round beginning with another one,
so that a slow second of the machine strikes all of them. The collector stays on, as it is in a
program, for all alike; before each measurement there is a full collection, and the packets that
are sent around are frozen, so that no one pays for going through them.
"""

from __future__ import annotations

import gc
import os
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from lnmailbox import Clock, HTLCPacket, MailBoxConfig, MemoryMailBox, SystemClock
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC

__all__ = [
    "CHANNEL",
    "make_config",
    "make_mailbox",
    "make_packets",
    "pin",
    "ratio",
    "run_threads",
    "take_turns",
]

CHANNEL = ShortChannelID(880_000, 1, 1)


def pin() -> list[int]:
    """Keep this process on the first two of the cores that it may use; return which."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    return cores


def make_packets(count: int, first_id: int = 0) -> list[HTLCPacket]:
    """Make Adds with keys of their own, out of the collector's sight."""
    packets = [
        HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC(id=number))
        for number in range(first_id, first_id + count)
    ]
    gc.collect()
    gc.freeze()
    return packets


def make_mailbox(clock: Clock = SystemClock()) -> MemoryMailBox:
    """Make a started mailbox for which nothing expires, and that takes any message."""
    mailbox = MemoryMailBox(make_config(clock))
    mailbox.start()
    return mailbox


def make_config(clock: Clock = SystemClock()) -> MailBoxConfig:
    """Return the configuration of a mailbox in which nothing expires.

    It takes any object for a message, and as many as there are, as `queue.Queue` does.
    """
    return MailBoxConfig(
        short_chan_id=CHANNEL,
        fetch_update=lambda short_chan_id: ChannelUpdate(),
        forward_packets=lambda stopping, *packets: None,
        clock=clock,
        expiry=36_000.0,
        max_wire_messages=None,
        max_wire_bytes=None,
    )


def run_threads(*functions: Callable[[], object]) -> float:
    """Run each function on a thread; return the seconds from their common start to the last end.

    Raises what the first of them raised.
    """
    started: list[float] = []
    ended: list[float] = []
    errors: list[BaseException] = []
    gate = threading.Barrier(len(functions), action=lambda: started.append(perf_counter()))

    def run(function: Callable[[], object]) -> None:
        gate.wait()
        try:
            function()
        except BaseException as error:
            errors.append(error)
        ended.append(perf_counter())

    threads = [
        threading.Thread(target=run, args=(function,), daemon=True) for function in functions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return max(ended) - started[0]


def take_turns(measured: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each function once a round, after one round that does not count."""
    results: dict[str, list[float]] = {name: [] for name in measured}
    names = list(measured)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            result = measured[name]()
            if number:
                results[name].append(result)
    return results


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
