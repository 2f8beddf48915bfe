"""The contents of a journal's file, as text of 80 columns for people or as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ..keeping.sqlite import PacketRow
from .contents import Contents, Mail

__all__ = ["json_report", "size", "text_report"]

_TITLES = ["channel", "mailbox", "Adds", "overdue", "replies", "Fails", "deadline", "reply"]
_PACKET_TITLES = ["channel", "mailbox", "kind", "incoming HTLC", "bytes", "deadline or age"]

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))
_SIZES = (("GiB", 30), ("MiB", 20), ("KiB", 10))


def json_report(path: str, contents: Contents) -> str:
    """Return all of it as one JSON object; ids are strings, dates ns since 1970."""
    report: dict[str, Any] = {
        "file": path,
        "now_ns": contents.now_ns,
        "total": _counts(contents.total),
        "empty_channels": contents.empty_channels,
        "channels": [_as_json(mail) for mail in contents.channels],
        "parked": [_as_json(mail) for mail in contents.parked],
    }
    if contents.packets is not None:
        report["packets"] = [_packet_as_json(row) for row in contents.packets]
    return json.dumps(report, indent=2)


def _counts(mail: Mail) -> dict[str, int]:
    names = ("adds", "adds_overdue", "replies", "fails", "size")
    return {name: getattr(mail, name) for name in names}


def _as_json(mail: Mail) -> dict[str, object]:
    return {
        **attrs.asdict(mail),
        "chan_id": None if mail.chan_id is None else str(mail.chan_id),
        "short_chan_id": str(mail.short_chan_id),
    }


def _packet_as_json(row: PacketRow) -> dict[str, object]:
    return {
        "id": row.id,
        "kind": _kind(row),
        "chan_id": None if row.chan_id is None else str(row.chan_id),
        "short_chan_id": str(row.short_chan_id),
        "incoming_chan_id": None if row.key is None else str(row.key.chan_id),
        "incoming_htlc_id": None if row.key is None else row.key.htlc_id,
        "date_ns": row.date_ns,
        "size": row.size,
    }


def text_report(path: str, contents: Contents) -> str:
    """Return the report for people: the sums, each channel with mail, and what is stuck."""
    return "\n".join(_paragraphs(path, contents))


def _paragraphs(path: str, contents: Contents) -> Iterator[str]:
    total = contents.total
    parked = sum(mail.adds + mail.replies for mail in contents.parked)
    yield path
    yield f"{len(contents.channels):,} channels with mail, {contents.empty_channels:,} without"
    yield (
        f"{total.adds:,} Adds, {total.replies:,} replies, {total.fails:,} Fails to hand over,"
        f" {parked:,} parked"
    )
    yield f"{size(total.size)} of packets"
    mails = contents.channels + contents.parked
    if mails:
        yield ""
        yield from _table([_TITLES, *(_row(mail, contents.now_ns) for mail in mails)], left=2)
    if contents.packets:
        rows = [_packet_row(row, contents.now_ns) for row in contents.packets]
        yield ""
        yield from _table([_PACKET_TITLES, *rows], left=4)
    stuck = list(_stuck(contents))
    if stuck:
        yield ""
        yield from stuck


def _stuck(contents: Contents) -> Iterator[str]:
    total = contents.total
    if total.adds_overdue:
        yield f"Stuck: {total.adds_overdue:,} Adds are overdue."
        yield "They are failed back when their mailboxes are reset, at the next start."
    if total.fails:
        yield f"Stuck: the switch may not have {total.fails:,} Fails."
        yield "They are handed over again at the next start."


def _row(mail: Mail, now_ns: int) -> list[str]:
    return [
        _channel(mail),
        _mailbox(mail),
        *(f"{count}" for count in (mail.adds, mail.adds_overdue, mail.replies, mail.fails)),
        _when(mail.first_deadline_ns, now_ns),
        _age(mail.oldest_reply_ns, now_ns),
    ]


def _packet_row(row: PacketRow, now_ns: int) -> list[str]:
    return [
        _channel(row),
        _mailbox(row),
        _kind(row),
        "" if row.key is None else f"{row.key.chan_id}/{row.key.htlc_id}",
        f"{row.size}",
        _when(row.date_ns, now_ns) if row.is_add else _age(row.date_ns, now_ns),
    ]


def _kind(row: PacketRow) -> str:
    return "Add" if row.is_add else "Fail" if row.key is None else "reply"


def _channel(row: Mail | PacketRow) -> str:
    return str(row.short_chan_id) if row.short_chan_id else "pending"


def _mailbox(row: Mail | PacketRow) -> str:
    if row.chan_id is None:
        return "parked"
    text = str(row.chan_id)
    return f"{text[:4]}..{text[-4:]}"  # channels of one funding differ in their ends


def _when(date_ns: int | None, now_ns: int) -> str:
    if date_ns is None:
        return ""
    left_ns = date_ns - now_ns
    return f"in {_duration(left_ns)}" if left_ns > 0 else f"{_duration(-left_ns)} ago"


def _age(date_ns: int | None, now_ns: int) -> str:
    return "" if date_ns is None else _duration(max(now_ns - date_ns, 0))


def _duration(ns: int) -> str:
    seconds = ns // 1_000_000_000
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    for unit, bits in _SIZES:
        if count >> bits:
            return f"{count / (1 << bits):.1f} {unit}"
    return f"{count} bytes"


def _table(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Align columns: the first `left` of them to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
