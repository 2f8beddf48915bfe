"""Mailboxes for the tests of receivers, and interrupts at each moment of a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from lnmailbox import MailBoxConfig, ManualClock, MemoryMailBox
from lnmailbox.receiving.outbox import LocalOutbox
from lnmailbox.testing import PATIENCE, Switch
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY
from moments import Interrupt, Moment

BAD_TIMEOUTS = [-1, -0.001, float("nan"), float("inf"), True, "1"]


def make_mailbox(*, started: bool = True) -> MemoryMailBox:
    """Return a mailbox whose clock stands still, so it has no thread."""
    switch = Switch()
    box = MemoryMailBox(
        MailBoxConfig(
            short_chan_id=CHANNEL,
            fetch_update=switch.fetch_update,
            forward_packets=switch.forward_packets,
            clock=ManualClock(),
            expiry=EXPIRY,
            max_wire_messages=None,
            max_wire_bytes=None,  # so that anything is a message
        )
    )
    if started:
        box.start()
    return box


def each_moment(
    call: Callable[[], Any], prepare: Callable[[], object] = lambda: None
) -> Iterator[tuple[str, Any]]:
    """Call again and again, interrupted each time at the next of the call's moments.

    Yields where the interrupt came, and what the call returned. The last call is not interrupted,
    and its place is empty. `prepare` is called before each, and not interrupted.
    """
    for number in count(1):
        prepare()
        moment, result = Moment(number), None
        try:
            result = moment.run(call)
        except Interrupt:
            pass
        yield moment.place, result
        if not moment.place:
            assert number > 3
            return


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for something that nobody announces."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.001)):
        if happened():
            return
        pause.wait(0.001)  # between two looks
    pytest.fail("it did not happen")


class Looks:
    """Counts how often selectors look at outboxes, and does something after the first look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.afterwards: Callable[[], object] = lambda: None
        look = LocalOutbox._look

        def counting(outbox: LocalOutbox[Any]) -> bool | None:
            seen = look(outbox)
            self.count += 1
            afterwards, self.afterwards = self.afterwards, lambda: None
            afterwards()
            return seen

        monkeypatch.setattr(LocalOutbox, "_look", counting)
