"""The queues that one would use instead, each as what a producer and a consumer do with it.

Each context manager yields `produce(packets)` and `consume(count)` for a queue made anew. Those
that can ack do ack.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lnmailbox import HTLCPacket, MailBox
from lnmailbox.reference import CourierMailBox

from .harness import make_config, make_mailbox

__all__ = ["BATCH", "MAILBOX", "PEERS", "Peer", "add_get_ack", "available"]

BATCH = 64


class Ends(NamedTuple):
    """The two ends of a queue."""

    produce: Callable[[Sequence[HTLCPacket]], object]
    consume: Callable[[int], object]


class Peer(NamedTuple):
    """A way to get packets from one thread to another."""

    name: str
    make: Callable[[], contextlib.AbstractContextManager[Ends]]
    share: int = 1
    """Slow ones are given this part of the packets; their time a packet is what counts."""
    needs: str | None = None
    """The module without which it can't be measured."""


def put_get(made: Any) -> Ends:
    def produce(packets: Sequence[HTLCPacket]) -> None:
        put = made.put
        for packet in packets:
            put(packet)

    def consume(count: int) -> None:
        get = made.get
        for _ in range(count):
            get()

    return Ends(produce, consume)


@contextlib.contextmanager
def messages() -> Iterator[Ends]:
    with make_mailbox() as mailbox:

        def produce(packets: Sequence[HTLCPacket]) -> None:
            add: Any = mailbox.add_message
            for packet in packets:
                add(packet)

        def consume(count: int) -> None:
            get = mailbox.message_outbox.get
            for _ in range(count):
                get()

        yield Ends(produce, consume)


def add_get_ack(mailbox: MailBox) -> Ends:
    def produce(packets: Sequence[HTLCPacket]) -> None:
        add = mailbox.add_packet
        for packet in packets:
            add(packet)

    def consume(count: int) -> None:
        get, ack = mailbox.packet_outbox.get, mailbox.ack_packet
        for _ in range(count):
            ack(get().in_key)

    return Ends(produce, consume)


@contextlib.contextmanager
def packets_one_by_one() -> Iterator[Ends]:
    with make_mailbox() as mailbox:
        yield add_get_ack(mailbox)


@contextlib.contextmanager
def packets_in_batches() -> Iterator[Ends]:
    with make_mailbox() as mailbox:

        def produce(packets: Sequence[HTLCPacket]) -> None:
            add = mailbox.add_packets
            for start in range(0, len(packets), BATCH):
                add(packets[start : start + BATCH])

        def consume(count: int) -> None:
            get, ack = mailbox.packet_outbox.get_batch, mailbox.ack_packets
            while count:
                batch = get(min(BATCH, count))
                count -= len(batch)
                ack([packet.in_key for packet in batch])

        yield Ends(produce, consume)


@contextlib.contextmanager
def queue_queue() -> Iterator[Ends]:
    yield put_get(queue.Queue())


@contextlib.contextmanager
def simple_queue() -> Iterator[Ends]:
    yield put_get(queue.SimpleQueue())


@contextlib.contextmanager
def janus() -> Iterator[Ends]:
    made: Any = importlib.import_module("janus").Queue()
    yield put_get(made.sync_q)
    made.close()


@contextlib.contextmanager
def culsans() -> Iterator[Ends]:
    made: Any = importlib.import_module("culsans").Queue()
    yield put_get(made.sync_q)


@contextlib.contextmanager
def persist_queue() -> Iterator[Ends]:
    module: Any = importlib.import_module("persistqueue")
    made = module.SQLiteAckQueue(":memory:", multithreading=True, auto_commit=True)

    def consume(count: int) -> None:
        while count:
            # Its wait can miss a put, and would then go on for ten seconds.
            with contextlib.suppress(module.Empty):
                made.ack(made.get(timeout=0.005))
                count -= 1

    yield Ends(put_get(made).produce, consume)
    made.close()


@contextlib.contextmanager
def kombu() -> Iterator[Ends]:
    module: Any = importlib.import_module("kombu")
    options = {"polling_interval": 0.0005}  # how long it sleeps where there is nothing
    packing = {"serializer": "pickle", "accept": ["pickle"]}
    with (
        module.Connection("memory://", transport_options=options) as sender,
        module.Connection("memory://", transport_options=options) as receiver,
    ):
        outgoing = sender.SimpleQueue("benchmark", **packing)
        incoming = receiver.SimpleQueue("benchmark", **packing)

        def consume(count: int) -> None:
            for _ in range(count):
                message = incoming.get()
                _ = message.payload
                message.ack()

        yield Ends(put_get(outgoing).produce, consume)
        outgoing.close()
        incoming.close()


@contextlib.contextmanager
def pykka() -> Iterator[Ends]:
    module: Any = importlib.import_module("pykka")
    arrived = threading.Semaphore(0)

    class Link(module.ThreadingActor):  # type: ignore[misc]
        expected = -1

        def on_receive(self, message: object) -> None:
            self.expected -= 1
            if not self.expected:
                arrived.release()

    actor = Link.start()

    def produce(packets: Sequence[HTLCPacket]) -> None:
        Link.expected = len(packets)
        for packet in packets:
            actor.tell(packet)

    yield Ends(produce, lambda count: arrived.acquire())
    actor.stop()


@contextlib.contextmanager
def couriers() -> Iterator[Ends]:
    with CourierMailBox(make_config()) as mailbox:
        yield add_get_ack(mailbox)


MAILBOX = [
    Peer("lnmailbox, messages", messages),
    Peer("lnmailbox, packets with ack", packets_one_by_one),
    Peer(f"lnmailbox, packets with ack, batches of {BATCH}", packets_in_batches),
]

PEERS = [
    Peer("queue.Queue", queue_queue),
    Peer("queue.SimpleQueue", simple_queue),
    Peer("janus", janus, needs="janus"),
    Peer("culsans", culsans, needs="culsans"),
    Peer("persist-queue, SQLite in memory, with ack", persist_queue, 50, "persistqueue"),
    Peer("kombu, memory transport, with ack", kombu, 100, "kombu"),
    Peer("pykka actor", pykka, 10, "pykka"),
    Peer("lnd's mailbox, ported line by line, with ack", couriers, 20),
]


def available(peers: Sequence[Peer]) -> list[Peer]:
    """Return those whose module is installed."""

    def is_there(peer: Peer) -> bool:
        return peer.needs is None or importlib.util.find_spec(peer.needs) is not None

    return [peer for peer in peers if is_there(peer)]
