"""lnd's `mailbox.go` line by line, flaws included: not to run a node on.

It is to be read beside the Go file, which it follows from top to bottom with its names in
snake_case, and to be tested against. Every flaw of the original is kept: an HTLC can get lost
here, a Settle can be deleted, a stop can hang. `MemoryMailBox` is the one to use. Numbers in
comments are lines of `htlcswitch/mailbox.go` at lnd's commit 1a6701122.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from typing import Any, NamedTuple

from ..clock import Clock, seconds_to_ns
from ..contract import MailBox, MailBoxConfig, Outbox
from ..errors import MailBoxError, MailBoxShuttingDown, PacketAlreadyExists
from ..failure import FailureDetail, LinkError
from ..packet import CircuitKey, HTLCPacket, is_add
from ..routing.orchestrator import MailOrchestratorConfig
from ..wire import (
    ChannelID,
    FailureMessage,
    Message,
    ShortChannelID,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UpdateFailHTLC,
    encode_failure,
)
from .beside import BesideLnd, CourierType, QuitChannel, StoppedAtTheEnd, require_key
from .channel import Channel, Cond, Deadline, Once, Receive, Send, select
from .linked_list import Element, LinkedList
from .outbox import CourierOutbox

__all__ = ["CourierMailBox", "CourierOrchestrator"]

_logger = logging.getLogger(__name__)

_MILLISECOND = 1_000_000

WIRE_COURIER, PKT_COURIER = CourierType


class CourierMailBox(BesideLnd):
    """lnd's `memoryMailBox` (102): two courier threads, and a channel from each to the link."""

    def __init__(self, config: MailBoxConfig) -> None:
        super().__init__()
        self.short_chan_id = config.short_chan_id  # which nobody reads: 635 has `cfg`
        self.started = Once()
        self.stopped = Once()
        self.cfg = config

        self.wire_messages: deque[Message] = deque()
        self.wire_mtx = threading.Lock()
        # Waited on by the wire courier, for messages. Signalled by whoever adds one, and
        # again and again by whoever resets or stops.
        self.wire_cond = Cond(self.wire_mtx)

        # Replies, known by key, and the first of them that is undelivered.
        self.rep_pkts: LinkedList[HTLCPacket] = LinkedList()
        self.rep_index: dict[CircuitKey, Element[HTLCPacket]] = {}
        self.rep_head: Element[HTLCPacket] | None = None
        # Likewise Adds.
        self.add_pkts: LinkedList[PktWithExpiry] = LinkedList()
        self.add_index: dict[CircuitKey, Element[PktWithExpiry]] = {}
        self.add_head: Element[PktWithExpiry] | None = None

        self.pkt_mtx = threading.Lock()
        self.pkt_cond = Cond(self.pkt_mtx)  # as `wire_cond`, for packets

        # A reset sends the channel that is closed when it is done. Only these have a buffer.
        self.msg_reset: Channel[Channel[None]] = Channel(1)
        self.pkt_reset: Channel[Channel[None]] = Channel(1)
        self.wire_shutdown: Channel[None] = Channel()
        self.pkt_shutdown: Channel[None] = Channel()
        self.quit = QuitChannel()
        self._message_outbox: CourierOutbox[Message] = CourierOutbox(
            self.quit, lambda: self.is_at_rest(WIRE_COURIER)
        )
        self.pkt_outbox: CourierOutbox[HTLCPacket] = CourierOutbox(
            self.quit, lambda: self.is_at_rest(PKT_COURIER)
        )

    def start(self) -> None:
        def start_both() -> None:
            self._go(self.mail_courier, WIRE_COURIER)
            self._go(self.mail_courier, PKT_COURIER)

        self.started.do(start_both)

    def reset_messages(self) -> None:
        msg_done: Channel[None] = Channel()
        reset, stopped = Send(self.msg_reset, msg_done), Receive(self.quit)
        if select(reset, stopped) is stopped:
            raise MailBoxShuttingDown
        self.signal_until_reset(WIRE_COURIER, msg_done)

    def reset_packets(self) -> None:
        pkt_done: Channel[None] = Channel()
        reset, stopped = Send(self.pkt_reset, pkt_done), Receive(self.quit)
        if select(reset, stopped) is stopped:
            raise MailBoxShuttingDown
        self.signal_until_reset(PKT_COURIER, pkt_done)

    def signal_until_reset(self, courier_type: CourierType, done: Channel[None]) -> None:
        """Signal every millisecond until the courier has reset its mail."""
        cond = self.wire_cond if courier_type is WIRE_COURIER else self.pkt_cond
        while True:
            cond.signal()
            is_done, stopped = Receive(done), Receive(self.quit)
            chosen = select(is_done, stopped, deadline=Deadline.after(_MILLISECOND))
            if chosen is is_done:
                return
            if chosen is stopped:
                raise MailBoxShuttingDown

    def ack_packet(self, key: CircuitKey) -> bool:
        require_key(key)
        with self.pkt_cond:
            reply = self.rep_index.get(key)
            if reply is not None:
                # What is on offer has not been delivered: the head is still this packet, and
                # the courier goes on offering it.
                if reply is self.rep_head:
                    self.rep_head = reply.next
                self.rep_pkts.remove(reply)
                del self.rep_index[key]
                return True
            add = self.add_index.get(key)
            if add is not None:
                if add is self.add_head:
                    self.add_head = add.next
                self.add_pkts.remove(add)
                del self.add_index[key]
                return True
            return False

    def has_packet(self, key: CircuitKey) -> bool:
        require_key(key)
        with self.pkt_cond:
            return key in self.rep_index

    def stop(self) -> None:
        def stop_both() -> None:
            self.quit.close()
            self.signal_until_shutdown(WIRE_COURIER)
            self.signal_until_shutdown(PKT_COURIER)

        self.stopped.do(stop_both)

    def signal_until_shutdown(self, courier_type: CourierType) -> None:
        """Signal every millisecond until the courier has ended: for ever if it never began."""
        if courier_type is WIRE_COURIER:
            cond, shutdown = self.wire_cond, self.wire_shutdown
        else:
            cond, shutdown = self.pkt_cond, self.pkt_shutdown
        while select(Receive(shutdown), deadline=Deadline.after(_MILLISECOND)) is None:
            cond.signal()

    def mail_courier(self, courier_type: CourierType) -> None:
        """Wait for mail, offer it, and begin again: what a courier's thread runs (348)."""
        wire = courier_type is WIRE_COURIER
        try:
            while True:
                # 361, 410, 441, 451: four times Go asks which courier it is, here once.
                if wire:
                    with self.wire_cond:  # 363
                        while not self.wire_messages:
                            self.wire_cond.wait()
                            reset, stopped = Receive(self.msg_reset), Receive(self.quit)
                            chosen = select(reset, stopped, wait=False)
                            if chosen is reset:
                                self.wire_messages.clear()
                                reset.received[0].close()
                            elif chosen is stopped:
                                return
                        # From here on it is in no queue; a reset that is answered below drops it.
                        next_msg = self.wire_messages.popleft()  # 416

                    offer = Send(self._message_outbox, next_msg)
                    reset, stopped = Receive(self.msg_reset), Receive(self.quit)
                    chosen = select(offer, reset, stopped)  # 453
                    if chosen is reset:
                        with self.wire_cond:
                            self.wire_messages.clear()
                        reset.received[0].close()
                    elif chosen is stopped:
                        return
                    continue

                with self.pkt_cond:  # 380
                    while self.rep_head is None and self.add_head is None:
                        self.pkt_cond.wait()
                        reset, stopped = Receive(self.pkt_reset), Receive(self.quit)
                        chosen = select(reset, stopped, wait=False)
                        if chosen is reset:
                            self.rep_head = self.rep_pkts.front
                            self.add_head = self.add_pkts.front
                            reset.received[0].close()
                        elif chosen is stopped:
                            return
                    next_rep, next_add = self.rep_head, self.add_head  # 429: a peek

                # 485: one of these two has no channel, and so is never chosen.
                rep_outbox = add_outbox = None
                rep: HTLCPacket | None = None
                add: HTLCPacket | None = None
                deadline = None
                if next_rep is not None:
                    rep, rep_outbox = next_rep.value, self.pkt_outbox
                else:
                    add_outbox = self.pkt_outbox
                # 502: behind a reply an Add is watched as well, if it was there at the peek.
                if next_add is not None:
                    add = next_add.value.pkt
                    deadline = next_add.value.deadline(self.cfg.clock)

                offer_rep, offer_add = Send[Any](rep_outbox, rep), Send[Any](add_outbox, add)
                reset, stopped = Receive(self.pkt_reset), Receive(self.quit)
                chosen = select(offer_rep, offer_add, reset, stopped, deadline=deadline)  # 507
                # What was delivered may have been acked meanwhile: then it is the head no more.
                if chosen is offer_rep:
                    with self.pkt_cond:
                        if self.rep_head is not None and self.rep_head is next_rep:
                            self.rep_head = self.rep_head.next
                elif chosen is offer_add:
                    with self.pkt_cond:
                        if self.add_head is not None and self.add_head is next_add:
                            self.add_head = self.add_head.next
                elif chosen is reset:
                    with self.pkt_cond:
                        self.rep_head = self.rep_pkts.front
                        self.add_head = self.add_pkts.front
                    reset.received[0].close()
                elif chosen is stopped:
                    return
                elif add is not None and self.fail_add(add):  # 526: its deadline has come
                    self._count("adds_expired")
        finally:
            (self.wire_shutdown if wire else self.pkt_shutdown).close()

    def add_message(self, message: Message) -> None:
        if message is None:
            raise TypeError("message must be a wire message, got None")
        with self.wire_cond:
            self.wire_messages.append(message)
        self.wire_cond.signal()

    def add_packet(self, packet: HTLCPacket) -> None:
        with self.pkt_cond:
            key = packet.in_key
            if not is_add(packet):
                if key in self.rep_index:
                    raise PacketAlreadyExists
                reply = self.rep_pkts.push_back(packet)
                self.rep_index[key] = reply
                if self.rep_head is None:
                    self.rep_head = reply
            else:
                if key in self.add_index:
                    raise PacketAlreadyExists
                expiry = self.cfg.clock.now_ns() + seconds_to_ns("expiry", self.cfg.expiry)
                add = self.add_pkts.push_back(PktWithExpiry(packet, expiry))
                self.add_index[key] = add
                if self.add_head is None:
                    self.add_head = add
        self.pkt_cond.signal()

    def fail_add(self, packet: HTLCPacket) -> bool:
        # 622: this removes a reply, if one has the key, and leaves the Add. Below, whatever goes
        # wrong loses the HTLC: nobody has it any more.
        if not self.ack_packet(packet.in_key):
            return False
        failure: FailureMessage
        try:
            failure = TemporaryChannelFailure(self.cfg.fetch_update(self.cfg.short_chan_id))
        except Exception:
            failure = TemporaryNodeFailure()

        encrypter = packet.obfuscator
        try:
            encrypt = encode_failure if encrypter is None else encrypter.encrypt_first_hop
            htlc = UpdateFailHTLC(reason=encrypt(failure))
        except Exception:
            self._count("encrypt_errors")
            _logger.exception("Add %s is lost: its failure can't be encoded", packet.in_key)
            return False

        fail_packet = HTLCPacket(  # 670: without obfuscator and outgoing ids
            incoming_chan_id=packet.incoming_chan_id,
            incoming_htlc_id=packet.incoming_htlc_id,
            circuit=packet.circuit,
            source_ref=packet.source_ref,
            has_source=True,
            local_failure=encrypter is None,
            link_failure=LinkError(failure, FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD),
            htlc=htlc,
        )
        self._count("adds_failed")
        try:
            self.cfg.forward_packets(self.quit.view(), fail_packet)
        except Exception:
            self._count("forward_errors")
            _logger.exception("Add %s is lost: the switch refused its Fail", packet.in_key)
        return True

    @property
    def message_outbox(self) -> Outbox[Message]:
        return self._message_outbox

    @property
    def packet_outbox(self) -> Outbox[HTLCPacket]:
        return self.pkt_outbox


