"""What lies in the mailbox: whether it slows it down, what it weighs, how it leaves."""

from __future__ import annotations

import gc
import importlib.util
import statistics
import threading
import tracemalloc
from collections.abc import Callable
from functools import partial
from time import monotonic_ns, perf_counter
from typing import Any

from lnmailbox import HTLCPacket, MailBoxConfig, ManualClock, MemoryMailBox, SystemClock
from lnmailbox.contract import Hand
from lnmailbox.wire import ChannelUpdate, ShortChannelID, TemporaryChannelFailure

from .harness import CHANNEL, make_mailbox, make_packets, ratio, take_turns

__all__ = ["anywhere", "clock_back", "expiry", "growth", "reset", "weight"]

ROUNDS = 7


def growth(scale: float) -> dict[str, float]:
    """Add, get and ack beside 1,000,000 unacked packets, compared with beside 1,000.

    They are with the link, so that each packet that is added is the one that is got; or they
    wait in the mailbox, so that it is the oldest.
    """
    numbers = {}
    for place in "with the link", "waiting":
        turns = {}
        mailboxes = []
        for size in 1_000, 1_000_000:
            lying = max(10, int(size * scale))
            packets = make_packets(lying + max(100, int(50_000 * scale)))
            mailbox = make_mailbox()
            mailboxes.append(mailbox)
            mailbox.add_packets(packets[:lying])
            if place == "with the link":
                mailbox.packet_outbox.get_batch(lying)
            turns[f"{size:,}"] = partial(_pass_through, mailbox, packets[lying:])
        few, many = take_turns(turns, ROUNDS).values()
        for mailbox in mailboxes:
            mailbox.stop()
        numbers[f"{place}: ratio"] = ratio(many, few)
        numbers[f"{place}: ns"] = statistics.median(many) * 1e9
    return numbers


def _pass_through(mailbox: MemoryMailBox, packets: list[HTLCPacket]) -> float:
    add, get, ack = mailbox.add_packet, mailbox.packet_outbox.get, mailbox.ack_packet
    start = perf_counter()
    for number, packet in enumerate(packets):
        add(packet)
        received = get()
        ack(received.in_key)
        packets[number] = received  # to be added in the next round
    return (perf_counter() - start) / len(packets)


def reset(scale: float) -> dict[str, float]:
    """`reset_packets` with 100,000 unacked, compared with a list of as many of a dict's values."""
    packets = make_packets(max(100, int(100_000 * scale)))
    # Small values that lie side by side: a list of the packets themselves takes longer, since
    # each of them is somewhere else in memory.
    by_key = {packet.in_key: object() for packet in packets}
    mailbox = make_mailbox()
    mailbox.add_packets(packets)

    def reset_seconds() -> float:
        mailbox.packet_outbox.get_batch(len(packets))
        start = perf_counter()
        mailbox.reset_packets()
        return perf_counter() - start

    def list_seconds() -> float:
        start = perf_counter()
        values = list(by_key.values())
        seconds = perf_counter() - start
        del values  # to free it is no part of making it
        return seconds

    resets, lists = take_turns({"reset": reset_seconds, "list": list_seconds}, 15).values()
    mailbox.stop()
    return {"ratio": ratio(resets, lists), "reset ms": statistics.median(resets) * 1e3}


def anywhere(scale: float) -> dict[str, float]:
    """`fail_add` and the undoing of a receive among 100,000 packets, compared with among 1,000.

    The Adds that are failed wait in the mailbox, from the newest to the oldest. What is undone
    are receives of the 100 packets that come next, as after an interrupt.
    """
    turns: dict[str, dict[str, Callable[[], float]]] = {"fail_add": {}, "put_back": {}}
    mailboxes = []
    for size in 1_000, 100_000:
        packets = make_packets(max(200, int(size * scale)))
        mailbox = make_mailbox()
        mailboxes.append(mailbox)
        mailbox.add_packets(packets)
        turns["fail_add"][f"{size:,}"] = partial(_fail_and_add, mailbox, packets[-100:])
        turns["put_back"][f"{size:,}"] = partial(_take_and_put_back, mailbox)
    numbers = {}
    for what, measured in turns.items():
        few, many = take_turns(measured, ROUNDS).values()
        numbers[f"{what}: ratio"] = ratio(many, few)
        numbers[f"{what}: µs"] = statistics.median(many) * 1e6
    for mailbox in mailboxes:
        mailbox.stop()
    return numbers


def _fail_and_add(mailbox: MemoryMailBox, packets: list[HTLCPacket]) -> float:
    start = perf_counter()
    for packet in reversed(packets):
        mailbox.fail_add(packet)
    seconds = perf_counter() - start
    mailbox.add_packets(packets)
    return seconds / len(packets)


