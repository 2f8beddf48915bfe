"""What a line or a file is that has no events, as far as its looks tell."""

from __future__ import annotations

import re
from typing import Any

from .fields import shown

__all__ = ["cause_of_data", "cause_of_line", "cause_of_object", "node_error"]

_LINES = [
    (r"<", "HTML or XML, such as the error page of a proxy"),
    (r"\[lncli\]", "a message of lncli"),
    (r"curl: \(|\s*% Total|\s*Dload|\s*\d+ +\d[\d.kMG]* +\d+ +\d", "a message of curl"),
    (r".*\[(?:TRC|DBG|INF|WRN|ERR|CRT)\]", "a line of lnd's own log, which has no events"),
    (r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d", "a line of a log, no JSON"),
    (
        r"\s*(?:[a-z_]+ \{|[a-z]+(?:_[a-z]+)+: \S+)\s*$",
        "the text form of protobuf (in Python, write MessageToJson(event, indent=None))",
    ),
    (r'\s*(?:"\w+"\s*:|[}\]],?\s*$)', "part of an object whose beginning is missing or damaged"),
    (r"HTTP/\d|[A-Za-z-]+: ", "a header of HTTP (curl writes them with -i)"),
    (r".*[\0\ufffd\ud800-\udfff]", "binary data"),
    (r"(?:[^,]*,){3}|(?:[^;]*;){3}|(?:[^\t]*\t){3}", "comma-separated values, no JSON"),
]
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


def cause_of_line(line: str) -> tuple[str, str]:
    """Return what a line is that holds no object, and what it says."""
    for pattern, cause in _CAUSES:
        if pattern.match(line):
            return cause, shown(line.strip())
    return "not JSON", shown(line.strip())


def cause_of_object(text: str, error: Exception) -> tuple[str, str]:
    """Return why text that begins like an object is none; `error` is what the decoder said."""
    if text.startswith("{'"):
        return "Python's print of a dict (write json.dumps(event))", ""
    reason = getattr(error, "msg", None) or str(error)
    return "not JSON", str(reason)


def node_error(fields: dict[str, Any]) -> str | None:
    """Return the message if an object is an error of lnd's REST interface.

    A stream ends with `{"error": {"message": ...}}`; a call that fails has `code` and `message`
    at the top, and with an older lnd `error` as a text.
    """
    error = fields.get("error")
    if type(error) is dict:
        fields = error
    elif type(error) is str and error:
        return shown(error)
    elif "code" not in fields:
        return None
    message = fields.get("message")
    return shown(message) if type(message) is str and message else None
