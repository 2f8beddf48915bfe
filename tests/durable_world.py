"""A world whose mail is in a journal, and the operations that change it on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from durable import open_journal
from lnmailbox import MailBoxConfig
from lnmailbox.packet import is_add
from operations import World

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

    def _options(self) -> dict[str, Any]:
        self.folder = tempfile.TemporaryDirectory(dir=RAM)
        self.journal = open_journal(Path(self.folder.name) / "journal")
        return {"journal": self.journal}

    def _make_box(self, config: MailBoxConfig) -> Any:
        return self.journal.mailbox(config)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.journal.close()
        self.folder.cleanup()

    def check_file(self, place: str) -> None:
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
