"""A node that is killed, without warning, and started again: what it does with its mail."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lnmailbox import (
    CircuitKey,
    HTLCPacket,
    MailOrchestrator,
    MailOrchestratorConfig,
    SQLiteJournal,
)
from lnmailbox.wire import ChannelID, ChannelUpdate, ShortChannelID, UpdateAddHTLC

CHAN_ID = ChannelID(b"\x01" * 32)
SHORT_CHAN_ID = ShortChannelID(880000, 1, 0)


# [state
class ChannelState:
    """What this node has signed: here a table, in a node its channel database."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS signed (chan_id, scid, htlc_id)")

    def sign(self, chan_id: ChannelID, key: CircuitKey) -> None:
        self._db.execute("INSERT INTO signed VALUES (?, ?, ?)", (chan_id, *key))

    def contains(self, chan_id: ChannelID, key: CircuitKey) -> bool:
        row = (chan_id, *key)
        found = "SELECT 1 FROM signed WHERE (chan_id, scid, htlc_id) = (?, ?, ?)"
        return self._db.execute(found, row).fetchone() is not None

    def close(self) -> None:
        self._db.close()
        # state]


class Switch:
    def __init__(self) -> None:
        self.failed: set[CircuitKey] = set()

    def fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        raise LookupError(short_chan_id)

    # [forward
    def forward_packets(self, stopping: object, *packets: HTLCPacket) -> None:
        """Take Fails from mailboxes. After a crash one may come twice: the first counts."""
        for packet in packets:
            if packet.in_key not in self.failed:  # a node looks into its circuits, on disk
                self.failed.add(packet.in_key)
                say(f"failed back: Add {packet.incoming_htlc_id}")
        # forward]


# [start
@contextmanager
def started(folder: Path) -> Iterator[tuple[MailOrchestrator, ChannelState]]:
    """Open the files and take up the mail of the process before, if there was one."""
    switch = Switch()
    with (
        closing(ChannelState(folder / "channels.db")) as state,
        SQLiteJournal(folder / "node.journal") as journal,
        MailOrchestrator(
            MailOrchestratorConfig(
                fetch_update=switch.fetch_update,
                forward_packets=switch.forward_packets,
                journal=journal,
            )
        ) as orchestrator,
    ):
        # Before a peer is connected: what was signed is acked, the rest is delivered again.
        orchestrator.recover(committed=state.contains)
        yield orchestrator, state
    # start]


def node(folder: Path) -> None:
    with started(folder) as (orchestrator, state):
        box = orchestrator.get_or_create_mailbox(CHAN_ID, SHORT_CHAN_ID)
        orchestrator.bind_live_short_chan_id(box, CHAN_ID, SHORT_CHAN_ID)
        left = box.statistics().adds_unacked
        say(f"started with {left} packets that the channel state does not have")
        if not left:
            for number in range(6):
                packet = HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC(id=number))
                orchestrator.deliver(SHORT_CHAN_ID, packet)
            say("accepted 6 Adds")
        for _ in range(left or 6):
            packet = box.packet_outbox.get_nowait()
            say(f"to the peer: Add {packet.incoming_htlc_id}")
            if packet.incoming_htlc_id == 3 and not left:
                os.kill(os.getpid(), signal.SIGKILL)  # sent to the peer, but not signed
            # [link
            state.sign(CHAN_ID, packet.in_key)
            if packet.incoming_htlc_id == 2:
                continue  # stands for a crash at this point: signed, but not acked
            box.ack_packet(packet.in_key)
            # link]
        say(f"{box.statistics().adds_unacked} packets are left")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    if len(sys.argv) > 1:
        node(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            say(f"the {name} process:")
            status = subprocess.run([sys.executable, __file__, folder], check=False).returncode
            say("was killed" if status == -signal.SIGKILL else f"ended with status {status}")
        subprocess.run(
            [sys.executable, "-m", "lnmailbox", "journal", "node.journal", "check"],
            cwd=folder,
            check=True,
        )


if __name__ == "__main__":
    main()
