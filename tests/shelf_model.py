"""A shelf of Adds, what it promises, as one list, and a deque that counts what it costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import attrs

from lnmailbox import CircuitKey, HTLCPacket
from lnmailbox.keeping.entry import NEVER, Place
from lnmailbox.keeping.shelf import Shelf
from lnmailbox.testing.conformance.base import add, key

WAITING, LINK, OVERDUE, STUCK, CLAIMED = Place


def filled(numbers: Iterable[int], deadline: int = 60) -> Shelf:
    """Return a shelf of Adds with these ids, all due at once."""
    shelf = Shelf()
    for number in numbers:
        shelf.add(add(number), deadline)
    return shelf


@attrs.define(eq=False)
class Letter:
    """A packet in the model."""

    packet: HTLCPacket
    deadline: int = NEVER
    place: Place | None = WAITING  # None once it is gone
    home: Place = WAITING  # of a claimed one
    claim: object = None
    key: CircuitKey = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.key = self.packet.in_key


class Model:
    """The letters that are unacked, in order of arrival."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.overdue: list[Letter] = []  # in the order of expiry
        self.retry_at = NEVER

    def find(self, number: int) -> Letter | None:
        return next((letter for letter in self.letters if letter.key == key(number)), None)

    def at(self, place: Place) -> list[Letter]:
        return [letter for letter in self.letters if letter.place is place]

    def move(self, letter: Letter, place: Place | None) -> None:
        if letter.place is OVERDUE:
            self.overdue.remove(letter)
        if place is OVERDUE:
            self.overdue.append(letter)
        if place is None:
            self.letters.remove(letter)
        letter.place = place

    def add(self, packets: Iterable[HTLCPacket], deadline: int) -> None:
        self.letters += [Letter(packet, deadline) for packet in packets]

    def take(self, size: int, now: int) -> list[HTLCPacket]:
        taken = []
        for letter in self.at(WAITING)[:size]:
            if letter.deadline <= now:
                break
            self.move(letter, LINK)
            taken.append(letter.packet)
        return taken

    def ack(self, number: int) -> bool:
        letter = self.find(number)
        if letter is not None:
            self.move(letter, None)
        return letter is not None

    def nack(self, number: int) -> bool:
        letter = self.find(number)
        found = letter is not None and letter.place is LINK
        if letter is not None and found:
            self.move(letter, WAITING)
        return found

    def put_back(self, packets: list[HTLCPacket]) -> None:
        for letter in self.at(LINK):
            if any(letter.packet is packet for packet in packets):
                self.move(letter, WAITING)

    def reset(self) -> None:
        for letter in self.letters:
            letter.home = WAITING
            if letter.place is not CLAIMED:
                self.move(letter, WAITING)

    def expire(self, now: int) -> bool:
        if self.retry_at <= now:
            for letter in self.at(STUCK):
                self.move(letter, OVERDUE)
        for letter in self.at(WAITING):
            if letter.deadline <= now:
                self.move(letter, OVERDUE)
        return bool(self.overdue)

    def claim(self, letter: Letter, claim: object) -> None:
        assert letter.place is not None
        letter.home, letter.claim = letter.place, claim
        self.move(letter, CLAIMED)

    def give_up(self, letter: Letter, retry_at: int) -> None:
        if letter.home in (WAITING, LINK):
            self.move(letter, letter.home)
        else:
            self.retry_at = self.retry_at if self.at(STUCK) else retry_at
            self.move(letter, STUCK)

    def next_deadline(self) -> int:
        times = [letter.deadline for letter in self.at(WAITING)]
        return min(times + [self.retry_at] * bool(self.at(STUCK)), default=NEVER)


class Row(deque[Any]):
    """A deque that counts the elements that its operations touch, and refuses slow ones."""

    touched = 0

    def __iter__(self) -> Any:
        Row.touched += len(self)
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        Row.touched += 1 + min(index, len(self) - index)
        return super().__getitem__(index)

    def __delitem__(self, index: Any) -> None:
        Row.touched += 1 + min(index, len(self) - index)
        super().__delitem__(index)

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError("an operation that depends on the place")

    insert = index = remove = rotate = __contains__ = __reversed__ = _refuse
