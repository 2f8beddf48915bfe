"""Links in processes of their own: one process has the mailboxes, the others ask it for mail."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Sequence
from multiprocessing.managers import BaseManager
from typing import Any

from lnmailbox import CircuitKey, HTLCPacket, MailBox, MailBoxConfig, MemoryMailBox
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC

PACKETS = 1000
DOOMED = 64  # how many packets the first link takes before it is killed


# [node
class Service:
    """What other processes may do with a mailbox. No call waits for longer than a second."""

    def __init__(self, mailbox: MailBox) -> None:
        self._mailbox = mailbox

    def get_batch(self, max_items: int) -> list[HTLCPacket]:
        """Return some packets; none if none has come within a second."""
        try:
            return self._mailbox.packet_outbox.get_batch(max_items, timeout=1.0)
        except queue.Empty:
            return []

    def add_packets(self, packets: Sequence[HTLCPacket]) -> None:
        self._mailbox.add_packets(packets)

    def ack_packets(self, keys: Sequence[CircuitKey]) -> int:
        return self._mailbox.ack_packets(keys)

    def reset_packets(self) -> None:
        self._mailbox.reset_packets()


class Node(BaseManager):
    """The way to the mailboxes: a socket that only this user can open, and a key."""


def serve(mailbox: MailBox, authkey: bytes) -> str:
    """Serve a mailbox from a thread of this process; return the address."""
    service = Service(mailbox)
    methods = ["get_batch", "add_packets", "ack_packets", "reset_packets"]
    Node.register("mailbox", callable=lambda: service, exposed=methods)
    server = Node(authkey=authkey).get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return str(server.address)
    # node]


# [link
def link(address: str, authkey: bytes, reports: Any, max_packets: int | None = None) -> None:
    """Be a link: report each packet that it has committed, then ack it."""
    Node.register("mailbox")
    node = Node(address, authkey)
    node.connect()
    mailbox = node.mailbox()  # type: ignore[attr-defined]
    mailbox.reset_packets()  # the link before may have died with packets that it took
    while packets := mailbox.get_batch(max_packets or 64):
        if max_packets is not None:
            reports.send(f"took {len(packets)} and is killed")
            signal.pause()
        reports.send([packet.incoming_htlc_id for packet in packets])
        mailbox.ack_packets([packet.in_key for packet in packets])
    # link]
    reports.send("no more mail")


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def main() -> None:
    authkey = os.urandom(32)
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(880000, 1, 0),
        fetch_update=no_update,
        forward_packets=lambda *_: None,
    )
    with MemoryMailBox(config) as mailbox:
        address = serve(mailbox, authkey)
        for number in range(PACKETS):
            mailbox.add_packet(HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC(id=number)))

        first, reports = start_link(address, authkey, DOOMED)
        print("the first link", reports.recv())
        first.kill()
        first.join()
        print(f"{mailbox.statistics().adds_unacked} packets are unacked")

        second, reports = start_link(address, authkey)
        committed: list[int] = []
        while isinstance(report := reports.recv(), list):
            committed += report
        second.join()
        print("the second link:", report)
        in_order = committed == list(range(PACKETS))
        print(f"it committed {len(committed)} packets, each once and in order: {in_order}")
        print(f"{mailbox.statistics().adds_unacked} packets are unacked")


def start_link(address: str, authkey: bytes, *doomed: int) -> tuple[Any, Any]:
    spawn = multiprocessing.get_context("spawn")
    reports, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=link, args=(address, authkey, sender, *doomed))
    process.start()
    sender.close()
    return process, reports


if __name__ == "__main__":
    main()
