"""The switch of a replay: what follows from each step of the log, and from each outage."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lnmailbox import HTLCPacket
from lnmailbox.wire import ShortChannelID

from .agenda import Agenda, Rank
from .endings import Endings
from .history import Htlc, Result, Step
from .link import Link
from .mail import Batch, Channel, Mail
from .outages import Absence, Change, Presence
from .outcome import Ending, HeldReply
from .packets import add_packet, reply_packet, unroutable_packet
from .post import Post
from .recording import Recording

__all__ = ["COMMIT_INTERVAL_NS", "Switch"]

COMMIT_INTERVAL_NS = 50_000_000
"""From the first packet of a batch until the batch is committed and acked (lnd: `BatchTicker`)."""


class Switch:
    """Plays the steps of a log, and what is due in between.

    It decides by the log, the outages and the agenda alone, never by what a mailbox does: a
    mailbox that does something else is found by the accounts.
    """

    def __init__(
        self,
        post: Post,
        agenda: Agenda[Batch, Channel],
        endings: Endings,
        recording: Recording | None = None,
    ) -> None:
        self._post = post
        self._agenda = agenda
        self._endings = endings
        self._recording = recording
        self._channels = post.channels
        self._presence = Presence()
        self._now_ns = 0
        # All packets that no link has committed to.
        self._mail: dict[HTLCPacket, Mail] = {}
        # HTLCs whose Adds are among them; then those whose reply may come any time, with the
        # time of their commitment.
        self._open: dict[Htlc, Mail] = {}
        self._committed: dict[Htlc, int] = {}

    def play(self, step: Step) -> None:
        """Do what is due by the time of the step, then the step."""
        at_ns, htlc, is_add = step
        if at_ns > self._now_ns or at_ns >= self._agenda.next_ns:
            self.advance(at_ns)
        if is_add:
            self._add(htlc)
        elif not htlc.has_add:
            self._reply(htlc, reply_packet(htlc))
        elif htlc in self._committed:
            self._endings.tell(Ending.DELIVERED, self._committed.pop(htlc), htlc)
            self._reply(htlc, reply_packet(htlc))
        elif (add := self._open.get(htlc)) is not None:
            add.has_ended = True
            if htlc.result is Result.REFUSED:
                channel = self._channels[htlc.outgoing_channel]
                if channel.reads:
                    self._refuse(channel, add)
        else:
            self._endings.result(htlc)

    def advance(self, at_ns: int) -> None:
        """Do what is due by `at_ns`, that included."""
        agenda = self._agenda
        while agenda.next_ns <= at_ns:
            self._move_to(agenda.next_ns)
            rank = agenda.rank()
            if rank is Rank.COMMITMENT:
                self._commit(agenda.take_commitment())
            elif rank is Rank.EXPIRY:
                channels = agenda.take_expiries()
                for channel in channels:
                    channel.has_expiry = False
                self._expire(channels)
            else:
                self._change(agenda.take_changes())
        self._move_to(at_ns)

    def finish(self) -> list[HeldReply]:
        """Let links that are up commit what they have; compare all mailboxes with their books.

        Returns the replies that are still in mailboxes, the oldest first.
        """
        while self._agenda.has_commitments:
            self._commit(self._agenda.take_commitment())
        channels = self._channels.values()
        self._post.hand_over(*channels, then=Link.take_inventory)
        held = [
            HeldReply(mail.htlc, mail.posted_ns, mail.htlc.result is Result.SETTLED)
            for channel in channels
            for mail in self._undelivered(channel)
            if not mail.is_add
        ]
        return sorted(held, key=lambda reply: reply.since_ns)

    def close_books(self) -> int:
        """Tell what is open at the end; return how many results have come whose Adds wait."""
        for htlc, at_ns in self._committed.items():
            self._endings.tell(Ending.DELIVERED, at_ns, htlc)
        for htlc in self._open:
            self._endings.tell(Ending.WAITING, self._now_ns, htlc)
        self._endings.finish()
        if self._recording is not None:
            self._recording.finish(self._now_ns)
        return sum(add.has_ended for add in self._open.values())

    # What is due

    def _add(self, htlc: Htlc) -> None:
        channel = self._channel(htlc.outgoing_channel)
        counts = channel.link.account.counts
        if not htlc.incoming_channel:
            counts.own_adds += 1
        if channel.is_gone:
            channel.link.account.unroutable()
            self._endings.fail(Ending.UNROUTABLE, self._now_ns, htlc, counts)
            self._reply(htlc, unroutable_packet(htlc))
            return
        add = Mail(add_packet(htlc), htlc, self._now_ns, True)
        self._open[htlc] = add
        self._put(channel, add)
        if not channel.reads:
            self._note_expiry(channel)

    def _expire(self, channels: Iterable[Channel]) -> None:
        """Fail the Adds that wait in these mailboxes and are due."""
        now_ns = self._now_ns
        away = [channel for channel in channels if not channel.reads]
        due = [
            self._mail[packet] for channel in away for packet in channel.link.account.due(now_ns)
        ]
        fails = {}
        for add, fail in self._post.fails_of(due):
            self._post.channel_of(add).link.account.expired(add.packet)
            fails[add] = fail
        for add in due:
            self._forget(add)
            counts = self._post.channel_of(add).link.account.counts
            self._endings.fail(Ending.EXPIRED, now_ns, add.htlc, counts)
            self._reply(add.htlc, fails[add])
        for channel in away:
            self._note_expiry(channel)
            self._record_depth(channel)

    def _refuse(self, channel: Channel, add: Mail) -> None:
        self._forget(add)
        link = channel.link
        link.refusal = add.packet
        self._post.hand_over(channel, then=Link.refuse)
        if not link.has_refused:
            return
        for _, fail in self._post.fails_of([add]):
            link.account.refused(add.packet)
            self._endings.tell(Ending.REFUSED, self._now_ns, add.htlc)
            self._reply(add.htlc, fail)

    def _commit(self, batch: Batch) -> None:
        channel = batch.channel
        if channel.batch is not batch:
            return  # the link left meanwhile
        channel.batch = None
        link = channel.link
        ended = []
        for mail in batch.mail:
            htlc = mail.htlc
            link.to_ack.append((mail.packet, htlc.outgoing_htlc_id))
            self._forget(mail)
            if not mail.is_add:
                continue
            if mail.has_ended:
                ended.append(htlc)
            else:
                self._committed[htlc] = self._now_ns
        self._post.note(channel, 0)
        for htlc in ended:
            self._endings.tell(Ending.DELIVERED, self._now_ns, htlc)
            self._reply(htlc, reply_packet(htlc))

    def _change(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._presence.note(change)
        if any(change.channel is None for change in changes):
            channels = list(self._channels.values())
        else:
            numbers = {change.channel for change in changes if change.channel is not None}
            channels = [
                self._channels[number] for number in sorted(numbers & self._channels.keys())
            ]
        reading = [channel for channel in channels if channel.reads]
        away = [channel for channel in channels if not channel.reads]
        for channel in channels:
            self._look_at(channel)
        self._leave([channel for channel in reading if not channel.reads])
        self._come_back([channel for channel in away if channel.reads])

    def _leave(self, channels: list[Channel]) -> None:
        for channel in channels:
            channel.batch = None
        self._hand_over(channels, Link.leave, reads=False)
        self._expire(channels)  # what links held past its deadline

    def _come_back(self, channels: list[Channel]) -> None:
        waiting = [(channel, self._undelivered(channel)) for channel in channels]
        self._hand_over(channels, Link.come_back, reads=True)
        for channel, undelivered in waiting:
            self._record_depth(channel)
            for mail in undelivered:
                self._take(channel, mail)

    def _hand_over(
        self, channels: list[Channel], then: Callable[[Link], None], *, reads: bool
    ) -> None:
        """Let links leave or come back. One that has no mail, as most, has nothing to do."""
        busy = []
        for channel in channels:
            if channel.link.account.is_empty:
                channel.link.reads = reads
            else:
                busy.append(channel)
        self._post.hand_over(*busy, then=then)

    # What passes between mailboxes, links and this switch

    def _reply(self, htlc: Htlc, packet: HTLCPacket) -> None:
        number = htlc.incoming_channel
        if number:
            if number == htlc.outgoing_channel:
                # The Add had the same key in the same mailbox: it must be gone.
                self._post.hand_over()
            channel = self._channel(number)
            self._put(channel, Mail(packet, htlc, self._now_ns, False))

    def _put(self, channel: Channel, mail: Mail) -> None:
        self._mail[mail.packet] = mail
        self._post.put(channel, mail)
        if channel.reads:
            self._take(channel, mail)
        else:
            self._record_depth(channel)

    def _take(self, channel: Channel, mail: Mail) -> None:
        """Have the link take a packet, and commit to it later."""
        if mail.is_add and mail.htlc.result is Result.REFUSED:
            if mail.has_ended:
                self._refuse(channel, mail)
            return
        batch = channel.batch
        if batch is None:
            batch = channel.batch = Batch(channel)
            self._agenda.note_commitment(self._now_ns + COMMIT_INTERVAL_NS, batch)
        batch.mail.append(mail)

    def _forget(self, mail: Mail) -> None:
        del self._mail[mail.packet]
        if mail.is_add:
            del self._open[mail.htlc]

    def _undelivered(self, channel: Channel) -> list[Mail]:
        return [self._mail[packet] for packet in channel.link.account.undelivered]

    def _note_expiry(self, channel: Channel) -> None:
        """Note when the first Add expires, unless an earlier time is noted."""
        if channel.has_expiry:
            return  # deadlines come in the order of arrival
        at_ns = channel.link.account.next_deadline_ns
        if at_ns is not None:
            channel.has_expiry = True
            self._agenda.note_expiry(at_ns, channel)

    def _channel(self, number: ShortChannelID) -> Channel:
        channel = self._channels.get(number)
        if channel is None:
            channel = self._post.open(number)
            self._look_at(channel)
            channel.link.reads = channel.reads
        return channel

    def _look_at(self, channel: Channel) -> None:
        """Look whether the channel's peer is there, and whether its link reads."""
        channel.is_gone = self._presence.is_away(Absence.DOWN, channel.number)
        is_stalled = self._presence.is_away(Absence.STALL, channel.number)
        channel.reads = not (channel.is_gone or is_stalled)
        if self._recording is not None:
            self._recording.presence(channel, self._presence, self._now_ns)

    def _record_depth(self, channel: Channel) -> None:
        if self._recording is not None:
            self._recording.depth(channel, self._now_ns)

    def _move_to(self, at_ns: int) -> None:
        self._now_ns = at_ns
        self._post.move_to(at_ns)
