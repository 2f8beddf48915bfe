"""A node under fire for as long as you like; a ledger shows how every packet ended.

    python -m tests.soak --seconds 600 --seed 1

It goes in rounds. In each, producers add packets and messages to some channels, links of every
kind receive them, and a manager removes mailboxes, binds ids and restarts the node. Then
everything has to be acked, failed, or returned to the manager: each packet in exactly one of these
ways. A receiver that sleeps beside its mail, and a thread that does not end, fail the round, too.

A `Kind` says how a node is made and restarted. With `--kind durable` the mail is in a journal, and
what the node had at its end the next one finds there.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from lnmailbox import (
    CircuitKey,
    HTLCPacket,
    MailBox,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    MailSelector,
    PacketAlreadyExists,
    ParkedFull,
    SQLiteJournal,
    WireQueueFull,
    select,
)
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.encrypters import EncrypterKind
from lnmailbox.wire import (
    ChannelID,
    ChannelUpdate,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
)

SOURCE = ShortChannelID(700_000, 1, 1)
EXPIRY = 0.03  # seconds
PRODUCERS = 3
MOST_UNDER_WAY = 2_000  # packets
PATIENCE = 60.0  # seconds, for what has to happen at the end of a round

Counts = Counter[str]


class Broken(AssertionError):
    """A round did not end as it must."""


class Kind:
    """A node whose mailboxes live as long as it does."""

    fails_again = False
    """Whether the switch may be told of a Fail twice."""

    def open(self, config: dict[str, Any]) -> MailOrchestrator:
        return MailOrchestrator(MailOrchestratorConfig(**config))

    def leave(self, node: MailOrchestrator, channels: list[Channel]) -> list[list[HTLCPacket]]:
        """End the node; return, for each channel, what the next one does not know by itself."""
        parked = [
            [packet for id_ in channel.short_ids for packet in node.drop_parked(id_)]
            for channel in channels
        ]
        node.stop()
        left = []
        for channel, waiting in zip(channels, parked, strict=True):
            again = channel.box.unacked()
            # A parked one with the key of another would be refused when it is bound.
            known = {packet.in_key for packet in again}
            left.append(again + [packet for packet in waiting if packet.in_key not in known])
        return left

    def close(self, node: MailOrchestrator) -> None:
        """End the last node of a round."""
        node.stop()

    def check(self) -> None:
        """Raise `Broken` if the last node has left what it should not."""


class DurableKind(Kind):
    """A node whose mail is in a journal; each round has a new file."""

    fails_again = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = count()
        self._path = self._new_path()
        self._journal: SQLiteJournal | None = None

    def open(self, config: dict[str, Any]) -> MailOrchestrator:
        self._journal = SQLiteJournal(self._path, sync="normal", codec=CODEC)
        node = super().open({**config, "journal": self._journal})
        node.recover()
        return node

    def leave(self, node: MailOrchestrator, channels: list[Channel]) -> list[list[HTLCPacket]]:
        self.close(node)
        return [[] for _ in channels]

    def close(self, node: MailOrchestrator) -> None:
        node.stop()
        if self._journal is not None:
            self._journal.close()

    def check(self) -> None:
        with SQLiteJournal(self._path, codec=CODEC) as journal:
            wrong = journal._file.check()
            # Fails that the switch refused wait for the next node.
            left = [*journal._file.packets(), *journal._file.parked()]
        self._path.unlink()
        self._path = self._new_path()
        if wrong or left:
            raise Broken(f"the file has {wrong}, {len(left)} packets such as {left[:3]}")

    def _new_path(self) -> Path:
        return self._folder / f"{next(self._files)}.journal"


class Ledger:
    """What was accepted, and how it ended; appended to by every thread."""

    def __init__(self) -> None:
        self.accepted: list[CircuitKey] = []
        self.ends: list[tuple[str, CircuitKey]] = []
        self.counts: list[str] = []  # of everything else that happened

    def end(self, how: str, *keys: CircuitKey) -> None:
        self.ends.extend([(how, key) for key in keys])

    @property
    def under_way(self) -> int:
        return len(self.accepted) - len(self.ends)

    def require_balance(self) -> None:
        """Raise `Broken` unless every packet ended once for each time it was accepted."""
        left = Counter(self.accepted)
        left.subtract(key for _, key in self.ends)
        wrong = {key: count for key, count in left.items() if count}
        if wrong:
            told = [f"{key}: {self._told(key)}" for key in list(wrong)[:5]]
            raise Broken(f"{len(wrong)} packets did not end once, such as {'; '.join(told)}")

    def _told(self, key: CircuitKey) -> str:
        ends = [how for how, ended in self.ends if ended == key]
        return f"accepted {self.accepted.count(key)} times, then {ends or 'never seen again'}"

    def summary(self) -> Counts:
        total = Counter(how for how, _ in self.ends) + Counter(self.counts)
        total["accepted"] = len(self.accepted)
        return total


class Channel:
    """A channel and its link's state.

    Attributes:
        lock: held while the link does something with packets it has received. Whoever removes the
            mailbox holds it, so that nothing is acked that was returned.
        box: the mailbox of now.
        seen: the numbers of the messages that came out.
    """

    def __init__(self, number: int) -> None:
        self.chan_id = ChannelID(number.to_bytes(32, "big"))
        self.short_ids = [ShortChannelID(800_000 + number, 1, index) for index in (0, 1)]
        self.lock = threading.Lock()
        self.box: MailBox
        self.seen: set[int] = set()


class Round:
    """One node, with its restarts, from its start to the end of its last packet."""

    def __init__(self, kind: Kind, seed: str, channels: int = 7) -> None:
        self.kind = kind
        self.seed = seed
        self.ledger = Ledger()
        self.channels = [Channel(number) for number in range(channels)]
        self.links_over = self.producers_over = self.draining = False
        self.errors: list[BaseException] = []
        self.producer_locks = [threading.Lock() for _ in range(PRODUCERS)]
        self._changed = threading.Condition()  # a box was replaced, or the links are over
        self._switch_random = self.random("switch")
        self._failed: set[CircuitKey] = set()
        self.node = self._open()

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def pause(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    # The switch

    def _open(self) -> MailOrchestrator:
        node = self.kind.open(
            {
                "fetch_update": self._fetch_update,
                "forward_packets": self._forward_packets,
                "expiry": EXPIRY,
                "max_wire_messages": 100,
                "max_parked": 50,
            }
        )
        for channel in self.channels:
            channel.box = node.get_or_create_mailbox(channel.chan_id, ShortChannelID())
            node.bind_live_short_chan_id(channel.box, channel.chan_id, channel.short_ids[0])
        return node

    def _fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        if self._switch_random.random() < 0.1:
            raise LookupError("no update")
        return ChannelUpdate(short_channel_id=short_chan_id)

    def _forward_packets(self, quit: Any, *packets: HTLCPacket) -> None:  # noqa: A002
        keys = [packet.in_key for packet in packets]
        if self.kind.fails_again:
            keys = [key for key in keys if key not in self._failed]
            self._failed.update(keys)
        self.ledger.end("failed", *keys)
        chance = self._switch_random.random()
        if chance < 0.02:
            quit.wait(0.005)
        elif chance < 0.04:
            raise ConnectionError("the switch is away")

    # Producers

    def produce(self, index: int) -> None:
        dice = self.random(f"producer {index}")
        numbers = count(index, PRODUCERS)
        while not self.producers_over:
            if self.ledger.under_way > MOST_UNDER_WAY:
                self.pause(0.001)
            with self.producer_locks[index]:
                self._produce_one(dice, dice.choice(self.channels), numbers)

    def _produce_one(self, dice: random.Random, channel: Channel, numbers: Iterator[int]) -> None:
        chance = dice.random()
        accepted = self.ledger.accepted
        with suppress(MailBoxShuttingDown, ParkedFull, PacketAlreadyExists, WireQueueFull):
            if chance < 0.5:
                packet = self._packet(dice, next(numbers))
                self.node.deliver(dice.choice(channel.short_ids), packet)
                accepted.append(packet.in_key)
            elif chance < 0.7:
                packets = [self._packet(dice, next(numbers)) for _ in range(dice.randrange(1, 9))]
                channel.box.add_packets(packets)
                accepted.extend(packet.in_key for packet in packets)
                if chance < 0.55 and not self.kind.fails_again:
                    channel.box.add_packet(packets[0])  # it may be gone, and come again
                    accepted.append(packets[0].in_key)
            else:
                channel.box.add_message(UpdateFailHTLC(id=next(numbers)))
                self.ledger.counts.append("messages sent")

    def _packet(self, dice: random.Random, number: int) -> HTLCPacket:
        chance = dice.random()
        htlc: Any = UpdateAddHTLC(id=number)
        obfuscator = None
        if chance < 0.4:
            htlc = UpdateFulfillHTLC(id=number) if chance < 0.2 else UpdateFailHTLC(id=number)
        elif chance < 0.5:
            obfuscator = _Encrypter(failures=1)
        return HTLCPacket(
            incoming_chan_id=SOURCE, incoming_htlc_id=number, htlc=htlc, obfuscator=obfuscator
        )

    # Links

    def link(self, channel: Channel, receive: Callable[[MailBox], list[Any]], name: str) -> None:
        """Receive and handle until the round is over."""
        dice = self.random(name)
        while not self.links_over:
            box = channel.box
            try:
                items = receive(box)
            except queue.Empty:
                continue
            except MailBoxShuttingDown:
                self._wait_for_another(channel, box)
                continue
            self.handle(channel, box, items, dice)

    def _wait_for_another(self, channel: Channel, box: MailBox) -> None:
        with self._changed:
            while channel.box is box and not self.links_over:
                self._changed.wait()

    def handle(
        self, channel: Channel, box: MailBox, items: list[Any], dice: random.Random
    ) -> None:
        with channel.lock:
            if channel.box is not box:
                return  # it was removed: what was received was returned
            packets = [item for item in items if isinstance(item, HTLCPacket)]
            self._note_messages(channel, [item for item in items if item not in packets])
            self.ledger.counts.extend(["packets delivered"] * len(packets))
            chance = 0.9 if self.draining else dice.random()
            if chance < 0.03:  # the peer has gone, and comes again
                box.reset_packets()
                box.reset_messages()
                self.ledger.counts.append("resets")
            elif chance < 0.05:
                return  # kept until the next reset
            elif chance < 0.10:
                for packet in packets:
                    box.nack_packet(packet.in_key)
                self.ledger.counts.extend(["nacks"] * len(packets))
            elif chance < 0.13:
                for packet in packets:
                    # What could not be failed, or is a reply, is kept until the next reset.
                    if type(packet.htlc) is UpdateAddHTLC:
                        box.fail_add(packet)
            elif chance < 0.5 and len(packets) > 1:
                self._ack_all(box, [packet.in_key for packet in packets])
            else:
                for packet in packets:
                    if box.ack_packet(packet.in_key):
                        self.ledger.end("acked", packet.in_key)

    def _ack_all(self, box: MailBox, keys: list[CircuitKey]) -> None:
        # A packet may be gone: it was delivered twice, or failed. Only one by one can we tell.
        acked = [key for key in keys if box.ack_packets([key])]
        self.ledger.end("acked", *acked)

    def _note_messages(self, channel: Channel, messages: list[Any]) -> None:
        self.ledger.counts.extend(["messages received"] * len(messages))
        numbers = [message.id for message in messages]
        for producer in range(PRODUCERS):
            own = [number for number in numbers if number % PRODUCERS == producer]
            if own != sorted(own) or not channel.seen.isdisjoint(own):
                raise Broken(f"messages out of order or twice: {own}")
        channel.seen.update(numbers)

    def serve_selector(self, channels: list[Channel], selector: MailSelector, name: str) -> None:
        """One of the workers that share a selector, and register what is new."""
        dice = self.random(name)
        while not self.links_over:
            for channel in channels:
                self._register(selector, channel)
            try:
                keys = selector.select(timeout=0.05, max_keys=dice.choice([None, 1, 2]))
            except (MailBoxShuttingDown, RuntimeError):
                continue  # all mailboxes stopped, and others come; or the selector is closed
            for key in keys:
                channel, box = key.data
                with suppress(queue.Empty, MailBoxShuttingDown):
                    self.handle(channel, box, key.outbox.get_batch(5, block=False), dice)

    def _register(self, selector: MailSelector, channel: Channel) -> None:
        box = channel.box
        registered = selector.get_map()
        for key in registered.values():
            if key.data[0] is channel and key.data[1] is not box:
                with suppress(KeyError):  # another worker was faster
                    selector.unregister(key.outbox)
        for outbox in (box.packet_outbox, box.message_outbox):
            if outbox not in registered:
                with suppress(KeyError, RuntimeError):
                    selector.register(outbox, (channel, box))

    def serve_loop(self, channel: Channel, name: str) -> None:
        """A link in an event loop of its own, whose receives are cancelled now and then."""
        dice = self.random(name)

        async def serve() -> None:
            while not self.links_over:
                box = channel.box
                outbox: Any = box.packet_outbox if dice.random() < 0.7 else box.message_outbox
                receiving = outbox.async_get_batch(dice.randrange(1, 5))
                try:
                    items = await asyncio.wait_for(receiving, dice.choice([0.0005, 0.02]))
                except asyncio.TimeoutError:
                    continue
                except MailBoxShuttingDown:
                    self._wait_for_another(channel, box)  # the loop has nothing else to do
                    continue
                self.handle(channel, box, items, dice)

        asyncio.run(serve())

    def observe(self) -> None:
        """Look at everything all the time."""
        dice = self.random("observer")
        while not self.links_over:
            box = dice.choice(self.channels).box
            statistics = box.statistics()
            if min(statistics.adds_unacked, statistics.adds_undelivered) < 0:
                raise Broken(f"less than nothing: {statistics}")
            box.describe()
            box.has_packet(CircuitKey(SOURCE, 1))
            box.dust_packets()
            self.node.statistics()
            self.pause(0.005)

    # The manager

    def manage(self, seconds: float) -> None:
        dice = self.random("manager")
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.errors:
            self.pause(dice.random() * 0.05)
            chance = dice.random()
            if chance < 0.08:
                self._restart()
            elif chance < 0.4:
                self._remove(dice.choice(self.channels), dice)
            else:
                self._bind(dice.choice(self.channels), dice.randrange(2))

    def _bind(self, channel: Channel, index: int) -> None:
        short_chan_id = channel.short_ids[index]
        self.node.bind_live_short_chan_id(channel.box, channel.chan_id, short_chan_id)
        self.ledger.counts.append("binds")

    def _remove(self, channel: Channel, dice: random.Random) -> None:
        with channel.lock:
            unacked = self.node.remove_mailbox(channel.chan_id)
            self.ledger.end("returned", *(packet.in_key for packet in unacked))
            if dice.random() < 0.3:
                self.pause(0.005)  # so long, packets are parked
            box = self.node.get_or_create_mailbox(channel.chan_id, ShortChannelID())
            self._replace(channel, box)
        self._bind(channel, 0)
        self.ledger.counts.append("removals")

    def _replace(self, channel: Channel, box: MailBox) -> None:
        with self._changed:
            channel.box = box
            self._changed.notify_all()

    def _restart(self) -> None:
        """End the node, and begin with what it left."""
        with ExitStack() as stack:
            for lock in [*self.producer_locks, *(channel.lock for channel in self.channels)]:
                stack.enter_context(lock)
            left = self.kind.leave(self.node, self.channels)
            self.node = self._open()
            with self._changed:
                self._changed.notify_all()
            for channel, packets in zip(self.channels, left, strict=True):
                channel.box.add_packets(packets)
        self.ledger.counts.append("restarts")

    # The round

    def run(self, seconds: float) -> Counts:
        """Return what happened; raise `Broken` unless every packet ended once."""
        boxes: list[Any] = []
        with MailSelector() as selector:
            producers = [self._thread(self.produce, index) for index in range(PRODUCERS)]
            links = self._links(selector)
            try:
                self._require_end(self._thread(self.manage, seconds), seconds + PATIENCE)
                self.producers_over = True
                for thread in producers:
                    self._require_end(thread)
                self._drain()
                boxes = [channel.box for channel in self.channels]
            finally:
                self.producers_over = self.links_over = True
                with self._changed:
                    self._changed.notify_all()
                self.node.stop()
                for thread in [*producers, *links]:
                    thread.join(PATIENCE)
                self.kind.close(self.node)
        for thread in links:
            self._require_end(thread)
        self.kind.check()
        self.ledger.require_balance()
        for box in boxes:
            for shelf in (box._adds, box._replies):
                shelf._check()
        return self.ledger.summary()

    def _links(self, selector: MailSelector) -> list[threading.Thread]:
        get, batch, iterate, both, twice, *selected, loop = self.channels
        ways: list[tuple[Channel, Callable[[MailBox], list[Any]]]] = [
            (get, lambda box: [box.packet_outbox.get()]),
            (get, lambda box: [box.message_outbox.get()]),
            (batch, lambda box: box.packet_outbox.get_batch(7)),
            (batch, lambda box: box.message_outbox.get_batch(7, timeout=0.01)),
            (iterate, lambda box: _first(iter(box.packet_outbox))),
            (iterate, lambda box: _first(iter(box.message_outbox))),
            (both, lambda box: [select(box.packet_outbox, box.message_outbox)[1]]),
            (twice, lambda box: [box.packet_outbox.get(timeout=0.01)]),
            (twice, lambda box: box.packet_outbox.get_batch(3)),
            (twice, lambda box: [box.message_outbox.get_nowait()]),
        ]
        links = [
            self._thread(self.link, channel, receive, f"link {number}")
            for number, (channel, receive) in enumerate(ways)
        ]
        links += [
            self._thread(self.serve_selector, selected, selector, f"worker {n}") for n in range(2)
        ]
        links += [self._thread(self.serve_loop, loop, f"loop {n}") for n in range(2)]
        return [*links, self._thread(self.observe)]

    def _drain(self) -> None:
        """Bind everything, and wait until the links have acked what has not expired."""
        self.draining = True
        for channel in self.channels:
            for index in (0, 1):
                self._bind(channel, index)
        # A reset wakes everybody. Before it, nobody may sleep beside a reply.
        self._wait_until(
            lambda: all(not box.statistics().replies_undelivered for box in self.node.mailboxes())
        )
        for channel in self.channels:
            with channel.lock:
                channel.box.reset_packets()
        self._wait_until(lambda: not any(box.unacked() for box in self.node.mailboxes()))
        if self.kind.fails_again:  # the last node's couriers may have some of the first one's
            self._wait_until(lambda: self.ledger.under_way <= 0)

    def _wait_until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            self._require_no_errors()
            if time.monotonic() > end:
                raise Broken(f"round {self.seed} stands still:\n{self.node.describe()}")
            self.pause(0.01)

    def _thread(self, function: Callable[..., None], *arguments: Any) -> threading.Thread:
        def run() -> None:
            try:
                function(*arguments)
            except BaseException as error:
                self.errors.append(error)

        name = f"soak {function.__name__} {arguments[-1] if arguments else ''}"
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _require_end(self, thread: threading.Thread, patience: float = PATIENCE) -> None:
        thread.join(patience)
        self._require_no_errors()
        if thread.is_alive():
            raise Broken(f"round {self.seed}: {thread.name} does not end")

    def _require_no_errors(self) -> None:
        for error in self.errors:
            raise Broken(f"round {self.seed}: {error!r}") from error


class _Encrypter:
    """An obfuscator that raises some times at first."""

    def __init__(self, failures: int) -> None:
        self._failures = iter(range(failures))

    def encrypt_first_hop(self, failure: object) -> bytes:
        if next(self._failures, None) is not None:
            raise ValueError("no shared secret yet")
        return b"encrypted"


CODEC = PacketCodec(
    [EncrypterKind("soak", _Encrypter, lambda _: b"", lambda _: _Encrypter(failures=1))]
)


def _first(items: Iterator[Any]) -> list[Any]:
    for item in items:
        return [item]
    raise MailBoxShuttingDown


@contextmanager
def switch_interval(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def soak(kind: Kind, seconds: float, seed: object, tell: Callable[[str], object]) -> Counts:
    """Run rounds for so long; return the sums of what happened."""
    total: Counts = Counter()
    begin = told = time.monotonic()
    with switch_interval(1e-6):
        while (now := time.monotonic()) < begin + seconds:
            one = Round(kind, f"{seed}/{total['rounds']}")
            total += one.run(min(5.0, begin + seconds - now))
            total["rounds"] += 1
            if now - told >= 30:
                told = now
                tell(f"{now - begin:.0f} s: {summary(total)}")
    return total


def summary(counts: Counts) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kind", choices=["memory", "durable"], default="memory")
    arguments = parser.parse_args()
    logging.getLogger("lnmailbox").setLevel(logging.CRITICAL)  # there are errors on purpose
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, {'with' if gil else 'without'} the GIL")
    with tempfile.TemporaryDirectory() as folder:
        kind = DurableKind(Path(folder)) if arguments.kind == "durable" else Kind()
        total = soak(kind, arguments.seconds, arguments.seed, lambda text: print(text, flush=True))
    print(f"every packet ended once: {summary(total)}")


if __name__ == "__main__":
    main()
