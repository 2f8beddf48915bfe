"""What is played under the scheduler: small programs, and what holds when nobody can go on.

Each is a function of a `Run`. It makes a `World`, lets threads run, and asserts afterwards that
every packet has ended in exactly one way and that nobody waits beside its mail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from lnmailbox import (
    HTLCPacket,
    MailBoxConfig,
    MailBoxShuttingDown,
    ManualClock,
    MemoryMailBox,
)
from lnmailbox.testing.conformance.base import EXPIRY, add, key, numbers
from node import channel, short
from scheduled import Loop
from scheduler import Run

SCENARIOS: dict[str, Callable[[Run], object]] = {}


def scenario(function: Callable[[Run], object]) -> Callable[[Run], object]:
    SCENARIOS[function.__name__] = function
    return function


class World:
    """Mailboxes, a switch in whose callbacks a thread can lose its turn, and a ledger."""

    make: Callable[[MailBoxConfig], Any] = MemoryMailBox

    def __init__(self, run: Run, boxes: int = 1) -> None:
        self.run = run
        self.clock = ManualClock()
        self.fails: list[int] = []
        self.got: list[int] = []
        self.acked: list[int] = []
        self.encrypt: Callable[[], object] = lambda: None
        self.forward: Callable[[Any], object] = lambda quit_: None
        self.callbacks: Any = {
            "fetch_update": self.fetch_update,
            "forward_packets": self.forward_packets,
            "clock": self.clock,
            "expiry": EXPIRY,
            "max_wire_bytes": None,
        }
        self.boxes: list[Any] = [self.make_box(number) for number in range(boxes)]
        for box in self.boxes:
            box.start()

    @property
    def box(self) -> Any:
        return self.boxes[0]

    def make_box(self, number: int) -> Any:
        config = MailBoxConfig(
            short_chan_id=short(number), chan_id=channel(number), **self.callbacks
        )
        return World.make(config)

    def fetch_update(self, short_chan_id: Any) -> Any:
        self.run.point()
        raise LookupError(short_chan_id)

    def encrypt_first_hop(self, failure: Any) -> bytes:
        self.run.point()
        self.encrypt()
        return b"encrypted"

    def forward_packets(self, quit_: Any, packet: HTLCPacket) -> None:
        self.run.point()
        self.forward(quit_)
        self.fails.append(packet.incoming_htlc_id)

    def add(self, *added: int) -> None:
        for number in added:
            self.box.add_packet(add(number, obfuscator=self))

    # What threads do

    def collect(self, batches: bool = False) -> Callable[[], None]:
        """Return a function that receives until the mailbox stops."""
        outbox = self.box.packet_outbox

        def receiver() -> None:
            try:
                while True:
                    self.got.extend(numbers(outbox.get_batch(2) if batches else [outbox.get()]))
            except MailBoxShuttingDown:
                pass

        return receiver

    def ack(self, number: int) -> Callable[[], None]:
        def acker() -> None:
            if self.box.ack_packet(key(number)):
                self.acked.append(number)

        return acker

    def run_async(self, function: Callable[[], Any]) -> Loop:
        """Run a coroutine function in a loop that is closed at the end of the run."""
        loop = Loop()
        self.run.at_end.append(loop.close)
        self.run.spawn(lambda: loop.run_until_complete(function()), may_wait=True)
        return loop

    def unless_stopped(self, *calls: Callable[[], object]) -> Callable[[], None]:
        def caller() -> None:
            for call in calls:
                try:
                    call()
                except MailBoxShuttingDown:
                    pass

        return caller

    # What holds in the end

    def check(self) -> None:
        for box in self.boxes:
            box._replies._check()
            box._adds._check()
            for outbox, source in (
                (box._packet_outbox, box._store),
                (box._message_outbox, box._messages),
            ):
                waits = outbox._bells or outbox._listeners
                assert not (waits and box._life.running and len(source)), "asleep beside mail"
            assert not box._desk._attempts

    def account(self, *added: int, left: list[HTLCPacket] | None = None) -> None:
        """Assert that each was acked, failed or is left: exactly one of these, once."""
        if left is None:
            left = [packet for box in self.boxes for packet in box.unacked()]

        assert Counter(added) == Counter(self.acked) + Counter(self.fails) + Counter(numbers(left))

    def stop(self) -> None:
        """Stop the mailboxes; afterwards no thread is left."""
        self.check()
        self.run.play(*(box.stop for box in self.boxes))
        self.check()
