"""The ledger of the kill tests notices what it is there for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from kill_ledger import Ledger
from lnmailbox import HTLCPacket
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.sqlite import JournalFile
from lnmailbox.wire import UpdateFailHTLC


def fail(number: int) -> bytes:
    packet = HTLCPacket(incoming_htlc_id=number, htlc=UpdateFailHTLC(id=number))
    return PacketCodec().encode(packet)


def left(path: Path, ids: list[int], fails: list[int], second: Sequence[int] = ()) -> Path:
    """Make the file that a node left, with packets and Fails of the first channel.

    And with Adds of the second.
    """
    file = JournalFile(path)
    channels = [(id_, 1) for id_ in ids] + [(id_, 2) for id_ in second]
    file.write(
        {
            "channels": [(1, b"\x01" * 32, 0), (2, b"\x02" * 32, 0)],
            "packets": [
                (row, channel, 1 - id_ % 2, 0, id_, 0, b"")
                for row, (id_, channel) in enumerate(channels)
            ],
            "fails": [(100 + row, 1, fail(id_)) for row, id_ in enumerate(fails)],
        }
    )
    file.close()
    return path


@pytest.mark.parametrize(
    "said, ids, fails, problem",
    [
        ("add 0 2,4; added 0 2,4", [2, 4], [], None),
        ("add 0 2,4; added 0 2,4", [2], [], "LOST"),
        ("add 0 2,4; added 0 2,4", [4, 2], [], "another order"),
        ("add 0 2,4", [], [], None),
        ("add 0 2,4", [2, 4], [], None),
        ("add 0 2,4", [2], [], "half a batch"),
        ("add 0 2,4; got 0 2,4; ack 0 4", [2], [], None),
        ("add 0 2; added 0 2; got 0 2; ack 0 2", [2], [], None),
        ("add 0 2; added 0 2; got 0 2; ack 0 2", [], [], None),
        ("add 0 2; added 0 2; got 0 2; ack 0 2; acked 0 2", [], [], None),
        ("add 0 2; added 0 2; got 0 2; ack 0 2; acked 0 2", [2], [], "acked, and still there"),
        ("add 0 2; added 0 2; fail 0 2", [], [2], None),
        ("add 0 2; added 0 2; fail 0 2", [2], [], None),
        ("add 0 2; added 0 2; fail 0 2", [], [], "LOST"),
        ("add 0 2; added 0 2; fail 0 2", [2], [2], "failed, and still there"),
        ("add 0 2; added 0 2; fail 0 2; forwarded 2 f00d", [], [], None),
        ("add 0 2; added 0 2; fail 0 2; forwarded 2 f00d", [2], [], "failed, and still there"),
        ("add 0 2; added 0 2; fail 0 2; forwarded 2 f00d", [], [2], "not the Fail that was"),
        ("add 0 2; added 0 2; fail 0 2; failed 0 2", [2], [], "said to be failed"),
    ],
)
def test_a_file_is_compared_with_what_was_said(
    tmp_path: Path, said: str, ids: list[int], fails: list[int], problem: str | None
):
    """Each kind of loss and of undoing has its words."""
    ledger = Ledger(lazy_acks=False)
    for line in said.split("; "):
        ledger.hear(line)
    path = left(tmp_path / "left", ids, fails)

    with pytest.raises(AssertionError, match=problem) if problem else nullcontext():
        ledger.check(path)


@pytest.mark.parametrize("later, is_kept", [("", False), ("; add 1 4; added 1 4", True)])
def test_a_lazy_ack_is_kept_by_a_later_commit(tmp_path: Path, later: str, is_kept: bool):
    """One of either channel; before it, a packet may come again."""
    ledger = Ledger(lazy_acks=True)
    for line in ("add 0 2; added 0 2; got 0 2; ack 0 2; acked 0 2" + later).split("; "):
        ledger.hear(line)
    path = left(tmp_path / "left", [2], [], second=[4] if later else [])

    problem = pytest.raises(AssertionError, match="acked, and still there")
    with problem if is_kept else nullcontext():
        ledger.check(path)


def test_what_comes_after_a_kill_is_compared_with_what_was_left(tmp_path: Path):
    """The gone stay gone, a Fail is the same each time, and none is forgotten."""
    ledger = Ledger(lazy_acks=False)
    for line in ("add 0 2,3,4", "added 0 2,3,4", "ack 0 4", "fail 0 2"):
        ledger.hear(line)
    ledger.check(left(tmp_path / "first", [3], [2]))

    ledger.hear("held 0 3")
    with pytest.raises(AssertionError, match="4 was gone and came again"):
        ledger.hear("got 0 4")
    with pytest.raises(AssertionError, match="not the Fail of the file"):
        ledger.hear("forwarded 2 f00d")
    with pytest.raises(AssertionError, match="a Fail was lost"):
        Ledger.check(ledger_after(tmp_path), left(tmp_path / "second", [3], []))


def ledger_after(tmp_path: Path) -> Ledger:
    ledger = Ledger(lazy_acks=False)
    for line in ("add 0 2,3", "added 0 2,3", "fail 0 2"):
        ledger.hear(line)
    ledger.check(left(tmp_path / "before", [3], [2]))
    return ledger


@pytest.mark.parametrize(
    "said, problem",
    [
        ("add 0 2,4; got 0 4; got 0 2", "2 came out of order"),
        ("add 0 2,4; got 0 2; got 0 2", "2 came out of order"),
        ("add 0 2; got 0 2; acked 0 2; reset 0; got 0 2", "2 was acked and came again"),
        ("forwarded 2 f00d; forwarded 2 cafe", "the Fail was made twice"),
    ],
)
def test_lines_that_cannot_be_are_noticed_at_once(said: str, problem: str):
    """Before any kill."""
    ledger = Ledger(lazy_acks=False)
    *before, last = said.split("; ")
    for line in before:
        ledger.hear(line)

    with pytest.raises(AssertionError, match=problem):
        ledger.hear(last)


def test_a_reset_begins_again(tmp_path: Path):
    """After it, and not before, the first packet may come once more."""
    ledger = Ledger(lazy_acks=False)
    for line in ("add 0 2,4", "got 0 2,4", "reset 0", "got 0 2,4"):
        ledger.hear(line)

    assert 5 == ledger.next_id
