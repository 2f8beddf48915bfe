"""One script for two mailboxes: ours, and the port of lnd's with its couriers at rest."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lnmailbox import MailBox, MailBoxConfig, ManualClock, MemoryMailBox
from lnmailbox.reference import CourierMailBox
from lnmailbox.reference.beside import CourierType
from lnmailbox.reference.channel import Channel
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, drain, numbers
from lnmailbox.testing.switch import Switch
from lnmailbox.testing.threads import PATIENCE, Call
from resting import RestingMailBox

__all__ = ["BRIEFLY", "Lab", "hangs", "outcomes"]

BRIEFLY = 0.1
"""Seconds for which one looks on while a call hangs."""


class Lab:
    """A mailbox of one kind, with its clock and its switch."""

    def __init__(self, kind: Callable[[MailBoxConfig], MailBox], **options: Any) -> None:
        self.lnd = kind is not MemoryMailBox
        self.clock = ManualClock(start=1_000_000.0)
        self.switch = Switch()
        defaults = {
            "short_chan_id": CHANNEL,
            "fetch_update": self.switch.fetch_update,
            "forward_packets": self.switch.forward_packets,
            "clock": self.clock,
            "expiry": EXPIRY,
            "max_wire_bytes": None,  # so that anything is a message
        }
        self.box: Any = kind(MailBoxConfig(**{**defaults, **options}))

    def rest(self) -> None:
        """Let lnd's couriers come to rest; ours are waited for by what they send."""
        if isinstance(self.box, CourierMailBox):
            assert self.box.wait_for_rest(PATIENCE)

    def deliver(self) -> list[int]:
        """Take what can be had without waiting; return the packets' HTLC ids."""
        return numbers(drain(self.box.packet_outbox))

    def deliver_one(self) -> Any:
        """Take what is on offer; None if nothing is."""
        try:
            return self.box.packet_outbox.get_nowait()
        except queue.Empty:
            return None

    def signals(self) -> threading.Semaphore:
        """Return what is released whenever from now on lnd's packet courier is signalled."""
        signals, signal = threading.Semaphore(0), self.box.pkt_cond.signal

        def count_and_signal() -> None:
            signals.release()
            signal()

        self.box.pkt_cond.signal = count_and_signal
        return signals

    def let_couriers_stop_themselves(self) -> None:
        """End the wait of an lnd courier for its own end, so that its thread can end."""
        if isinstance(self.box, CourierMailBox):
            assert self.signals().acquire(timeout=PATIENCE)
            hopeless, self.box.pkt_shutdown = self.box.pkt_shutdown, Channel()
            hopeless.close()
            self.box.signal_until_shutdown(CourierType.PKT_COURIER)


@contextmanager
def started(lab: Lab, start: bool) -> Iterator[None]:
    if start:
        lab.box.start()
    try:
        yield
    finally:
        lab.switch.when.clear()
        if lab.lnd and not lab.box.quit.closed:
            lab.box.start()  # or its stop would hang
        lab.box.stop()


def outcomes(
    script: Callable[[Lab], Any], *, start: bool = True, patience: float = PATIENCE, **options: Any
) -> dict[str, Any]:
    """Run the script on a mailbox of each kind; return what it returned."""
    outcome = {}
    kinds = {"ours": MemoryMailBox, "lnd": lambda config: RestingMailBox(config, patience)}
    for name, kind in kinds.items():
        lab = Lab(kind, **options)
        with started(lab, start):
            outcome[name] = script(lab)
    return outcome


def hangs(call: Call[Any]) -> bool:
    """Whether the call has not ended after a while."""
    call._thread.join(BRIEFLY)
    return not call.done
