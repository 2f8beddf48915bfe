"""The tables of a journal and the statements that write them. This is version 1 of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "COLUMNS",
    "DELETES",
    "INSERTS",
    "SCHEMA",
    "STATEMENTS",
    "TABLES",
    "VERSION",
    "Rows",
    "signed",
    "signed_key",
    "unsigned",
]

VERSION = 1

_SIGN = 1 << 63

# Columns of 64 bits: SQLite's integers have a sign, so ids above 2**63 stand there as negative
# numbers. Dates are ns since 1970. That of an Add is its deadline, that of a reply its arrival.
SCHEMA = """
CREATE TABLE lnmailbox_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE lnmailbox_channel (
    id INTEGER PRIMARY KEY, chan_id BLOB NOT NULL, short_chan_id INTEGER NOT NULL);
CREATE TABLE lnmailbox_packet (
    id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, is_add INTEGER NOT NULL,
    chan_id INTEGER NOT NULL, htlc_id INTEGER NOT NULL, date INTEGER NOT NULL,
    data BLOB NOT NULL);
CREATE TABLE lnmailbox_fail (
    id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE lnmailbox_parked (
    id INTEGER PRIMARY KEY, short_chan_id INTEGER NOT NULL, is_add INTEGER NOT NULL,
    chan_id INTEGER NOT NULL, htlc_id INTEGER NOT NULL, date INTEGER, data BLOB NOT NULL);
"""

COLUMNS = {
    "lnmailbox_meta": ["name", "value"],
    "lnmailbox_channel": ["id", "chan_id", "short_chan_id"],
    "lnmailbox_packet": ["id", "channel", "is_add", "chan_id", "htlc_id", "date", "data"],
    "lnmailbox_fail": ["id", "channel", "data"],
    "lnmailbox_parked": ["id", "short_chan_id", "is_add", "chan_id", "htlc_id", "date", "data"],
}

INSERTS = ("channels", "packets", "fails", "parked")

DELETES = ("gone", "handed_over", "unparked", "closed")

# What a commit does, by the name of its rows. All inserts come before all deletes: a row that is
# inserted and deleted in one commit is gone.
STATEMENTS = {
    "channels": "INSERT OR REPLACE INTO lnmailbox_channel VALUES (?,?,?)",
    "packets": "INSERT INTO lnmailbox_packet VALUES (?,?,?,?,?,?,?)",
    "fails": "INSERT INTO lnmailbox_fail VALUES (?,?,?)",
    "parked": "INSERT INTO lnmailbox_parked VALUES (?,?,?,?,?,?,?)",
    "gone": "DELETE FROM lnmailbox_packet WHERE id = ?",
    "handed_over": "DELETE FROM lnmailbox_fail WHERE id = ?",
    "unparked": "DELETE FROM lnmailbox_parked WHERE id = ?",
    "closed": "DELETE FROM lnmailbox_channel WHERE id = ?",
}

TABLES = {
    "channels": "lnmailbox_channel",
    "packets": "lnmailbox_packet",
    "fails": "lnmailbox_fail",
    "parked": "lnmailbox_parked",
    "gone": "lnmailbox_packet",
    "handed_over": "lnmailbox_fail",
    "unparked": "lnmailbox_parked",
    "closed": "lnmailbox_channel",
}

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""Rows to write, by the names in `STATEMENTS`."""


def signed(number: int) -> int:
    """Return an unsigned 64-bit number as one with a sign."""
    return number - (1 << 64) if number >= _SIGN else number


def signed_key(chan_id: int, htlc_id: int) -> tuple[int, int]:
    """Return both parts of a circuit key as numbers with a sign."""
    if chan_id >= _SIGN or htlc_id >= _SIGN:
        return signed(chan_id), signed(htlc_id)
    return chan_id, htlc_id


def unsigned(number: int) -> int:
    """Undo `signed`."""
    return number & 0xFFFF_FFFF_FFFF_FFFF
