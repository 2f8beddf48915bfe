"""A channel as the switch of a replay sees it, and the packets that are on their way."""

from __future__ import annotations

import attrs

from lnmailbox import HTLCPacket
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


@attrs.define(eq=False)
class Channel:
    """One channel, its link, and what the switch knows of them."""

    number: ShortChannelID
    link: Link
    reads: bool = True
    """Whether the link takes its mail: neither kind of outage lasts."""
    is_gone: bool = False
    """Whether the peer is gone."""
    batch: Batch | None = None
    """What the link has and commits to next; None if it has nothing."""
    is_noted: bool = False
    """Whether there is work for the link that was not handed over."""
    has_expiry: bool = False
    """Whether the agenda has a time at which Adds may expire: there is one at most."""
