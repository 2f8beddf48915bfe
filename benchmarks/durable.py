"""A durable mailbox beside bare SQLite, other queues on disk, and its own file when it is opened.

Everything is on one disk, in the folder for temporary files or in `LNMAILBOX_BENCHMARK_DIR`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any

from lnmailbox import HTLCPacket, SQLiteJournal
from lnmailbox.contract import MailBoxConfig
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.sqlite import JournalFile
from lnmailbox.wire import ChannelID, ChannelUpdate, ShortChannelID, UpdateAddHTLC

from .durable_peers import DURABLE_PEERS, bare_sqlite
from .harness import ratio, run_threads, take_turns

__all__ = ["durable", "durable_peers", "reopening"]

BATCH = 64
THREADS = 64
ROUNDS = 7


def durable(scale: float) -> dict[str, float]:
    """Packets added, received and acked, each way beside what SQLite itself can do."""
    packets = _adds(max(2 * BATCH, int(1_500 * scale)))
    data = [PacketCodec().encode(packet) for packet in packets]
    few = max(BATCH, len(packets) // 2)
    ways: dict[str, Callable[[Path], float]] = {
        "full, one by one": partial(_one_by_one, packets[:few], {}),
        "full, 64 threads": partial(_threads, packets, {}),
        "full, batches of 64": partial(_batches, packets * 2, {}),
        "lazy acks, one by one": partial(_one_by_one, packets[:few], {"lazy_acks": True}),
        "normal, one by one": partial(_one_by_one, packets, {"sync": "normal"}),
        "normal, batches of 64": partial(_batches, packets * 2, {"sync": "normal"}),
        "SQLite, full, one by one": partial(_bare, data[:few], "FULL", 1),
        "SQLite, full, batches of 64": partial(_bare, data * 2, "FULL", BATCH),
        "SQLite, normal, one by one": partial(_bare, data, "NORMAL", 1),
        "SQLite, normal, batches of 64": partial(_bare, data * 2, "NORMAL", BATCH),
    }
    taken = take_turns({name: partial(_in_folder, way) for name, way in ways.items()}, ROUNDS)
    gc.unfreeze()
    numbers = {f"{name}: packets/s": 1 / statistics.median(each) for name, each in taken.items()}
    for name, other in {
        "full, one by one": "SQLite, full, one by one",
        "lazy acks, one by one": "SQLite, full, one by one",
        "full, 64 threads": "full, one by one",
        "full, batches of 64": "SQLite, full, batches of 64",
        "normal, one by one": "SQLite, normal, one by one",
        "normal, batches of 64": "SQLite, normal, batches of 64",
    }.items():
        numbers[f"{name}: ratio"] = ratio(taken[other], taken[name])
    return numbers


def durable_peers(scale: float) -> dict[str, float]:
    """One thread, one packet at a time, survives a power cut: a row for each queue or store."""
    packets = _adds(max(20, int(300 * scale)))
    data = [PacketCodec().encode(packet) for packet in packets]
    ways: dict[str, Callable[[Path], float]] = {
        "lnmailbox": partial(_one_by_one, packets, {}),
        "lnmailbox, lazy acks": partial(_one_by_one, packets, {"lazy_acks": True}),
        "SQLite, insert and delete": partial(_bare, data, "FULL", 1),
    }
    for peer in DURABLE_PEERS:
        if importlib.util.find_spec(peer.needs) is not None:
            ways[peer.name] = partial(_peer, peer.make, data)
    taken = take_turns({name: partial(_in_folder, way) for name, way in ways.items()}, ROUNDS)
    gc.unfreeze()
    numbers = {f"{name}: ns": statistics.median(each) * 1e9 for name, each in taken.items()}
    for name, each in taken.items():
        numbers[f"{name}: ratio"] = ratio(taken["SQLite, insert and delete"], each)
    return numbers


def reopening(scale: float) -> dict[str, float]:
    """A file with 1,000,000 Adds in 10,000 mailboxes is opened, and all mailboxes made.

    Then a file with a quarter of that, to see that time goes with the number, and one of 10,000
    channels without mail.
    """
    numbers = {}
    channels = max(20, int(10_000 * scale))
    seconds = {}
    for name, boxes, each in (
        ("empty", channels, 0),
        ("quarter", channels // 4, 100),
        ("all", channels, 100),
    ):
        with _folder() as folder:
            _fill(folder / "node.journal", boxes, each)
            seconds[name], resident = _open(folder / "node.journal", boxes)
        numbers[f"{name}: s"] = seconds[name]
        numbers[f"{name}: MiB"] = resident / 2**20
    numbers["all: linear"] = seconds["all"] / seconds["quarter"] / 4
    return numbers


def _adds(count: int) -> list[HTLCPacket]:
    """Make Adds with onions, as forwarded ones have them."""
    onion = os.urandom(1366)
    return [
        HTLCPacket(
            incoming_htlc_id=number,
            amount=1000,
            htlc=UpdateAddHTLC(id=number, amount=1000, onion_blob=onion),
        )
        for number in range(count)
    ]


def _config(number: int = 1) -> MailBoxConfig:
    return MailBoxConfig(
        short_chan_id=ShortChannelID(880_000, number, 0),
        chan_id=ChannelID(number.to_bytes(32, "big")),
        fetch_update=lambda short_chan_id: ChannelUpdate(),
        forward_packets=lambda stopping, *packets: None,
        expiry=36_000.0,
    )


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    where = os.environ.get("LNMAILBOX_BENCHMARK_DIR")
    with tempfile.TemporaryDirectory(prefix="lnmailbox-", dir=where) as name:
        yield Path(name)


def _in_folder(way: Callable[[Path], float]) -> float:
    with _folder() as folder:
        return way(folder)


@contextlib.contextmanager
def _mailbox(folder: Path, options: dict[str, Any]) -> Iterator[Any]:
    with (
        SQLiteJournal(folder / "node.journal", **options) as journal,
        journal.mailbox(_config()) as mailbox,
    ):
        yield mailbox


def _one_by_one(packets: Sequence[HTLCPacket], options: dict[str, Any], folder: Path) -> float:
    """Return the seconds of a packet."""
    with _mailbox(folder, options) as mailbox:
        return _time(mailbox, packets) / len(packets)


def _time(mailbox: Any, packets: Sequence[HTLCPacket]) -> float:
    add, get, ack = mailbox.add_packet, mailbox.packet_outbox.get, mailbox.ack_packet
    start = perf_counter()
    for packet in packets:
        add(packet)
        ack(get().in_key)
    return perf_counter() - start


def _threads(packets: Sequence[HTLCPacket], options: dict[str, Any], folder: Path) -> float:
    with _mailbox(folder, options) as mailbox:
        parts = [packets[number::THREADS] for number in range(THREADS)]
        return run_threads(*(partial(_time, mailbox, part) for part in parts)) / len(packets)


def _batches(packets: Sequence[HTLCPacket], options: dict[str, Any], folder: Path) -> float:
    batches = [packets[at : at + BATCH] for at in range(0, len(packets) - BATCH + 1, BATCH)]
    with _mailbox(folder, options) as mailbox:
        add, get, ack = mailbox.add_packets, mailbox.packet_outbox.get_batch, mailbox.ack_packets
        start = perf_counter()
        for batch in batches:
            add(batch)
            ack([packet.in_key for packet in get(BATCH)])
        return (perf_counter() - start) / (BATCH * len(batches))


def _bare(data: Sequence[bytes], synchronous: str, batch: int, folder: Path) -> float:
    batches = [list(data[at : at + batch]) for at in range(0, len(data) - batch + 1, batch)]
    with bare_sqlite(folder, synchronous, batch) as once:
        start = perf_counter()
        for one in batches:
            once(one)
        return (perf_counter() - start) / (batch * len(batches))


def _peer(make: Any, data: Sequence[bytes], folder: Path) -> float:
    with make(folder) as once:
        start = perf_counter()
        for one in data:
            once(one)
        return (perf_counter() - start) / len(data)


def _fill(path: Path, boxes: int, each: int) -> None:
    data = PacketCodec().encode(_adds(1)[0])
    date = time_ns() + 36_000 * 10**9
    file = JournalFile(path, sync="normal")
    ids = itertools.count(1)
    file.write(
        {
            "channels": [
                (number, number.to_bytes(32, "big"), 880_000 << 40 | number << 16)
                for number in range(1, boxes + 1)
            ]
        }
    )
    for place in range(each):  # the mailboxes' packets alternate, as they do in a node
        row = [
            (next(ids), box, 1, 880_000 << 40, place, date, data) for box in range(1, boxes + 1)
        ]
        file.write({"packets": row})
    file.close()


def _open(path: Path, boxes: int) -> tuple[float, int]:
    gc.collect()
    before = _resident()
    start = perf_counter()
    with SQLiteJournal(path) as journal:
        made = [journal.mailbox(_config(number)) for number in range(1, boxes + 1)]
        for mailbox in made:
            mailbox.start()
        seconds = perf_counter() - start
        resident = _resident() - before
        for mailbox in made:
            mailbox.stop()
    return seconds, max(resident, 1)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
