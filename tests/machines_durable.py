"""The machines over journals: their processes end, by a kill or not, and the next ones go on.

After each step the file is read as it is on disk, by `sqlite3` alone, and compared with the model.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from durable import kill, open_journal
from lnmailbox import JournalError, MailBoxConfig, MailOrchestrator, ManualClock
from lnmailbox.testing.conformance.base import EXPIRY, add, key, numbers
from lnmailbox.testing.switch import raiser
from machines import (
    MAX_MESSAGES,
    MailBoxMachine,
    NodeMachine,
    answer,
    some_channel,
    some_number,
    some_packets,
    some_span,
)
from node import channel, short
from plain_durable import PlainDurableMailBox
from plain_durable_node import PlainDurableNode

__all__ = ["DurableMachine", "DurableNodeMachine"]

RAM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
DATE = 1_700_000_000
SECOND = 10**9

PACKETS = """
    SELECT hex(c.chan_id), is_add, p.chan_id, htlc_id, date, hex(substr(data, 12, 8))
    FROM lnmailbox_packet AS p JOIN lnmailbox_channel AS c ON c.id = channel ORDER BY p.id"""
CHANNELS = "SELECT chan_id FROM lnmailbox_channel ORDER BY chan_id"
FAILS = "SELECT hex(substr(data, 12, 8)) FROM lnmailbox_fail ORDER BY id"
PARKED = "SELECT short_chan_id, is_add, htlc_id, date FROM lnmailbox_parked ORDER BY id"


class Process:
    """The journal of a process in a folder of its own, and what it leaves for the next."""

    def __init__(self, **options: Any) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=RAM)
        self.path = Path(self.folder.name) / "journal"
        self.options = options
        self.date = ManualClock(DATE)
        self.open()

    def open(self) -> None:
        self.journal = open_journal(self.path, wall_clock=self.date, **self.options)

    def end(self, *, killed: bool, drift: int = 0) -> None:
        """End it, and begin the next one, on a date that is so many seconds off."""
        path = kill(self.journal, self.path) if killed else self.path
        self.journal.close()
        if path != self.path:
            self.path.unlink()
            self.path = path.replace(self.path)
            log = path.with_name(f"{path.name}-wal")
            if log.exists():
                log.replace(self.path.with_name(f"{self.path.name}-wal"))
        self.date = ManualClock(self.date.now_ns() // SECOND + drift)
        self.open()

    def close(self) -> None:
        self.journal.close()
        with closing(sqlite3.connect(self.path)) as file:
            assert [("ok",)] == file.execute("PRAGMA integrity_check").fetchall()
        self.folder.cleanup()

    @contextmanager
    def on_disk(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to a copy of what the end of the process would leave."""
        copy = kill(self.journal, self.path)
        with closing(sqlite3.connect(copy)) as file:
            yield file

    def check(self) -> None:
        journal = self.journal
        assert journal._turn is None
        assert journal._batch is None
        assert journal._transaction is None
        assert [] == journal._bells
        assert all(ticket.keeps for ticket in journal._queue)
        assert journal._lazy == sum(len(r) for t in journal._queue for r in t.rows.values())


def number_of(text: str) -> int:
    return int(text, 16)


