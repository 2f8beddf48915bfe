"""A link: one loop over both outboxes of its mailbox and over events of its own.

lnd's link waits in one Go `select` for packets, messages, timers and requests. Here the
mailbox's part of it comes out of the outboxes, and the rest out of a queue: each put is followed
by a `wake` of the selector.
"""

from __future__ import annotations

import queue
import threading

from lnmailbox import HTLCPacket, MailBoxConfig, MailSelector, MemoryMailBox, select
from lnmailbox.wire import (
    ChannelUpdate,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
)

CHANNEL = ShortChannelID(880000, 1, 1)


# [link
class Link:
    """Takes the mailbox's items one by one, and acks packets with the next commitment."""

    def __init__(self, box: MemoryMailBox) -> None:
        self.box = box
        self.own_events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.selector = MailSelector()
        self.selector.register(box.message_outbox)
        self.selector.register(box.packet_outbox)
        self.uncommitted: list[HTLCPacket] = []
        self.committed = 0

    def tell(self, event: str) -> None:
        """Hand in an event; from any thread."""
        self.own_events.put(event)
        self.selector.wake()

    def run(self) -> None:
        with self.selector:
            while True:
                self.selector.select()  # until there is mail, or an event of our own
                while not self.own_events.empty():
                    event = self.own_events.get()
                    if event == "quit":
                        return
                    self.on_event(event)
                try:
                    outbox, item = select(
                        self.box.packet_outbox, self.box.message_outbox, timeout=0
                    )
                except queue.Empty:
                    continue
                if outbox is self.box.packet_outbox:
                    self.on_packet(item)
                else:
                    print("from the peer:", type(item).__name__, item.id)

    # link]

    def on_packet(self, packet: HTLCPacket) -> None:
        print("to the peer:", type(packet.htlc).__name__, packet.incoming_htlc_id)
        self.uncommitted.append(packet)

    def on_event(self, event: str) -> None:
        if event == "batch tick":
            acked = self.box.ack_packets([packet.in_key for packet in self.uncommitted])
            self.committed += acked
            self.uncommitted.clear()
        elif event == "peer reconnected":
            self.uncommitted.clear()
            self.box.reset_packets()  # everything that is not committed comes again


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def a_packet(number: int, htlc: UpdateAddHTLC | UpdateFulfillHTLC) -> HTLCPacket:
    return HTLCPacket(incoming_chan_id=CHANNEL, incoming_htlc_id=number, htlc=htlc)


def switch(box: MemoryMailBox, link: Link) -> None:
    """Treat a link as the other threads of a node do."""
    box.add_message(UpdateFailHTLC(id=3))
    box.add_packets([a_packet(1, UpdateAddHTLC()), a_packet(2, UpdateAddHTLC())])
    link.tell("batch tick")
    box.add_packet(a_packet(9, UpdateFulfillHTLC()))
    link.tell("peer reconnected")
    # Ticks until everything is committed, as a timer would send them.
    while box.statistics().adds_unacked or box.statistics().replies_unacked:
        link.tell("batch tick")
        threading.Event().wait(0.001)
    link.tell("quit")


def main() -> None:
    config = MailBoxConfig(
        short_chan_id=CHANNEL, fetch_update=no_update, forward_packets=lambda *_: None
    )
    with MemoryMailBox(config) as box:
        link = Link(box)
        thread = threading.Thread(target=switch, args=(box, link), name="switch")
        thread.start()
        link.run()
        thread.join()
        print(f"committed {link.committed} packets, {len(link.uncommitted)} left")


if __name__ == "__main__":
    main()
