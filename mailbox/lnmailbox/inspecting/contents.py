"""What is in a journal's file: the mail of each channel, and what of it is stuck."""

from __future__ import annotations

import attrs

from ..keeping.sqlite import JournalFile, PacketRow
from ..wire import ChannelID, ShortChannelID
from .progress import Progress

__all__ = ["Contents", "Mail", "read_contents"]


@attrs.define(kw_only=True)
class Mail:
    """The mail of one channel, or what is parked for one short channel id.

    Dates are ns since 1970; None if there is none.
    """

    chan_id: ChannelID | None = None
    """The mailbox; None for parked packets."""
    short_chan_id: ShortChannelID = ShortChannelID()
    """0x0x0 for a mailbox whose channel was pending."""
    adds: int = 0
    adds_overdue: int = 0
    """Adds past their deadline: failed back as soon as their mailbox is reset."""
    first_deadline_ns: int | None = None
    """The earliest deadline of an Add."""
    replies: int = 0
    oldest_reply_ns: int | None = None
    """When the oldest reply came."""
    fails: int = 0
    """Fails that were decided, and that the switch may not have."""
    size: int = 0
    """Bytes of all packets."""


@attrs.frozen(kw_only=True)
class Contents:
    """A journal's file at one moment."""

    now_ns: int
    """Ages are measured from here: ns since 1970."""
    channels: list[Mail]
    """Those with mail, in the order in which they got some first."""
    empty_channels: int
    """How many others there are."""
    parked: list[Mail]
    packets: list[PacketRow] | None
    """Every packet and Fail in order of arrival, if asked for."""

    @property
    def total(self) -> Mail:
        """The sums over channels; parked packets don't count."""
        total = Mail()
        for mail in self.channels:
            for name in ("adds", "adds_overdue", "replies", "fails", "size"):
                setattr(total, name, getattr(total, name) + getattr(mail, name))
        return total


def read_contents(
    file: JournalFile, now_ns: int, progress: Progress, *, packets: bool = False
) -> Contents:
    """Read all rows of a file, without the packets' data.

    Args:
        file: to read.
        now_ns: today's date, ns since 1970.
        progress: is told about each row.
        packets: whether to keep each row for the list of packets: 400 bytes of memory each.
    """
    channels = {
        row.chan_id: Mail(chan_id=row.chan_id, short_chan_id=row.short_chan_id)
        for row in file.channels()
    }
    parked: dict[ShortChannelID, Mail] = {}
    kept: list[PacketRow] = []
    for row in progress.count(file.packets()):
        _add(channels[_mailbox(row)], row, now_ns)
        if packets:
            kept.append(row)
    for row in progress.count(file.parked()):
        mail = parked.setdefault(row.short_chan_id, Mail(short_chan_id=row.short_chan_id))
        _add(mail, row, now_ns)
        if packets:
            kept.append(row)
    for row in file.fails():
        mail = channels[_mailbox(row)]
        mail.fails += 1
        mail.size += row.size
        if packets:
            kept.append(row)
    with_mail = [mail for mail in channels.values() if mail.adds or mail.replies or mail.fails]
    return Contents(
        now_ns=now_ns,
        channels=with_mail,
        empty_channels=len(channels) - len(with_mail),
        parked=list(parked.values()),
        packets=sorted(kept, key=lambda row: row.id) if packets else None,
    )


def _mailbox(row: PacketRow) -> ChannelID:
    assert row.chan_id is not None
    return row.chan_id


def _add(mail: Mail, row: PacketRow, now_ns: int) -> None:
    mail.size += row.size
    if not row.is_add:
        mail.replies += 1
        mail.oldest_reply_ns = _earlier(mail.oldest_reply_ns, row.date_ns)
        return
    mail.adds += 1
    mail.adds_overdue += row.date_ns is not None and row.date_ns <= now_ns
    mail.first_deadline_ns = _earlier(mail.first_deadline_ns, row.date_ns)


def _earlier(date_ns: int | None, other_ns: int | None) -> int | None:
    dates = [date for date in (date_ns, other_ns) if date is not None]
    return min(dates, default=None)
