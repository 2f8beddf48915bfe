"""Values as texts for people: in a `repr`, and in the text of an error.

Long bytes are abbreviated, in one form everywhere: `bytes(1366)` if all are zero, otherwise
`<bytes 0badc0de...c0de (1366)>`.
"""

from __future__ import annotations

import reprlib
from typing import Any

import attrs

__all__ = ["shown", "shown_fields"]

_LONGEST = 40  # characters of bytes that are shown in full
_HEAD, _TAIL = 4, 2  # how many bytes stand for others: ids of one funding differ in their tails


def shown(value: object) -> str:
    """Return the value's `repr` if it is short, otherwise a summary."""
    return _shortened.repr(value)


def shown_fields(instance: Any) -> str:
    """Return the `repr` of an attrs object, without the fields that have their default."""
    texts = []
    for field in attrs.fields(type(instance)):
        if not field.repr:
            continue
        value = getattr(instance, field.name)
        if value is not field.default and value != field.default:
            text = field.repr if callable(field.repr) else repr
            texts.append(f"{field.name}={text(value)}")
    return f"{type(instance).__name__}({', '.join(texts)})"


class _Shortened(reprlib.Repr):
    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, (bytes, bytearray)):
            return _shown_bytes(x)
        if isinstance(x, int) and x.bit_length() > 256:
            return f"an integer of {x.bit_length()} bits"
        return super().repr1(x, level)


_shortened = _Shortened()
_shortened.maxstring = _shortened.maxother = 80


def _shown_bytes(value: bytes | bytearray) -> str:
    length = len(value)
    if length <= _LONGEST:
        text = repr(value)
        if len(text) <= _LONGEST:
            return text
    kind = type(value).__name__
    if type(value) in (bytes, bytearray) and value.count(0) == length:
        return f"{kind}({length})"
    return f"<{kind} {value[:_HEAD].hex()}...{value[-_TAIL:].hex()} ({length})>"
