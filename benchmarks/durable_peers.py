"""Queues and stores on disk, each as one packet put, taken and acked, with a sync for each commit.

Each context manager makes a store anew in a folder, and yields a function that does that with one
packet as bytes. All survive a power cut (`synchronous = FULL`, or what the store calls it), except
where the name says otherwise. They keep bytes: making them, which a mailbox has to do, is not in
their time.
"""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["DURABLE_PEERS", "DurablePeer", "bare_sqlite"]

Once = Callable[[bytes], object]


class DurablePeer(NamedTuple):
    """A way to keep packets on disk until they are acked."""

    name: str
    make: Callable[[Path], contextlib.AbstractContextManager[Once]]
    needs: str
    """The module without which it can't be measured."""


@contextlib.contextmanager
def bare_sqlite(
    folder: Path, synchronous: str = "FULL", batch: int = 1
) -> Iterator[Callable[[list[bytes]], object]]:
    """Insert and delete in two commits, as little as SQLite can do; both of a whole batch."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    execute = connection.execute
    execute("PRAGMA locking_mode = EXCLUSIVE")
    execute("PRAGMA journal_mode = WAL")
    execute(f"PRAGMA synchronous = {synchronous}")
    execute("CREATE TABLE packet (id INTEGER PRIMARY KEY, key INTEGER, data BLOB)")

    def once(packets: list[bytes]) -> None:
        if batch == 1:
            cursor = execute("INSERT INTO packet (key, data) VALUES (?, ?)", (1, packets[0]))
            execute("DELETE FROM packet WHERE id = ?", (cursor.lastrowid,))
            return
        rows = [(number, number, data) for number, data in enumerate(packets)]
        for statement, values in (
            ("INSERT INTO packet VALUES (?, ?, ?)", rows),
            ("DELETE FROM packet WHERE id = ?", [row[:1] for row in rows]),
        ):
            execute("BEGIN")
            connection.executemany(statement, values)
            execute("COMMIT")

    yield once
    connection.close()


@contextlib.contextmanager
def persist_queue(folder: Path) -> Iterator[Once]:
    module: Any = importlib.import_module("persistqueue")
    made = module.SQLiteAckQueue(str(folder / "persist"), auto_commit=True, multithreading=True)

    def once(data: bytes) -> None:
        made.put(data)
        made.ack(made.get())

    yield once
    made.close()


@contextlib.contextmanager
def litequeue(folder: Path) -> Iterator[Once]:
    module: Any = importlib.import_module("litequeue")
    made = module.LiteQueue(folder / "lite.db")
    made.conn.execute("PRAGMA synchronous = FULL")  # it chooses NORMAL

    def once(data: bytes) -> None:
        made.put(data.hex())  # it takes text
        message = made.pop()
        made.done(message.message_id, claim_id=message.claim_id)

    yield once
    made.close()


@contextlib.contextmanager
def huey(folder: Path) -> Iterator[Once]:
    module: Any = importlib.import_module("huey.storage")
    made = module.SqliteStorage(filename=str(folder / "huey.db"), fsync=True)

    def once(data: bytes) -> None:
        made.enqueue(data)
        made.dequeue()

    yield once
    made.close()


@contextlib.contextmanager
def diskcache(folder: Path) -> Iterator[Once]:
    module: Any = importlib.import_module("diskcache")
    made = module.Cache(str(folder / "cache"), sqlite_synchronous=2)

    def once(data: bytes) -> None:
        made.push(data)
        made.pull()

    yield once
    made.close()


@contextlib.contextmanager
def lmdb(folder: Path) -> Iterator[Once]:
    module: Any = importlib.import_module("lmdb")
    made = module.open(str(folder / "lmdb"), map_size=1 << 30)

    def once(data: bytes) -> None:
        with made.begin(write=True) as transaction:
            transaction.put(b"key", data)
        with made.begin() as transaction:
            transaction.get(b"key")
        with made.begin(write=True) as transaction:
            transaction.delete(b"key")

    yield once
    made.close()


@contextlib.contextmanager
def rocksdb(folder: Path) -> Iterator[Once]:
    module: Any = importlib.import_module("rocksdict")
    made = module.Rdict(str(folder / "rocks"), module.Options(raw_mode=True))
    options = module.WriteOptions()
    options.sync = True
    made.set_write_options(options)

    def once(data: bytes) -> None:
        made[b"key"] = data
        made[b"key"]
        del made[b"key"]

    yield once
    made.close()


DURABLE_PEERS = [
    DurablePeer("persist-queue, SQLiteAckQueue", persist_queue, "persistqueue"),
    DurablePeer("litequeue, put, pop, done", litequeue, "litequeue"),
    DurablePeer("huey, SqliteStorage, no ack", huey, "huey"),
    DurablePeer("diskcache, push and pull, no ack", diskcache, "diskcache"),
    DurablePeer("LMDB, put, get, delete", lmdb, "lmdb"),
    DurablePeer("RocksDB (rocksdict), put, get, delete", rocksdb, "rocksdict"),
]