def _take_and_put_back(mailbox: MemoryMailBox) -> float:
    hand: Hand[HTLCPacket] = Hand()
    mailbox.packet_outbox._take_into(hand, 100)
    start = perf_counter()
    hand.put_back()
    return (perf_counter() - start) / len(hand)


def clock_back(scale: float) -> dict[str, float]:
    """Get, ack and add with 4,000 Adds waiting whose deadlines are out of order.

    The clock went back by an hour after the first half of them. Compared with a clock that did
    not.
    """
    lying = max(100, int(4_000 * scale))
    turns = {}
    mailboxes = []
    for back_s in 0.0, 3600.0:
        clock = _SettableClock()
        packets = make_packets(lying + max(100, int(20_000 * scale)))
        mailbox = make_mailbox(clock)
        mailboxes.append(mailbox)
        mailbox.add_packets(packets[: lying // 2])
        clock.offset_ns = -round(back_s * 1e9)
        mailbox.add_packets(packets[lying // 2 : lying])
        turns[f"{back_s} s"] = partial(_pass_through, mailbox, packets[lying:])
    before, after = take_turns(turns, ROUNDS).values()
    for mailbox in mailboxes:
        mailbox.stop()
    return {"ratio": ratio(after, before), "ns": statistics.median(after) * 1e9}


class _SettableClock:
    """The machine's clock, with an offset."""

    offset_ns = 0
    wait = SystemClock.wait

    def now_ns(self) -> int:
        return monotonic_ns() + self.offset_ns


def weight(scale: float) -> dict[str, float]:
    """Bytes that a waiting packet takes beyond itself."""
    packets = make_packets(max(1000, int(100_000 * scale)))
    mailbox = make_mailbox()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for packet in packets:
        mailbox.add_packet(packet)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    mailbox.stop()
    return {"bytes": (after - before) / len(packets)}


def expiry(scale: float) -> dict[str, float]:
    """100,000 Adds that expire together, compared with calling the callbacks so many times.

    The callbacks are `fetch_update`, the `encrypt_first_hop` of a forwarded Add's obfuscator
    (the real one: SHA-256 and ChaCha20), and a `forward_packets` that counts. A local Add has no
    obfuscator, so next to nothing of the work on it is the callbacks'.
    """
    count = max(100, int(100_000 * scale))
    kinds = {"local": _no_obfuscator}
    if importlib.util.find_spec("cryptography") is not None:
        kinds["forwarded"] = _obfuscator
    numbers = {}
    for kind, make_obfuscator in kinds.items():
        turns: dict[str, Callable[[], float]] = {
            "mailbox": partial(_expire, count, make_obfuscator()),
            "callbacks": partial(_call_back, count, make_obfuscator()),
        }
        mailbox, callbacks = take_turns(turns, 3).values()
        numbers[f"{kind}: ratio"] = ratio(callbacks, mailbox)
        numbers[f"{kind}: µs"] = statistics.median(mailbox) * 1e6
        numbers[f"{kind}: callbacks µs"] = statistics.median(callbacks) * 1e6
    return numbers


def _no_obfuscator() -> Any:
    return None


def _obfuscator() -> Any:
    from lnmailbox.sphinx import SphinxErrorEncrypter

    return SphinxErrorEncrypter(bytes(range(32)))


class _Switch:
    """The callbacks of a mailbox."""

    def __init__(self, expected: int) -> None:
        self._update = ChannelUpdate(message_flags=1, htlc_maximum_msat=150_000_000)
        self._left = expected
        self.all_came = threading.Event()

    def fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        return self._update

    def forward_packets(self, quit: object, *packets: HTLCPacket) -> None:  # noqa: A002
        self._left -= len(packets)
        if not self._left:
            self.all_came.set()


def _expire(count: int, obfuscator: Any) -> float:
    clock, switch = ManualClock(), _Switch(count)
    config = MailBoxConfig(
        short_chan_id=CHANNEL,
        fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets,
        clock=clock,
    )
    packets = make_packets(count)
    for packet in packets:
        packet.obfuscator = obfuscator
    with MemoryMailBox(config) as mailbox:
        mailbox.add_packets(packets)
        start = perf_counter()
        clock.advance(60)
        switch.all_came.wait()
        return (perf_counter() - start) / count


def _call_back(count: int, obfuscator: Any) -> float:
    switch = _Switch(count)
    failure = TemporaryChannelFailure(switch.fetch_update(CHANNEL))
    (packet,) = make_packets(1)

    def call_back() -> None:
        quit_, fetch, forward = switch.all_came, switch.fetch_update, switch.forward_packets
        for _ in range(count):
            fetch(CHANNEL)
            if obfuscator is not None:
                obfuscator.encrypt_first_hop(failure)
            forward(quit_, packet)

    thread = threading.Thread(target=call_back)
    start = perf_counter()
    thread.start()
    switch.all_came.wait()
    seconds = (perf_counter() - start) / count
    thread.join()
    return seconds
