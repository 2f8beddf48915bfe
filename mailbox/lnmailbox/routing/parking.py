"""Packets for channels that are not live: how they come, go to a mailbox, and expire."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs

from ..clock import seconds_to_ns
from ..contract import MailBox, MailBoxConfig, SwitchConfig
from ..errors import MailBoxShuttingDown, PacketAlreadyExists, UnknownHTLCType
from ..failing.alarms import RETRY_NS, Alarm, Watch
from ..keeping.entry import NEVER
from ..mailboxes.base import BaseMailBox
from ..mailboxes.memory import MemoryMailBox
from ..packet import HTLCPacket
from ..wire import ShortChannelID
from .adding_up import NOTHING, add_up, counts_of
from .config import MailOrchestratorConfig
from .parked import ParkedPackets

if TYPE_CHECKING:
    from .kept import KeptParked

__all__ = ["Parking"]

_logger = logging.getLogger(__name__)

_REFUSALS = (PacketAlreadyExists, UnknownHTLCType)


def _kept_parked(config: MailOrchestratorConfig) -> KeptParked | None:
    if config.journal is None:
        return None
    from .kept import KeptParked

    return KeptParked(config.journal, config)


class Parking:
    """The part of an orchestrator that parks packets."""

    def __init__(self, config: MailOrchestratorConfig) -> None:
        self._config = config
        # Held while a mailbox is made or bound, one at a time. Taken before `_lock`.
        self._setup_lock = threading.RLock()
        # Guards everything below, and the mailboxes.
        self._lock = threading.Lock()
        self._stopped = False
        self._live_index: dict[ShortChannelID, MailBox] = {}
        self._unclaimed_packets = ParkedPackets(config.max_parked, config.max_parked_channels)
        # Where parked Adds go when they expire: mailboxes in which nothing may wait.
        self._expired: dict[ShortChannelID, BaseMailBox] = {}
        self._alarm = Alarm(Watch.of(config.clock), Parking._on_parked_deadline, self)
        self._parked_expired = 0
        self._past = NOTHING  # the counts of mailboxes that were removed
        self._kept = _kept_parked(config)
        if self._kept is not None:
            self._kept.restore_into(self._unclaimed_packets)
            self._expired.update(self._kept.expired_boxes())
            if (deadline := self._unclaimed_packets.next_deadline()) < NEVER:
                self._alarm.set(deadline)

    def _move_parked(self, short_chan_id: ShortChannelID, mailbox: MailBox) -> None:
        """Give the mailbox what is parked, then make it live."""
        while (packet := self._first_parked_or_make_live(short_chan_id, mailbox)) is not None:
            try:
                self._add_or_log(mailbox, packet)
                self._drop_first(short_chan_id, packet)
            except BaseException:
                # Finish the step: the packet must not be in two places. If the mailbox has it
                # already, it refuses it.
                with suppress(Exception):
                    with suppress(*_REFUSALS):
                        self._add_parked(mailbox, packet)
                    self._drop_first(short_chan_id, packet)
                raise

    def _first_parked_or_make_live(
        self, short_chan_id: ShortChannelID, mailbox: MailBox
    ) -> HTLCPacket | None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            packet = self._unclaimed_packets.first(short_chan_id)
            if packet is None:
                self._live_index[short_chan_id] = mailbox
            return packet

    def _add_parked(self, mailbox: MailBox, packet: HTLCPacket) -> None:
        if self._kept is None:
            mailbox.add_packet(packet)
        else:
            self._kept.move(mailbox, packet)

    def _add_or_log(self, mailbox: MailBox, packet: HTLCPacket) -> None:
        try:
            self._add_parked(mailbox, packet)
        except _REFUSALS:
            with suppress(Exception):  # what a log's filter may raise
                _logger.exception("%r refused parked packet %s", mailbox, packet.keystone)

    def _drop_first(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        with self._lock:
            self._unclaimed_packets.drop_first(short_chan_id, packet)

    def _drop_channel(self, short_chan_id: ShortChannelID) -> list[HTLCPacket]:
        with self._lock:
            return self._unclaimed_packets.drop_channel(short_chan_id)

    def _require_no_transaction(self, what: str) -> None:
        # It would wait for threads that wait for the transaction to end.
        if self._kept is not None:
            self._kept.journal.require_no_transaction(what)

    def _park(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> bool:
        """Park a packet in memory and on disk; False if the id is live by now."""
        kept = self._kept
        assert kept is not None
        self._require_no_transaction("deliver, to a channel that is not live,")
        with self._setup_lock:  # nobody binds meanwhile
            parking = kept.parking(short_chan_id, packet)
            before = self._unclaimed_packets.added
            try:
                with self._lock:
                    if self._stopped:
                        raise MailBoxShuttingDown
                    if short_chan_id in self._live_index:
                        return False
                    self._park_locked(short_chan_id, packet)
                kept.keep(parking, packet)
            except BaseException:
                if self._unclaimed_packets.added > before and not parking.is_written:
                    with self._lock:
                        self._unclaimed_packets.drop_last(short_chan_id, packet)
                raise
        return True

    def _park_locked(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        deadline = NEVER
        if self._config.parked_expiry is not None:
            expiry_ns = seconds_to_ns("parked_expiry", self._config.parked_expiry)
            deadline = self._config.clock.now_ns() + expiry_ns
            self._alarm.set(deadline)
        self._unclaimed_packets.add(short_chan_id, packet, deadline)

    def _on_parked_deadline(self) -> None:
        """Move parked Adds that are due to a mailbox that fails them. Called by the alarm."""
        now = self._config.clock.now_ns()
        if not self._setup_lock.acquire(blocking=False):
            # A parked packet may be on its way to a mailbox that is being bound. Don't wait: other
            # alarms share this thread.
            self._alarm.set(now + RETRY_NS)
            return
        try:
            self._drop_idle()
            self._expire_due(now)
        finally:
            self._setup_lock.release()

    def _drop_idle(self) -> None:
        """Let go of mailboxes from which all parked Adds have been failed."""
        with self._lock:
            expired = list(self._expired.items())
        idle = [(id_, box) for id_, box in expired if not box.has_mail()]
        for _, box in idle:
            box.release()
        with self._lock:
            for id_, box in idle:
                self._past = add_up([self._past, counts_of(box.statistics())])
                del self._expired[id_]

    def _expire_due(self, now: int) -> None:
        while self._expire_first(now):
            pass

    def _expire_first(self, now: int) -> bool:
        """Move the Add that is due first; False if none is."""
        parked = self._unclaimed_packets
        with self._lock:
            if self._stopped:
                return False
            due = parked.first_due(now)
            if due is None:
                deadline = parked.next_deadline()
                if deadline < NEVER:
                    self._alarm.set(deadline)
                return False
        short_chan_id, packet = due
        box = self._expired_box(short_chan_id)
        if box is None:
            return False
        with suppress(PacketAlreadyExists):
            self._add_parked(box, packet)
        with self._lock:
            if parked.first_due(now) == due:
                parked.drop_first_due()
                self._parked_expired += 1
        return True

    def _expired_box(self, short_chan_id: ShortChannelID) -> BaseMailBox | None:
        """Return the mailbox for Adds parked for this id that expire; None after `stop`."""
        with self._lock:
            box = self._expired.get(short_chan_id)
        if box is not None:
            return box
        box = self._make_expired_box(short_chan_id)
        with self._lock:
            if not self._stopped:
                self._expired[short_chan_id] = box
                return box
        box.stop()
        return None

    def _make_expired_box(self, short_chan_id: ShortChannelID) -> BaseMailBox:
        """Return a mailbox, started. May wait for the disk, and so for a transaction's end."""
        if self._kept is not None:
            return self._kept.expired_box(short_chan_id)
        names = [field.name for field in attrs.fields(SwitchConfig)]
        common: dict[str, Any] = {name: getattr(self._config, name) for name in names}
        config = MailBoxConfig(short_chan_id=short_chan_id, **{**common, "expiry": 0.0})
        box = MemoryMailBox(config)
        box.start()
        return box
