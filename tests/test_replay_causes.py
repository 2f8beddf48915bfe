"""What a line or a file is that has no events: the likely cause is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lnmailbox.replay.reading.causes import (
    cause_of_data,
    cause_of_fields,
    cause_of_line,
    cause_of_object,
    node_error,
)


@pytest.mark.parametrize(
    "start, said",
    [
        ("{".encode("utf-16"), "UTF-16, as PowerShell's > writes it"),
        (b"\xfe\xff\0{", "UTF-16"),
        ("{".encode("utf-16-le"), "UTF-16"),
        ("{}".encode("utf-16-be"), "UTF-16"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed by zstd: pipe it through zstdcat"),
        (b"\xfd7zXZ\0\0", "compressed by xz"),
        (b"BZh91", "compressed by bzip2"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"abc\0", "binary data"),
    ],
)
def test_a_file_that_is_no_text_is_known_by_its_first_bytes(start: bytes, said: str) -> None:
    """And the way to read it is told, if there is one."""
    assert str(cause_of_data(start)).startswith(said)


@pytest.mark.parametrize("start", [b"", b"{", b"\xef\xbb\xbf{", b"\xff", b'{"a": 1}' * 20])
def test_anything_else_may_be_text(start: bytes) -> None:
    """A byte that is not UTF-8 does not make it binary."""
    assert cause_of_data(start) is None


@pytest.mark.parametrize(
    "line, said",
    [
        ("<html>", "HTML or XML, such as the error page of a proxy"),
        ("[lncli] rpc error: code = Unavailable", "a message of lncli"),
        ("curl: (7) Failed to connect", "a message of curl"),
        ("% Total    % Received % Xferd", "a message of curl"),
        ("100  1256    0  1256    0     0    209", "a message of curl"),
        ("2026-01-01 12:00:00.000 [INF] HSWC: x", "a line of lnd's own log, which has no events"),
        ("2026-01-01T12:00:00Z x", "a line of a log, no JSON"),
        ("[2026/01/01 12:00] x", "a line of a log, no JSON"),
        ("forward_event {", "the text form of protobuf"),
        ("incoming_channel_id: 970868767460425728", "the text form of protobuf"),
        ('"settle_event": {', "part of an object whose beginning is missing or damaged"),
        ("}", "part of an object whose beginning is missing or damaged"),
        ("HTTP/2 200", "a header of HTTP"),
        ("Content-Type: application/json", "a header of HTTP"),
        ("caf\udce9", "no text in UTF-8"),
        ("a\0b", "no text in UTF-8"),
        ("chan_id_in,chan_id_out,fee", "comma-separated values, no JSON"),
        ("forwards, 3 in all, of 7", "not JSON"),
        ("7", "not JSON"),
    ],
)
def test_a_line_is_known_by_its_looks(line: str, said: str) -> None:
    """What it says is told beside it."""
    cause, detail = cause_of_line(f"{line}\r")

    assert cause.startswith(said)
    assert json.dumps(line) == detail


def broken(text: str) -> tuple[str, str]:
    with pytest.raises((ValueError, RecursionError)) as raised:
        json.JSONDecoder().raw_decode(text, 1)
    return cause_of_object(text, 1, raised.value)


@pytest.mark.parametrize(
    "text, cause, detail",
    [
        ("{'a': 1}", "Python's print of a dict (write json.dumps(event))", ""),
        ('{"a": "b\n{"c": 1}', "a line that was cut off", ""),
        ('{"a": \n\n{"c": 1} {', "not JSON", "Expecting ',' delimiter"),
        ('{"a": 1,\n{"c": 1}', "a line that was cut off", ""),
        ('{\n"a": oops}', "not JSON", "Expecting value"),
        ('{"a": "\t"}', "not JSON", "Invalid control character"),
        ('{"a":' * 100_000, "not JSON", "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "not JSON", "a number of too many digits"),
    ],
)
def test_an_object_is_none_for_a_reason(text: str, cause: str, detail: str) -> None:
    """A line that was cut off is told from one that was never JSON."""
    assert (cause, detail) == broken(f" {text}")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"error": {"code": 2, "message": "closed", "details": []}}, '"closed"'),
        ({"error": "expected 1 macaroon", "code": 2, "message": "x"}, '"expected 1 macaroon"'),
        ({"code": 2, "message": "expected 1 macaroon", "details": []}, '"expected 1 macaroon"'),
        ({"message": "hello"}, None),
        ({"code": 2}, None),
        ({"code": 2, "message": {}}, None),
        ({"error": {}}, None),
        ({"error": ""}, None),
        ({"error": None, "result": 7}, None),
    ],
)
def test_an_error_of_the_node_has_its_message(fields: dict[str, Any], message: str | None) -> None:
    """In each of the forms that lnd's REST interface has for it."""
    assert message == node_error(fields)


@pytest.mark.parametrize(
    "fields, said",
    [
        (
            {"forwards": []},
            "the output of Core Lightning's listforwards, which has no HTLC events",
        ),
        ({"payments": []}, "the output of lncli listpayments, which has no HTLC events"),
        ({"level": "info", "msg": "x"}, "a line of a log about something else"),
        ({"level": "info"}, None),
        ({}, None),
    ],
)
def test_the_output_of_another_command_is_known(fields: dict[str, Any], said: str | None) -> None:
    """By the names of its fields."""
    assert said == cause_of_fields(fields)
