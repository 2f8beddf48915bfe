"""What killed nodes have said, and whether the journal they left agrees with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from killed_node import CHANNELS
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.sqlite import JournalFile

__all__ = ["Ledger"]


class Ledger:
    """Keeps account of every packet, in the words of `killed_node`.

    Args:
        lazy_acks: whether an ack may be undone that no later commit followed.
    """

    def __init__(self, *, lazy_acks: bool) -> None:
        self._lazy_acks = lazy_acks
        self._channels = [_Channel() for _ in CHANNELS]
        self._forwarded: dict[int, str] = {}  # by id, the digest of the Fail
        self._decided: dict[int, str] = {}  # Fails in the file: they have to be forwarded yet
        self.added = self.kills = self.fails = 0

    @property
    def next_id(self) -> int:
        return 1 + max(max(channel.ids, default=0) for channel in self._channels)

    def hear(self, line: str) -> None:
        """Take down a line."""
        word, *rest = line.split()
        if word == "forwarded":
            self._hear_forwarded(int(rest[0]), rest[1])
        elif word in ("held", "add", "added", "got", "reset", "ack", "acked", "fail", "failed"):
            ids = [int(text) for text in rest[1].split(",")] if len(rest) > 1 else []
            getattr(self, f"_hear_{word}")(self._channels[int(rest[0])], ids)

    def _hear_forwarded(self, number: int, digest: str) -> None:
        assert digest == self._forwarded.setdefault(number, digest), "the Fail was made twice"
        assert digest == self._decided.pop(number, digest), "not the Fail of the file"
        self.fails += 1

    def _hear_held(self, channel: _Channel, ids: list[int]) -> None:
        replies_first = sorted(channel.found, key=lambda number: not number % 2)
        assert replies_first == ids
        channel.last_got = [-1, -1]

    def _hear_add(self, channel: _Channel, ids: list[int]) -> None:
        for number in ids:
            channel.ids[number] = len(channel.ids)
        channel.adding.append(ids)
        channel.acks_before = [(self._channels[0].acks, self._channels[1].acks)]

    def _hear_added(self, channel: _Channel, ids: list[int]) -> None:
        channel.adding.remove(ids)
        channel.added.update(ids)
        self.added += len(ids)
        # This commit came after those acks.
        for other, acks in zip(self._channels, channel.acks_before[0], strict=True):
            other.kept_acks = max(other.kept_acks, acks)

    def _hear_got(self, channel: _Channel, ids: list[int]) -> None:
        for number in ids:
            assert number in channel.ids
            assert number not in channel.gone, f"{number} was gone and came again"
            assert number not in channel.acked, f"{number} was acked and came again"
            assert number > channel.last_got[number % 2], f"{number} came out of order"
            channel.last_got[number % 2] = number
            channel.got.add(number)

    def _hear_reset(self, channel: _Channel, ids: list[int]) -> None:
        channel.last_got = [-1, -1]

    def _hear_ack(self, channel: _Channel, ids: list[int]) -> None:
        channel.acking.update(ids)

    def _hear_acked(self, channel: _Channel, ids: list[int]) -> None:
        for number in ids:
            channel.acks += 1
            channel.acked[number] = channel.acks

    def _hear_fail(self, channel: _Channel, ids: list[int]) -> None:
        channel.failing.update(ids)

    def _hear_failed(self, channel: _Channel, ids: list[int]) -> None:
        channel.failed.update(ids)

    def check(self, path: Path) -> None:
        """Compare with the file that the killed node left, and go on from there."""
        self.kills += 1
        file = JournalFile(path, read_only=True)
        try:
            assert [] == file.check()
            rows = file.connection.execute(
                "SELECT c.chan_id, htlc_id FROM lnmailbox_packet AS p JOIN lnmailbox_channel AS c"
                " ON c.id = channel ORDER BY p.id"
            ).fetchall()
            fails = [PacketCodec().decode(data) for _, _, data in file.fail_data()]
        finally:
            file.close()
        before = set(self._decided)
        in_file = {
            fail.incoming_htlc_id: hashlib.sha256(fail.htlc.encode()).hexdigest()[:16]
            for fail in fails
        }
        for number, digest in in_file.items():
            assert digest == self._forwarded.get(number, digest), "not the Fail that was forwarded"
            assert digest == self._decided.get(number, digest), "the Fail in the file has changed"
        assert before <= {*in_file, *self._forwarded}, "a Fail was lost"
        self._decided = {n: d for n, d in in_file.items() if n not in self._forwarded}
        for number, channel in enumerate(self._channels):
            found = [key for chan_id, key in rows if chan_id == bytes([number + 1]) * 32]
            self._check_channel(channel, found, {*in_file, *self._forwarded})

    def _check_channel(self, channel: _Channel, found: list[int], failed: set[int]) -> None:
        held = set(found)
        assert sorted(found, key=channel.ids.__getitem__) == found, (
            "another order than that of arrival"
        )
        assert not held & channel.gone, "back from the dead"
        assert not held & failed, "failed, and still there"
        acked = {
            number
            for number, place in channel.acked.items()
            if not self._lazy_acks or place <= channel.kept_acks
        }
        assert not held & acked, "acked, and still there"
        assert channel.failed <= failed | channel.acking, "said to be failed, and there is no Fail"
        assert not channel.added - held - channel.acking - failed, "LOST"
        for ids in channel.adding:
            batch = set(ids)
            kept = batch & (held | channel.got | failed)
            assert not kept or not batch - held - channel.acking - failed, "half a batch"
        channel.gone |= channel.ids.keys() - held
        channel.go_on(found)


class _Channel:
    def __init__(self) -> None:
        self.ids: dict[int, int] = {}  # all, and their places in the order of adding
        self.gone: set[int] = set()  # of earlier nodes, for good
        self.acks = self.kept_acks = 0
        self.acks_before = [(0, 0)]  # when the add that goes on was begun: acks of both channels
        self.last_got = [-1, -1]
        self.go_on([])

    def go_on(self, found: list[int]) -> None:
        """Begin with a new node, which has the packets that are in the file."""
        self.found = found
        self.added = set(found)
        self.adding: list[list[int]] = []
        self.got: set[int] = set()
        self.acking: set[int] = set()
        self.acked: dict[int, int] = {}  # and the how manieth ack of the channel it was
        self.failing: set[int] = set()
        self.failed: set[int] = set()
        self.acks = self.kept_acks = 0
