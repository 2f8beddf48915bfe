"""A switch for tests: it records the fail packets, and can be held up or made to raise."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable

from ..contract import Quit
from ..packet import HTLCPacket
from ..wire import ChannelUpdate, FailureMessage, ShortChannelID, encode_failure
from .threads import PATIENCE

__all__ = ["Gate", "Switch", "raiser"]


def raiser(error: BaseException | type[BaseException], times: int = 10**9) -> Callable[[], None]:
    """Return a callback that raises `error` when it is called, the first `times` times."""
    left = iter(range(times))

    def raise_it() -> None:
        if next(left, None) is not None:
            raise error

    return raise_it


class Gate:
    """Holds up a callback: `pass_through` blocks until `open` is called."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def pass_through(self) -> None:
        """Block until the gate is open."""
        self._reached.set()
        assert self._open.wait(PATIENCE), "nobody opened the gate"

    def wait_until_reached(self) -> None:
        """Block until somebody is in `pass_through`, or has been."""
        assert self._reached.wait(PATIENCE), "nobody came to the gate"

    def open(self) -> None:
        self._open.set()


_switches: weakref.WeakValueDictionary[int, Switch] = weakref.WeakValueDictionary()


def _find_switch(number: int) -> Switch:
    return _switches[number]


class Switch:
    """The callbacks of a mailbox, the obfuscator of its Adds included; records fail packets.

    It can be pickled, so that a mailbox can write down an Add of which it is the obfuscator. In
    the same process the pickle becomes the same switch.

    Attributes:
        when: a function by the name of a callback, called at its beginning: `raiser(error)`, for
            example, or the `pass_through` of a `Gate`.
        updates_fetched: every id that `fetch_update` was called with.
        quit: the one that `forward_packets` was called with last.
    """

    def __init__(self) -> None:
        self.when: dict[str, Callable[[], object]] = {}
        self.updates_fetched: list[ShortChannelID] = []
        self.quit: Quit | None = None
        self._fails: queue.Queue[HTLCPacket] = queue.Queue()
        _switches[id(self)] = self

    def __reduce__(self) -> tuple[Callable[[int], Switch], tuple[int]]:
        return _find_switch, (id(self),)

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
        """Wait for the next fail packet, and return it."""
        return self._fails.get(timeout=PATIENCE)

    def next_fails(self, count: int) -> list[int]:
        """Wait for so many fail packets; return the HTLC ids of their Adds."""
        return [self.next_fail().incoming_htlc_id for _ in range(count)]

    def fails_so_far(self) -> list[int]:
        """Return the HTLC ids of all fail packets that came and were not returned yet."""
        return self.next_fails(self._fails.qsize())
