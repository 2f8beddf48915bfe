"""Every HTLC of a replay as a row of a CSV file (RFC 4180), written while it plays."""

from __future__ import annotations

import csv
from pathlib import Path

from ...console import naming
from ..playing.outcome import EndedHtlc
from .tables import date

__all__ = ["COLUMNS", "CsvFile"]

COLUMNS = (
    "time",
    "time_ns",
    "ending",
    "result",
    "incoming_channel",
    "incoming_htlc_id",
    "incoming_amount_msat",
    "incoming_timelock",
    "outgoing_channel",
    "outgoing_htlc_id",
    "outgoing_amount_msat",
    "outgoing_timelock",
    "fee_msat",
    "fee_lost_msat",
)


class CsvFile:
    """Writes the header when it is made, then a row each time an HTLC's story is over.

    Use it in a `with`, at whose end the file is closed.

    Args:
        path: of the file; one that exists is overwritten.

    Raises:
        OSError: from each method, if the file cannot be written; `filename` is the path.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = Path(path).open("w", encoding="ascii", newline="")  # noqa: SIM115
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *_: object) -> None:
        with naming(self._path):
            self._file.close()

    def write(self, ended: EndedHtlc) -> None:
        """Write one HTLC: what became of it in the replay, and in the log."""
        htlc = ended.htlc
        at_ns = ended.start_ns + ended.at_ns
        row = (
            date(at_ns).isoformat(),
            at_ns,
            ended.ending.value,
            "" if htlc.result is None else htlc.result.value,
            htlc.incoming_channel or "",
            htlc.incoming_htlc_id if htlc.incoming_channel else "",
            htlc.incoming_amount,
            htlc.incoming_timelock,
            htlc.outgoing_channel,
            htlc.outgoing_htlc_id,
            htlc.outgoing_amount,
            htlc.outgoing_timelock,
            htlc.fee,
            ended.fee_lost_msat,
        )
        with naming(self._path):
            self._rows.writerow(row)
