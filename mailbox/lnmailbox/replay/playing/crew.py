"""The threads that do the work of links: one for all of them, or one for each."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from .link import Link

__all__ = ["Crew", "Stalled"]


class Stalled(Exception):
    """A mailbox keeps its link waiting, for longer than there is patience.

    Attributes:
        link: whose mailbox it is. Its thread may be blocked in the mailbox.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.link = link


class Crew:
    """Hands the work of links over to threads, and waits until it is done.

    Args:
        per_link: whether each link has a thread of its own; else one thread serves all, one
            after the other.
    """

    def __init__(self, *, per_link: bool) -> None:
        self._per_link = per_link
        self._hands: dict[Link | None, _Hand] = {}
        self._finished: queue.SimpleQueue[_Hand] = queue.SimpleQueue()
        self._busy: list[_Hand] = []

    def hand_over(self, links: Sequence[Link]) -> None:
        """Let `work` of these links be called, in order if one thread serves all."""
        if self._per_link:
            for link in links:
                self._hand(link).give([link])
        else:
            self._hand(None).give(links)

    def wait(self, patience: float) -> None:
        """Block until all that was handed over is done.

        Raises:
            Stalled: no packet moved for `patience` seconds.
            Exception: what the work of a link raised.
        """
        while self._busy:
            before = [(hand.done, hand.links) for hand in self._busy]
            try:
                hand = self._finished.get(timeout=patience)
            except queue.Empty:
                if before == [(hand.done, hand.links) for hand in self._busy]:
                    raise Stalled(self._busy[0].current()) from None
                continue
            self._busy.remove(hand)
            if hand.error is not None:
                raise hand.error

    def close(self) -> None:
        """End the threads. The mailboxes are stopped by then, so that no receive blocks."""
        for hand in self._hands.values():
            hand.orders.put(None)
        for hand in self._hands.values():
            hand.thread.join()

    def _hand(self, link: Link | None) -> _Hand:
        hand = self._hands.get(link)
        if hand is None:
            hand = _Hand("links" if link is None else f"link of {link.channel}", self._finished)
            self._hands[link] = hand
        self._busy.append(hand)
        return hand


class _Hand:
    """One thread, and what it is to do."""

    def __init__(self, name: str, finished: queue.SimpleQueue[_Hand]) -> None:
        self.orders: queue.SimpleQueue[Sequence[Link] | None] = queue.SimpleQueue()
        self.links: Sequence[Link] = ()
        self.done = 0
        self.error: BaseException | None = None
        self._finished = finished
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def give(self, links: Sequence[Link]) -> None:
        self.links = links
        self.done = 0
        self.orders.put(links)

    def current(self) -> Link:
        return self.links[min(self.done, len(self.links) - 1)]

    def _run(self) -> None:
        while (links := self.orders.get()) is not None:
            try:
                for link in links:
                    link.work()
                    self.done += 1
            except BaseException as error:
                self.error = error
            self._finished.put(self)
