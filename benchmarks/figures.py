"""What has to be reached, and by which number of which benchmark it is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import backlog, channels, costs, couriers, delivery, durable, node, replay
from .peers import MAILBOX

__all__ = ["BENCHMARKS", "FIGURES", "Figure"]

BENCHMARKS: dict[str, Callable[[float], dict[str, float]]] = {
    function.__name__: function
    for function in (
        delivery.one_to_one,
        delivery.contended,
        delivery.hand_off,
        backlog.growth,
        backlog.reset,
        backlog.weight,
        backlog.expiry,
        backlog.anywhere,
        backlog.clock_back,
        channels.mailboxes,
        channels.idle,
        channels.selector,
        costs.imports,
        costs.failures,
        couriers.couriers,
        node.workers,
        node.channels,
        node.storm,
        durable.durable,
        durable.durable_peers,
        durable.reopening,
        replay.replay,
    )
}


class Figure(NamedTuple):
    """A number with a limit; `title` says what it is a ratio to, or its unit."""

    title: str
    benchmark: str
    number: str
    limit: float
    at_least: bool = False
    """Whether `limit` is the lowest that will do; else the highest."""

    @property
    def required(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}"

    def holds(self, measured: float) -> bool:
        return measured >= self.limit if self.at_least else measured <= self.limit

    def times_better(self, measured: float) -> float:
        """How many times better than required; below 1 it is not reached."""
        above, below = (measured, self.limit) if self.at_least else (self.limit, measured)
        return above / below if below else float("inf")


_messages, _packets, _batches = (peer.name for peer in MAILBOX)

FIGURES = [
    Figure("messages, speed to queue.Queue", "one_to_one", f"{_messages}: ratio", 2.0, True),
    Figure("packets, speed to queue.Queue", "one_to_one", f"{_packets}: ratio", 0.9, True),
    Figure("packets by 64, speed to queue.Queue", "one_to_one", f"{_batches}: ratio", 3.0, True),
    Figure("hand-off of a message, median", "hand_off", "messages: median ratio", 1.1),
    Figure("hand-off of a message, p99", "hand_off", "messages: p99 ratio", 1.3),
    Figure("hand-off of a packet, median", "hand_off", "packets: median ratio", 1.1),
    Figure("hand-off of a packet, p99", "hand_off", "packets: p99 ratio", 1.3),
    Figure("4 to 4 threads, messages, speed", "contended", f"{_messages}: ratio", 0.9, True),
    Figure("4 to 4 threads, packets, speed", "contended", f"{_packets}: ratio", 0.9, True),
    Figure("4 to 4 threads, by 64, speed", "contended", f"{_batches}: ratio", 0.9, True),
    Figure("1,000,000 with the link, time to 1,000", "growth", "with the link: ratio", 1.5),
    Figure("1,000,000 waiting, time to 1,000", "growth", "waiting: ratio", 1.5),
    Figure("reset of 100,000, time to list()", "reset", "ratio", 5),
    Figure("expiry of 100,000, speed to callbacks", "expiry", "forwarded: ratio", 0.5, True),
    Figure("fail_add among 100,000, to 1,000", "anywhere", "fail_add: ratio", 1.5),
    Figure("a receive undone among 100,000, to 1,000", "anywhere", "put_back: ratio", 1.5),
    Figure("4,000 wait, clock went back, to not", "clock_back", "ratio", 1.5),
    Figure("10,000 mailboxes: threads", "mailboxes", "threads", 16),
    Figure("10,000 mailboxes: bytes each", "mailboxes", "bytes", 6 * 1024),
    Figure("10,000 mailboxes: made and started, µs", "mailboxes", "made and started µs", 30),
    Figure("10,000 idle, context switches in 10 s", "idle", "switches", 0),
    Figure("selector of 10,000, work to 10", "selector", "work: ratio", 1.5),
    Figure("selector of 10,000, wake-up to 10", "selector", "waiting thread: ratio", 1.5),
    Figure("64 workers, CPU a packet to that of 4", "workers", "ratio", 1.5),
    Figure("deliver over 10,000 mailboxes, to 100", "channels", "ratio", 2),
    Figure("storm over 10,000 mailboxes, µs an Add", "storm", "µs", 29),
    Figure("4,000 into a switch that blocks: threads", "storm", "threads", 64),
    Figure("waiting packet, bytes beyond itself", "weight", "bytes", 250),
    Figure("import, time to import attrs", "imports", "ratio", 2),
    Figure("encode_failure, µs", "failures", "encode µs", 3),
    Figure("encrypt_first_hop, time to its ciphers", "failures", "encrypt ratio", 2),
    Figure("durable, speed to SQLite", "durable", "full, one by one: ratio", 0.75, True),
    Figure("durable, lazy acks", "durable", "lazy acks, one by one: ratio", 1.3, True),
    Figure("durable, 64 threads, to one", "durable", "full, 64 threads: ratio", 5, True),
    Figure("durable, by 64", "durable", "full, batches of 64: ratio", 0.65, True),
    Figure("durable, normal", "durable", "normal, one by one: ratio", 0.4, True),
    Figure("1,000,000 Adds reopened, s", "reopening", "all: s", 15),
    Figure("1,000,000 Adds reopened, MiB", "reopening", "all: MiB", 600),
    Figure("the same, time to 4 times a quarter", "reopening", "all: linear", 1.5),
    Figure("10,000 empty channels reopened, s", "reopening", "empty: s", 1),
    Figure("replay, time to json.loads of its lines", "replay", "ratio", 24),
    Figure("replay of 1,000,000 events, MiB", "replay", "MiB", 150),
]