class DurableMachine(MailBoxMachine):
    """A mailbox in a journal, and its successors in the next processes."""

    def make_mailbox(self, config: MailBoxConfig) -> Any:
        self.config = config
        return self.process.journal.mailbox(config)

    def make_plain(self) -> Any:
        return PlainDurableMailBox(EXPIRY, MAX_MESSAGES, self.process.journal.lazy_acks)

    @initialize(start=st.booleans(), lazy=st.booleans())
    def make(self, start: bool, lazy: bool) -> None:
        self.process = Process(lazy_acks=lazy)
        self.rows: list[int] = []  # of the application
        with self.process.journal.transaction() as connection:
            connection.execute("CREATE TABLE own (number)")
        super().make(start)

    def kept(self) -> list[int]:
        """Return it without reading the packets of an earlier process."""
        shelves = self.box._replies, self.box._adds
        return [entry.key.htlc_id for shelf in shelves for entry in shelf.unacked.values()]

    @rule()
    def unacked(self) -> None:
        found = numbers(self.box.unacked())

        assert [item.number for kind in ("reply", "add") for item in self.plain.of(kind)] == found

    @rule(span=some_span)
    def advance(self, span: float) -> None:
        self.process.date.advance(span)
        super().advance(span)

    @rule(refuses=st.booleans())
    def refuse(self, refuses: bool) -> None:
        """Have the switch accept Fails from now on, or not."""
        self.plain.refuses = refuses
        self.switch.when.pop("forward_packets", None)
        if refuses:
            self.switch.when["forward_packets"] = raiser(ValueError)

    @precondition(lambda self: self.done % 4 == 3)  # or there is little else
    @rule(
        killed=st.booleans(),
        drift=st.sampled_from([0, 0, round(EXPIRY) // 2, 10**6, -7, -(10**6)]),
        start=st.booleans(),
    )
    def next_process(self, killed: bool, drift: int, start: bool) -> None:
        self.plain.reopen(killed, drift)
        if not killed:
            self.box.stop()
        box, self.box = self.box, None
        self.process.end(killed=killed, drift=drift)
        box.stop()
        self.box = self.make_mailbox(self.config)
        if start:
            self.start()

    @precondition(lambda self: self.done % 5 == 4)  # the same
    @rule(start=st.booleans())
    def next_mailbox(self, start: bool) -> None:
        """Give the channel another mailbox in the same process."""
        last = self.box
        if not self.plain.stopped:
            assert "JournalError" == refused(self.make_mailbox, self.config)
        last.stop()
        self.plain.reopen(False, 0)
        self.box = self.make_mailbox(self.config)

        assert "JournalError" == refused(last.ack_packet, key(1))

        if start:
            self.start()

    @rule(
        changes=st.lists(
            st.one_of(
                st.tuples(st.just("ack"), st.lists(some_number, max_size=3)),
                st.tuples(st.just("add"), some_packets),
                st.tuples(st.sampled_from(["take", "nack", "reset"]), some_number),
            ),
            max_size=4,
        ),
        end=st.sampled_from(["commits", "commits", "raises", "rolls back"]),
        span=some_span,
    )
    def transaction(self, changes: list[Any], end: str, span: float) -> None:
        """Change mail and a row of the application's own together."""
        try:
            with self.process.journal.transaction() as connection:
                connection.execute("INSERT INTO own VALUES (?)", (self.steps,))
                self.plain.in_transaction = True
                for what, argument in changes:
                    self.change(what, argument)
                if end == "commits":
                    self.advance(span)
                elif end == "raises":
                    raise ZeroDivisionError
                else:
                    connection.execute("ROLLBACK")
        except (ZeroDivisionError, JournalError):
            assert end != "commits"
        else:
            assert end == "commits"
            self.rows.append(self.steps)
        self.plain.end_transaction(end == "commits")

    def change(self, what: str, argument: Any) -> None:
        if what == "ack":
            self.ack_all(argument)
        elif what == "add":
            self.add_all(argument)
        elif what == "take":
            self.get_batch(argument)
        elif any(item.deadline <= self.plain.now for item in self.plain.of("add", "link")):
            pass  # if it waited, a courier could fail it before or after the next change
        elif what == "nack":
            self.nack(argument)
        else:
            self.reset_packets()

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "box"):
            return
        super().agree()
        plain, box = self.plain, self.box
        self.process.check()
        assert {} == box._reply_rows.coming == box._add_rows.coming
        held = [i.number for kind in ("reply", "add") for i in plain.of(kind) if i in plain.held]
        assert held == [one.htlc_id for one in box.held()]
        assert len(held) == box.statistics().packets_held
        has_mail = bool(plain.items or any(not fail.is_handed_over for fail in plain.decided))
        assert has_mail is bool(box.has_mail())
        with self.process.on_disk() as file:
            packets = file.execute(PACKETS).fetchall()
            fails = [number_of(text) for (text,) in file.execute(FAILS)]
            rows = [number for (number,) in file.execute("SELECT number FROM own")]
        assert self.rows == rows
        assert [fail.number for fail in plain.decided] == fails
        assert [
            (
                bytes(channel(1)).hex().upper(),
                item.kind == "add",
                key(item.number).chan_id,
                item.number,
                round((DATE + item.date - (0 if item.kind == "add" else EXPIRY)) * SECOND),
                f"{item.number:016X}",
            )
            for item in plain.rows
        ] == packets

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "process"):
            self.process.close()


