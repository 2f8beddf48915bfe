"""A node of ten thousand channels: many workers, many mailboxes, a storm of expiries."""

from __future__ import annotations

import random
import statistics
import threading
import time
from functools import partial
from time import perf_counter

from lnmailbox import (
    HTLCPacket,
    MailBox,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailSelector,
    ManualClock,
)
from lnmailbox.wire import ChannelID, ChannelUpdate, ShortChannelID

from .harness import make_packets, ratio, take_turns

__all__ = ["channels", "storm", "workers"]

ROUNDS = 5


def workers(scale: float) -> dict[str, float]:
    """CPU time a packet of 64 workers that share a selector over 100 mailboxes, to that of 4.

    And how often 64 idle workers wake up when a packet comes every millisecond.
    """
    events = max(64, int(20_000 * scale))
    turns = {str(count): partial(_cpu_each, count, events) for count in (4, 64)}
    few, many = take_turns(turns, ROUNDS).values()
    return {
        "ratio": ratio(many, few),
        "4: µs": statistics.median(few) * 1e6,
        "64: µs": statistics.median(many) * 1e6,
        "64 idle: CPU ms a packet": _cpu_each(64, max(20, int(500 * scale)), pause=0.001) * 1e3,
    }


def _cpu_each(count: int, events: int, pause: float = 0.0) -> float:
    node = _Node(100)
    packets = make_packets(events)
    received = threading.Semaphore(0)
    with MailSelector() as selector:
        for mailbox in node.mailboxes:
            selector.register(mailbox.packet_outbox, mailbox)

        def work() -> None:
            while True:
                try:
                    keys = selector.select()
                    for outbox, mailbox in keys:
                        packet = outbox.get_nowait()
                        mailbox.ack_packet(packet.in_key)
                        received.release()
                except (MailBoxShuttingDown, RuntimeError):
                    return
                except Exception:
                    continue  # another worker was faster

        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)  # until they wait
        start = time.process_time()
        for packet, short_chan_id in zip(packets, node.random_channels(events), strict=True):
            node.orchestrator.deliver(short_chan_id, packet)
            if pause:
                time.sleep(pause)
        for _ in packets:
            received.acquire()
        seconds = time.process_time() - start
    for thread in threads:
        thread.join()
    node.orchestrator.stop()
    return seconds / events


def channels(scale: float) -> dict[str, float]:
    """Deliver to random channels, one worker with a selector: 10,000 mailboxes, to 100."""
    events = max(100, int(20_000 * scale))
    turns = {}
    nodes = []
    for count in 100, max(200, int(10_000 * scale)):
        node = _Node(count)
        nodes.append(node)
        turns[str(count)] = partial(_seconds_each, node, events)
    few, many = take_turns(turns, ROUNDS).values()
    for node in nodes:
        node.orchestrator.stop()
    return {
        "ratio": ratio(many, few),
        "100: µs": statistics.median(few) * 1e6,
        "10,000: µs": statistics.median(many) * 1e6,
    }


def _seconds_each(node: _Node, events: int) -> float:
    packets = make_packets(events)
    with MailSelector() as selector:
        for mailbox in node.mailboxes:
            selector.register(mailbox.packet_outbox, mailbox)
        selector.select(timeout=0)  # look at each of them once
        order = node.random_channels(events)
        start = perf_counter()
        for packet, short_chan_id in zip(packets, order, strict=True):
            node.orchestrator.deliver(short_chan_id, packet)
            for outbox, mailbox in selector.select():
                received = outbox.get_nowait()
                mailbox.ack_packet(received.in_key)
        return (perf_counter() - start) / events


def storm(scale: float) -> dict[str, float]:
    """100,000 Adds that expire at once, over 10,000 mailboxes; 4,000 whose switch blocks."""
    count = max(100, int(100_000 * scale))
    clock = ManualClock()
    node = _Node(max(10, count // 10), clock)
    packets = make_packets(count)
    for number, packet in enumerate(packets):
        node.orchestrator.deliver(node.short_chan_ids[number % len(node.mailboxes)], packet)
    start = perf_counter()
    clock.advance(60)
    node.wait_until_all_came(count)
    seconds = perf_counter() - start
    node.orchestrator.stop()

    clock = ManualClock()
    blocked = _Node(max(100, int(4_000 * scale)), clock)
    blocked.gate.clear()
    for packet, short_chan_id in zip(packets, blocked.short_chan_ids, strict=False):
        blocked.orchestrator.deliver(short_chan_id, packet)
    before = threading.active_count()
    clock.advance(60)
    time.sleep(min(1.0, 10 * scale))  # until no more couriers are started
    active = threading.active_count() - before
    blocked.gate.set()
    blocked.wait_until_all_came(len(blocked.mailboxes))
    blocked.orchestrator.stop()
    return {"µs": seconds / count * 1e6, "threads": active}


class _Node:
    """An orchestrator with live channels, whose switch counts what is failed back."""

    def __init__(self, count: int, clock: ManualClock | None = None) -> None:
        self.gate = threading.Event()  # closed, it blocks whoever fails an Add
        self.gate.set()
        self._update = ChannelUpdate(message_flags=1)
        self._lock = threading.Lock()
        self._came = 0
        self._all_came = threading.Condition(self._lock)
        options = {} if clock is None else {"clock": clock}
        self.orchestrator = MailOrchestrator(
            MailOrchestratorConfig(
                fetch_update=self._fetch_update,
                forward_packets=self._forward_packets,
                **options,
            )
        )
        self.short_chan_ids = [ShortChannelID(880_000, number, 1) for number in range(count)]
        self.mailboxes: list[MailBox] = []
        for number, short_chan_id in enumerate(self.short_chan_ids):
            chan_id = ChannelID(number.to_bytes(32, "big"))
            mailbox = self.orchestrator.get_or_create_mailbox(chan_id, short_chan_id)
            self.orchestrator.bind_live_short_chan_id(mailbox, chan_id, short_chan_id)
            self.mailboxes.append(mailbox)

    def random_channels(self, count: int) -> list[ShortChannelID]:
        return random.Random(count).choices(self.short_chan_ids, k=count)

    def wait_until_all_came(self, count: int) -> None:
        """Wait for so many failed packets."""
        with self._all_came:
            self._all_came.wait_for(lambda: self._came >= count)

    def _fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        return self._update

    def _forward_packets(self, quit: object, *packets: HTLCPacket) -> None:  # noqa: A002
        self.gate.wait()
        with self._all_came:
            self._came += len(packets)
            self._all_came.notify_all()
