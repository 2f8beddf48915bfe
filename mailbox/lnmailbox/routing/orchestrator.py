"""All mailboxes, and the way to them by short channel id (lnd: `mailOrchestrator`)."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import attrs

from ..clock import seconds_to_ns
from ..contract import (
    MailBox,
    MailBoxConfig,
    MailOrchestratorStatistics,
    SwitchConfig,
    require_short_chan_id,
)
from ..contract.config import called_with, check_expiry, check_limit
from ..errors import MailBoxShuttingDown, PacketAlreadyExists, UnknownHTLCType
from ..failing.alarms import RETRY_NS, Alarm, Watch
from ..keeping.entry import NEVER
from ..mailboxes.memory import MemoryMailBox
from ..packet import HTLCPacket
from ..wire import ChannelID, ShortChannelID
from .adding_up import NOTHING, add_up, counts_of, describe_orchestrator
from .parked import ParkedPackets

__all__ = ["MailOrchestrator", "MailOrchestratorConfig"]

_logger = logging.getLogger(__name__)

_REFUSALS = (PacketAlreadyExists, UnknownHTLCType)


@attrs.frozen(kw_only=True)
class MailOrchestratorConfig(SwitchConfig):
    """The configuration of an orchestrator and its mailboxes (lnd: `mailOrchConfig`).

    Attributes:
        fetch_update, forward_packets, clock, expiry, fail_update, max_wire_messages,
            max_wire_bytes, latch_on_overflow: as in `MailBoxConfig`.
        mailbox_factory: called as `mailbox_factory(config)` once for each channel, one call at a
            time; returns a mailbox that is not started. `config.chan_id` names the channel. The
            factory may use the orchestrator, but must not ask it for the channel that it is
            making the mailbox of.
        max_parked: how many packets `deliver` parks for one short channel id; by default 483, as
            many HTLCs as a commitment can have (BOLT 2). None is unlimited.
        max_parked_channels: for how many ids it parks packets; by default 512. With Adds, which
            take 3 KB each, the defaults bound what is parked to some 0.7 GB.
        parked_expiry: seconds after which a parked Add is failed back as in a mailbox. None, the
            default, is never. Replies do not expire.

    Raises:
        TypeError: a callback or `mailbox_factory` is a coroutine function or can't be called as
            described, or `clock` is no clock.
        ValueError: `expiry` or `parked_expiry` is not a finite number of at least 0, or a limit is
            neither None nor an integer of at least 0.
    """

    mailbox_factory: Callable[[MailBoxConfig], MailBox] = attrs.field(
        default=MemoryMailBox, validator=called_with("config")
    )
    max_parked: int | None = attrs.field(default=483, validator=check_limit)
    max_parked_channels: int | None = attrs.field(default=512, validator=check_limit)
    parked_expiry: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(check_expiry)
    )


class MailOrchestrator:
    """Makes and finds mailboxes, and parks packets for channels that are not live yet.

    Every method may be called from any thread, callbacks included. As a context manager it stops
    at the end.
    """

    def __init__(self, config: MailOrchestratorConfig) -> None:
        self._config = config
        # Held while a mailbox is made or bound, one at a time. Taken before `_lock`.
        self._setup_lock = threading.RLock()
        # Guards everything below.
        self._lock = threading.Lock()
        self._stopped = False
        self._mailboxes: dict[ChannelID, MailBox] = {}
        self._live_index: dict[ShortChannelID, MailBox] = {}
        self._removed: weakref.WeakSet[MailBox] = weakref.WeakSet()  # or about to be
        self._unclaimed_packets = ParkedPackets(config.max_parked, config.max_parked_channels)
        # Where parked Adds go when they expire: mailboxes in which nothing may wait.
        self._expired: dict[ShortChannelID, MemoryMailBox] = {}
        self._alarm = Alarm(Watch.of(config.clock), MailOrchestrator._on_parked_deadline, self)
        self._parked_expired = 0
        self._past = NOTHING  # the counts of mailboxes that were removed

    def __repr__(self) -> str:
        with self._lock:
            state = "stopped" if self._stopped else "running"
            boxes, parked = len(self._mailboxes), len(self._unclaimed_packets)
        return f"<{type(self).__name__} of {boxes} mailboxes, {parked} parked packets, {state}>"

    def get_or_create_mailbox(self, chan_id: ChannelID, short_chan_id: ShortChannelID) -> MailBox:
        """Return the channel's mailbox; make and start it if there is none.

        lnd: `GetOrCreateMailBox`. May block while another thread makes or binds a mailbox.

        Args:
            chan_id: the 32 bytes that identify the channel.
            short_chan_id: for a mailbox that is made; 0x0x0 while the channel is pending.

        Raises:
            MailBoxShuttingDown: the orchestrator was stopped.
            ValueError: `chan_id` is not 32 bytes.
            TypeError: `short_chan_id` is not a `ShortChannelID`.
        """
        chan_id = ChannelID(chan_id)
        mailbox = self._find(chan_id)
        if mailbox is not None:
            return mailbox
        config = MailBoxConfig.of_channel(self._config, chan_id, short_chan_id)
        with self._setup_lock:
            mailbox = self._find(chan_id)
            if mailbox is None:
                mailbox = self._config.mailbox_factory(config)
                try:
                    mailbox.start()
                    self._register(chan_id, mailbox)
                except Exception:
                    mailbox.stop()
                    raise
        return mailbox

    def bind_live_short_chan_id(
        self, mailbox: MailBox, chan_id: ChannelID, short_chan_id: ShortChannelID
    ) -> None:
        """Make `short_chan_id` lead to `mailbox` (lnd: `BindLiveShortChanID`).

        Gives the mailbox the id and then the packets that are parked for it, in order. Packets
        that are delivered meanwhile come after them. A packet that the mailbox refuses, because
        it is a duplicate or no HTLC, is logged and dropped. If anything else is raised, what the
        mailbox does not have stays parked, and the next call goes on with it. If the id
        led to another mailbox, it leads to this one from now on. A mailbox can have several ids.
        May block while another thread makes or binds a mailbox.

        Args:
            mailbox: the channel's. It is registered if `get_or_create_mailbox` did not make it.

        Raises:
            MailBoxShuttingDown: the orchestrator was stopped, the mailbox was removed, or packets
                are parked and the mailbox was stopped.
            ValueError: the channel has another mailbox, or `chan_id` is not 32 bytes.
            TypeError: `mailbox` is not a `MailBox`, or `short_chan_id` not a `ShortChannelID`.
        """
        if not isinstance(mailbox, MailBox):
            raise TypeError(f"mailbox must be a MailBox, got {mailbox!r}")
        chan_id = ChannelID(chan_id)
        require_short_chan_id(short_chan_id)
        with self._setup_lock:
            known = self._find(chan_id)
            if known is not None and known is not mailbox:
                raise ValueError(f"channel {chan_id} has another mailbox: {known!r}")
            if mailbox in self._removed:
                raise MailBoxShuttingDown
            mailbox.short_chan_id = short_chan_id
            self._register(chan_id, mailbox)
            self._move_parked(short_chan_id, mailbox)

    def deliver(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Add the packet to the mailbox of a live channel, or park it (lnd: `Deliver`).

        A parked packet waits for `bind_live_short_chan_id`, and an Add for `parked_expiry` at
        most, if that is set. An Add's time in a mailbox starts when the mailbox gets it.

        Raises:
            MailBoxShuttingDown: the orchestrator, or the mailbox, was stopped.
            ParkedFull: `max_parked` packets are parked for this id, or others for
                `max_parked_channels` ids.
            PacketAlreadyExists: the mailbox has, or there is parked for the same id, a packet
                of the same class with the same key.
            UnknownHTLCType: the packet carries neither an Add nor a reply.
            TypeError: `short_chan_id` is not a `ShortChannelID`.
        """
        while True:
            with self._lock:
                if self._stopped:
                    raise MailBoxShuttingDown
                mailbox = self._live_index.get(short_chan_id)
                if mailbox is None:
                    require_short_chan_id(short_chan_id)
                    self._park_locked(short_chan_id, packet)
                    return
            try:
                mailbox.add_packet(packet)
                return
            except MailBoxShuttingDown:
                # If the mailbox was removed meanwhile, the packet is for the next one.
                if self._live_index.get(short_chan_id) is mailbox:
                    raise

    def remove_mailbox(self, chan_id: ChannelID) -> list[HTLCPacket]:
        """Forget the channel's mailbox, and stop it, as when a channel was closed.

        Short channel ids that led to it lead nowhere: packets for them are parked. The channel
        may get a new mailbox. Blocks as `MailBox.stop` does, and while another thread makes or
        binds a mailbox. If it is interrupted while it blocks, call it again.

        Returns:
            What was unacked, replies before Adds, each in order of arrival. It is the caller's to
            deal with.

        Raises:
            KeyError: the channel has no mailbox, or another thread removed it meanwhile.
            ValueError: `chan_id` is not 32 bytes.
        """
        chan_id = ChannelID(chan_id)
        with self._setup_lock, self._lock:
            mailbox = self._mailboxes.get(chan_id)
            if mailbox is None:
                raise KeyError(f"channel {chan_id} has no mailbox")
            self._removed.add(mailbox)
            self._unbind_locked(mailbox)
        mailbox.stop()
        unacked, counts = mailbox.unacked(), counts_of(mailbox.statistics())
        with self._lock:
            # Not before: if `stop` is interrupted, the call can be repeated.
            if self._mailboxes.get(chan_id) is not mailbox:
                raise KeyError(f"channel {chan_id} has no mailbox any more")
            past = add_up([self._past, counts])
            del self._mailboxes[chan_id]
            self._past = past
        return unacked

    def mailboxes(self) -> list[MailBox]:
        """Return the mailboxes that were not removed, in the order in which they were made."""
        with self._lock:
            return list(self._mailboxes.values())

    def drop_parked(self, short_chan_id: ShortChannelID) -> list[HTLCPacket]:
        """Forget what is parked for this id; return it, in order of arrival.

        May block while another thread makes or binds a mailbox.

        Raises:
            TypeError: `short_chan_id` is not a `ShortChannelID`.
        """
        require_short_chan_id(short_chan_id)
        with self._setup_lock, self._lock:
            return self._unclaimed_packets.drop_channel(short_chan_id)

    def statistics(self) -> MailOrchestratorStatistics:
        """Return counts that may be out of date when they are returned.

        Takes each mailbox's lock for a moment: some 10 us a mailbox.
        """
        with self._lock:
            boxes = list(self._mailboxes.values())
            expired = list(self._expired.values())
            parked = self._unclaimed_packets
            counts = {
                "mailboxes": len(boxes),
                "live": len(self._live_index),
                "parked": len(parked),
                "parked_channels": parked.channels,
                "parked_refused": parked.refused,
                "parked_expired": self._parked_expired,
            }
            past = self._past
        total = add_up([past, *(box.statistics() for box in [*boxes, *expired])])
        return MailOrchestratorStatistics(total=total, **counts)

    def describe(self) -> str:
        """Return lines for people: the sums, and the mailboxes in which something is stuck."""
        return describe_orchestrator(repr(self), self.statistics(), self.mailboxes())

    def stop(self) -> None:
        """Signal every mailbox to stop, then wait for each as `MailBox.stop` does (lnd: `Stop`).

        Idempotent; may be called from a callback. Parked packets are dropped.
        """
        with self._lock:
            self._stopped = True
            mailboxes = [*self._mailboxes.values(), *self._expired.values()]
            dropped = len(self._unclaimed_packets)
            self._unclaimed_packets.clear()
        if dropped:
            with suppress(Exception):  # what a log's filter may raise
                _logger.warning(
                    "stopped with %d packets for channels that never went live", dropped
                )
        for mailbox in mailboxes:
            mailbox.signal_stop()
        self._alarm.cancel()
        for mailbox in mailboxes:
            mailbox.stop()

    def __enter__(self) -> MailOrchestrator:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _find(self, chan_id: ChannelID) -> MailBox | None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            return self._mailboxes.get(chan_id)

    def _register(self, chan_id: ChannelID, mailbox: MailBox) -> None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            self._mailboxes[chan_id] = mailbox

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
                        mailbox.add_packet(packet)
                    self._drop_first(short_chan_id, packet)
                raise

    def _unbind_locked(self, mailbox: MailBox) -> None:
        live = {id_: box for id_, box in self._live_index.items() if box is not mailbox}
        self._live_index = live

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

    def _add_or_log(self, mailbox: MailBox, packet: HTLCPacket) -> None:
        try:
            mailbox.add_packet(packet)
        except _REFUSALS:
            with suppress(Exception):  # what a log's filter may raise
                _logger.exception("%r refused parked packet %s", mailbox, packet.keystone)

    def _drop_first(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        with self._lock:
            self._unclaimed_packets.drop_first(short_chan_id, packet)

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
            with self._lock:
                if not self._stopped:
                    self._expire_locked(now)
        finally:
            self._setup_lock.release()

    def _expire_locked(self, now: int) -> None:
        parked = self._unclaimed_packets
        for id_, box in list(self._expired.items()):
            if not box.unacked():
                self._past = add_up([self._past, counts_of(box.statistics())])
                del self._expired[id_]
        while (due := parked.first_due(now)) is not None:
            short_chan_id, packet = due
            with suppress(PacketAlreadyExists):
                self._expired_box_locked(short_chan_id).add_packet(packet)
            parked.drop_first_due()
            self._parked_expired += 1
        deadline = parked.next_deadline()
        if deadline < NEVER:
            self._alarm.set(deadline)

    def _expired_box_locked(self, short_chan_id: ShortChannelID) -> MemoryMailBox:
        box = self._expired.get(short_chan_id)
        if box is None:
            names = [field.name for field in attrs.fields(SwitchConfig)]
            common: dict[str, Any] = {name: getattr(self._config, name) for name in names}
            config = MailBoxConfig(short_chan_id=short_chan_id, **{**common, "expiry": 0.0})
            box = self._expired[short_chan_id] = MemoryMailBox(config)
            box.start()
        return box
