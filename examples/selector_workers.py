"""Four worker threads serve 1,000 mailboxes through one selector: every packet exactly once.

And how a worker gets stuck if it trusts that the mail it was told of is still there.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable

from lnmailbox import (
    HTLCPacket,
    MailBoxConfig,
    MailBoxShuttingDown,
    MailSelector,
    MemoryMailBox,
    Outbox,
)
from lnmailbox.receiving.selector import SelectorKey
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC

CHANNELS = 1_000
PACKETS = 5
WORKERS = 4

Handler = Callable[[ShortChannelID, list[HTLCPacket]], None]


# [broken
def serve_broken(selector: MailSelector, finished: threading.Event, handle: Handler) -> None:
    while not finished.is_set():
        for key in selector.select():
            packet = key.outbox.get()  # waits, if another worker took it first
            handle(key.data, [packet])
    # broken]


# [serve
def serve(selector: MailSelector, finished: threading.Event, handle: Handler) -> None:
    while not finished.is_set():
        for key in selector.select():
            try:
                packets = key.outbox.get_batch(32, block=False)
            except queue.Empty:
                continue  # another worker was faster
            handle(key.data, packets)
    # serve]


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def make_mailbox(number: int) -> MemoryMailBox:
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(880000, number, 0),
        fetch_update=no_update,
        forward_packets=lambda *_: None,
    )
    box = MemoryMailBox(config)
    box.start()
    return box


def an_add(number: int) -> HTLCPacket:
    return HTLCPacket(incoming_htlc_id=number, htlc=UpdateAddHTLC())


class Emptied:
    """An outbox whose item somebody else has just taken."""

    def __init__(self, outbox: Outbox[HTLCPacket], entered: threading.Event) -> None:
        outbox.get_nowait()
        self.outbox = outbox
        self.entered = entered

    def get(self) -> HTLCPacket:
        self.entered.set()
        return self.outbox.get()

    def get_batch(self, max_items: int, block: bool) -> list[HTLCPacket]:
        return self.outbox.get_batch(max_items, block)


class Overtaken(MailSelector):
    """Its users always find that another one was faster at the first of the mailboxes."""

    def __init__(self) -> None:
        super().__init__()
        self.worker_sits_in_get = threading.Event()

    def select(self, timeout: float | None = None) -> list[SelectorKey]:
        return [
            key._replace(outbox=Emptied(key.outbox, self.worker_sits_in_get))
            if key.data == "first"
            else key
            for key in super().select(timeout)
        ]


def one_worker_that_is_overtaken(work: Callable[..., None]) -> str:
    """Have it serve two mailboxes, in the first of which it comes too late."""
    first, second = make_mailbox(1), make_mailbox(2)
    first.add_packet(an_add(1))
    second.add_packet(an_add(2))
    served = threading.Event()

    def run() -> None:
        try:
            work(selector, served, lambda *_: served.set())
        except MailBoxShuttingDown:
            pass  # how the broken one gets free, in the end

    with first, second, Overtaken() as selector:
        selector.register(first.packet_outbox, "first")
        selector.register(second.packet_outbox, "second")
        worker = threading.Thread(target=run)
        worker.start()
        while not (served.wait(0.01) or selector.worker_sits_in_get.is_set()):
            pass
        second_served = served.is_set()
        first.stop()
        worker.join()
    return "serves the second mailbox" if second_served else "sits and waits at the first mailbox"


def main() -> None:
    boxes = [make_mailbox(number) for number in range(CHANNELS)]
    finished = threading.Event()
    lock = threading.Lock()
    delivered: Counter[tuple[ShortChannelID, int]] = Counter()

    def handle(channel: ShortChannelID, packets: list[HTLCPacket]) -> None:
        with lock:
            delivered.update((channel, packet.incoming_htlc_id) for packet in packets)
            if len(delivered) == CHANNELS * PACKETS:
                finished.set()
                selector.wake()  # the other workers wait for mail

    # [workers
    with MailSelector() as selector:
        for box in boxes:
            selector.register(box.packet_outbox, data=box.short_chan_id)
        workers = [
            threading.Thread(target=serve, args=(selector, finished, handle), name=f"worker {n}")
            for n in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        # workers]
        for number in range(PACKETS):
            for box in boxes:
                box.add_packet(an_add(number))
        for worker in workers:
            worker.join()
    for box in boxes:
        box.stop()
    print(f"{WORKERS} workers, {CHANNELS} mailboxes, {len(delivered)} packets")
    print(f"each delivered {max(delivered.values())} time")
    print(f"overtaken, the worker {one_worker_that_is_overtaken(serve)}")
    print(f"overtaken, the broken worker {one_worker_that_is_overtaken(serve_broken)}")


if __name__ == "__main__":
    main()
