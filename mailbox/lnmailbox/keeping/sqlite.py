"""The file of a journal: an SQLite database with tables `lnmailbox_...`, and their rows.

Nothing here locks: the journal, or a program that looks at a file nobody has open, calls one
method at a time.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from ..errors import JournalError
from ..packet import CircuitKey
from ..wire import ChannelID, ShortChannelID
from .schema import (
    COLUMNS,
    DELETES,
    INSERTS,
    SCHEMA,
    STATEMENTS,
    TABLES,
    VERSION,
    Rows,
    unsigned,
)

__all__ = ["ChannelRow", "JournalFile", "PacketRow"]

_SYNC = {"full": "FULL", "normal": "NORMAL"}

_FEW = 500  # variables in a statement

# Without the GIL, a statement of a thread that sleeps is freed when the thread wakes up. So long
# the file would stay locked after `close`.
_CACHED = 128 if getattr(sys, "_is_gil_enabled", lambda: True)() else 0

# SQLite writes the log into the file every 1,000 pages, 4 MiB. A large commit makes it larger.
_LOG_BYTES = 8 << 20


class ChannelRow(NamedTuple):
    """A channel that has, or had, mail."""

    id: int  # in this file
    chan_id: ChannelID
    short_chan_id: ShortChannelID  # 0x0x0 if it was pending when it was written
    packets: int  # that are unacked
    fails: int  # decided, and perhaps not handed over


class PacketRow(NamedTuple):
    """An unacked packet, a parked one, or a Fail that `forward_packets` may not have had.

    What a kind of row does not have is None.
    """

    id: int  # in the order of arrival
    chan_id: ChannelID | None  # of the mailbox; None for a parked one
    short_chan_id: ShortChannelID  # of the mailbox, or for which it is parked
    is_add: bool
    key: CircuitKey | None  # None for a Fail: it is in the data
    date_ns: int | None  # since 1970: the deadline of an Add, the arrival of a reply
    size: int  # of the data, in bytes


class JournalFile:
    """An open journal file. One owner: nobody else can open it meanwhile.

    Args:
        path: of the file. It is made if it is not there, readable by its owner only.
        sync: "full" or "normal", SQLite's `synchronous`.
        read_only: change nothing, and refuse a file that is not there. To look at a file that
            nobody has open.

    Raises:
        JournalError: the file can't be opened: with the reason.
        ValueError: `sync` is neither "full" nor "normal".
    """

    def __init__(
        self, path: str | os.PathLike[str], *, sync: str = "full", read_only: bool = False
    ) -> None:
        if sync not in tuple(_SYNC):
            raise ValueError(f"sync must be 'full' or 'normal', got {sync!r}")
        self.path = Path(path)
        self.is_read_only = read_only
        self.connection = self._connect(read_only)
        try:
            self._open(_SYNC[sync])
        except BaseException as error:
            self.connection.close()
            if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
                raise JournalError(f"can't open the journal {self.path}: {_why(error)}") from error
            raise

    def _connect(self, read_only: bool) -> sqlite3.Connection:
        path = self.path.absolute()
        mode = "rw"
        try:
            if not read_only:
                # The file holds secrets. SQLite gives its log the same mode. One that is there is
                # not opened here: closing it would give up the lock that this process may have.
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            elif not path.is_file():
                raise FileNotFoundError(2, "no such file")
            elif not os.access(path, os.W_OK):
                if _size(f"{path}-wal"):
                    raise PermissionError(
                        13, "its log has to be read into it, which takes writing"
                    )
                mode = "ro&immutable=1"
            return sqlite3.connect(
                f"file:{quote(os.fspath(path))}?mode={mode}",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_CACHED,
            )
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise JournalError(f"can't open the journal {self.path}: {reason}") from error

    def _open(self, synchronous: str) -> None:
        execute = self.connection.execute
        if self.is_read_only:
            execute("PRAGMA locking_mode = EXCLUSIVE")
            execute("PRAGMA query_only = ON")
            if not self._tables():
                raise JournalError(f"{self.path} is no journal: it has no table lnmailbox_meta")
        else:
            # Exclusive before the first look at the file: no shared memory, one owner.
            execute("PRAGMA locking_mode = EXCLUSIVE")
            execute("PRAGMA journal_mode = WAL").fetchone()
            execute(f"PRAGMA synchronous = {synchronous}")
            execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            if sys.platform == "darwin":
                execute("PRAGMA fullfsync = ON")
                execute("PRAGMA checkpoint_fullfsync = ON")
            execute("BEGIN EXCLUSIVE")
            if not self._tables():
                self._make_tables()
            execute("COMMIT")
        self._require_version()

    def _tables(self) -> set[str]:
        rows = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows if name.startswith("lnmailbox_")}

    def _make_tables(self) -> None:
        for statement in SCHEMA.split(";")[:-1]:
            self.connection.execute(statement)
        self.connection.execute("INSERT INTO lnmailbox_meta VALUES ('version', ?)", (VERSION,))

    def _require_version(self) -> None:
        for table in sorted(COLUMNS):
            found = [row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")]
            if table == "lnmailbox_meta" and found[:2] == COLUMNS[table]:
                self._require_known(self._meta("version"))
        for table, columns in COLUMNS.items():
            found = [row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")]
            if found != columns:
                raise JournalError(
                    f"{self.path} is no journal: its table {table} has the columns "
                    f"{', '.join(found) or 'none'}"
                )
        if self._meta("version") is None:
            raise JournalError(
                f"{self.path} is no journal: it does not say of which version it is"
            )

    def _require_known(self, version: object) -> None:
        if isinstance(version, int) and version > VERSION:
            raise JournalError(
                f"the journal {self.path} is of version {version}, this lnmailbox reads versions "
                f"up to {VERSION}: a newer lnmailbox wrote it"
            )

    def _meta(self, name: str) -> object:
        row = self.connection.execute(
            "SELECT value FROM lnmailbox_meta WHERE name = ?", (name,)
        ).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the file. Idempotent."""
        self.connection.close()

    # Reading

    def last_id(self) -> int:
        """Return the highest id that a row has."""
        tables = ("packet", "fail", "parked")
        highest = [f"(SELECT max(id) FROM lnmailbox_{table})" for table in tables]
        return max(number or 0 for number in self._row(f"SELECT {', '.join(highest)}"))

    def _row(self, sql: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self.connection.execute(sql).fetchone()
        return row

    def index(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Yield `id, channel, is_add, chan_id, htlc_id, date` of every packet, in order."""
        return self.connection.execute(
            "SELECT id, channel, is_add, chan_id, htlc_id, date FROM lnmailbox_packet ORDER BY id"
        )

    def load(self, ids: Sequence[int]) -> list[tuple[int, int, int, int, bytes]]:
        """Return `id, is_add, chan_id, htlc_id, data` of the packets with these ids."""
        found: list[tuple[int, int, int, int, bytes]] = []
        for start in range(0, len(ids), _FEW):
            some = ids[start : start + _FEW]
            marks = ",".join("?" * len(some))
            found += self.connection.execute(
                "SELECT id, is_add, chan_id, htlc_id, data FROM lnmailbox_packet"
                f" WHERE id IN ({marks})",
                some,
            ).fetchall()
        return found

    def channel_ids(self) -> list[tuple[int, bytes, int]]:
        """Return `id, chan_id, short_chan_id` of every channel."""
        return self.connection.execute(
            "SELECT id, chan_id, short_chan_id FROM lnmailbox_channel ORDER BY id"
        ).fetchall()

    def fail_data(self) -> list[tuple[int, int, bytes]]:
        """Return `id, channel, data` of every Fail, in order."""
        return self.connection.execute(
            "SELECT id, channel, data FROM lnmailbox_fail ORDER BY id"
        ).fetchall()

    def parked_data(self) -> list[tuple[int, int, int | None, bytes]]:
        """Return `id, short_chan_id, date, data` of every parked packet, in order."""
        return self.connection.execute(
            "SELECT id, short_chan_id, date, data FROM lnmailbox_parked ORDER BY id"
        ).fetchall()

    # For people

    def channels(self) -> list[ChannelRow]:
        """Return every channel in the file, in the order in which they got mail first."""
        rows = self.connection.execute(
            "SELECT id, chan_id, short_chan_id,"
            " (SELECT count(*) FROM lnmailbox_packet WHERE channel = c.id),"
            " (SELECT count(*) FROM lnmailbox_fail WHERE channel = c.id)"
            " FROM lnmailbox_channel AS c ORDER BY id"
        )
        return [
            ChannelRow(id_, ChannelID(chan_id), _scid(short), packets, fails)
            for id_, chan_id, short, packets, fails in rows
        ]

    def packets(self) -> Iterator[PacketRow]:
        """Yield every unacked packet, in order of arrival."""
        rows = self.connection.execute(
            "SELECT p.id, c.chan_id, c.short_chan_id, is_add, p.chan_id, htlc_id, date,"
            " length(data) FROM lnmailbox_packet AS p JOIN lnmailbox_channel AS c"
            " ON c.id = channel ORDER BY p.id"
        )
        for id_, chan_id, short, is_add, in_chan_id, htlc_id, date, size in rows:
            key = CircuitKey(_scid(in_chan_id), unsigned(htlc_id))
            yield PacketRow(id_, ChannelID(chan_id), _scid(short), bool(is_add), key, date, size)

    def parked(self) -> Iterator[PacketRow]:
        """Yield every parked packet, in order of arrival. An Add without expiry has no date."""
        rows = self.connection.execute(
            "SELECT id, short_chan_id, is_add, chan_id, htlc_id, date, length(data)"
            " FROM lnmailbox_parked ORDER BY id"
        )
        for id_, short, is_add, in_chan_id, htlc_id, date, size in rows:
            key = CircuitKey(_scid(in_chan_id), unsigned(htlc_id))
            yield PacketRow(id_, None, _scid(short), bool(is_add), key, date, size)

    def fails(self) -> Iterator[PacketRow]:
        """Yield every Fail that is not known to be handed over, in order."""
        rows = self.connection.execute(
            "SELECT f.id, c.chan_id, c.short_chan_id, length(data) FROM lnmailbox_fail AS f"
            " JOIN lnmailbox_channel AS c ON c.id = channel ORDER BY f.id"
        )
        for id_, chan_id, short, size in rows:
            yield PacketRow(id_, ChannelID(chan_id), _scid(short), False, None, None, size)

    def data(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield the table, the id and the data of every row that has some."""
        for table in ("packet", "parked", "fail"):
            for id_, data in self.connection.execute(
                f"SELECT id, data FROM lnmailbox_{table} ORDER BY id"
            ):
                yield table, id_, data

    def check(self) -> list[str]:
        """Return what is wrong with the file, one line each: nothing, if it is sound.

        Looks at all of it: some seconds for a gigabyte. Whether the data can be decoded is for
        the codec to say: see `data`.
        """
        found = [text for (text,) in self.connection.execute("PRAGMA integrity_check")]
        wrong = [] if found == ["ok"] else [f"SQLite: {text}" for text in found]
        for table in ("packet", "fail"):
            (count,) = self._row(
                f"SELECT count(*) FROM lnmailbox_{table} WHERE channel NOT IN"
                " (SELECT id FROM lnmailbox_channel)"
            )
            if count:
                wrong.append(f"{count} rows of lnmailbox_{table} have a channel that is not there")
        (count,) = self._row("SELECT count(*) - count(DISTINCT chan_id) FROM lnmailbox_channel")
        if count:
            wrong.append(f"{count} channels are there twice")
        doubles = "channel, is_add, chan_id, htlc_id"
        (count,) = self._row(
            f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT {doubles}"
            " FROM lnmailbox_packet)) FROM lnmailbox_packet"
        )
        if count:
            wrong.append(f"{count} packets have the class and key of another one of their channel")
        return wrong

    def compact(self) -> None:
        """Give back the space of what is gone (`VACUUM`).

        Needs as much space again meanwhile.

        Raises:
            JournalError: SQLite can't; nothing has changed.
        """
        try:
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise JournalError(f"can't compact {self.path}: {_why(error)}") from error

    # Writing

    def write(self, rows: Rows) -> None:
        """Write these rows in a transaction of their own."""
        if len(rows) == 1:
            ((name, values),) = rows.items()
            if len(values) == 1:
                self.connection.execute(STATEMENTS[name], values[0])
                return
        self.connection.execute("BEGIN IMMEDIATE")
        self.write_into(rows)
        self.connection.execute("COMMIT")

    def write_into(self, rows: Rows) -> None:
        """Write these rows in the transaction that is open."""
        executemany = self.connection.executemany
        for name, statement in STATEMENTS.items():
            values = rows.get(name)
            if values:
                executemany(statement, values)

    def undo(self) -> None:
        """End the transaction that is open, if one is, without its changes."""
        if self.connection.in_transaction:
            with suppress(sqlite3.Error):  # it undid it itself
                self.connection.execute("ROLLBACK")

    def has(self, rows: Rows) -> bool:
        """Whether these rows were written, of which either all were or none."""
        for name in INSERTS[1:]:  # a channel may have been there before
            for values in rows.get(name, ()):
                return self._has(name, values)
        for channel in rows.get("channels", ()):
            if channel not in self.channel_ids():
                return False
        return not any(
            self._has(name, values) for name in DELETES for values in rows.get(name, ())
        )

    def _has(self, name: str, values: tuple[Any, ...]) -> bool:
        sql = f"SELECT 1 FROM {TABLES[name]} WHERE id = ?"
        return self.connection.execute(sql, values[:1]).fetchone() is not None


def _scid(number: int) -> ShortChannelID:
    return ShortChannelID.from_int(unsigned(number))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _why(error: Exception) -> str:
    text = str(error)
    if isinstance(error, UnicodeDecodeError):  # SQLite's own text, which names what is damaged
        return f"it is damaged ({text})"
    if "locked" in text:
        return f"somebody has it open, in this process or another ({text})"
    return text
