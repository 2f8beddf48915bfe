"""End on SIGTERM: finish the mail that is there, stop, and count the rest for the next start."""

from __future__ import annotations

import queue
import signal
import threading

from lnmailbox import (
    HTLCPacket,
    MailBox,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailSelector,
)
from lnmailbox.wire import ChannelID, ChannelUpdate, ShortChannelID, UpdateAddHTLC

OFFLINE = 3  # the channel whose peer is away: nothing of it gets acked


# [worker
def serve(selector: MailSelector, closing: threading.Event) -> None:
    """Until told to close; then until there is no mail left."""
    while True:
        last_look = closing.is_set()
        ready = selector.select(0 if last_look else None)
        for box, outbox in [(key.data, key.outbox) for key in ready]:
            try:
                packets = outbox.get_batch(32, block=False)
            except queue.Empty:
                continue
            if box.short_chan_id.tx_index != OFFLINE:
                box.ack_packets([packet.in_key for packet in packets])
        if last_look and not ready:
            return
    # worker]


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def make_channel(orchestrator: MailOrchestrator, number: int) -> MailBox:
    chan_id = ChannelID(bytes(31) + bytes([number]))
    short_chan_id = ShortChannelID(880000, number, 0)
    box = orchestrator.get_or_create_mailbox(chan_id, short_chan_id)
    orchestrator.bind_live_short_chan_id(box, chan_id, short_chan_id)
    return box


def main() -> None:
    # [main
    # As Ctrl-C does: KeyboardInterrupt in the main thread. A handler must not call into a
    # mailbox or selector itself: it may have interrupted one in the middle of a method.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    config = MailOrchestratorConfig(fetch_update=no_update, forward_packets=lambda *_: None)
    closing = threading.Event()
    with MailOrchestrator(config) as orchestrator, MailSelector() as selector:
        boxes = [make_channel(orchestrator, number) for number in range(1, 5)]
        for box in boxes:
            selector.register(box.packet_outbox, data=box)
        workers = [threading.Thread(target=serve, args=(selector, closing)) for _ in range(2)]
        for worker in workers:
            worker.start()
        try:
            run_the_node(orchestrator, boxes)
        except KeyboardInterrupt:
            print("told to end")
        finally:
            closing.set()
            selector.wake()
            for worker in workers:
                worker.join()
            print("the workers are done")
            orchestrator.stop()
    # main]
    for box in boxes:
        left = box.statistics().adds_unacked
        print(f"{box.short_chan_id}: {left} unacked" + " (to be replayed)" * bool(left))
    try:
        orchestrator.deliver(boxes[0].short_chan_id, HTLCPacket(htlc=UpdateAddHTLC()))
    except MailBoxShuttingDown as error:
        print(f"deliver: {error}")


def run_the_node(orchestrator: MailOrchestrator, boxes: list[MailBox]) -> None:
    for number in range(10):
        for box in boxes:
            packet = HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC())
            orchestrator.deliver(box.short_chan_id, packet)
    signal.raise_signal(signal.SIGTERM)  # stands for `kill`, which ends the wait that follows
    threading.Event().wait()


if __name__ == "__main__":
    main()
