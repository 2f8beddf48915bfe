"""What the conformance tests work with: the factory, a switch that records, packets, gates."""

from __future__ import annotations

import queue
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pytest

from helpers import PATIENCE
from lnmailbox import CircuitKey, HTLCPacket, MailBox, MailBoxConfig, ManualClock, Outbox
from lnmailbox.contract import Quit
from lnmailbox.wire import (
    ChannelUpdate,
    FailureMessage,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
    encode_failure,
)

T = TypeVar("T")

CHANNEL = ShortChannelID(539268, 845, 1)
"""The channel whose mailbox is tested."""

SOURCE = ShortChannelID(701000, 12, 3)
"""The channel that the packets come from."""

EXPIRY = 60.0
"""Seconds that an Add may wait in the mailboxes of these tests."""

NANOSECOND = 1e-9

CARRIERS = ["courier", "fail_add"]
"""Who carries a fail packet to the switch."""

CALLBACKS = ["fetch_update", "encrypt_first_hop", "forward_packets"]


def key(number: int) -> CircuitKey:
    return CircuitKey(SOURCE, number)


def packet(number: int, htlc: Any, **fields: Any) -> HTLCPacket:
    return HTLCPacket(incoming_chan_id=SOURCE, incoming_htlc_id=number, htlc=htlc, **fields)


def add(number: int, **fields: Any) -> HTLCPacket:
    return packet(number, UpdateAddHTLC(id=number), **fields)


def settle(number: int, **fields: Any) -> HTLCPacket:
    return packet(number, UpdateFulfillHTLC(id=number), **fields)


def fail(number: int, **fields: Any) -> HTLCPacket:
    return packet(number, UpdateFailHTLC(id=number), **fields)


def numbers(packets: Iterable[HTLCPacket]) -> list[int]:
    return [packet.incoming_htlc_id for packet in packets]


def drain(outbox: Outbox[T]) -> list[T]:
    """Take everything that can be had without waiting."""
    items = []
    while True:
        try:
            items.append(outbox.get_nowait())
        except queue.Empty:
            return items


def raiser(error: BaseException | type[BaseException], times: int = 10**9) -> Callable[[], None]:
    """Return a callback that raises the first so many times."""
    left = iter(range(times))

    def raise_it() -> None:
        if next(left, None) is not None:
            raise error

    return raise_it


class Gate:
    """Where a callback stands until it is let through."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def pass_through(self) -> None:
        self._reached.set()
        assert self._open.wait(PATIENCE), "nobody opened the gate"

    def wait_until_reached(self) -> None:
        assert self._reached.wait(PATIENCE), "nobody came to the gate"

    def open(self) -> None:
        self._open.set()


class Switch:
    """All the callbacks of a mailbox, obfuscators included; it records what is failed back.

    `when[name]` is called first in the callback of that name.
    """

    def __init__(self) -> None:
        self.when: dict[str, Callable[[], object]] = {}
        self.updates_fetched: list[ShortChannelID] = []
        self.quit: Quit | None = None
        self._fails: queue.Queue[HTLCPacket] = queue.Queue()

    def fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        self.updates_fetched.append(short_chan_id)
        self._enter("fetch_update")
        return ChannelUpdate(short_channel_id=short_chan_id, timestamp=7)

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        self._enter("encrypt_first_hop")
        return b"encrypted:" + encode_failure(failure)

    def forward_packets(self, quit: Quit, *packets: HTLCPacket) -> None:  # noqa: A002
        self.quit = quit
        self._enter("forward_packets")
        for packet in packets:
            self._fails.put(packet)

    def _enter(self, callback: str) -> None:
        self.when.get(callback, lambda: None)()

    def next_fail(self) -> HTLCPacket:
        """Wait for the next fail packet."""
        return self._fails.get(timeout=PATIENCE)

    def next_fails(self, count: int) -> list[int]:
        """Wait for so many fail packets; return the HTLC ids of their Adds."""
        return numbers(self.next_fail() for _ in range(count))

    def fails_so_far(self) -> list[int]:
        """Return the HTLC ids of the Adds whose fail packets are here and were not returned."""
        return self.next_fails(self._fails.qsize())


class MailBoxTests(ABC):
    """The base of the conformance tests: an implementation's test class provides the factory."""

    @abstractmethod
    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        """Return a new mailbox of the kind under test, empty and not started."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(start=1_000_000.0)

    @pytest.fixture
    def switch(self) -> Switch:
        return Switch()

    @pytest.fixture
    def new_box(self, clock: ManualClock, switch: Switch) -> Iterator[Callable[..., MailBox]]:
        """Makes mailboxes that are not started. The test's end stops those that still exist."""
        made: weakref.WeakSet[MailBox] = weakref.WeakSet()

        def make(**options: Any) -> MailBox:
            defaults = {
                "short_chan_id": CHANNEL,
                "fetch_update": switch.fetch_update,
                "forward_packets": switch.forward_packets,
                "clock": clock,
                "expiry": EXPIRY,
            }
            box = self.make_mailbox(MailBoxConfig(**{**defaults, **options}))
            made.add(box)
            return box

        yield make

        for box in list(made):
            box.stop()

    @pytest.fixture
    def box(self, new_box: Callable[..., MailBox]) -> MailBox:
        """A mailbox that is started."""
        box = new_box()
        box.start()
        return box
