"""Bad values by what they are given for, and a world to try them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

from lnmailbox import (
    MailBoxConfig,
    MailOrchestrator,
    MailSelector,
    MemoryMailBox,
    SQLiteJournal,
)
from lnmailbox.testing.conformance.base import SOURCE, add, key, message, settle
from lnmailbox.wire import ChannelID, UpdateAddHTLC
from node import Node, short

HUGE = 10**5_000  # too long for Python to write down
FOREIGN = SimpleNamespace(htlc=UpdateAddHTLC(), in_key=key(9))
"""It has what a mailbox looks at first, and is no packet."""


class World:
    """A node with a mailbox in which there is something in every place, and a selector.

    Its mail is in memory, or in a journal.
    """

    def __init__(self, journal: SQLiteJournal | None = None) -> None:
        self.journal = journal
        kind = MemoryMailBox if journal is None else journal.mailbox
        self.node = Node(kind, journal=journal)
        self.box = self.node.live(1)
        self.box.add_message(message(1))
        self.box.add_packets([settle(1), settle(3), add(2), add(4)])
        self.box.packet_outbox.get_batch(3)
        self.box.nack_packet(key(3))
        self.node.deliver(2, add(6))
        self.selector = MailSelector()
        self.selector.register(self.box.packet_outbox)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.selector.close()
        self.node.orchestrator.stop()

    @property
    def orchestrator(self) -> MailOrchestrator:
        return self.node.orchestrator

    @property
    def outbox(self) -> Any:
        return self.box.packet_outbox

    def state(self) -> dict[str, Any]:
        """Check every invariant, and return all that can be seen from outside."""
        box: Any = self.box
        shelves = box._replies, box._adds
        for shelf in shelves:
            shelf._check()
        assert not box._lock._is_owned()
        return {
            "statistics": box.statistics(),
            "orchestrator": self.orchestrator.statistics(),
            "places": [{k: shelf.place(k) for k in shelf.unacked} for shelf in shelves],
            "parked": self.node.parked(),
            "mailboxes": [box.short_chan_id for box in self.orchestrator.mailboxes()],
            "dust": (box._fee_rate, box._is_dust),
            "selector": self.selector.get_map().keys(),
            "time": self.node.clock.now_ns(),
            "fails": self.node.switch.fails_so_far(),
            "file": self._rows(),
        }

    def _rows(self) -> list[Any]:
        """Return all that the journal has on disk."""
        if self.journal is None:
            return []
        self.journal.flush()
        file = self.journal._file
        return [file.channels(), *file.packets(), *file.parked(), *file.fails(), *file.data()]


class Row(NamedTuple):
    call: Callable[[World, Any], object]
    error: type[Exception]
    bad: Iterable[Any]
    is_secret: bool = False  # whether the error must not show the value


async def coroutine() -> None: ...


PACKETS = [None, 5, "packet", b"packet", [], add, FOREIGN, key(1), UpdateAddHTLC(id=9)]
KEYS = [None, 5, "key", b"key", [], {}, (), (SOURCE,), (SOURCE, 1, 1), FOREIGN]
SHORT_IDS = [None, 5, int(short(1)), "800001x2x3", 1.5, [], b"\0" * 8, ChannelID()]
CHANNEL_IDS = [None, 5, "00" * 32, b"", bytes(31), bytes(33), bytearray(32), short(1), []]
OUTBOXES = [None, 5, "outbox", [], MemoryMailBox, FOREIGN]
SPANS = [-1, -0.1, float("nan"), float("inf"), True, "1", b"1", [], 1j, HUGE, -HUGE]
SIZES = [0, -1, 1.0, True, "1", None, [], -HUGE]
LIMITS = [-1, 1.0, False, "1", [], -HUGE]
CALLBACKS = [5, "name", [], coroutine, lambda: None]
CLOCKS = [None, 5, "clock", FOREIGN, SimpleNamespace(now_ns=print)]
AMOUNTS = [-1, 1.5, True, "1", None, [], -HUGE]
CONFIGS = [None, 5, {}, FOREIGN, MailBoxConfig]
BUFFERS = [None, 5, "text", [], FOREIGN]


def numbers(bits: int) -> list[Any]:
    return [-1, 1 << bits, 1.0, True, "1", None, [], HUGE]
