"""Cutting text into JSON objects, wherever they begin and end.

One object a line, objects that span lines, arrays of objects, and a forwarding history around
them are all the same here: what stands between two objects does not matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Protocol, cast

from .causes import cause_of_line, cause_of_object

__all__ = ["MAX_OBJECT", "Complain", "ObjectCutter"]

MAX_OBJECT = 1 << 20
"""How many characters an object may have, and the longest line that is looked at."""

# An error of the decoder counts all lines before it, so what is given to it at once is short.
_PIECE = 1 << 14
_LINE_SHOWN = 4096
_LONGEST_WORD = 12

# A bracket opens an array only if an object or another array follows; "[lncli] ..." does not.
# Everything matches, be it with nothing.
_between = cast(
    "Callable[[str, int], re.Match[str]]",
    re.compile(r"[\s,\]\ufeff]*(?:\[(?=\s*[\[{\]])[\s,\]\ufeff]*)*").match,
)
_OFFSET = r'"last(?:_o|O)ffset(?:_i|I)ndex"\s*:\s*"?\d*"?\s*'
_HISTORY = re.compile(rf'\{{\s*(?:{_OFFSET},\s*)?"forwarding(?:_e|E)vents"\s*:\s*\[')
_HISTORY_TAIL = re.compile(rf"(?:{_OFFSET})?\}}")

_decode = json.JSONDecoder().raw_decode


class Complain(Protocol):
    """Called with what is no object: why, its line, what is particular to it, and what it is."""

    def __call__(self, text: str, line: int, detail: str = "", what: str = "") -> None: ...


class ObjectCutter:
    """Takes text in pieces, and hands out each object with the line on which it begins.

    It keeps one object at most: if `MAX_OBJECT` characters have not ended it, its first line is
    left out.

    Args:
        take: called for each object.
        complain: called for each line that is no object.
    """

    def __init__(self, take: Callable[[dict[str, Any], int], None], complain: Complain) -> None:
        self.line = 1
        """The line at which it stands, from 1."""
        self._take = take
        self._complain = complain
        self._text = ""
        self._skips = False
        self.has_history = False
        """Whether there was a forwarding history, be it empty."""
        self._is_in_history = False

    def feed(self, text: str) -> None:
        """Take the next piece of the text."""
        for start in range(0, len(text), _PIECE):
            self._advance(text[start : start + _PIECE], is_last=False)

    def finish(self) -> None:
        """Say what is unfinished: there is no more text."""
        self._advance("", is_last=True)
        if self._is_in_history:
            self._complain("the input ends in the middle of a forwarding history", self.line)

    def _advance(self, text: str, *, is_last: bool) -> None:
        if self._skips:
            pos = self._skip_line(text, 0)
        else:
            text = self._text + text
            pos = 0
        self._text = text[self._cut(text, pos, is_last) :]

    def _cut(self, text: str, pos: int, is_last: bool) -> int:
        take = self._take
        length = len(text)
        while pos < length:
            if text.startswith("\n{", pos):  # how nearly all begin
                pos += 1
                self.line += 1
            else:
                start = pos
                pos = _between(text, pos).end()
                self.line += text.count("\n", start, pos)
                if pos == length:
                    break
                if not text.startswith("{", pos):
                    after = self._other(text, pos, is_last)
                    if after is None:
                        break
                    pos = after
                    continue
            try:
                value, end = _decode(text, pos)
            except (ValueError, RecursionError) as error:
                after = self._broken(text, pos, is_last, error)
                if after is None:
                    break
                pos = after
                continue
            if "forwarding_events" in value or "forwardingEvents" in value:
                history = _HISTORY.match(text, pos)
                if history is not None:
                    pos = self._enter_history(text, pos, history.end())
                    continue
            take(value, self.line)
            self.line += text.count("\n", pos, end)
            pos = end
        return pos

    def _enter_history(self, text: str, pos: int, end: int) -> int:
        self.has_history = self._is_in_history = True
        self.line += text.count("\n", pos, end)
        return end

    def _other(self, text: str, pos: int, is_last: bool) -> int | None:
        """Pass over what is no object; return its end, or None if more text is needed."""
        rest = text[pos : pos + _LINE_SHOWN]
        may_go_on = not is_last and len(rest) < _LINE_SHOWN
        if self._is_in_history:
            if may_go_on and "}" not in rest:
                return None
            tail = _HISTORY_TAIL.match(rest)
            if tail is not None:
                self._is_in_history = False
                self.line += tail.group().count("\n")
                return pos + tail.end()
        if may_go_on and ("\n" not in rest or not rest.strip("[ \t\r\n")):
            return None
        what = rest.partition("\n")[0]
        cause, detail = cause_of_line(what)
        self._complain(cause, self.line, detail, what)
        return self._skip_line(text, pos)

    def _broken(self, text: str, pos: int, is_last: bool, error: Exception) -> int | None:
        """Pass over the line with an object that is none, or return None if it may go on."""
        history = _HISTORY.match(text, pos)
        if history is not None:
            return self._enter_history(text, pos, history.end())
        detail = ""
        if not _is_cut(error, text, is_last):
            cause, detail = cause_of_object(text, pos, error)
        elif is_last:
            cause = "the input ends in the middle of an object"
        elif len(text) - pos < MAX_OBJECT:
            return None
        else:
            cause = f"an object of more than {MAX_OBJECT:,} characters"
        self._complain(cause, self.line, detail, text[pos:].partition("\n")[0])
        return self._skip_line(text, pos)

    def _skip_line(self, text: str, pos: int) -> int:
        end = text.find("\n", pos)
        self._skips = end < 0
        return len(text) if self._skips else end


def _is_cut(error: Exception, text: str, is_last: bool) -> bool:
    """Return whether a decoder failed because the text ends, or may have."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    if error.msg.startswith("Unterminated string"):
        return True
    may_be_cut = not is_last or not text.rstrip().endswith("}")
    return may_be_cut and error.pos >= len(text) - _LONGEST_WORD
