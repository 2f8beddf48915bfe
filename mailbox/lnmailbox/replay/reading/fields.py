"""The fields of a JSON object: numbers, names and how they are shown."""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["UINT32_MAX", "UINT64_MAX", "NoEvent", "in_snake_case", "names_of", "shown", "uint"]

UINT32_MAX = (1 << 32) - 1
UINT64_MAX = (1 << 64) - 1

_NAMES = """
    event_type timestamp_ns incoming_channel_id incoming_htlc_id outgoing_channel_id
    outgoing_htlc_id forward_event forward_fail_event settle_event link_fail_event
    final_htlc_event subscribed_event incoming_amt_msat outgoing_amt_msat incoming_timelock
    outgoing_timelock failure_detail chan_id_in chan_id_out amt_in_msat amt_out_msat
    amt_in amt_out fee_msat
""".split()


class NoEvent(ValueError):
    """An object is no event.

    Args:
        text: why, without any value of the object.
        detail: the value.
    """

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(f"{text}: {detail}" if detail else text)
        self.text = text
        self.detail = detail


def uint(value: object, name: str, maximum: int = UINT64_MAX) -> int:
    """Return a number that JSON has as a number or as its digits.

    Raises:
        NoEvent: it is neither, or not from 0 to `maximum`.
    """
    if type(value) is str:
        if len(value) > 20 or not (value.isdecimal() and value.isascii()):
            _raise_no_number(value, name, maximum)
        number = int(value)
    elif type(value) is int:
        number = value
    else:
        _raise_no_number(value, name, maximum)
    if not 0 <= number <= maximum:
        _raise_no_number(value, name, maximum)
    return number


def _raise_no_number(value: object, name: str, maximum: int) -> NoReturn:
    raise NoEvent(f"{name} is no number from 0 to {maximum}", shown(value))


def in_snake_case(fields: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """Return an object whose known names are in lnd's spelling, as deep as events have any."""
    snake = {}
    for name, value in fields.items():
        inner = depth > 1 and type(value) is dict
        snake[_SNAKE.get(name, name)] = in_snake_case(value, depth - 1) if inner else value
    return snake


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


_SNAKE = {_camel(name): name for name in _NAMES}


def names_of(fields: dict[str, Any]) -> str:
    """Return the names of an object's first fields, to tell what it might be."""
    names = ", ".join(shown(name[:20]) for name in list(fields)[:4])
    if len(fields) > 4:
        names += ", ..."
    return f"its fields are {names}" if names else "it is empty"


def shown(value: object, length: int = 60) -> str:
    """Return a JSON value in ASCII and on one line, at most so long and three dots."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "..."
    return text if len(text) <= length else f"{text[:length]}..."
