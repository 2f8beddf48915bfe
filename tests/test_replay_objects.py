"""Cutting text into objects: whatever stands between them, and in whatever pieces it comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lnmailbox.replay.reading.objects import MAX_OBJECT, ObjectCutter


class Cut:
    """What came of a text: the objects with their lines, and the complaints."""

    def __init__(self) -> None:
        self.objects: list[tuple[int, Any]] = []
        self.complaints: list[str] = []
        self.cutter = ObjectCutter(self.take, self.complain)

    def take(self, fields: dict[str, Any], line: int) -> None:
        self.objects.append((line, fields))

    def complain(self, text: str, line: int, detail: str = "", what: str = "") -> None:
        self.complaints.append(f"{line}: {text}: {detail}")


def cut(text: str, size: int) -> Cut:
    """Feed a text in pieces of this size."""
    found = Cut()
    for start in range(0, len(text), size):
        found.cutter.feed(text[start : start + size])
    found.cutter.finish()
    return found


PRETTY = json.dumps([{"a": 1, "b": {"c": []}}, {"a": 2, "b": {"c": []}}], indent=2)
HISTORY = {"forwarding_events": [{"a": 1}, {"a": {"b": 2}}], "last_offset_index": 2}
CAMEL = {"lastOffsetIndex": "2", "forwardingEvents": [{"a": 1}, {"a": {"b": 2}}]}


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    "text, lines",
    [
        ('{"a": 1}\n{"a": 2}\n', [1, 2]),
        ('{"a": 1}\r\n\r\n  {"a": 2}', [1, 3]),
        ('{"a": 1}{"a": 2}', [1, 1]),
        ('\ufeff{"a": 1}\n\ufeff{"a": 2}', [1, 2]),
        ('\x1e{"a": 1}\n\x1e{"a": 2}\n', [1, 2]),
        ('[{"a": 1},{"a": 2}]', [1, 1]),
        ('[\n[ {"a": 1}\n,\n{"a": 2} ]\n] []\n', [2, 4]),
        (PRETTY, [2, 8]),
        (json.dumps(HISTORY), [1, 1]),
        (json.dumps(HISTORY, indent=4), [3, 6]),
        (json.dumps(CAMEL, indent=4), [4, 7]),
        (json.dumps({"forwarding_events": [{"a": 1}, {"a": 2}]}), [1, 1]),
        (json.dumps(HISTORY, indent=4).replace(": 2\n}", ": 2\n\n}\n") + '{"a": 3}', [3, 6, 15]),
        ('{"a": "} {[\\""}\n{"a": "\\u00e9"}', [1, 2]),
    ],
)
def test_objects_are_found_wherever_they_are(text: str, lines: list[int], size: int) -> None:
    """In lines, over lines, in arrays, and in a forwarding history; each with its first line."""
    found = cut(text, size)

    assert lines == [line for line, _ in found.objects]
    assert all("a" in fields for _, fields in found.objects)
    assert [] == found.complaints


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
@pytest.mark.parametrize(
    "text, complaints",
    [
        ("hello\n", ['1: not JSON: "hello"']),
        ("[lncli] error\n", ['1: a message of lncli: "[lncli] error"']),
        ("\n7\n", ['2: not JSON: "7"']),
        ("[", ['1: not JSON: "["']),
        ('{"a": tru', ["1: the input ends in the middle of an object: "]),
        ('{"a": "b', ["1: the input ends in the middle of an object: "]),
        ('{"a": "b\\u00', ["1: the input ends in the middle of an object: "]),
        ("{oops}\n", ["1: not JSON: Expecting property name enclosed in double quotes"]),
        ('{"b": "c\n', ["1: a line that was cut off: "]),
        ('{"b": tru}', ["1: not JSON: Expecting value"]),
        ('{"b": ' + "1" * 5000 + "}\n", ["1: not JSON: a number of too many digits"]),
        ('{"a": 1} and more', ['1: not JSON: "and more"']),
    ],
)
def test_what_is_none_is_said_and_the_rest_is_found(
    text: str, complaints: list[str], size: int
) -> None:
    """Its line is passed over, and nothing else."""
    found = cut(f'{text}{{"z": 1}}\n' if text.endswith("\n") else text, size)

    assert complaints == found.complaints
    assert [{"z": 1}] * text.endswith("\n") == [obj for _, obj in found.objects if obj != {"a": 1}]


def test_a_pretty_object_that_is_damaged_costs_itself_only() -> None:
    """Its other lines are parts without a beginning."""
    lines = PRETTY.splitlines()
    lines[2] = '    "a": oops,'
    found = cut("\n".join(lines), 1000)

    assert [8] == [line for line, _ in found.objects]
    part = "part of an object whose beginning is missing or damaged"
    assert ["2: not JSON: Expecting value", f'3: {part}: "\\"a\\": oops,"'] == found.complaints[:2]
    assert all(part in complaint for complaint in found.complaints[1:])


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_history_that_is_damaged_costs_the_damaged_forwards(size: int) -> None:
    """The others are found, and its end is known as such."""
    text = json.dumps({"forwarding_events": [{"a": 1}, {"a": 2}, {"a": 3}]}, indent=1)
    found = cut(text.replace('"a": 2', '"a": oops'), size)

    assert [{"a": 1}, {"a": 3}] == [fields for _, fields in found.objects]
    assert "6: not JSON: Expecting value" == found.complaints[0]


@pytest.mark.parametrize("tail", ["", ", ", ',\n{"a": 2},', '\n],\n "last_offs'])
def test_a_history_without_an_end_is_said_to_have_none(tail: str) -> None:
    """Its forwards are found none the less."""
    found = cut('{"forwarding_events": [\n{"a": 1}' + tail, 4)

    assert (2, {"a": 1}) == found.objects[0]
    assert "the input ends in the middle of a forwarding history" in found.complaints[-1]
    assert found.cutter.has_history


def test_an_empty_history_is_seen() -> None:
    """Though there is no object in it; other objects are no history."""
    empty = cut('{"forwarding_events": [], "last_offset_index": 0}\n{"b": 1}', 6)
    other = cut('{"forwarding_events": 7, "a": 1}', 6)

    assert [(2, {"b": 1})] == empty.objects
    assert empty.cutter.has_history
    assert [(1, {"forwarding_events": 7, "a": 1})] == other.objects
    assert not other.cutter.has_history
    assert [] == empty.complaints + other.complaints


def test_an_object_after_a_broken_one_is_found_at_the_very_end() -> None:
    """Though the broken one might have gone on, as long as there could be more."""
    found = cut('{x\n{"b":1}', 100)

    assert [(2, {"b": 1})] == found.objects
    assert 1 == len(found.complaints)


def test_an_object_that_never_ends_is_refused() -> None:
    """Memory is bounded: its first line is left out, and the log goes on after it."""
    found = Cut()
    found.cutter.feed('{"a": 1}\n{"b": "')
    piece = "x" * (MAX_OBJECT // 4)
    for _ in range(12):
        found.cutter.feed(piece)
        assert len(found.cutter._text) < MAX_OBJECT
    found.cutter.feed('x"}\n{"c": 3}')
    found.cutter.finish()

    assert [(1, {"a": 1}), (3, {"c": 3})] == found.objects
    assert ["2: an object of more than 1,048,576 characters: "] == found.complaints


def test_a_line_that_never_ends_is_passed_over() -> None:
    """One complaint, whose words are those at its beginning; none of it is kept."""
    found = Cut()
    for _ in range(100):
        found.cutter.feed("spam " * 1000)
        assert len(found.cutter._text) < 5000
    found.cutter.feed('\n{"c": 3}')
    found.cutter.finish()

    assert [(2, {"c": 3})] == found.objects
    assert 1 == len(found.complaints)
    assert found.complaints[0].startswith('1: not JSON: "spam spam')


def test_a_history_with_a_long_line_in_it_goes_on() -> None:
    """Even if nothing in that line looks like the end of the history."""
    text = '{"forwarding_events": [{"a": 1},\n' + "x" * 9000 + '\n{"a": 2}]}'
    found = cut(text, 500)

    assert [(1, {"a": 1}), (3, {"a": 2})] == found.objects
    assert 1 == len(found.complaints)
