"""The common ground of the conformance tests: factory, fixtures, packets, messages."""

from __future__ import annotations

import queue
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pytest

from ... import CircuitKey, HTLCPacket, MailBox, MailBoxConfig, ManualClock, Outbox
from ...wire import (
    Message,
    ShortChannelID,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFulfillHTLC,
)
from ..packets import contents
from ..switch import Switch

T = TypeVar("T")

CHANNEL = ShortChannelID(539268, 845, 1)
"""The channel whose mailbox is tested."""

SOURCE = ShortChannelID(701000, 12, 3)
"""The channel that the packets come from."""

EXPIRY = 60.0
"""Seconds that an Add may wait in the mailboxes of these tests."""

NANOSECOND = 1e-9

CARRIERS = ["courier", "fail_add"]
"""By whom a fail packet gets to the switch."""

CALLBACKS = ["fetch_update", "encrypt_first_hop", "forward_packets"]


def key(number: int) -> CircuitKey:
    return CircuitKey(SOURCE, number)


def packet(number: int, htlc: Any, **fields: Any) -> HTLCPacket:
    return HTLCPacket(incoming_chan_id=SOURCE, incoming_htlc_id=number, htlc=htlc, **fields)


def add(number: int, **fields: Any) -> HTLCPacket:
    return packet(number, UpdateAddHTLC(id=number, amount=1_000 + number), **fields)


def settle(number: int, **fields: Any) -> HTLCPacket:
    preimage = number.to_bytes(32, "big")
    return packet(number, UpdateFulfillHTLC(id=number, payment_preimage=preimage), **fields)


def fail(number: int, **fields: Any) -> HTLCPacket:
    return packet(number, UpdateFailHTLC(id=number, reason=bytes(292)), **fields)


def message(number: int) -> Message:
    """Return a wire message, of another size than its neighbours."""
    return UpdateFailHTLC(id=number, reason=bytes(number % 300))


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


def said(items: Iterable[Any]) -> list[Any]:
    """Return the content of packets or messages, for comparison."""
    return [contents(item) if isinstance(item, HTLCPacket) else item for item in items]


def raises(error: type[BaseException], function: Callable[..., object], *args: Any) -> bool:
    """Whether a call raises such an error."""
    with pytest.raises(error):
        function(*args)
    return True


class MailBoxTests(ABC):
    """The base of the conformance tests: an implementation's test class provides the factory."""

    @abstractmethod
    def make_mailbox(self, config: MailBoxConfig) -> MailBox:
        """Return a new mailbox of the kind under test, empty and not started."""

    def reopen(self, mailbox: MailBox) -> MailBox | None:
        """End a mailbox as the end of its process would, and return what the next one opens.

        That is a new mailbox with the same configuration, not started, with the unacked packets
        of the old one. None if this kind does not outlive a process: the default.
        """
        return None

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(start=1_000_000.0)

    @pytest.fixture
    def switch(self) -> Switch:
        return Switch()

    @pytest.fixture
    def made(self) -> Iterator[weakref.WeakSet[MailBox]]:
        """The mailboxes of the test. Those that still exist at its end are stopped."""
        made: weakref.WeakSet[MailBox] = weakref.WeakSet()
        yield made
        for box in list(made):
            box.stop()

    @pytest.fixture
    def new_box(
        self, clock: ManualClock, switch: Switch, made: weakref.WeakSet[MailBox]
    ) -> Callable[..., MailBox]:
        """Makes mailboxes that are not started."""

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

        return make

    @pytest.fixture
    def box(self, new_box: Callable[..., MailBox]) -> MailBox:
        """A mailbox that is started."""
        box = new_box()
        box.start()
        return box
