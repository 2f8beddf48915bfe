"""One file of a replay's input: its events as they come, and why it has none."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from .causes import cause_of_fields, node_error
from .chunks import UnusableLog, open_log, read_chunks
from .events import COUNTED_ONLY, NO_FIELD, EventParser, HtlcEvent, is_like_add, was_add
from .fields import NoEvent, in_snake_case
from .forwards import ForwardParser
from .objects import ObjectCutter
from .sorting import WINDOW
from .warnings import LogWarnings

__all__ = ["HOPELESS_CHARACTERS", "HOPELESS_LINES", "LogFile", "earliest_ns"]

HOPELESS_LINES = 1_000
"""After so many lines without an event, a file is given up."""

HOPELESS_CHARACTERS = 1 << 24
"""The same for text that has few lines."""

_HISTORY_LIMITS = (100, 50_000)
_SETTLED_ONLY = (
    "a forwarding history: settled forwards only, each Add at the instant of its Settle; no"
    " failures, no refusals, no own payments"
)


def earliest_ns(path: str, window: int = WINDOW) -> int:
    """Return the earliest time among the first events of a file, or 0 if it can't be read twice.

    Args:
        path: as for `LogFile`.
        window: how many events are looked at, at least.

    Raises:
        OSError: it can't be opened or read.
        UnusableLog: it is no log, as far as its beginning tells.
    """
    if path == "-" or not Path(path).is_file():
        return 0
    times: list[int] = []
    with closing(LogFile(path, LogWarnings()).blocks()) as blocks:
        for block in blocks:
            times += [event.timestamp_ns for event in block]
            if len(times) >= window:
                break
    return min(filter(None, times), default=0)


class LogFile:
    """A file to read events from, once.

    Args:
        path: `-` is standard input.
        warnings: filled while it is read.
        is_one_of_many: whether warnings name the file.
    """

    def __init__(self, path: str, warnings: LogWarnings, *, is_one_of_many: bool = False) -> None:
        self.forwards = 0
        """How many forwards of a forwarding history were read."""
        self.has_log_events = False
        """Whether any other event was read."""
        self._path = path
        self._name = "standard input" if path == "-" else path
        self._warnings = warnings
        self._name_in_warnings = self._name if is_one_of_many else ""
        # All that was said while there was no event.
        self._reasons = LogWarnings()
        self._error = ""
        self._parser = EventParser()
        self._forward_parser = ForwardParser(self._parser.channel)
        self._cutter = ObjectCutter(self._take, self._complain_of_text)
        self._block: list[HtlcEvent] = []
        self._is_empty = True

    @property
    def has_events(self) -> bool:
        """Whether any event was read."""
        return self.has_log_events or self.forwards > 0

    def blocks(self) -> Generator[list[HtlcEvent], None, None]:
        """Read the file; return its events in the order in which they stand, some at a time.

        Raises:
            OSError: it can't be opened or read.
            UnusableLog: it is no log, as far as its beginning tells.
        """
        length = 0
        with open_log(self._path) as file:
            for text in read_chunks(file, self._name, self._complain_of_file):
                self._is_empty = False
                self._cutter.feed(text)
                if self._block:
                    yield self._block
                    self._block = []
                length += len(text)
                if length >= HOPELESS_CHARACTERS and not self.has_events:
                    raise UnusableLog(self.why_without_events("the beginning of "))
        self._cutter.finish()
        yield self._block
        self._say_what_is_missing()

    def why_without_events(self, part: str = "") -> str:
        """Return the likely cause why it, or a part of it, has no event."""
        found = list(self._reasons)
        if self._error:
            cause = f"the node reported an error, {self._error}"
        elif found:
            reason = max(found, key=lambda reason: reason.count)
            cause = f"{reason.text}: {reason.detail}" if reason.detail else reason.text
        elif self._cutter.has_history:
            cause = "an empty forwarding history (lnd's default is the last 24 hours)"
        elif self._is_empty:
            return f"{self._name} is empty"
        else:
            cause = "blank lines"
        return f"no HTLC event in {part}{self._name}: {cause}"

    def _say_what_is_missing(self) -> None:
        if not self.has_events:
            if self._name_in_warnings:
                self._warn("a file without HTLC events")
        elif self.forwards in _HISTORY_LIMITS:
            self._warn(
                "a forwarding history as long as lnd's limit: there may be more forwards"
                " (--max_events, --index_offset)",
                detail=f"{self.forwards:,} forwards",
            )

    def _take(self, fields: dict[str, Any], line: int) -> None:
        try:
            if "chan_id_in" in fields:
                self._take_forward(fields, line)
                return
            event, is_timeless = self._parser.parse(fields, line)
        except NoEvent as error:
            self._take_other(fields, line, error)
            return
        self.has_log_events = True
        self._block.append(event)
        if is_timeless and event.kind not in COUNTED_ONLY:
            self._warn("no timestamp_ns; taken as simultaneous with the event before it", line)

    def _take_forward(self, fields: dict[str, Any], line: int) -> None:
        self._block += self._forward_parser.parse(fields, line)
        if not self.forwards:
            self._warn(_SETTLED_ONLY)
        self.forwards += 1

    def _take_other(self, fields: dict[str, Any], line: int, error: NoEvent) -> None:
        if error.text == NO_FIELD:
            if "chanIdIn" in fields:
                self._take(in_snake_case(fields), line)
                return
            message = node_error(fields)
            if message is not None:
                self._error = message
                self._complain("the node reported an error", line, message)
                return
            cause = cause_of_fields(fields)
            if cause is not None:
                self._complain(cause, line)
                return
        elif is_like_add(fields):
            self._warnings.adds_left_out += 1
        self._complain(error.text, line, error.detail)

    def _complain_of_text(self, text: str, line: int, detail: str = "", what: str = "") -> None:
        if was_add(what):
            self._warnings.adds_left_out += 1
        self._complain(text, line, detail)

    def _complain(self, text: str, line: int, detail: str = "") -> None:
        self._warn(text, line, detail)
        if not self.has_events:
            self._reasons.add(text, line, detail)
            if self._reasons.total() >= HOPELESS_LINES:
                part = f"the first {HOPELESS_LINES:,} lines of "
                raise UnusableLog(self.why_without_events(part))

    def _complain_of_file(self, text: str) -> None:
        self._warn(text)
        self._reasons.add(text)

    def _warn(self, text: str, line: int | None = None, detail: str = "") -> None:
        self._warnings.add(text, line, detail, self._name_in_warnings)