class DurableNodeMachine(NodeMachine):
    """An orchestrator with a journal, and its successors in the next processes."""

    kind_of_plain = PlainDurableNode

    @initialize()
    def make(self) -> None:
        self.process = Process()
        self.options = {"journal": self.process.journal}
        super().make()

    @rule(span=some_span)
    def advance(self, span: float) -> None:
        self.process.date.advance(span)
        super().advance(span)

    @precondition(lambda self: self.boxes)
    @rule(data=st.data(), number=some_number, refuses=st.booleans())
    def fail_add(self, data: st.DataObject, number: int, refuses: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.boxes)))
        self.refuse(refuses)

        assert self.plain.boxes[name].fail_add(number, True) == self.boxes[name].fail_add(
            add(number)
        )

    @precondition(lambda self: self.boxes)
    @rule(data=st.data(), packets=some_packets)
    def add_all(self, data: st.DataObject, packets: list[tuple[str, int]]) -> None:
        name = data.draw(st.sampled_from(sorted(self.boxes)))
        new = [self.packet(*packet) for packet in packets]

        assert self.plain.boxes[name].add(*packets) == answer(self.boxes[name].add_packets, new)

    @rule(number=some_channel)
    def come_back(self, number: int) -> None:
        """Remove a mailbox, and give its channel another one."""
        self.remove(number)
        self.get_or_create(number)

    @rule(refuses=st.booleans())
    def refuse(self, refuses: bool) -> None:
        """Have the switch accept Fails from now on, or not."""
        self.plain.refuses = refuses
        self.switch.when.clear()
        if refuses:
            self.switch.when["forward_packets"] = raiser(ValueError)

    @precondition(lambda self: self.done % 4 == 3)  # or there is little else
    @rule(
        killed=st.booleans(),
        committed=st.sets(some_number),
        adds=st.sampled_from(["replay", "replay", "fail"]),
    )
    def next_process(self, killed: bool, committed: set[int], adds: str) -> None:
        last = self.node
        if not killed:
            last.stop()
        self.process.end(killed=killed)
        last.stop()
        self.config = attrs.evolve(self.config, journal=self.process.journal)
        self.node = MailOrchestrator(self.config)
        self.plain.restart()
        found = self.node.recover(lambda chan_id, key: key.htlc_id in committed, adds)
        recovered = [int.from_bytes(chan_id, "big") for chan_id in found]

        assert self.plain.recover(committed, adds == "fail") == sorted(recovered)
        self.boxes = {
            number: self.node.get_or_create_mailbox(channel(number), short(9))
            for number in recovered
        }

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "process"):
            return
        super().agree()
        self.process.journal.flush()
        self.process.check()
        with self.process.on_disk() as file:
            packets = [row[:4] for row in file.execute(PACKETS)]
            fails = [number_of(text) for (text,) in file.execute(FAILS)]
            parked = file.execute(PARKED).fetchall()
            channels = file.execute(CHANNELS).fetchall()
        assert sorted(itertools.chain(*self.plain.decided.values())) == sorted(fails)
        for number, box in self.plain.boxes.items():
            id_ = bytes(channel(number)).hex().upper()
            kept = [(item.kind == "add", item.number) for item in box.items]
            assert kept == [(row[1], row[3]) for row in packets if row[0] == id_]
        assert len(packets) == sum(len(box.items) for box in self.plain.boxes.values())
        for id_, rows in self.plain.parked_rows().items():
            kept = [(kind == "add", number) for kind, number, _ in rows]
            assert kept == [(row[1], row[2]) for row in parked if row[0] == int(short(id_))]
            dates = [(DATE + date) * SECOND for kind, _, date in rows if kind == "add"]
            assert dates == [row[3] for row in parked if row[1] and row[0] == int(short(id_))]
        assert channels == sorted(set(channels))
        assert len(parked) == sum(map(len, self.plain.parked_rows().values()))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "process"):
            self.process.close()


def refused(call: Any, *args: Any) -> str:
    try:
        call(*args)
    except JournalError as error:
        return type(error).__name__
    return ""
