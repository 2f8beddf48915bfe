"""What happens while links are away, for those who draw it."""

from __future__ import annotations

from typing import Protocol

from lnmailbox.wire import ShortChannelID

from .mail import Channel
from .outages import Absence, Presence

__all__ = ["Recorder", "Recording"]


class Recorder(Protocol):
    """Is told of outages, and of the mail that waits meanwhile.

    Times are ns since the first event.
    """

    def outage(self, channel: ShortChannelID, kind: Absence, start_ns: int, end_ns: int) -> None:
        """A channel's link was away. Outages that overlap are one, if they are of one kind."""
        ...

    def depth(self, channel: ShortChannelID, at_ns: int, depth: int) -> None:
        """So many packets wait, for a link that is away, or that is just back."""
        ...


class Recording:
    """Finds out what a recorder is to be told."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        # Since when links are away.
        self._since: dict[tuple[ShortChannelID, Absence], int] = {}

    def presence(self, channel: Channel, presence: Presence, now_ns: int) -> None:
        """The presence of a channel's link may have changed."""
        number = channel.number
        for absence in Absence:
            key = number, absence
            is_away = presence.is_away(absence, number)
            if is_away and key not in self._since:
                self._since[key] = presence.since(absence, number)
            elif not is_away and key in self._since:
                self._recorder.outage(number, absence, self._since.pop(key), now_ns)

    def depth(self, channel: Channel, now_ns: int) -> None:
        """The number of packets that wait in a channel's mailbox may have changed."""
        self._recorder.depth(channel.number, now_ns, channel.link.account.undelivered_count)

    def finish(self, end_ns: int) -> None:
        """The log ends."""
        for (number, absence), since_ns in self._since.items():
            self._recorder.outage(number, absence, since_ns, end_ns)
        self._since.clear()
