"""A journal by channels: who has which, and what an earlier process left in it."""

from __future__ import annotations

import logging
import sqlite3
import weakref
from array import array
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from ..errors import JournalError
from ..packet import HTLCPacket, is_add
from ..wire import ChannelID, ShortChannelID
from .journal import Journal
from .schema import signed, unsigned

__all__ = ["Channel", "ChannelJournal"]

_logger = logging.getLogger(__name__)

_REPORT = 100_000  # packets

_short_chan_id = partial(int.__new__, ShortChannelID)


class Owner(Protocol):
    """A mailbox, as its journal sees it."""

    _life: Any
    _released: Any

    def has_mail(self) -> bool: ...


class Channel:
    """A channel in a journal, as one mailbox has it.

    Attributes:
        id: what rows have in place of the 32 bytes.
        is_saved: whether it has a row, with this `short_chan_id`.
        is_removed: whether its mailbox was removed, so that nothing in it changes any more.
        was_taken: whether another mailbox has the channel.
    """

    __slots__ = (
        "__weakref__",
        "chan_id",
        "id",
        "is_removed",
        "is_saved",
        "owner",
        "short_chan_id",
        "was_taken",
    )

    def __init__(
        self, number: int, chan_id: ChannelID, short_chan_id: ShortChannelID, is_saved: bool
    ) -> None:
        self.id = number
        self.chan_id = chan_id
        self.short_chan_id = short_chan_id
        self.is_saved = is_saved
        self.owner: weakref.ref[Any] | None = None
        self.is_removed = False
        self.was_taken = False

    def row(self) -> tuple[int, bytes, int]:
        return self.id, bytes(self.chan_id), signed(self.short_chan_id)

    @property
    def is_mine(self) -> bool:
        return not (self.was_taken or self.is_removed)

    def require_mine(self) -> None:
        self.require_not_taken()
        if self.is_removed:
            raise JournalError(f"the mailbox of channel {self.chan_id} was removed")

    def require_not_taken(self) -> None:
        if self.was_taken:
            raise JournalError(f"channel {self.chan_id} has another mailbox by now")


def _take(channel: Channel, last: Owner | None) -> None:
    """Take the channel from its last mailbox, under whose lock nothing is under way."""
    if last is None:
        channel.was_taken = True
        return
    with last._life.lock:
        if not last._life.stopped:
            raise JournalError(f"channel {channel.chan_id} has a mailbox already: {last!r}")
        if channel.is_removed and last._released is None:
            raise JournalError(f"the mailbox of channel {channel.chan_id} is being removed")
        channel.was_taken = True


