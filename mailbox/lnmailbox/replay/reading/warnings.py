"""What in the input was left out or taken differently: equal things are said once and counted."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

__all__ = ["MAX_DISTINCT", "LogWarning", "LogWarnings"]

MAX_DISTINCT = 100
"""How many different warnings are kept; further ones are counted together."""

_OTHERS = f"other warnings, of more than {MAX_DISTINCT} kinds"


@attrs.frozen
class LogWarning:
    """Something in the input that the replay leaves out or takes differently."""

    text: str
    """The same for all that are counted together: no value of a single line is in it."""
    count: int = 1
    line: int | None = None
    """Line of the first, from 1; None if it is about no line."""
    detail: str = ""
    """What is particular to the first, such as the value."""
    file: str = ""
    """The file of the first, if there are several."""

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}"
        if place and self.file:
            place += f" of {self.file}"
        if self.count == 1:
            return ": ".join(part for part in (place or self.file, self.text, self.detail) if part)
        first = ": ".join(part for part in (place or self.file, self.detail) if part)
        counted = f"{self.count:,} {'times' if self.line is None else 'lines'}: {self.text}"
        return f"{counted} (first: {first})" if first else counted


@attrs.define
class _Counted:
    first: LogWarning
    count: int = 1


class LogWarnings:
    """Collects warnings; iterates over them in the order of their first.

    It keeps `MAX_DISTINCT` different texts. Warnings with further texts are counted under one
    text of their own.
    """

    def __init__(self) -> None:
        self.adds_left_out = 0
        """How many Adds were left out: too late to be sorted, or damaged."""
        self._counted: dict[str, _Counted] = {}

    def add(self, text: str, line: int | None = None, detail: str = "", file: str = "") -> None:
        """Count a warning.

        Args:
            text: what is the matter, without any value of the line.
            line: the line it is about, from 1.
            detail: what is particular to this line; kept for the first with this text.
            file: the file, if there are several.
        """
        counted = self._counted.get(text)
        if counted is None and len(self._counted) >= MAX_DISTINCT:
            text = _OTHERS
            counted = self._counted.get(text)
        if counted is None:
            first = LogWarning(text, line=line, detail=detail, file=file)
            self._counted[text] = _Counted(first)
        else:
            counted.count += 1

    def __iter__(self) -> Iterator[LogWarning]:
        for counted in list(self._counted.values()):
            yield attrs.evolve(counted.first, count=counted.count)

    def __len__(self) -> int:
        """Return the number of different warnings."""
        return len(self._counted)

    def total(self) -> int:
        """Return the number of warnings, equal ones counted each."""
        return sum(counted.count for counted in self._counted.values())
