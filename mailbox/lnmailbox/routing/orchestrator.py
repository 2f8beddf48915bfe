"""All mailboxes, and the way to them by short channel id (lnd: `mailOrchestrator`)."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from ..contract import (
    MailBox,
    MailBoxConfig,
    MailOrchestratorStatistics,
    require_callable,
    require_config,
    require_short_chan_id,
)
from ..errors import MailBoxShuttingDown
from ..mailboxes.memory import MemoryMailBox
from ..packet import CircuitKey, HTLCPacket, require_packet
from ..wire import ChannelID, ShortChannelID
from .adding_up import add_up, counts_of, describe_orchestrator
from .config import MailOrchestratorConfig
from .parking import Parking

__all__ = ["MailOrchestrator", "MailOrchestratorConfig"]

_logger = logging.getLogger(__name__)


class MailOrchestrator(Parking):
    """Makes and finds mailboxes, and parks packets for channels that are not live yet.

    Every method may be called from any thread, callbacks included. As a context manager it stops
    at the end.

    With a `journal`, what parks, makes, binds or removes waits for the disk, and raises
    `JournalError` if it can't be kept, or inside a `transaction` of the journal. So does `stop`
    inside one. The journal is not closed at the end.
    """

    def __init__(self, config: MailOrchestratorConfig) -> None:
        require_config(MailOrchestratorConfig, config)
        super().__init__(config)
        self._mailboxes: dict[ChannelID, MailBox] = {}
        self._removed: weakref.WeakSet[MailBox] = weakref.WeakSet()  # or about to be
        self._make_mailbox = config.mailbox_factory
        if self._kept is not None and config.mailbox_factory is MemoryMailBox:
            self._make_mailbox = self._kept.journal.mailbox

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
        self._require_no_transaction("what makes a mailbox")
        with self._setup_lock:
            mailbox = self._find(chan_id)
            if mailbox is None:
                mailbox = self._make_mailbox(config)
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
            ValueError: the channel has another mailbox, another channel has this one, or `chan_id`
                is not 32 bytes.
            TypeError: `mailbox` is not a `MailBox`, or `short_chan_id` not a `ShortChannelID`.
        """
        if not isinstance(mailbox, MailBox):
            raise TypeError(f"mailbox must be a MailBox, got {mailbox!r}")
        chan_id = ChannelID(chan_id)
        require_short_chan_id(short_chan_id)
        self._require_no_transaction("bind_live_short_chan_id")
        with self._setup_lock:
            known = self._find(chan_id)
            if known is not None and known is not mailbox:
                raise ValueError(f"channel {chan_id} has another mailbox: {known!r}")
            if known is None and mailbox in self.mailboxes():
                raise ValueError(f"another channel than {chan_id} has {mailbox!r}")
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
            TypeError: `short_chan_id` is not a `ShortChannelID`, or `packet` no `HTLCPacket`.
        """
        require_short_chan_id(short_chan_id)
        require_packet(packet)
        while True:
            with self._lock:
                if self._stopped:
                    raise MailBoxShuttingDown
                mailbox = self._live_index.get(short_chan_id)
                if mailbox is None and self._kept is None:
                    self._park_locked(short_chan_id, packet)
                    return
            try:
                if mailbox is None:
                    if self._park(short_chan_id, packet):
                        return
                    continue  # it was bound meanwhile
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
        binds a mailbox. If it is interrupted while it blocks, or raises `JournalError`, the
        mailbox is stopped: call it again.

        Returns:
            What was unacked, replies before Adds, each in order of arrival. It is the caller's to
            deal with.

        Raises:
            KeyError: the channel has no mailbox, or another thread removed it meanwhile.
            ValueError: `chan_id` is not 32 bytes.
        """
        chan_id = ChannelID(chan_id)
        self._require_no_transaction("remove_mailbox")
        with self._setup_lock, self._lock:
            mailbox = self._mailboxes.get(chan_id)
            if mailbox is None:
                raise KeyError(f"channel {chan_id} has no mailbox")
            self._removed.add(mailbox)
            self._unbind_locked(mailbox)
        mailbox.stop()
        counts, unacked = counts_of(mailbox.statistics()), mailbox.release()
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
        self._require_no_transaction("drop_parked")
        with self._setup_lock:
            if self._kept is None:
                return self._drop_channel(short_chan_id)
            with self._lock:
                parked = self._unclaimed_packets.packets(short_chan_id)
            self._kept.remove(parked, lambda: self._drop_channel(short_chan_id))
            return parked

    def recover(
        self,
        committed: Callable[[ChannelID, CircuitKey], bool] | None = None,
        adds: str = "replay",
    ) -> list[ChannelID]:
        """Take up the mail that an earlier process left in the journal. Once, at the start.

        Makes the mailboxes of all channels with mail, acks what their channel states contain
        already, in one commit for all, and calls `reset_packets` on each. The rest is then
        delivered again, in order; Adds past their deadline are failed back. Call it before a peer
        is connected, and before anything is received. If it raises, nothing was acked or reset,
        unless a mailbox was stopped meanwhile.

        Args:
            committed: called as `committed(chan_id, key)` for each packet that was left; returns
                whether the channel's state, on this node's disk, has it. Without it, none is. It
                can't tell an Add from a reply. They have the same key if an HTLC leaves by the
                channel it came in by: refuse such HTLCs, as lnd does by default.
            adds: "replay" delivers Adds again. "fail" fails those that are not committed, as lnd,
                Eclair and Core Lightning do after a restart; couriers carry the Fails.

        Returns:
            The channels.

        Raises:
            ValueError: there is no journal, or `adds` is something else.
            TypeError: `committed` can't be called so.
            JournalError: something can't be read, or the acks can't be written.
            MailBoxShuttingDown: the orchestrator was stopped.
        """
        if self._kept is None:
            raise ValueError("recover needs MailOrchestratorConfig.journal, got None")
        if adds not in ("replay", "fail"):
            raise ValueError(f"adds must be 'replay' or 'fail', got {adds!r}")
        if committed is not None:
            require_callable("committed", ("chan_id", "key"), committed)
        return self._kept.recover(self.get_or_create_mailbox, committed, adds)

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

        Idempotent; may be called from a callback. Parked packets are dropped, from memory: a
        journal keeps them for the next process.
        """
        self._require_no_transaction("stop")
        with self._lock:
            self._stopped = True
            mailboxes = [*self._mailboxes.values(), *self._expired.values()]
            dropped = len(self._unclaimed_packets)
            self._unclaimed_packets.clear()
        if dropped and self._kept is None:
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

    def _unbind_locked(self, mailbox: MailBox) -> None:
        live = {id_: box for id_, box in self._live_index.items() if box is not mailbox}
        self._live_index = live
