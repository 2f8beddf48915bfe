"""What happens to a durable mailbox when a commit is done, or when it is not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..keeping.channels import Channel
from ..keeping.entry import NEVER, Claim, Entry
from ..keeping.rows import RowShelf
from ..keeping.tickets import Ticket

if TYPE_CHECKING:
    from .durable import DurableMailBox

__all__ = ["Acks", "Arrival", "Release", "rows_gone"]


def rows_gone(entries: Iterable[Entry]) -> dict[str, Sequence[tuple[Any, ...]]]:
    """Return what removes the rows of these packets."""
    return {"gone": [(entry.number,) for entry in entries]}


class Arrival(Ticket):
    """Packets on their way to the disk."""

    __slots__ = ("_mailbox", "adds", "deadline", "replies")

    def __init__(self, mailbox: DurableMailBox) -> None:
        super().__init__()
        self._mailbox = mailbox
        self.replies: Collection[Entry] = ()
        self.adds: Collection[Entry] = ()
        self.deadline = NEVER

    def written(self) -> None:
        mailbox = self._mailbox
        with mailbox._lock:
            mailbox._publish_arrival_locked(self)

    def undone(self) -> None:
        mailbox = self._mailbox
        with mailbox._lock:
            mailbox._reply_rows.forget_rows(self.replies)
            mailbox._add_rows.forget_rows(self.adds)


class Acks(Ticket):
    """Packets that are acked when a transaction ends."""

    __slots__ = ("_mailbox", "claims")

    def __init__(self, mailbox: DurableMailBox) -> None:
        super().__init__()
        self._mailbox = mailbox
        self.claims: list[tuple[RowShelf, Claim]] = []

    def entries(self) -> list[Entry]:
        """Return what is claimed."""
        return [claim.entry for _, claim in self.claims if claim.entry]

    def written(self) -> None:
        with self._mailbox._lock:
            for shelf, claim in self.claims:
                shelf.take_out(claim)

    def undone(self) -> None:
        mailbox = self._mailbox
        with mailbox._lock:
            mailbox._packet_outbox._ring_all_locked()
            for shelf, claim in self.claims:
                if shelf is mailbox._adds:
                    mailbox._desk.give_back_locked(claim)
                else:
                    shelf.give_up(claim, NEVER)


class Release(Ticket):
    """The end of a mailbox in its journal, and of its channel if the next one has nothing to do.

    Args:
        channel: None if there are Fails in the file, which the channel's next mailbox takes up.
    """

    __slots__ = ("_channel", "_mailbox", "_packets")

    def __init__(
        self, mailbox: DurableMailBox, entries: Sequence[Entry], channel: Channel | None
    ) -> None:
        rows = rows_gone(entries)
        if channel is not None:
            rows["closed"] = [(channel.id,)]
        super().__init__(rows)
        self._mailbox = mailbox
        self._packets = [entry.packet for entry in entries if entry.packet is not None]
        self._channel = channel

    def written(self) -> None:
        self._mailbox._is_released(self._packets)
        if self._channel is not None:
            self._mailbox._journal.close_channel(self._channel)

    def undone(self) -> None:
        self._mailbox._channel.is_removed = False
