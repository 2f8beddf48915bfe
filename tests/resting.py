"""Mailboxes of the port of lnd whose couriers come to rest after each call, for tests.

lnd's answers depend on whether its courier has looked already. Here it always has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lnmailbox import CircuitKey, HTLCPacket, MailBoxConfig
from lnmailbox.reference import CourierMailBox
from lnmailbox.wire import Message

__all__ = ["RestingMailBox"]

PATIENCE = 1.0
"""Seconds until a courier that does not come to rest is taken to be in a callback for longer."""


class RestingMailBox(CourierMailBox):
    """A `CourierMailBox` whose couriers are at rest before and after each call.

    Args:
        config: of the mailbox.
        patience: how long to wait for that; 0 is not at all.
    """

    def __init__(self, config: MailBoxConfig, patience: float = PATIENCE) -> None:
        super().__init__(config)
        self.patience = patience
        for outbox in (self._message_outbox, self.pkt_outbox):
            outbox._receive = self._resting(outbox._receive)  # type: ignore[method-assign]

    def rest(self) -> None:
        self.wait_for_rest(self.patience)

    def offer(self) -> HTLCPacket | None:
        """Return the packet that the courier offers."""
        offers = list(self.pkt_outbox._senders)
        return offers[0].item if offers else None

    def watches_adds(self) -> bool:
        """Whether the courier that offers a packet watches the deadline of an Add."""
        return any(parked._deadline for parked in self.pkt_outbox._senders.values())

    def _resting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def rest_and_call(*args: Any) -> Any:
            self.rest()
            result = function(*args)
            self.rest()
            return result

        return rest_and_call

    def start(self) -> None:
        super().start()
        self.rest()

    def add_message(self, message: Message) -> None:
        super().add_message(message)
        self.rest()

    def add_packet(self, packet: HTLCPacket) -> None:
        super().add_packet(packet)
        self.rest()

    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        super().add_packets(packets)
        self.rest()

    def ack_packet(self, key: CircuitKey) -> bool:
        self.rest()
        return super().ack_packet(key)

    def fail_add(self, packet: HTLCPacket) -> bool:
        self.rest()
        return super().fail_add(packet)

    def reset_messages(self) -> None:
        self.rest()
        super().reset_messages()
        self.rest()

    def reset_packets(self) -> None:
        self.rest()
        super().reset_packets()
        self.rest()
