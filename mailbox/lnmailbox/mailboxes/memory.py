"""The mailbox that keeps its mail in memory (lnd: `memoryMailBox`)."""

from __future__ import annotations

from ..contract import MailBoxConfig, require_config
from ..errors import MailBoxShuttingDown
from ..keeping.entry import NEVER
from ..keeping.messages import MessageQueue
from ..keeping.store import MemoryStore
from ..packet import HTLCPacket, require_packet, require_reply
from ..wire import UpdateAddHTLC
from .base import BaseMailBox

__all__ = ["MemoryMailBox"]


class MemoryMailBox(BaseMailBox):
    """A `MailBox` whose mail lives as long as the process, in a deque and a dict per class.

    It hands over the very objects that were added. It owns no thread: its Adds' deadlines are
    watched by the thread of its clock, and a courier is started when Adds have expired. Memory is
    bounded by what is unacked.
    """

    def __init__(self, config: MailBoxConfig) -> None:
        require_config(MailBoxConfig, config)
        messages = MessageQueue(
            config.max_wire_messages, config.max_wire_bytes, config.latch_on_overflow
        )
        super().__init__(config, MemoryStore(config.clock.now_ns, messages))

    def add_packet(self, packet: HTLCPacket) -> None:
        # Both steps of `add_packets` at once, in a third of its time.
        if type(packet) is not HTLCPacket:
            require_packet(packet)
        outbox = self._packet_outbox
        try:
            self._lock.acquire()
            if self._life.stopped:
                raise MailBoxShuttingDown
            if outbox._bells or outbox._listeners:
                outbox._ring_locked()
            if type(packet.htlc) is UpdateAddHTLC:
                deadline = self._now_ns() + self._expiry_ns
                if deadline < self._desk.alarm_at:
                    self._desk.watch_locked(deadline)
                self._adds.add(packet, deadline)
            else:
                require_reply(packet)
                self._replies.add(packet, NEVER + self._now_ns())
            self._lock.release()
        except BaseException:
            try:
                self._lock.release()
            except RuntimeError:  # it is not held
                pass
            raise
