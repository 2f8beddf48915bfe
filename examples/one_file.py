"""A node's own tables and its mail in one file: signing and acking are one commit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from lnmailbox import HTLCPacket, MailBoxConfig, SQLiteJournal
from lnmailbox.wire import ChannelID, ChannelUpdate, ShortChannelID, UpdateAddHTLC


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def config() -> MailBoxConfig:
    return MailBoxConfig(
        chan_id=ChannelID(b"\x01" * 32),
        short_chan_id=ShortChannelID(880000, 1, 0),
        fetch_update=no_update,
        forward_packets=lambda *_: None,
    )


def node(path: Path) -> None:
    with SQLiteJournal(path) as journal, journal.mailbox(config()) as mailbox:
        with journal.transaction() as database:
            database.execute("CREATE TABLE IF NOT EXISTS signed (htlc_id)")
            signed = [number for (number,) in database.execute("SELECT htlc_id FROM signed")]
        say(f"signed: {signed}")
        say(f"held: {[key.htlc_id for key in mailbox.held()]}")
        mailbox.reset_packets()
        if not signed:
            for number in range(4):
                mailbox.add_packet(
                    HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC(id=number))
                )
        while mailbox.packet_outbox.qsize():
            # [link
            packet = mailbox.packet_outbox.get()
            with journal.transaction() as database:
                database.execute("INSERT INTO signed VALUES (?)", [packet.incoming_htlc_id])
                mailbox.ack_packet(packet.in_key)
                # link]
                if packet.incoming_htlc_id == 2 and not signed:
                    os.kill(os.getpid(), signal.SIGKILL)
        say(f"left: {mailbox.statistics().adds_unacked}")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    if len(sys.argv) > 1:
        node(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            say(f"the {name} process:")
            command = [sys.executable, __file__, str(Path(folder) / "node.db")]
            status = subprocess.run(command, check=False).returncode
            say("was killed" if status == -signal.SIGKILL else f"ended with status {status}")


if __name__ == "__main__":
    main()