class ChannelJournal(Journal):
    """A journal that knows what each channel has in it."""

    def _read_first(self) -> int:
        self._channels: dict[ChannelID, Channel] = {}
        # By channel: five numbers for each packet that an earlier process left.
        self._left: dict[int, array[int]] = {}
        self._left_fails: dict[int, list[tuple[int, bytes]]] = {}
        self._shared: dict[int, ShortChannelID] = {}
        file = self._file
        try:
            for number, chan_id, short in file.channel_ids():
                id_ = ChannelID(chan_id)
                scid = ShortChannelID.from_int(unsigned(short))
                self._channels[id_] = Channel(number, id_, scid, True)
            self._read_index()
            for row, channel, data in file.fail_data():
                self._left_fails.setdefault(channel, []).append((row, data))
            last = super()._read_first()
        except (sqlite3.Error, ValueError, TypeError) as error:
            file.close()
            raise JournalError(f"the journal {file.path} is damaged: {error}") from error
        except BaseException:
            file.close()
            raise
        known = {channel.id for channel in self._channels.values()}
        strangers = (self._left.keys() | self._left_fails.keys()) - known
        if strangers:
            file.close()
            raise JournalError(
                f"the journal {file.path} is damaged: packets of channel {min(strangers)}, which "
                "is not there"
            )
        self._next_channel = 1 + max(known, default=0)
        return last

    def _read_index(self) -> None:
        left = self._left
        for count, one in enumerate(self._file.index(), 1):
            row, channel, is_add, chan_id, htlc_id, date = one
            numbers = left.get(channel)
            if numbers is None:
                numbers = left[channel] = array("q")
            if is_add not in (0, 1):
                raise ValueError(f"packet {row} is neither an Add nor a reply")
            numbers.extend((row, is_add, chan_id, htlc_id, date))
            if count % _REPORT == 0:
                _logger.info("%s: %d packets read", self._file.path, count)

    def shared_id(self, number: int) -> ShortChannelID:
        """Return a short channel id, the same object for the same number."""
        found = self._shared.get(number)
        if found is None:
            found = self._shared[number] = _short_chan_id(unsigned(number))
        return found

    def channels(self) -> list[ChannelID]:
        """Return the channels that have mail in the file, whether they have a mailbox or not.

        Mail is a packet that is unacked, or a Fail that `forward_packets` may not have had.
        """
        with self._lock:
            channels = list(self._channels.values())
        # Without the lock: mailboxes take it while they hold their own.
        return [channel.chan_id for channel in channels if self._has(channel)]

    def _has(self, channel: Channel) -> bool:
        if channel.owner is None:
            return channel.id in self._left or channel.id in self._left_fails
        owner = channel.owner()
        return True if owner is None else bool(owner.has_mail())

    def short_chan_id_of(self, chan_id: ChannelID) -> ShortChannelID:
        """Return the short channel id that the channel had when it was written last."""
        return self._channels[chan_id].short_chan_id

    def open_channel(
        self, chan_id: ChannelID, short_chan_id: ShortChannelID, owner: Owner
    ) -> tuple[Channel, Sequence[int], Sequence[tuple[int, bytes]]]:
        """Return the channel for its mailbox, and what is in the file of it.

        Raises:
            JournalError: another mailbox has it and is not stopped, or the journal is closed.
        """
        self.require_open()
        with self._lock:
            before = found = self._channels.get(chan_id)
            if before is None:
                before = Channel(self._next_channel, chan_id, short_chan_id, False)
                self._next_channel += 1
        packets: Sequence[int] = self._left.get(before.id, ())
        fails: Sequence[tuple[int, bytes]] = self._left_fails.get(before.id, ())
        if before.owner is not None:
            _take(before, before.owner())
            packets, fails = self._read_again(before.id)
        # A channel that is pending for its link has the id that it was bound to.
        name = short_chan_id or before.short_chan_id
        is_saved = before.is_saved and name == before.short_chan_id
        channel = Channel(before.id, chan_id, name, is_saved)
        channel.owner = weakref.ref(owner)
        with self._lock:
            if self._channels.get(chan_id) is not found:
                raise JournalError(f"channel {chan_id} is being given to another mailbox")
            self._channels[chan_id] = channel
            self._left.pop(channel.id, None)
            self._left_fails.pop(channel.id, None)
        return channel, packets, fails

    def _read_again(self, number: int) -> tuple[Sequence[int], Sequence[tuple[int, bytes]]]:
        """Return what there is of a channel, whose mailbox was stopped."""
        self.flush()
        packets, fails = self._read(
            lambda: (
                [row for row in self._file.index() if row[1] == number],
                [fail for fail in self._file.fail_data() if fail[1] == number],
            )
        )
        numbers = [n for row, _, *rest in packets for n in (row, *rest)]
        return numbers, [(row, data) for row, _, data in fails]

    def parked_rows(self) -> list[tuple[int, int, int | None, bytes]]:
        """Return `id, short_chan_id, date, data` of what is parked, in order of arrival.

        Raises:
            JournalError: it can't be read.
        """
        return self._read(self._file.parked_data)

    def close_channel(self, channel: Channel) -> None:
        """Forget a channel whose mailbox was removed, so that it may get another one."""
        with self._lock:
            self._channels.pop(channel.chan_id, None)

    def packets(self, rows: Sequence[int]) -> dict[int, HTLCPacket]:
        """Return packets by their rows.

        Raises:
            JournalError: one can't be read or decoded, or is not the one that its row is about.
        """
        packets = {}
        decode = self.decode
        for row, *of_row, data in self.load(rows):
            try:
                packet = packets[row] = decode(data)
            except MemoryError:
                raise
            except Exception as error:
                raise JournalError(
                    f"packet {row} in {self._file.path} can't be decoded: {error}"
                ) from error
            chan_id, htlc_id = packet.in_key
            if of_row != [is_add(packet), signed(chan_id), signed(htlc_id)]:
                raise JournalError(
                    f"the journal {self._file.path} is damaged: row {row} is about another packet "
                    f"than {packet.in_key}, which it has"
                )
        return packets
