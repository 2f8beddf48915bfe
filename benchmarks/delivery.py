"""Delivery: one producer and one consumer, four of each, and to a receiver that waits."""

from __future__ import annotations

import contextlib
import queue
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from lnmailbox import HTLCPacket, MailBoxShuttingDown

from .harness import make_mailbox, make_packets, ratio, run_threads, take_turns
from .peers import MAILBOX, PEERS, Peer, available

__all__ = ["contended", "hand_off", "one_to_one"]

ROUNDS = 7


def one_to_one(scale: float) -> dict[str, float]:
    """Put and get, or add, get and ack, between two threads; `queue.Queue` is 1."""
    return _compare([*MAILBOX, *available(PEERS)], scale, 1)


def contended(scale: float) -> dict[str, float]:
    """The same with four producers and four consumers."""
    return _compare([*MAILBOX, *PEERS[:2]], scale, 4)


def _compare(peers: list[Peer], scale: float, pairs: int) -> dict[str, float]:
    packets = make_packets(max(800, int(100_000 * scale)))

    def seconds_each(peer: Peer) -> float:
        count = len(packets) // peer.share // pairs
        with peer.make() as ends:
            parts = [packets[n * count : (n + 1) * count] for n in range(pairs)]
            producers = [partial(ends.produce, part) for part in parts]
            consumers = [partial(ends.consume, count)] * pairs
            return run_threads(*producers, *consumers) / (count * pairs)

    taken = take_turns({peer.name: partial(seconds_each, peer) for peer in peers}, ROUNDS)
    base = taken["queue.Queue"]
    numbers = {}
    for name, seconds in taken.items():
        numbers[f"{name}: ratio"] = ratio(base, seconds)
        numbers[f"{name}: ns"] = statistics.median(seconds) * 1e9
    return numbers


class _Receiver:
    """A thread that waits in `get`, and stamps the time when it has an item."""

    def __init__(
        self, get: Callable[[], Any], ack: Callable[[Any], object] = lambda item: None
    ) -> None:
        self._get, self._ack = get, ack
        self._done = threading.Semaphore(0)
        self._stamp = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(MailBoxShuttingDown):
            while (item := self._get()) is not None:
                self._stamp = perf_counter()
                self._ack(item)
                self._done.release()

    def seconds(self, put: Callable[[Any], object], item: object) -> float:
        """Hand the item over, once the receiver has had the time to wait."""
        time.sleep(0.0002)
        start = perf_counter()
        put(item)
        self._done.acquire()
        return self._stamp - start

    def join(self) -> None:
        self._thread.join()


def hand_off(scale: float) -> dict[str, float]:
    """How long after the call of `put` the waiting receiver has the item."""
    packets = make_packets(max(100, int(10_000 * scale)))
    made: queue.Queue[Any] = queue.Queue()
    with make_mailbox() as mailbox:

        def ack(packet: HTLCPacket) -> None:
            mailbox.ack_packet(packet.in_key)

        add_message: Any = mailbox.add_message
        ways = {
            "queue.Queue": (_Receiver(made.get), made.put),
            "messages": (_Receiver(mailbox.message_outbox.get), add_message),
            "packets": (_Receiver(mailbox.packet_outbox.get, ack), mailbox.add_packet),
        }
        taken = _hand_over_in_turns(ways, packets)
        made.put(None)
    for receiver, _ in ways.values():
        receiver.join()
    numbers = {}
    for name, seconds in taken.items():
        seconds = sorted(seconds[len(seconds) // 10 :])  # the first tenth is the warm-up
        for label, place in ("median", 0.5), ("p99", 0.99):
            numbers[f"{name}: {label} µs"] = seconds[int(place * len(seconds))] * 1e6
    for name in "messages", "packets":
        for label in "median", "p99":
            ours, theirs = numbers[f"{name}: {label} µs"], numbers[f"queue.Queue: {label} µs"]
            numbers[f"{name}: {label} ratio"] = ours / theirs
    return numbers


def _hand_over_in_turns(
    ways: dict[str, tuple[_Receiver, Callable[[Any], object]]], packets: list[HTLCPacket]
) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number, packet in enumerate(packets):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            receiver, put = ways[name]
            taken[name].append(receiver.seconds(put, packet))
    return taken
