"""Ctrl-C at every moment of a small queue: how it loses an item, and how it does not.

CPython runs signal handlers when a function begins and after a function written in C has
returned. A profiler is called at the same moments, so it can stand for an impatient user.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any


class Queue:
    def __init__(self, *items: str) -> None:
        self.lock = threading.Lock()
        self.items = deque(items)
        self.told = False

    def tell(self) -> None:
        """Wake a receiver; it looks at the queue when it gets the lock."""
        self.told = True


# [broken
class Broken(Queue):
    def put(self, item: str) -> None:
        self.lock.acquire()  # after the call: locked for ever
        self.items.append(item)
        self.lock.release()  # after the call: the item is in, and nobody is told
        self.tell()

    def get(self) -> str:
        with self.lock:
            return self.items.popleft()  # after the call: taken, and not yet returned

    # broken]


# [fixed
class Fixed(Queue):
    def put(self, item: str) -> None:
        with self.lock:
            self.tell()  # notify first: at worst a receiver looks in vain
            self.items.append(item)  # commit last, in one step

    def get(self) -> str:
        hand = [""]
        try:
            with self.lock:
                hand[0] = self.items[0]  # no call: these two lines are one step
                del self.items[0]
            return hand[0]
        except BaseException:
            if hand[0]:
                with self.lock:
                    self.items.appendleft(hand[0])
            raise

    # fixed]


def is_interrupted(call: Callable[[], object], moment: int) -> bool:
    """Call, with an interrupt at this moment; return whether the call took so long."""

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal moment
        if event in {"call", "c_return"}:
            moment -= 1
            if moment < 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    try:
        sys.setprofile(profile)
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def put_into(queue: Broken | Fixed, moment: int) -> tuple[bool, str]:
    interrupted = is_interrupted(lambda: queue.put("mail"), moment)
    if queue.lock.locked():
        return interrupted, "locked for ever"
    if queue.items and not queue.told:
        return interrupted, "nobody is told"
    return interrupted, "done or undone"


def get_from(queue: Broken | Fixed, moment: int) -> tuple[bool, str]:
    got = []

    def get() -> None:
        got[:] = [queue.get()]

    queue.put("mail")
    interrupted = is_interrupted(get, moment)
    copies = len(got) + len(queue.items)
    return interrupted, ["lost", "done or undone", "there twice"][copies]


def outcomes(
    kind: type[Broken | Fixed], operation: Callable[[Broken | Fixed, int], tuple[bool, str]]
) -> str:
    """Interrupt the operation at each of its moments; return all that came of it."""
    seen = set()
    moment = 0
    while True:
        interrupted, outcome = operation(kind(), moment)
        seen.add(outcome)
        if not interrupted:
            return ", ".join(sorted(seen))
        moment += 1


def main() -> None:
    for kind in (Broken, Fixed):
        print(f"{kind.__name__}.put: {outcomes(kind, put_into)}")
        print(f"{kind.__name__}.get: {outcomes(kind, get_from)}")


if __name__ == "__main__":
    main()
