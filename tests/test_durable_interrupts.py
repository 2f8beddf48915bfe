"""Durable mailboxes, interrupted at every moment: memory and the file agree afterwards."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from durable import open_journal
from lnmailbox.failing import courier
from lnmailbox.packet import is_add
from long_runs import DOES_MANY
from moments import Interrupt, Moment
from operations import EXPECTED, OPERATIONS, World, is_between, outcome, repeat


@pytest.fixture(autouse=True)
def quick_threads(monkeypatch, caplog):
    """Couriers without work end at once, and nobody listens to complaints."""
    monkeypatch.setattr(courier, "_LINGER", 0.0)
    caplog.set_level(logging.CRITICAL, "lnmailbox")


pytestmark = pytest.mark.skipif(
    sys.version_info[:2] == (3, 11) and sys.gettrace() is not None,
    reason="with a tracer, Python 3.11 looks for signals until there is none",
)

# A thousand files are made here, each of which would wait for the disk several times.
RAM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

CHANGES = [
    "add_packet of a reply",
    "add_packet of a first Add",
    "add_packet of a duplicate",
    "add_packets",
    "ack_packet of a delivered reply",
    "ack_packet of a waiting Add",
    "ack_packet of a claimed Add",
    "ack_packets",
    "ack_packets of stuck",
    "nack_packet of an Add",
    "fail_add of a waiting Add",
    "fail_add of a forwarded Add",
    "fail_add of an overdue Add",
    "fail_add of a stuck Add",
    "reset_packets that are overdue",
    "start",
    "stop",
    "short_chan_id",
    "get_or_create_mailbox",
    "deliver",
    "deliver what is parked",
    "bind_live_short_chan_id",
    "drop_parked",
    "remove_mailbox",
]


class DurableWorld(World):
    """Its mailbox is in a journal, and what its orchestrator parks as well."""

    def _options(self):
        self.folder = tempfile.TemporaryDirectory(dir=RAM)
        self.journal = open_journal(Path(self.folder.name) / "journal")
        return {"journal": self.journal}

    def _make_box(self, config):
        return self.journal.mailbox(config)

    def __exit__(self, *error):
        super().__exit__(*error)
        self.journal.close()
        self.folder.cleanup()

    def check_file(self, place):
        """Assert that the next process finds what is in memory."""
        assert self.journal._turn is None
        self.journal.flush()
        assert not self.journal._queue
        assert self.journal._batch is None
        boxes = {self.box, *self.orchestrator._mailboxes.values()}
        unacked = [(is_add(packet), packet.in_key) for box in boxes for packet in box.unacked()]
        kept = [(row.is_add, row.key) for row in self.journal._file.packets()]
        assert sorted(unacked) == sorted(kept), place
        parked = [
            packet.in_key
            for packets in self.orchestrator._unclaimed_packets._channels.values()
            for _, packet in packets.values()
        ]
        kept = [row.key for row in self.journal._file.parked()]
        assert parked == kept or (self.orchestrator._stopped and not parked), place
        for shelf in (self.box._reply_rows, self.box._add_rows):
            assert {} == shelf.coming
        assert [] == self.journal._file.check()


@pytest.mark.parametrize("name", CHANGES if DOES_MANY else CHANGES[:6])
def test_an_interrupted_change_is_done_or_undone_on_disk_too(name):
    row = OPERATIONS[name]
    before, after = (outcome(row, times=times, world_of=DurableWorld) for times in (0, 1))
    for number in count(1):
        moment = Moment(number)
        with DurableWorld() as world:
            row.state(world)
            with suppress(Interrupt, *EXPECTED):
                moment.run(lambda world=world: row.operation(world))

            world.check()
            world.settle()
            state = world.state()
            world.check_file(moment.place)
            repeat(row, world)
            world.check()
            world.settle()
            world.check_file(moment.place)
            world.finish()

        if not moment.place:
            assert after == state
            break
        if row.partly:
            assert is_between(state, before, after), moment.place
        else:
            assert state in (before, after), moment.place
    assert number > 1
