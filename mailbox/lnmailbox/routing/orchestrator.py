"""All mailboxes, and the way to them by short channel id (lnd: `mailOrchestrator`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import attrs

from ..contract import MailBox, MailBoxConfig, SwitchConfig, require_short_chan_id
from ..contract.config import called_with
from ..errors import MailBoxShuttingDown, PacketAlreadyExists, UnknownHTLCType
from ..mailboxes.memory import MemoryMailBox
from ..packet import HTLCPacket
from ..wire import ChannelID, ShortChannelID
from .parked import ParkedPackets

__all__ = ["MailOrchestrator", "MailOrchestratorConfig"]

_logger = logging.getLogger(__name__)

_REFUSALS = (PacketAlreadyExists, UnknownHTLCType)


@attrs.frozen(kw_only=True)
class MailOrchestratorConfig(SwitchConfig):
    """The configuration of an orchestrator and its mailboxes (lnd: `mailOrchConfig`).

    Attributes:
        fetch_update, forward_packets, clock, expiry: as in `MailBoxConfig`.
        mailbox_factory: called as `mailbox_factory(config)` once for each channel, one call at a
            time; returns a mailbox that is not started. `config.chan_id` names the channel. The
            factory may use the orchestrator, but must not ask it for the channel that it is
            making the mailbox of.

    Raises:
        TypeError: a callback or `mailbox_factory` is a coroutine function or can't be called as
            described, or `clock` is no clock.
        ValueError: `expiry` is not a finite number of at least 0.
    """

    mailbox_factory: Callable[[MailBoxConfig], MailBox] = attrs.field(
        default=MemoryMailBox, validator=called_with("config")
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
        self._unclaimed_packets = ParkedPackets()

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
        it is a duplicate or no HTLC, is logged and dropped. If anything else is raised, that
        packet and the ones after it stay parked, and the next call goes on with them. If the id
        led to another mailbox, it leads to this one from now on. A mailbox can have several ids.
        May block while another thread makes or binds a mailbox.

        Args:
            mailbox: the channel's. It is registered if `get_or_create_mailbox` did not make it.

        Raises:
            MailBoxShuttingDown: the orchestrator was stopped, or packets are parked and the
                mailbox was stopped.
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
            mailbox.short_chan_id = short_chan_id
            self._register(chan_id, mailbox)
            while (packet := self._first_parked_or_make_live(short_chan_id, mailbox)) is not None:
                try:
                    self._add_or_log(mailbox, packet)
                    self._drop_first(short_chan_id, packet)
                except Exception:
                    raise
                except BaseException:
                    # After an interrupt, finish the step: the packet must not be in two places.
                    # If the mailbox has it already, it refuses it.
                    with suppress(Exception):
                        with suppress(*_REFUSALS):
                            mailbox.add_packet(packet)
                        self._drop_first(short_chan_id, packet)
                    raise

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
                self._unclaimed_packets.add(short_chan_id, packet)
                return
        mailbox.add_packet(packet)

    def stop(self) -> None:
        """Signal every mailbox to stop, then wait for each as `MailBox.stop` does (lnd: `Stop`).

        Idempotent; may be called from a callback. Parked packets are dropped.
        """
        with self._lock:
            self._stopped = True
            mailboxes = list(self._mailboxes.values())
            dropped = len(self._unclaimed_packets)
            self._unclaimed_packets.clear()
        if dropped:
            with suppress(Exception):  # what a log's filter may raise
                _logger.warning(
                    "stopped with %d packets for channels that never went live", dropped
                )
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
