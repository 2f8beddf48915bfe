"""A link in an event loop, beside a switch that runs on a thread."""

from __future__ import annotations

import asyncio
import threading

from lnmailbox import HTLCPacket, MailBox, MailBoxConfig, MailBoxShuttingDown, MemoryMailBox
from lnmailbox.wire import (
    ChannelUpdate,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
)

ADDS = 3


# [packets
async def serve_packets(box: MailBox, all_sent: asyncio.Event) -> None:
    async for packet in box.packet_outbox:  # until the mailbox is stopped
        print("to the peer:", type(packet.htlc).__name__, packet.incoming_htlc_id)
        await asyncio.sleep(0)  # stands for sending it
        box.ack_packet(packet.in_key)
        if packet.incoming_htlc_id == ADDS - 1:
            all_sent.set()
    # packets]


# [messages
async def serve_messages(box: MailBox, silence: asyncio.Event) -> None:
    received = 0
    while True:
        try:
            message = await asyncio.wait_for(box.message_outbox.async_get(), 0.05)
        except asyncio.TimeoutError:
            if received:
                silence.set()  # and nothing was taken
        except MailBoxShuttingDown:
            return
        else:
            received += 1
            print("from the peer:", type(message).__name__)
    # messages]


def switch(box: MailBox, told_to_end: threading.Event) -> None:
    """Runs on a thread of its own and knows nothing of the loop."""
    for number in range(ADDS):
        box.add_packet(HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC()))
    box.add_packet(HTLCPacket(incoming_htlc_id=9, htlc=UpdateFulfillHTLC()))
    box.add_message(UpdateFailHTLC(id=7))
    told_to_end.wait()
    box.stop()  # not in the loop, because it waits for callbacks


async def link(box: MailBox, told_to_end: threading.Event) -> None:
    all_sent, silence = asyncio.Event(), asyncio.Event()
    tasks = asyncio.gather(serve_packets(box, all_sent), serve_messages(box, silence))
    await all_sent.wait()
    await silence.wait()
    print("all is sent, and the peer is silent")
    told_to_end.set()
    await tasks


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def main() -> None:
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(880000, 1, 1),
        fetch_update=no_update,
        forward_packets=lambda *_: None,
    )
    told_to_end = threading.Event()
    with MemoryMailBox(config) as box:
        thread = threading.Thread(target=switch, args=(box, told_to_end), name="switch")
        thread.start()
        asyncio.run(link(box, told_to_end))
        thread.join()
        print("left unacked:", box.statistics().adds_unacked + box.statistics().replies_unacked)


if __name__ == "__main__":
    main()
