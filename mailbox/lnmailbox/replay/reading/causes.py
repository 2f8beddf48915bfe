"""What a line or a file is that has no events, as far as its looks tell."""

from __future__ import annotations

import json
import re
from typing import Any

from .fields import shown

__all__ = ["cause_of_data", "cause_of_fields", "cause_of_line", "cause_of_object", "node_error"]

_LINES = [
    (r"<", "HTML or XML, such as the error page of a proxy"),
    (r"\[lncli\]", "a message of lncli"),
    (r"curl: \(|% Total|Dload|\d+ +\d[\d.kMG]* +\d+ +\d", "a message of curl"),
    (r".*\[(?:TRC|DBG|INF|WRN|ERR|CRT)\]", "a line of lnd's own log, which has no events"),
    (r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d", "a line of a log, no JSON"),
    (
        r"(?:[a-z_]+ \{|[a-z]+(?:_[a-z]+)+: \S+)\s*$",
        "the text form of protobuf (in Python, write MessageToJson(event, indent=None))",
    ),
    (r'"\w+"\s*:|\},?\s*$', "part of an object whose beginning is missing or damaged"),
    (r"HTTP/\d|[A-Za-z-]+: ", "a header of HTTP (curl writes them with -i)"),
    (r".*[\0\ud800-\udfff]", "no text in UTF-8"),
    (r"[^\s,;]+(?:[,;\t][^\s,;]*){2}", "comma-separated values, no JSON"),
]
_ERROR_SHOWN = 200
_CAUSES = [(re.compile(pattern), cause) for pattern, cause in _LINES]

_MAGICS = {
    b"\xff\xfe": "UTF-16, as PowerShell's > writes it: record with curl -o FILE instead, or"
    " convert it with iconv -f UTF-16 -t UTF-8",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: pipe it through zstdcat, with - as the file",
    b"\xfd7zXZ\0": "compressed by xz: pipe it through xzcat, with - as the file",
    b"BZh": "compressed by bzip2: pipe it through bzcat, with - as the file",
    b"PK\x03\x04": "a ZIP archive: unpack it first",
    b"SQLite format 3\0": "an SQLite database",
}
_UTF_16 = _MAGICS[b"\xff\xfe"]

_SOURCES = {
    "forwards": "Core Lightning's listforwards",
    "payments": "lncli listpayments",
    "channels": "lncli listchannels",
    "invoices": "lncli listinvoices",
}


def cause_of_data(start: bytes) -> str | None:
    """Return what a file is that begins so, or None if it may be text in UTF-8."""
    if start.startswith(b"\xfe\xff") or (len(start) > 1 and 0 in start[:2]):
        return _UTF_16
    for magic, cause in _MAGICS.items():
        if start.startswith(magic):
            return cause
    if 0 in start[:64]:
        return "binary data"
    return None


def cause_of_fields(fields: dict[str, Any]) -> str | None:
    """Return what a JSON object is that is no event, or None if it is nothing we know."""
    for name, source in _SOURCES.items():
        if name in fields:
            return f"the output of {source}, which has no HTLC events"
    if "level" in fields and not fields.keys().isdisjoint(("msg", "message")):
        return "a line of a log about something else"
    return None


def cause_of_line(line: str) -> tuple[str, str]:
    """Return what a line is that holds no object, and what it says."""
    for pattern, cause in _CAUSES:
        if pattern.match(line):
            return cause, shown(line.strip())
    return "not JSON", shown(line.strip())


def cause_of_object(text: str, pos: int, error: Exception) -> tuple[str, str]:
    """Return why text is no object though it begins like one, and what is particular to it.

    Args:
        text: the object begins in it.
        pos: where.
        error: what the decoder raised.
    """
    if text.startswith("{'", pos):
        return "Python's print of a dict (write json.dumps(event))", ""
    if isinstance(error, json.JSONDecodeError):
        end = text.find("\n", pos, error.pos + 1)
        if end > pos + 2 and not text[end : error.pos].strip():
            return "a line that was cut off", ""
        return "not JSON", error.msg.removesuffix(" at")
    if isinstance(error, RecursionError):
        return "not JSON", "nested too deeply"
    return "not JSON", "a number of too many digits"


def node_error(fields: dict[str, Any]) -> str | None:
    """Return the message if an object is an error of lnd's REST interface.

    A stream ends with `{"error": {"message": ...}}`; a call that fails has `code` and `message`
    at the top, and with an older lnd `error` as a text.
    """
    error = fields.get("error")
    if type(error) is dict:
        fields = error
    elif type(error) is str and error:
        return shown(error, _ERROR_SHOWN)
    elif "code" not in fields:
        return None
    message = fields.get("message")
    return shown(message, _ERROR_SHOWN) if type(message) is str and message else None
