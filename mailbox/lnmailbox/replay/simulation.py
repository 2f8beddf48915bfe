"""The replay itself: plays a history through real mailboxes, in virtual time.

One thread, the caller's, is the switch and the calendar. It moves a `ManualClock` from one
appointment to the next, does what is due, and waits until the mailboxes and the link threads
have done what must follow; only then it goes on. So a replay is the same each time, though
every packet is handed over between threads.

What is due at the same instant happens in this order: Adds expire (so a link that is back then is
too late), links commit, links leave and come back, and last the events of the log.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import attrs

from lnmailbox import (
    HTLCPacket,
    MailBox,
    MailBoxConfig,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    MemoryMailBox,
)
from lnmailbox.wire import ChannelUpdate, ShortChannelID, UpdateAddHTLC

from .agenda import Agenda, Rank
from .history import History, Htlc, Result, Step
from .ledger import Account, Counts
from .link import Link
from .outages import Outage, merge_outages
from .outcome import FailedBack, Outcome
from .packets import AddKey, add_packet, channel_id, circuit_key, failed_key, reply_packet
from .warnings import LogWarning

__all__ = ["COMMIT_INTERVAL_NS", "simulate"]

COMMIT_INTERVAL_NS = 50_000_000
"""From the first packet of a batch until the batch is committed and acked (lnd: `BatchTicker`)."""

_NS = 1_000_000_000
_LONGEST_ADVANCE_NS = 10**15  # so much the clock, which takes seconds, is told to the ns
_T = TypeVar("_T")


def simulate(
    history: History,
    outages: Iterable[Outage] = (),
    *,
    expiry: float = 60.0,
    mailbox_factory: Callable[[MailBoxConfig], MailBox] = MemoryMailBox,
    patience: float = 60.0,
) -> Outcome:
    """Play a history through a `MailOrchestrator`, with a thread for each channel's link.

    - A link takes what its mailbox has for it at once, and acks it with the next commitment,
      `COMMIT_INTERVAL_NS` after the first packet of the batch. If it leaves before that, it
      takes the same packets again when it is back.
    - An Add that the log shows as refused by the link is not committed: the link holds it until
      then, and calls `fail_add`.
    - A reply cannot exist before its Add is committed to. The log's reply waits for that, and
      is dropped if the Add expires instead.
    - Time ends with the last event: a link that is away then stays away, and Adds whose
      deadline would come later are still waiting. Links that are up commit what they hold.

    It blocks until that is over. All threads it starts have ended when it returns or raises.

    Args:
        history: what to play.
        outages: when links are away. One for a channel that the history does not have, or
            later than its end, is left out with a warning.
        expiry: how long an Add waits for its link, in seconds; more than 0.
        mailbox_factory: what makes the mailboxes.
        patience: seconds of real time after which a mailbox that does not do what it must is
            given up: what it keeps is lost, and the replay ends there.
    """
    replay = _Replay(history, expiry, mailbox_factory, patience)
    with contextlib.closing(replay):
        replay.run(outages)
    return replay.outcome()


class _Stalled(Exception):
    """A mailbox did not do what it must, for longer than there is patience."""


@attrs.define(eq=False)
class _Channel:
    link: Link
    account: Account[HTLCPacket] = attrs.field(factory=Account)
    is_up: bool = True
    batch: list[HTLCPacket] = attrs.field(factory=list)
    """Packets that the link took and will commit; a new list for every batch."""


@attrs.define(eq=False)
class _Add:
    htlc: Htlc
    packet: HTLCPacket
    has_ended: bool = False
    """Whether the log's result has come already."""


