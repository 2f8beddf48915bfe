"""A mailbox that keeps nothing but bytes: an example of a kind over `BaseMailBox`.

Mail is encoded when it is added and decoded when it is delivered, so what comes out equals what
went in and is another object.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

from lnmailbox import HTLCPacket, MailBoxConfig
from lnmailbox.contract import Hand
from lnmailbox.keeping.messages import MessageQueue
from lnmailbox.keeping.store import MemoryStore
from lnmailbox.mailboxes.base import BaseMailBox
from lnmailbox.packet import is_add, require_packet


class Sealed:
    """A packet or a message as bytes. Its attributes are read from them."""

    def __init__(self, mail: object) -> None:
        self._bytes = pickle.dumps(mail)

    def open(self) -> Any:
        return pickle.loads(self._bytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.open(), name)


class SerialisingMailBox(BaseMailBox):
    """Passes the conformance suite.

    Args:
        left: the unacked packets of an earlier mailbox. They are held until a reset.
    """

    def __init__(self, config: MailBoxConfig, left: Iterable[Sealed] = ()) -> None:
        messages = _SealedMessages(
            config.max_wire_messages, config.max_wire_bytes, config.latch_on_overflow
        )
        super().__init__(config, _SealedPackets(config.clock.now_ns, messages))
        self._add_sealed(list(left))
        self._store.take_into(Hand(), len(self._store))

    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        packets = list(packets)
        for packet in packets:
            require_packet(packet)
        self._add_sealed([Sealed(packet) for packet in packets])

    def _add_sealed(self, packets: list[Any]) -> None:
        with self._lock:
            self._publish_locked(self._admit_locked(packets))

    def unacked(self) -> list[HTLCPacket]:
        return [packet.open() for packet in super().unacked()]

    def left(self) -> list[Sealed]:
        """Return the unacked packets."""
        return super().unacked()


class _Opening:
    """Opens mail when it is taken."""

    def take(self) -> Any:
        hand = Hand()
        try:
            self.take_into(hand, 1)
            return hand[0] if hand else None
        except BaseException:
            self.put_back(hand.taken(), self.round)
            raise

    def take_into(self, hand: Hand, size: int) -> None:
        super().take_into(hand, size)
        hand[:] = [mail.open() if isinstance(mail, Sealed) else mail for mail in hand]


class _SealedMessages(_Opening, MessageQueue):
    def add(self, message: object, size: int = 0) -> None:
        super().add(Sealed(message), size)

    def put_back(self, messages: list[Any], since: int) -> None:
        super().put_back([m if isinstance(m, Sealed) else Sealed(m) for m in messages], since)


class _SealedPackets(_Opening, MemoryStore):
    def put_back(self, packets: list[Any], since: int) -> None:
        if since == self.round:
            self.look_again()
            for packet in packets:
                (self.adds if is_add(packet) else self.replies).nack(packet.in_key)
