"""Reading logs: files of any kind that a node's events come in, as one stream in order of time.

Memory is bounded: a piece of the file, one object, and the events among which a late one is
sorted. A log of a million events takes as much as one of thirty thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .chunks import UnusableLog
from .events import HtlcEvent
from .log_file import LogFile, earliest_ns
from .sorting import Source, merged, without_repeats
from .warnings import LogWarnings

__all__ = ["RECORD_LINE", "UnusableLog", "read_events"]

RECORD_LINE = """\
curl -sSN --cacert ~/.lnd/tls.cert -H "Grpc-Metadata-macaroon: \\
$(xxd -ps -u -c 1000 ~/.lnd/data/chain/bitcoin/mainnet/readonly.macaroon)" \\
  https://localhost:8080/v2/router/htlcevents >> htlc_events.jsonl
"""
"""The command that records a node's events, for `replay --help` and the documentation."""


def read_events(paths: Sequence[str], warnings: LogWarnings) -> Iterator[HtlcEvent]:
    """Read logs of HTLC events and forwarding histories; return their events in order of time.

    A generator. It blocks while it reads, and closes its files when it ends. What is no event
    becomes a warning and nothing else.

    Several files are merged; a file is open only while its events are due. Events out of order
    are sorted if at most `sorting.WINDOW` events of their file are between them and their place;
    otherwise they are left out. `warnings.adds_left_out` counts the Adds among them, and those
    whose fields are damaged.
    The same event at the same time counts once.

    Args:
        paths: files, plain or compressed by gzip; `-` is standard input.
        warnings: filled while it reads.

    Raises:
        OSError: a file can't be opened or read.
        UnusableLog: no file has an event, or one of them has none in its first 1,000 lines. The
            text names the likely cause.
    """
    files = [LogFile(path, warnings, is_one_of_many=len(paths) > 1) for path in paths]
    starts = [earliest_ns(path) for path in paths] if len(paths) > 1 else [0] * len(paths)
    sources = [Source(start, file.blocks) for start, file in zip(starts, files, strict=True)]
    yield from without_repeats(merged(sources), warnings)
    if not any(file.has_events for file in files):
        raise UnusableLog("; ".join(file.why_without_events() for file in files) or "no file")
    if any(file.forwards for file in files) and any(file.has_log_events for file in files):
        warnings.add(
            "a forwarding history and HTLC events: a forward in both counts twice if the history"
            " has no HTLC ids"
        )