class PktWithExpiry(NamedTuple):
    """An Add, and when it is to be failed back; on the clock's scale (335)."""

    pkt: HTLCPacket
    expiry: int

    def deadline(self, clock: Clock) -> Deadline:
        """When it is to be failed back; Go makes a timer for the time that remains (340)."""
        return Deadline(clock, self.expiry)


class CourierOrchestrator(StoppedAtTheEnd):
    """lnd's `mailOrchestrator` (710). The config's `mailbox_factory` is not looked at."""

    def __init__(self, config: MailOrchestratorConfig) -> None:
        # Go has a read-write lock, Python does not. It guards what follows.
        self.mu = threading.Lock()
        self.cfg = config
        self.mailboxes: dict[ChannelID, MailBox] = {}
        self.live_index: dict[ShortChannelID, ChannelID] = {}
        self.unclaimed_packets: dict[ShortChannelID, list[HTLCPacket]] = {}

    def stop(self) -> None:
        """Stop the mailboxes one by one, without the lock: a new one may come in between."""
        for mailbox in self.mailboxes.values():
            mailbox.stop()

    def get_or_create_mailbox(self, chan_id: ChannelID, short_chan_id: ShortChannelID) -> MailBox:
        """Return the channel's mailbox; make and start it if there is none, after a stop too."""
        with self.mu:
            mailbox = self.mailboxes.get(chan_id)
        if mailbox is not None:
            return mailbox
        with self.mu:
            return self.exclusive_get_or_create_mailbox(chan_id, short_chan_id)

    def exclusive_get_or_create_mailbox(
        self, chan_id: ChannelID, short_chan_id: ShortChannelID
    ) -> MailBox:
        """Do as `get_or_create_mailbox`, for a caller that holds `mu`."""
        mailbox = self.mailboxes.get(chan_id)
        if mailbox is None:
            mailbox = CourierMailBox(
                MailBoxConfig(
                    short_chan_id=short_chan_id,
                    fetch_update=self.cfg.fetch_update,
                    forward_packets=self.cfg.forward_packets,
                    clock=self.cfg.clock,
                    expiry=self.cfg.expiry,
                )
            )
            mailbox.start()
            self.mailboxes[chan_id] = mailbox
        return mailbox

    def bind_live_short_chan_id(
        self, mailbox: MailBox, chan_id: ChannelID, short_chan_id: ShortChannelID
    ) -> None:
        """Make `short_chan_id` lead to the channel, then hand over what is parked for it."""
        with self.mu:
            self.live_index[short_chan_id] = chan_id
            packets = self.unclaimed_packets.pop(short_chan_id, [])
        for packet in packets:  # 836: without the lock, and dropping what is refused
            with suppress(MailBoxError):
                mailbox.add_packet(packet)

    def deliver(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Add the packet to the mailbox of a live channel, else park it, whatever it is."""
        with self.mu:
            chan_id = self.live_index.get(short_chan_id)
            mailbox = None if chan_id is None else self.mailboxes.get(chan_id)
        if mailbox is not None:
            mailbox.add_packet(packet)
            return
        with self.mu:  # 870: it may have been bound since
            chan_id = self.live_index.get(short_chan_id)
            if chan_id is None:
                self.unclaimed_packets.setdefault(short_chan_id, []).append(packet)
                return
            mailbox = self.exclusive_get_or_create_mailbox(chan_id, short_chan_id)
        mailbox.add_packet(packet)
