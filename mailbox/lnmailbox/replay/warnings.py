"""What the replay leaves out or takes differently, counted."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

__all__ = ["LogWarning", "LogWarnings"]


@attrs.frozen
class LogWarning:
    """Something in the input that the replay leaves out or takes differently."""

    text: str
    count: int = 1
    line: int | None = None
    detail: str = ""


class LogWarnings:
    """Warnings; equal texts are counted."""

    def __init__(self) -> None:
        self.adds_left_out = 0
        self._found: dict[str, LogWarning] = {}

    def add(self, text: str, line: int | None = None, detail: str = "") -> None:
        known = self._found.get(text)
        if known is None:
            self._found[text] = LogWarning(text, 1, line, detail)
        else:
            self._found[text] = attrs.evolve(known, count=known.count + 1)

    def total(self) -> int:
        return sum(warning.count for warning in self)

    def __iter__(self) -> Iterator[LogWarning]:
        return iter(list(self._found.values()))

    def __len__(self) -> int:
        return len(self._found)
