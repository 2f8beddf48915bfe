"""The mailbox whose mail outlives the process: memory decides, a journal lies under it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from ..contract import MailBoxConfig, MailBoxStatistics, require_config
from ..errors import JournalError
from ..failing.decided import DurableDesk
from ..failing.desk import ReturnsDesk
from ..keeping.channels import ChannelJournal
from ..keeping.entry import NEVER, NOWHERE, Claim, Entry, Place
from ..keeping.messages import MessageQueue
from ..keeping.rows import ON_DISK, RowShelf, fill
from ..keeping.schema import signed_key, unsigned
from ..keeping.store import MemoryStore, Store
from ..keeping.tickets import Ticket
from ..life import Life
from ..packet import CircuitKey, HTLCPacket, is_add, require_key, require_packet
from ..wire import ShortChannelID
from ..wire.shown import shown
from .arrivals import Acks, Arrival, Release, rows_gone
from .base import BaseMailBox, checked
from .describing import describe_mailbox

__all__ = ["DurableMailBox"]

_LATEST_NS = (1 << 63) - 1


class DurableMailBox(BaseMailBox):
    """A `MailBox` whose packets are on disk when the call that adds them returns.

    Adding blocks until the disk has the packets, and so do acks unless the journal has
    `lazy_acks`; receiving, nacks, resets and expiry write nothing. A packet can be received when
    it is on disk. Wire messages are kept in memory only: peers retransmit them (BOLT 2).

    What an earlier process left counts as with the link until `reset_packets`: it is neither
    delivered nor expires, because only the application knows which of it is in its channel state
    already. See `held`, and `MailOrchestrator.recover`.

    A Fail is decided in the commit that removes its Add, and handed to `forward_packets` at least
    once: after a crash perhaps again, when the mailbox is started, with the same key and bytes.

    Args:
        config: with the `chan_id` by which the journal knows the channel.
        journal: the one that has its packets.

    Raises:
        ValueError: `config.chan_id` is None.
        JournalError: the journal is closed, or the channel has another mailbox that is not
            stopped.

    Methods that change the journal raise `JournalError` if it is closed, if it has to be opened
    again, or if what they would keep can't be written. Adds have not happened then. An ack that
    could not be written stays in effect, and goes with the next commit. `fail_add` returns False
    in place of it, and logs the error.
    """

    def __init__(self, config: MailBoxConfig, journal: ChannelJournal) -> None:
        require_config(MailBoxConfig, config)
        if not isinstance(journal, ChannelJournal):
            raise TypeError(f"journal must be a SQLiteJournal, got {shown(journal)}")
        if config.chan_id is None:
            raise ValueError("a DurableMailBox needs config.chan_id, got None")
        self._journal = journal
        self._channel, packets, self._left_fails = journal.open_channel(
            config.chan_id, config.short_chan_id, self
        )
        messages = MessageQueue(
            config.max_wire_messages, config.max_wire_bytes, config.latch_on_overflow
        )
        store = MemoryStore(config.clock.now_ns, messages)
        store.replies = self._reply_rows = RowShelf()
        store.adds = self._add_rows = RowShelf()
        super().__init__(config, store)
        self._life.short_chan_id = self._channel.short_chan_id
        del self._left_fails
        self._restore(packets)

    def _make_desk(self, config: MailBoxConfig, life: Life, store: Store) -> ReturnsDesk:
        return DurableDesk(
            config,
            life,
            store.adds,
            self._packet_outbox,
            self._journal,
            self._channel,
            self._left_fails,
        )

    def _restore(self, packets: Sequence[int]) -> None:
        """Fill the shelves. `packets` has five numbers for each packet."""
        now, today, expiry = self._now_ns(), self._journal.today_ns(), self._expiry_ns
        share = self._journal.shared_id
        found: tuple[list[Entry], list[Entry]] = [], []
        numbers = iter(packets)
        for row, is_an_add, chan_id, htlc_id, date in zip(*[numbers] * 5, strict=True):
            entry = Entry()
            entry.number = row
            entry.key = CircuitKey(share(chan_id), unsigned(htlc_id))
            if is_an_add:
                entry.deadline = now + min(max(date - today, 0), expiry)
            else:
                entry.deadline = NEVER + now - max(today - date, 0)
            found[is_an_add].append(entry)
        for shelf, entries in zip((self._reply_rows, self._add_rows), found, strict=True):
            shelf.restore(entries)
            if len(shelf.unacked) < len(entries):
                raise JournalError(f"{self._journal} is damaged: two packets have the same key")

    def _rename(self, short_chan_id: ShortChannelID) -> None:
        channel = self._channel
        before = channel.short_chan_id
        try:
            with self._lock:
                channel.short_chan_id = short_chan_id
                is_kept = channel.is_mine and (channel.is_saved or self._is_coming)
            if is_kept and before != short_chan_id:
                self._journal.commit(Ticket({"channels": [channel.row()]}))
        except BaseException:
            channel.short_chan_id = before  # so that the next call tries again
            raise
        super()._rename(short_chan_id)

    @property
    def _is_coming(self) -> bool:
        return bool(self._reply_rows.coming or self._add_rows.coming)

    def is_in(self, journal: ChannelJournal) -> bool:
        return self._journal is journal

    def held(self) -> list[CircuitKey]:
        """Return the keys of what an earlier process left: replies, then Adds, each in order.

        It is with the link until `reset_packets`, or `nack_packet` for one packet.
        """
        with self._lock:
            return [entry.key for entry in self._reply_rows.held() + self._add_rows.held()]

    # Adding

    def add_packet(self, packet: HTLCPacket) -> None:
        require_packet(packet)
        self.add_in_place_of((packet,), ())

    def add_packets(self, packets: Iterable[HTLCPacket]) -> None:
        self.add_in_place_of(checked(packets, "packets", HTLCPacket, require_packet), ())

    def add_in_place_of(self, packets: Sequence[HTLCPacket], parked: Sequence[int]) -> None:
        """Add packets, and in the same commit remove rows of packets that were parked."""
        encode = self._journal.encode
        classes = [is_add(packet) for packet in packets]
        data = [encode(packet) for packet in packets]
        arrival = Arrival(self)
        self._journal.end_abandoned()
        try:
            with self._lock:
                self._life.require_not_stopped()
                self._admit_arrival_locked(arrival, packets, classes, data)
                if parked:
                    arrival.rows = {**arrival.rows, "unparked": [(row,) for row in parked]}
                self._journal.submit(arrival)
            self._journal.wait(arrival)
        except BaseException:
            self._journal.settle(arrival)
            raise

    def _admit_arrival_locked(
        self,
        arrival: Arrival,
        packets: Sequence[HTLCPacket],
        classes: list[bool],
        data: list[bytes],
    ) -> None:
        now, today = self._now_ns(), self._journal.today_ns()
        deadline = now + self._expiry_ns
        parts: tuple[list[HTLCPacket], list[HTLCPacket]] = [], []
        for packet, is_an_add in zip(packets, classes, strict=True):
            parts[is_an_add].append(packet)
        replies, adds = parts
        new_replies = self._reply_rows.admit_rows(replies, NEVER + now) if replies else {}
        new_adds = self._add_rows.admit_rows(adds, deadline) if adds else {}
        channel = self._channel
        dates = today, min(today + self._expiry_ns, _LATEST_NS)
        rows = []
        ids = self._journal.next_ids(len(packets))
        for row, packet, is_an_add, one in zip(ids, packets, classes, data, strict=True):
            key = packet.in_key
            (new_adds if is_an_add else new_replies)[key].number = row
            rows.append((row, channel.id, is_an_add, *signed_key(*key), dates[is_an_add], one))
        arrival.rows = {"packets": rows}
        if not channel.is_saved:
            arrival.rows = {"channels": [channel.row()], "packets": rows}
        # From here on, `undone` has to let go of the keys.
        arrival.replies = new_replies.values()
        arrival.adds = new_adds.values()
        arrival.deadline = deadline
        if new_replies:
            self._reply_rows.coming.update(new_replies)
        if new_adds:
            self._add_rows.coming.update(new_adds)

    def _publish_arrival_locked(self, arrival: Arrival) -> None:
        replies, adds = arrival.replies, arrival.adds
        self._channel.is_saved = True
        if adds:
            self._desk.watch_locked(arrival.deadline)
        self._packet_outbox._ring_locked(len(replies) + len(adds))
        if replies:
            self._reply_rows.publish_rows(replies)
        if adds:
            self._add_rows.publish_rows(adds)

    # Acks

    def ack_packet(self, key: CircuitKey) -> bool:
        require_key(key)
        return self.ack_packets((key,)) == 1

    def ack_packets(self, keys: Iterable[CircuitKey]) -> int:
        if isinstance(keys, CircuitKey):
            raise TypeError(f"keys must be several CircuitKeys, got one: ack_packet({keys!r})")
        keys = checked(keys, "keys", CircuitKey, require_key)
        self._journal.end_abandoned()
        if self._journal.my_transaction() is not None:
            return self._ack_in_transaction(keys)
        return self._ack(keys)

    def _ack(self, keys: list[CircuitKey]) -> int:
        gone: list[Entry] = []
        ticket = Ticket(keeps=True)
        journal = self._journal
        try:
            with self._lock:
                journal.require_open()
                self._require_mine_locked()
                self._ack_locked(keys, gone)
                # Under the lock: what follows, such as a removal, is committed after this.
                ticket.rows = rows_gone(gone)
                waits = bool(gone) and journal.submit_ack(ticket)
            if waits:
                journal.wait(ticket)
        except BaseException:
            if not ticket.is_over:
                # Once more, perhaps. All that was removed from memory has to go.
                gone = [entry for entry in gone if entry.at is NOWHERE]
                if gone:
                    journal.submit_lazily(Ticket(rows_gone(gone), keeps=True))
            journal.settle(ticket)
            raise
        return len(gone)

    def _require_mine_locked(self) -> None:
        if self._released is None:  # else there is nothing to ack, and the answer is no
            self._channel.require_mine()

    def _ack_locked(self, keys: list[CircuitKey], gone: list[Entry]) -> None:
        replies, adds = self._reply_rows, self._add_rows
        for key in keys:
            entry, shelf = replies.can_ack(key), replies
            if entry is None:
                entry, shelf = adds.can_ack(key), adds
            if entry is not None:
                gone.append(entry)
                shelf.ack(key)

    def _ack_in_transaction(self, keys: list[CircuitKey]) -> int:
        acks = Acks(self)
        mine = self._journal.my_transaction()
        assert mine is not None
        try:
            with self._lock:
                self._require_mine_locked()
                self._claim_acked_locked(keys, acks, mine.acked)
                acks.rows = rows_gone(acks.entries())
                self._journal.submit(acks)
        except BaseException:
            self._journal.settle(acks)
            mine.acked.difference_update(acks.entries())  # they can be acked again
            raise
        return len(acks.claims)

    def _claim_acked_locked(self, keys: list[CircuitKey], acks: Acks, acked: set[Entry]) -> None:
        for key in keys:
            for shelf in (self._reply_rows, self._add_rows):
                entry = shelf.can_ack(key)
                if entry is not None and entry not in acked:
                    claim = Claim()
                    acks.claims.append((shelf, claim))
                    shelf.claim_to_ack(claim, entry)
                    acked.add(entry)
                    break

    # What an earlier process left

    def nack_packet(self, key: CircuitKey) -> bool:
        require_key(key)
        self._life.require_not_stopped()
        self._read([e for e in self._entries(key) if e.at.place is Place.LINK])
        return super().nack_packet(key)

    def fail_add(self, packet: HTLCPacket) -> bool:
        require_packet(packet)
        self._journal.require_no_transaction("fail_add")
        key = packet.in_key
        self._read([entry for entry in self._entries(key) if entry is self._adds.unacked.get(key)])
        return super().fail_add(packet)

    def reset_packets(self) -> None:
        self._life.require_not_stopped()
        self.read_held()
        super().reset_packets()

    def unacked(self) -> list[HTLCPacket]:
        self.read_held()
        return super().unacked()

    def dust_packets(self) -> tuple[int, int]:
        if self._is_dust is not None:
            self.read_held()
        return super().dust_packets()

    def expire_held(self) -> None:
        """Have the held Adds fail at the reset that follows, as if they had expired."""
        with self._lock:
            self._add_rows.expire_held(self._now_ns())

    def _entries(self, key: CircuitKey) -> list[Entry]:
        with self._lock:
            found = [shelf.unacked.get(key) for shelf in (self._replies, self._adds)]
        return [entry for entry in found if entry is not None]

    def read_held(self) -> None:
        """Read what is held, so that the reset that follows reads nothing."""
        with self._lock:
            entries = self._reply_rows.unread() + self._add_rows.unread()
        self._read(entries)

    def _read(self, entries: list[Entry]) -> None:
        """Read those of these packets that were not read yet."""
        entries = [entry for entry in entries if entry.packet is ON_DISK]
        if not entries:
            return
        packets = self._journal.packets([entry.number for entry in entries])
        with self._lock:
            missing = fill(entries, packets)
        if missing:
            raise JournalError(f"packet {missing[0]} is not in {self._journal} any more")

    # Life

    def stop(self) -> None:
        if self._is_finalizing():
            return  # the other threads are frozen, perhaps with what this would wait for
        self._journal.require_no_transaction("stop")  # a courier may wait for its end
        super().stop()
        if self._is_coming:
            self._journal.flush()

    def release(self) -> list[HTLCPacket]:
        if self._released is None:
            journal, channel = self._journal, self._channel
            journal.require_no_transaction("release")
            channel.require_not_taken()
            self.read_held()
            with self._lock:
                channel.require_not_taken()
                channel.is_removed = True  # from here on nothing more is acked or failed
            journal.flush()  # and this is the end of what was under way
            with self._lock:
                entries = self._reply_rows.ackable() + self._add_rows.ackable()
                has_fails = self._durable_desk.open_fails > 0
            journal.commit(Release(self, entries, None if has_fails else channel))
        return list(self._released or [])

    def _is_released(self, packets: list[HTLCPacket]) -> None:
        with self._lock:
            self._released = packets
            self._let_go_locked()

    def _let_go_locked(self) -> None:
        self._ack_locked([*self._replies.unacked, *self._adds.unacked], [])

    @property
    def _durable_desk(self) -> DurableDesk:
        assert isinstance(self._desk, DurableDesk)
        return self._desk

    def has_mail(self) -> bool:
        return super().has_mail() or self._durable_desk.open_fails > 0

    def statistics(self) -> MailBoxStatistics:
        now, held = super().statistics(), self.held()
        return attrs.evolve(now, packets_held=len(held)) if held else now

    def describe(self) -> str:
        return describe_mailbox(repr(self), self.statistics(), self._config, self._desk.trouble())