class _Replay:
    def __init__(
        self,
        history: History,
        expiry: float,
        mailbox_factory: Callable[[MailBoxConfig], MailBox],
        patience: float,
    ) -> None:
        self._history = history
        self._expiry_ns = round(expiry * _NS)
        self._patience = patience
        self._clock = ManualClock()
        # What mailboxes fail back, from whichever thread, and when.
        self._returned: queue.SimpleQueue[tuple[int, HTLCPacket]] = queue.SimpleQueue()
        self._orchestrator = MailOrchestrator(
            MailOrchestratorConfig(
                fetch_update=lambda channel: ChannelUpdate(short_channel_id=channel),
                forward_packets=self._forward_packets,
                clock=self._clock,
                expiry=expiry,
                mailbox_factory=mailbox_factory,
            )
        )
        self._channels = {channel: self._open_channel(channel) for channel in history.channels}
        self._agenda = Agenda()
        # The channels that were given an Add, by its deadline.
        self._deadlines: dict[int, list[_Channel]] = {}
        self._replies: deque[tuple[ShortChannelID, HTLCPacket]] = deque()
        # Adds that are neither committed nor failed; then those whose reply may come any time.
        self._open: dict[AddKey, _Add] = {}
        self._committed: set[Htlc] = set()
        self._failed_back: list[FailedBack] = []
        self._warnings = list(history.warnings)
        self._strays = Counts()
        self._was_given_up = False

    def run(self, outages: Iterable[Outage]) -> None:
        for outage in merge_outages(outages):
            self._plan(outage)
        for step in self._history.steps:
            self._agenda.note(step.at_ns, Rank.LOG, partial(self._play, step))
        try:
            for at_ns, action in self._agenda.until(self._history.end_ns):
                self._move_clock(at_ns)
                action()
                self._deliver_replies()
            self._finish()
        except _Stalled as stalled:
            self._was_given_up = True
            self._warn(f"given up: {stalled}")

    def close(self) -> None:
        self._orchestrator.stop()
        for channel in self._channels.values():
            channel.link.close()

    def outcome(self) -> Outcome:
        while not self._returned.empty():
            self._stray(self._returned.get_nowait()[1])
        channels = {number: channel.account.counts for number, channel in self._channels.items()}
        return Outcome(
            events=self._history.events,
            end_ns=self._history.end_ns,
            channels=channels,
            total=sum(channels.values(), self._strays),
            failed_back=self._failed_back,
            replies_held=sum(add.has_ended for add in self._open.values()),
            warnings=self._warnings,
            was_given_up=self._was_given_up,
        )

    # What is due

    def _plan(self, outage: Outage) -> None:
        channel = self._channels.get(outage.channel)
        if channel is None:
            self._warn(f"outage of {outage.channel}: the log has no packet for that channel")
        elif outage.start_ns > self._history.end_ns:
            self._warn(f"outage of {outage.channel}: it begins after the last event")
        else:
            self._agenda.note(outage.start_ns, Rank.OUTAGE, partial(self._leave, channel))
            self._agenda.note(outage.end_ns, Rank.OUTAGE, partial(self._come_back, channel))

    def _play(self, step: Step) -> None:
        htlc = step.htlc
        if step.is_add:
            self._add(htlc)
        elif not htlc.has_add or htlc in self._committed:
            self._reply(htlc, reply_packet(htlc))
        elif (add := self._open.get(_key_of(htlc))) is not None:
            add.has_ended = True
            channel = self._channel_of(add)
            if htlc.result is Result.REFUSED and channel.account.is_taken(add.packet):
                self._refuse(channel, add)

    def _add(self, htlc: Htlc) -> None:
        add = _Add(htlc, add_packet(htlc))
        self._open[_key_of(htlc)] = add
        channel = self._channel_of(add)
        deadline_ns = self._clock.now_ns() + self._expiry_ns
        concerned = self._deadlines.setdefault(deadline_ns, [])
        if not concerned:
            self._agenda.note(deadline_ns, Rank.EXPIRY, partial(self._expire, concerned))
        concerned.append(channel)
        self._post(channel, add.packet, deadline_ns)

    def _expire(self, channels: Iterable[_Channel]) -> None:
        now_ns = self._clock.now_ns()
        self._deadlines.pop(now_ns, None)
        due = [
            self._open[_key(packet)]
            for channel in dict.fromkeys(channels)
            for packet in channel.account.due(now_ns)
        ]
        fails = {}
        for add, fail in self._fails_of(due):
            self._channel_of(add).account.expired(add.packet)
            fails[add] = fail
        for add in due:
            del self._open[_key(add.packet)]
            failed = FailedBack(now_ns, add.htlc)
            self._failed_back.append(failed)
            if failed.is_settled:
                self._channel_of(add).account.counts.fees_lost_msat += add.htlc.fee
            self._reply(add.htlc, fails[add])

    def _refuse(self, channel: _Channel, add: _Add) -> None:
        del self._open[_key(add.packet)]
        if not self._wait(channel, channel.link.refuse(add.packet)):
            channel.account.lose([add.packet])
            return
        for _, fail in self._fails_of([add]):
            channel.account.refused(add.packet)
            self._reply(add.htlc, fail)

    def _commit(self, channel: _Channel, batch: list[HTLCPacket]) -> None:
        if channel.batch is not batch:
            return  # the link left meanwhile
        channel.batch = []
        were_there = self._wait(channel, channel.link.commit(batch))
        for packet, was_there in zip(batch, were_there, strict=True):
            channel.account.acked(packet, was_there)
            if type(packet.htlc) is UpdateAddHTLC:
                add = self._open.pop(_key(packet))
                if add.has_ended:
                    self._reply(add.htlc, reply_packet(add.htlc))
                else:
                    self._committed.add(add.htlc)

    def _leave(self, channel: _Channel) -> None:
        channel.is_up = False
        channel.batch = []
        for _ in self._wait(channel, channel.link.leave()):
            channel.account.unexpected()
        channel.account.link_left()
        self._expire([channel])  # what the link held past its deadline

    def _come_back(self, channel: _Channel) -> None:
        self._wait(channel, channel.link.come_back())
        channel.is_up = True
        self._take(channel)

    def _finish(self) -> None:
        channels = self._channels.values()
        while any(channel.batch for channel in channels):
            for channel in channels:
                self._commit(channel, channel.batch)
            self._deliver_replies()
        for channel in channels:
            found = self._wait(channel, channel.link.sweep())
            channel.account.inventory(found)

    # What passes between mailboxes, links and this switch

    def _reply(self, htlc: Htlc, packet: HTLCPacket) -> None:
        if htlc.incoming_channel:
            self._replies.append((htlc.incoming_channel, packet))

    def _deliver_replies(self) -> None:
        while self._replies:
            number, packet = self._replies.popleft()
            self._post(self._channels[number], packet, None)

    def _post(self, channel: _Channel, packet: HTLCPacket, deadline_ns: int | None) -> None:
        channel.account.posted(packet, deadline_ns)
        deliver = partial(self._orchestrator.deliver, channel.link.channel, packet)
        if channel.is_up:
            self._take(channel, deliver)
        else:
            deliver()

    def _take(self, channel: _Channel, deliver: Callable[[], None] | None = None) -> None:
        """Let the link take all mail that is there; it waits already when `deliver` is called."""
        account = channel.account
        while count := account.undelivered_count:
            taken: list[HTLCPacket] = []
            taking = channel.link.take(count, taken)
            if deliver is not None:
                deliver()
                deliver = None
            try:
                self._wait(channel, taking)
            except _Stalled:
                for packet in tuple(taken):
                    account.taken(packet)
                account.lose(account.undelivered)
                raise
            for packet in taken:
                if account.taken(packet):
                    self._handle(channel, packet)

    def _handle(self, channel: _Channel, packet: HTLCPacket) -> None:
        """Handle a packet that the link took."""
        if type(packet.htlc) is UpdateAddHTLC:
            add = self._open[_key(packet)]
            packet.outgoing_htlc_id = add.htlc.outgoing_htlc_id
            if add.htlc.result is Result.REFUSED:
                if add.has_ended:
                    self._refuse(channel, add)
                return
        channel.batch.append(packet)
        if len(channel.batch) == 1:
            commit = partial(self._commit, channel, channel.batch)
            self._agenda.note(self._clock.now_ns() + COMMIT_INTERVAL_NS, Rank.COMMITMENT, commit)

    def _fails_of(self, adds: Iterable[_Add]) -> Iterator[tuple[_Add, HTLCPacket]]:
        """Wait until mailboxes have failed these Adds; yield each Add with its fail packet."""
        missing = {_key(add.packet): add for add in adds}
        while missing:
            try:
                at_ns, fail = self._returned.get(timeout=self._patience)
            except queue.Empty:
                late = [self._channel_of(add) for add in missing.values()]
                for channel, add in zip(late, missing.values(), strict=True):
                    channel.account.lose([add.packet])
                raise self._stalled(late[0], "did not fail an Add back") from None
            key = failed_key(fail, missing)
            if key is not None and at_ns == self._clock.now_ns():
                yield missing.pop(key), fail
            else:
                self._stray(fail)

    def _forward_packets(self, _quit: object, *packets: HTLCPacket) -> None:
        for packet in packets:
            self._returned.put((self._clock.now_ns(), packet))

    def _stray(self, fail: HTLCPacket) -> None:
        channel = self._channels.get(fail.outgoing_chan_id)
        counts = self._strays if channel is None else channel.account.counts
        counts.duplicated += 1

    def _wait(self, channel: _Channel, future: concurrent.futures.Future[_T]) -> _T:
        try:
            return future.result(self._patience)
        except concurrent.futures.TimeoutError:
            raise self._stalled(channel, "kept its link waiting") from None

    def _stalled(self, channel: _Channel, what: str) -> _Stalled:
        at = self._clock.now_ns() / _NS
        return _Stalled(
            f"the mailbox of {channel.link.channel} {what} for {self._patience:g} s,"
            f" {at:.3f} s after the first event"
        )

    def _open_channel(self, number: ShortChannelID) -> _Channel:
        mailbox = self._orchestrator.get_or_create_mailbox(channel_id(number), number)
        self._orchestrator.bind_live_short_chan_id(mailbox, channel_id(number), number)
        return _Channel(Link(number, mailbox))

    def _channel_of(self, add: _Add) -> _Channel:
        return self._channels[add.htlc.outgoing_channel]

    def _move_clock(self, at_ns: int) -> None:
        while (left_ns := at_ns - self._clock.now_ns()) > 0:
            self._clock.advance(min(left_ns, _LONGEST_ADVANCE_NS) / _NS)

    def _warn(self, text: str) -> None:
        self._warnings.append(LogWarning(text))


def _key_of(htlc: Htlc) -> AddKey:
    return htlc.outgoing_channel, circuit_key(htlc)


def _key(packet: HTLCPacket) -> AddKey:
    return packet.outgoing_chan_id, packet.in_key
