"""A switch for tests: it records what is failed back, and can be held up or made to raise."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from ..contract import Quit
from ..packet import HTLCPacket
from ..wire import ChannelUpdate, FailureMessage, ShortChannelID, encode_failure
from .threads import PATIENCE

__all__ = ["Gate", "Switch", "raiser"]


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
        return [self.next_fail().incoming_htlc_id for _ in range(count)]

    def fails_so_far(self) -> list[int]:
        """Return the HTLC ids of the Adds whose fail packets are here and were not returned."""
        return self.next_fails(self._fails.qsize())
