"""What is parked, in a journal: a row for each packet, which moves with it in one commit."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..clock import seconds_to_ns
from ..contract import MailBox, MailBoxConfig, SwitchConfig
from ..errors import JournalError, PacketAlreadyExists, UnknownHTLCType
from ..keeping.entry import NEVER
from ..keeping.schema import signed, unsigned
from ..keeping.tickets import Ticket
from ..mailboxes.durable import DurableMailBox
from ..mailboxes.sqlite_journal import SQLiteJournal
from ..packet import CircuitKey, HTLCPacket, is_add
from ..wire import ChannelID, ShortChannelID
from .parked import ParkedPackets

__all__ = ["KeptParked"]

_NO_CHANNEL = b"lnmailbox: parked, but expired".ljust(24, b".")[:24]

_LATEST_NS = (1 << 63) - 1


class KeptParked:
    """The rows of parked packets. Its caller holds the orchestrator's setup lock.

    Parked Adds that expire are moved to a mailbox of the journal, one for each short channel id,
    in which nothing may wait. Its channel id is made up, and begins as no channel's does.

    Args:
        config: the orchestrator's, of which it takes what its mailboxes need.
    """

    def __init__(self, journal: SQLiteJournal, config: SwitchConfig) -> None:
        self.journal = journal
        self._config = config
        self._parked_expiry: float | None = getattr(config, "parked_expiry", None)
        self._rows: dict[HTLCPacket, int] = {}

    def restore_into(self, parked: ParkedPackets) -> None:
        """Park what an earlier process had parked.

        Raises:
            JournalError: something can't be read or decoded.
        """
        journal = self.journal
        now, today = self._config.clock.now_ns(), journal.today_ns()
        for row, short, date, data in journal.parked_rows():
            try:
                packet = journal.decode(data)
            except Exception as error:
                raise JournalError(f"parked packet {row} can't be decoded: {error}") from error
            deadline = NEVER
            if date is not None and self._parked_expiry is not None:
                expiry_ns = seconds_to_ns("parked_expiry", self._parked_expiry)
                deadline = now + min(max(date - today, 0), expiry_ns)
            parked.restore(ShortChannelID.from_int(unsigned(short)), packet, deadline)
            self._rows[packet] = row

    def channels(self) -> list[ChannelID]:
        """Return the channels that have mail, without those that are made up."""
        return [id_ for id_ in self.journal.channels() if not id_.startswith(_NO_CHANNEL)]

    def recover(
        self,
        make: Callable[[ChannelID, ShortChannelID], MailBox],
        committed: Callable[[ChannelID, CircuitKey], bool] | None,
        adds: str,
    ) -> list[ChannelID]:
        """See `MailOrchestrator.recover`."""
        left = []
        for chan_id in self.channels():
            mailbox = make(chan_id, self.journal.short_chan_id_of(chan_id))
            if isinstance(mailbox, DurableMailBox):
                left.append((chan_id, mailbox))
        acked = []
        for chan_id, mailbox in left:
            mailbox.read_held()
            if committed is not None:
                keys = [key for key in mailbox.held() if committed(chan_id, key)]
                acked.append((mailbox, keys))
        with self.journal.transaction():
            for mailbox, keys in acked:
                mailbox.ack_packets(keys)
        for _, mailbox in left:
            if adds == "fail":
                mailbox.expire_held()
            mailbox.reset_packets()
        return [chan_id for chan_id, _ in left]

    def parking(self, short_chan_id: ShortChannelID, packet: HTLCPacket) -> Ticket:
        """Return what writes the row of a packet that is about to be parked.

        Raises:
            UnknownHTLCType: it carries neither an Add nor a reply.
            Exception: whatever the codec raises.
        """
        journal, key, add = self.journal, packet.in_key, is_add(packet)
        data = journal.encode(packet)
        date = None
        if add and self._parked_expiry is not None:
            expiry_ns = seconds_to_ns("parked_expiry", self._parked_expiry)
            date = min(journal.today_ns() + expiry_ns, _LATEST_NS)
        (row,) = journal.next_ids(1)
        numbers = signed(short_chan_id), int(add), signed(key.chan_id), signed(key.htlc_id)
        return Ticket({"parked": [(row, *numbers, date, data)]})

    def keep(self, parking: Ticket, packet: HTLCPacket) -> None:
        """Block until the row of a parked packet is on disk.

        Raises:
            JournalError: it is not.
        """
        try:
            self._rows[packet] = parking.rows["parked"][0][0]
            self.journal.commit(parking)
        finally:
            if not parking.is_written:
                self._rows.pop(packet, None)

    def move(self, mailbox: MailBox, packet: HTLCPacket) -> None:
        """Add a parked packet to a mailbox, and remove its row: in one commit, if it can be.

        Raises:
            Exception: as `add_packet`. If the mailbox refuses the packet, the row is removed.
        """
        row = self._rows.get(packet)
        if isinstance(mailbox, DurableMailBox) and mailbox.is_in(self.journal):
            try:
                mailbox.add_in_place_of([packet], [] if row is None else [row])
            except (PacketAlreadyExists, UnknownHTLCType):
                self.remove([packet])
                raise
            self._rows.pop(packet, None)
        else:
            mailbox.add_packet(packet)
            self.remove([packet])

    def remove(self, packets: list[HTLCPacket], then: Callable[[], object] = lambda: None) -> None:
        """Remove the rows of packets, and call `then` when they are gone, whatever is raised.

        Raises:
            JournalError: they can't be removed.
        """
        rows = [(self._rows[packet],) for packet in packets if packet in self._rows]
        if rows:
            self.journal.commit(_Removal(then, rows))
        for packet in packets:
            self._rows.pop(packet, None)

    def expired_box(self, short_chan_id: ShortChannelID) -> DurableMailBox:
        """Return the mailbox, started, in which Adds parked for this id expire."""
        names = [field.name for field in attrs.fields(SwitchConfig)]
        common = {name: getattr(self._config, name) for name in names}
        config = MailBoxConfig(
            short_chan_id=short_chan_id,
            chan_id=ChannelID(_NO_CHANNEL + bytes(short_chan_id)),
            **{**common, "expiry": 0.0},
        )
        box = self.journal.mailbox(config)
        box.start()
        return box

    def expired_boxes(self) -> dict[ShortChannelID, DurableMailBox]:
        """Return those that an earlier process left mail in. What is in them fails now."""
        boxes = {}
        for chan_id in self.journal.channels():
            if chan_id.startswith(_NO_CHANNEL):
                short_chan_id = ShortChannelID.from_bytes(chan_id[len(_NO_CHANNEL) :])
                boxes[short_chan_id] = self.expired_box(short_chan_id)
                boxes[short_chan_id].reset_packets()
        return boxes


class _Removal(Ticket):
    """Removes rows, and then something else."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[], object], rows: list[tuple[int]]) -> None:
        super().__init__({"unparked": rows})
        self._then = then

    def written(self) -> None:
        self._then()
