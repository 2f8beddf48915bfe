"""A world whose mail is in a journal, and the operations that change it on disk."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from durable import open_journal
from lnmailbox import MailBoxConfig
from lnmailbox.packet import is_add
from lnmailbox.testing.conformance.base import add, key, settle
from lnmailbox.testing.switch import raiser
from operations import OPERATIONS, Row, World, calm, keys, live

# A thousand files are made here, each of which would wait for the disk several times.
RAM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


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

    def settle(self) -> None:
        self.journal.flush()
        super().settle()

    def check_file(self, place: str) -> None:
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


def held(world: Any) -> None:
    """All is held for a second mailbox of the channel, as for one of the next process."""
    world.box.add_packets([settle(1), add(2), settle(3), add(4)])
    world.box.stop()
    world.box = world.journal.mailbox(world.box._config)
    world.box.start()
    world.wait_for_mail()


def lazy(world: Any) -> None:
    world.journal.lazy_acks = True
    calm(world)


def refused(world: Any) -> None:
    """The Fail of 4 was refused, and stays on disk."""
    live(world)
    world.box.add_packets([settle(1), add(4), add(6)])
    world.switch.when["forward_packets"] = raiser(ValueError)
    world.box.fail_add(add(4))


def transact(world: Any) -> None:
    with world.journal.transaction():
        world.box.ack_packets(keys(1, 4))
        world.box.add_packets([settle(11), add(12)])


def transact_in_vain(world: Any) -> None:
    with suppress(ZeroDivisionError), world.journal.transaction():
        world.box.ack_packets(keys(2, 3))
        world.box.add_packet(add(12))
        raise ZeroDivisionError


def back_up(world: Any) -> None:
    copy = Path(world.folder.name) / "copy"
    copy.unlink(missing_ok=True)
    world.journal.backup(copy)


CHANGES: dict[str, Row] = {
    **{
        name: OPERATIONS[name]
        for name in [
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
    },
    "transaction": Row(calm, transact),
    "transaction that raises": Row(calm, transact_in_vain),
    "transaction after lazy acks": Row(
        lazy, lambda w: (w.box.ack_packet(key(2)), transact(w)), True
    ),
    "ack_packet, lazily": Row(lazy, lambda w: w.box.ack_packet(key(1))),
    "ack_packets, lazily": Row(lazy, lambda w: w.box.ack_packets(keys(1, 2, 3, 4)), partly=True),
    "reset_packets of what is held": Row(held, lambda w: w.box.reset_packets()),
    "nack_packet of what is held": Row(held, lambda w: w.box.nack_packet(key(2))),
    "ack_packet of what is held": Row(held, lambda w: w.box.ack_packet(key(3))),
    "fail_add of what is held": Row(held, lambda w: w.box.fail_add(add(4))),
    "unacked of what is held": Row(held, lambda w: w.box.unacked()),
    "backup": Row(calm, back_up),
    "remove_mailbox with a Fail": Row(
        refused, lambda w: w.orchestrator.remove_mailbox(w.box._channel.chan_id), partly=True
    ),
}
