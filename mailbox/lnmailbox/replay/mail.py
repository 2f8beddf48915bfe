"""A channel as the switch of a replay sees it, and the packets that are on their way."""

from __future__ import annotations

import attrs

from lnmailbox import HTLCPacket, MailBox
from lnmailbox.wire import ShortChannelID

from .history import Htlc
from .link import Link

__all__ = ["Batch", "Channel", "Mail"]


@attrs.define(eq=False)
class Mail:
    """A packet that is in a mailbox, or that a link has and has not committed to."""

    packet: HTLCPacket
    htlc: Htlc
    posted_ns: int
    is_add: bool
    has_ended: bool = False
    """Whether the log's result of this Add has come already."""


@attrs.define(eq=False)
class Batch:
    """What a link will commit to at once."""

    channel: Channel
    mail: list[Mail] = attrs.field(factory=list)


@attrs.define(eq=False, init=False)
class Channel:
    """One channel, its link, and what the switch knows of them.

    Attributes:
        reads: whether the link takes its mail; that is, neither outage lasts.
        is_gone: whether the peer is gone.
        batch: what the link has and commits to next; None if it has nothing.
        is_noted: whether there is work for the link that was not handed over.
        expires_ns: when its first Add expires, if that is noted.
    """

    number: ShortChannelID
    link: Link
    reads: bool
    is_gone: bool
    batch: Batch | None
    is_noted: bool
    expires_ns: int | None

    def __init__(self, number: ShortChannelID, mailbox: MailBox) -> None:
        self.number = number
        self.link = Link(number, mailbox)
        self.reads = True
        self.is_gone = False
        self.batch = None
        self.is_noted = False
        self.expires_ns = None
