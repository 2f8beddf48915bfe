"""What `mailbox.go` needs of Go's `container/list`."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Element", "LinkedList"]

T = TypeVar("T")


class Element(Generic[T]):
    """A value's place in a list. One that was removed has no next."""

    __slots__ = ("next", "previous", "value")

    def __init__(self, value: T, previous: Element[T] | None) -> None:
        self.value = value
        self.previous = previous
        self.next: Element[T] | None = None


class LinkedList(Generic[T]):
    """Values in order, each removed in O(1) by its element."""

    def __init__(self) -> None:
        self.front: Element[T] | None = None
        self._back: Element[T] | None = None

    def push_back(self, value: T) -> Element[T]:
        element = Element(value, self._back)
        if self._back is None:
            self.front = element
        else:
            self._back.next = element
        self._back = element
        return element

    def remove(self, element: Element[T]) -> None:
        before, after = element.previous, element.next
        if before is None:
            self.front = after
        else:
            before.next = after
        if after is None:
            self._back = before
        else:
            after.previous = before
        element.previous = element.next = None


def count_from(element: Element[T] | None) -> int:
    """Return how many elements there are from this one on."""
    count = 0
    while element is not None:
        count += 1
        element = element.next
    return count
