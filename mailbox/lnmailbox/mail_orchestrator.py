"""All mailboxes, and the way to them by short channel id (lnd: `mailOrchestrator`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

import attrs

from .clock import Clock, SystemClock
from .contract import (
    FetchUpdate,
    ForwardPackets,
    MailBox,
    MailBoxConfig,
    check_callable,
    check_clock,
    check_expiry,
    require_short_chan_id,
)
from .errors import MailBoxShuttingDown
from .memory_mailbox import MemoryMailBox
from .packet import HTLCPacket
from .parked import ParkedPackets
from .wire import ChannelID, ShortChannelID

__all__ = ["MailOrchestrator", "MailOrchestratorConfig"]

_logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class MailOrchestratorConfig:
    """What every mailbox of an orchestrator is told (lnd: `mailOrchConfig`).

    Attributes:
        fetch_update, forward_packets, clock, expiry: as in `MailBoxConfig`.
        mailbox_factory: called as `mailbox_factory(config)` once for each channel, one call at a
            time; returns a mailbox that is not started. It may use the orchestrator, but must
            not ask it for the channel that it is making the mailbox of.

    Raises:
        TypeError: a callback can't be called, or `clock` is no clock.
        ValueError: `expiry` is not a finite number of at least 0.
    """

    fetch_update: FetchUpdate = attrs.field(validator=check_callable)
    forward_packets: ForwardPackets = attrs.field(validator=check_callable)
    clock: Clock = attrs.field(default=SystemClock(), validator=check_clock)
    expiry: float = attrs.field(default=60.0, validator=check_expiry)
    mailbox_factory: Callable[[MailBoxConfig], MailBox] = attrs.field(
        default=MemoryMailBox, validator=check_callable
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
        self._unclaimed_packets: dict[ShortChannelID, ParkedPackets] = {}

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
        config = MailBoxConfig(
            short_chan_id=short_chan_id,
            fetch_update=self._config.fetch_update,
            forward_packets=self._config.forward_packets,
            clock=self._config.clock,
            expiry=self._config.expiry,
        )
        with self._setup_lock:
            mailbox = self._find(chan_id)
            if mailbox is None:
                mailbox = self._config.mailbox_factory(config)
                mailbox.start()
                try:
                    self._register(chan_id, mailbox)
                except MailBoxShuttingDown:
                    mailbox.stop()
                    raise
        return mailbox

    def bind_live_short_chan_id(
        self, mailbox: MailBox, chan_id: ChannelID, short_chan_id: ShortChannelID
    ) -> None:
        """Make `short_chan_id` lead to `mailbox` (lnd: `BindLiveShortChanID`).

        First gives it the packets that are parked for the id, in order, and gives the mailbox
        the id. What `deliver` gets meanwhile comes after them. A packet that the mailbox refuses
        is logged and dropped. An id that leads to another mailbox leads to this one from now on;
        a mailbox can have several ids. May block while another thread makes or binds a mailbox.

        Args:
            mailbox: the channel's; one that `get_or_create_mailbox` did not make is registered.

        Raises:
            MailBoxShuttingDown: the orchestrator was stopped, or the mailbox was, and packets
                are parked. Those that it did not get stay parked.
            ValueError: the channel has another mailbox, or `chan_id` is not 32 bytes.
            TypeError: `short_chan_id` is not a `ShortChannelID`.
        """
        chan_id = ChannelID(chan_id)
        require_short_chan_id(short_chan_id)
        with self._setup_lock:
            known = self._find(chan_id)
            if known is None:
                self._register(chan_id, mailbox)
            elif known is not mailbox:
                raise ValueError(f"channel {chan_id} has another mailbox: {known!r}")
            mailbox.short_chan_id = short_chan_id
            while packet := self._first_parked_or_make_live(short_chan_id, mailbox):
                try:
                    mailbox.add_packet(packet)
                except MailBoxShuttingDown:
                    raise
                except Exception:
                    _logger.exception("%r refused parked packet %s", mailbox, packet.keystone)
                self._drop_first_parked(short_chan_id)

    def deliver(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> None:
        """Add the packet to the mailbox of a live channel, or park it (lnd: `Deliver`).

        A parked packet waits for `bind_live_short_chan_id`, without limit; an Add's time starts
        when its mailbox gets it.

        Raises:
            MailBoxShuttingDown: the orchestrator, or the mailbox, was stopped.
            PacketAlreadyExists: the mailbox has, or there is parked for the same id, a packet
                of the same class with the same key.
            UnknownHTLCType: the packet carries neither an Add nor a reply.
            TypeError: `short_chan_id` is not a `ShortChannelID`.
        """
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            mailbox = self._live_index.get(short_chan_id)
            if mailbox is None:
                require_short_chan_id(short_chan_id)
                parked = self._unclaimed_packets.get(short_chan_id) or ParkedPackets()
                parked.add(packet)
                self._unclaimed_packets[short_chan_id] = parked
                return
        mailbox.add_packet(packet)

    def stop(self) -> None:
        """Signal every mailbox to stop, then wait for each as `MailBox.stop` does (lnd: `Stop`).

        Idempotent; may be called from a callback. Parked packets are dropped.
        """
        with self._lock:
            self._stopped = True
            mailboxes = list(self._mailboxes.values())
            dropped = sum(map(len, self._unclaimed_packets.values()))
            self._unclaimed_packets.clear()
        if dropped:
            _logger.warning("stopped with %d packets for channels that never went live", dropped)
        for mailbox in mailboxes:
            mailbox.signal_stop()
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

    def _first_parked_or_make_live(
        self, short_chan_id: ShortChannelID, mailbox: MailBox
    ) -> HTLCPacket | None:
        with self._lock:
            if self._stopped:
                raise MailBoxShuttingDown
            parked = self._unclaimed_packets.get(short_chan_id)
            if parked is None:
                self._live_index[short_chan_id] = mailbox
                return None
            return parked.first()

    def _drop_first_parked(self, short_chan_id: ShortChannelID) -> None:
        with self._lock:
            parked = self._unclaimed_packets.get(short_chan_id)
            if parked is not None:  # None: the orchestrator was stopped
                parked.drop_first()
                if not parked:
                    del self._unclaimed_packets[short_chan_id]
