"""A node that is killed again and again: says before and after each change what it does.

As a script it is a launcher, so that a node starts within milliseconds: for each line `path mode
seed first_id` on stdin it forks a node, waits for its end, and prints `dead`. What a node prints
is for `kill_ledger.Ledger`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import queue
import random
import sys
import threading
from collections.abc import Sequence

from lnmailbox import (
    CircuitKey,
    HTLCPacket,
    MailBox,
    MailOrchestrator,
    MailOrchestratorConfig,
    SQLiteJournal,
)
from lnmailbox.packet import is_add
from lnmailbox.wire import (
    ChannelID,
    ChannelUpdate,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFulfillHTLC,
)

CHANNELS = [ShortChannelID(880_000, number, 0) for number in (1, 2)]

MODES = {
    "full": {"sync": "full"},
    "normal": {"sync": "normal"},
    "lazy_acks": {"sync": "normal", "lazy_acks": True},
}

_MOST = 150  # unacked packets, beyond which nothing is added for a moment


def say(*words: object) -> None:
    """Print a line in one piece: a kill may come at any time, and other threads print too."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def names(keys: Sequence[CircuitKey]) -> str:
    return ",".join(str(key.htlc_id) for key in keys)


class Node:
    """Two channels, a switch that adds to them, and a link for each.

    The id of a packet is its incoming HTLC id. Even ids are Adds, odd ones replies.
    """

    def __init__(self, journal: SQLiteJournal, seed: int, first_id: int) -> None:
        self._ids = itertools.count(first_id)
        self._seed = seed
        self._updates = itertools.count(seed)
        self._stopping = threading.Event()
        self._orchestrator = MailOrchestrator(
            MailOrchestratorConfig(
                fetch_update=self._fetch_update, forward_packets=self._forward, journal=journal
            )
        )

    def _fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        """Return another update each time, so that a Fail made twice is another one."""
        return ChannelUpdate(timestamp=next(self._updates) % 2**32)

    def _forward(self, stopping: object, *packets: HTLCPacket) -> None:
        for packet in packets:
            digest = hashlib.sha256(packet.htlc.encode()).hexdigest()[:16]
            say("forwarded", packet.incoming_htlc_id, digest)

    def run(self, *, is_last: bool) -> None:
        """Recover; then add, deliver, ack and fail until killed. The last node only delivers."""
        boxes = [self._make_channel(number) for number in range(len(CHANNELS))]
        for number, box in enumerate(boxes):
            say("held", number, names(box.held()))
        self._orchestrator.recover()
        say("recovered")
        threads = [
            threading.Thread(target=self._link, args=(number, box, is_last))
            for number, box in enumerate(boxes)
        ]
        if not is_last:
            threads.append(threading.Thread(target=self._switch, args=(boxes,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._orchestrator.stop()

    def _make_channel(self, number: int) -> MailBox:
        chan_id = ChannelID(bytes([number + 1]) * 32)
        box = self._orchestrator.get_or_create_mailbox(chan_id, CHANNELS[number])
        self._orchestrator.bind_live_short_chan_id(box, chan_id, CHANNELS[number])
        return box

    def _switch(self, boxes: list[MailBox]) -> None:
        rng = random.Random(self._seed)
        while True:
            number = rng.randrange(len(boxes))
            count = boxes[number].statistics()
            if count.adds_unacked + count.replies_unacked > _MOST:
                self._stopping.wait(0.001)
                continue
            packets = [self._packet() for _ in range(rng.choice((1, 1, 2, 5)))]
            keys = names([packet.in_key for packet in packets])
            say("add", number, keys)
            boxes[number].add_packets(packets)
            say("added", number, keys)

    def _packet(self) -> HTLCPacket:
        number = next(self._ids)
        htlc = UpdateFulfillHTLC(id=number) if number % 2 else UpdateAddHTLC(id=number)
        return HTLCPacket(incoming_htlc_id=number, htlc=htlc)

    def _link(self, number: int, box: MailBox, is_last: bool) -> None:
        rng = random.Random(self._seed + number + 1)
        while True:
            try:
                packets = box.packet_outbox.get_batch(8, timeout=0.2 if is_last else 30)
            except queue.Empty:
                return
            say("got", number, names([packet.in_key for packet in packets]))
            if is_last or rng.random() < 0.6:
                self._ack(number, box, packets)
            elif rng.random() < 0.7:
                self._fail_or_leave(number, box, packets)
            else:
                say("reset", number)
                box.reset_packets()

    def _ack(self, number: int, box: MailBox, packets: list[HTLCPacket]) -> None:
        keys = [packet.in_key for packet in packets]
        say("ack", number, names(keys))
        if len(keys) == 1:
            box.ack_packet(keys[0])
        else:
            box.ack_packets(keys)
        say("acked", number, names(keys))

    def _fail_or_leave(self, number: int, box: MailBox, packets: list[HTLCPacket]) -> None:
        for packet in packets:
            if is_add(packet):
                say("fail", number, packet.incoming_htlc_id)
                box.fail_add(packet)
                say("failed", number, packet.incoming_htlc_id)


def node(path: str, mode: str, seed: int, first_id: int, *, is_last: bool) -> None:
    say("pid", os.getpid())
    options: dict = MODES[mode]
    with SQLiteJournal(path, **options) as journal:
        Node(journal, seed, first_id).run(is_last=is_last)


def launch() -> None:
    for line in sys.stdin:
        path, mode, seed, first_id, last = line.split()
        pid = os.fork()
        if not pid:
            node(path, mode, int(seed), int(first_id), is_last=last == "last")
            say("closed")
            os._exit(0)
        os.waitpid(pid, 0)
        say("dead")


if __name__ == "__main__":
    launch()
