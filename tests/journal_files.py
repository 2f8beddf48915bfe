"""Journal files made row by row, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

from kept_packets import REVERSER, full_add
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.sqlite import JournalFile

SECOND = 10**9
NOW = 1_790_000_000 * SECOND
"""The date on which the tests look at the files, ns since 1970."""

DATA = PacketCodec([REVERSER]).encode(full_add())

FIRST, SECOND_CHANNEL, EMPTY = (bytes([number]) * 32 for number in (0x0A, 0x0B, 0x0C))


def scid(number: int) -> int:
    return 880_000 << 40 | number << 16


def make_journal(path: Path, adds: int = 3) -> Path:
    """Make a file with some of everything, and return its path.

    The first channel has `adds` Adds, one overdue by 5 minutes and each other due a minute after
    the one before, and a Fail. The second is pending and has a reply, 3 hours old. Channel
    880000x9x0 has two parked packets, an Add that does not expire and a reply.
    """
    minute = 60 * SECOND
    file = JournalFile(path)
    dates = [NOW - 5 * minute, *(NOW + number * minute for number in range(5, adds + 4))]
    file.write(
        {
            "channels": [(1, FIRST, scid(1)), (2, SECOND_CHANNEL, 0), (3, EMPTY, scid(3))],
            "packets": [
                *(
                    (number, 1, 1, scid(7), number, date, DATA)
                    for number, date in enumerate(dates)
                ),
                (adds, 2, 0, scid(8), 40, NOW - 3 * 60 * minute, DATA),
            ],
            "fails": [(adds + 1, 1, DATA)],
            "parked": [
                (adds + 2, scid(9), 1, scid(7), 50, None, DATA),
                (adds + 3, scid(9), 0, scid(7), 50, NOW - 7 * SECOND, DATA),
            ],
        }
    )
    file.close()
    return path
