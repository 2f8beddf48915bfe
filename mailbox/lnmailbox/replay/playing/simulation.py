"""The replay itself: plays a log through real mailboxes, in virtual time.

One thread, the caller's, is the switch and the calendar. It moves the clock from one event to the
next, does what is due, and waits until the mailboxes and the links have done what must follow
before anything depends on it. So a replay is the same each time, though every packet is handed
over between threads.

What is due at the same instant happens in this order: Adds expire (so a link that is back then is
too late), links commit, links leave and come back, and last the events of the log.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Literal

from lnmailbox import MailBox, MailBoxConfig, MemoryMailBox

from ..reading.events import HtlcEvent
from ..reading.warnings import LogWarnings
from .agenda import Agenda
from .endings import Endings
from .history import History, Progress, Step
from .interrupts import Interrupts
from .mail import Batch, Channel
from .outages import Outages, changes
from .outcome import EndedHtlc, HeldReply, Outcome
from .post import GivenUp, Post
from .recording import Recorder, Recording
from .switch import Switch

__all__ = ["simulate"]


def simulate(
    events: Iterable[HtlcEvent],
    outages: Iterable[Outages] = (),
    *,
    warnings: LogWarnings,
    expiry: float = 60.0,
    threads: Literal["shared", "per-link"] = "shared",
    mailbox_factory: Callable[[MailBoxConfig], MailBox] = MemoryMailBox,
    patience: float = 60.0,
    window: tuple[int | None, int | None] = (None, None),
    on_ended: Callable[[EndedHtlc], None] | None = None,
    keep_failed: bool = True,
    recorder: Recorder | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Play a log through a `MailOrchestrator`, with the links in other threads.

    - A link takes what its mailbox has for it at once, and acks it with the next commitment,
      `COMMIT_INTERVAL_NS` after the first packet of the batch. If it leaves before that, it
      takes the same packets again when it is back.
    - An Add that the log shows as refused by the link is not committed: the link holds it until
      then, and calls `fail_add`. `History` says which are.
    - While a peer is gone, the switch fails Adds for it at once, and replies wait in its mailbox.
      While a link is stalled, all mail waits, and Adds expire. A peer that is gone is not
      stalled: if both last, Adds fail at once; the link reads again when neither lasts. What is
      in the mailbox when an outage begins stays, until the link is back or it expires.
    - What the peer of an outage would have sent meanwhile is played as the log has it: an outage
      is about what goes to a peer, not about what comes from there.
    - A reply cannot exist before its Add is committed to. The log's reply waits for that, and
      is dropped if the Add fails instead.
    - Time ends with the last event: a link that is away then stays away, and Adds whose
      deadline would come later are still waiting. Links that are up commit what they hold.

    It blocks until that is over. All threads it starts have ended when it returns or raises.
    Memory is bounded by what is open, that is HTLCs without a result and packets in mailboxes; by
    `LOOK_AHEAD` and `REMEMBERED`; and, with `keep_failed`, by the HTLCs that outages end.

    A KeyboardInterrupt ends the log: what was read until then is played and accounted for. SIGINT
    waits for the end of a step, a second one does not: that one ends the replay, and is raised.

    Args:
        events: the log, in order of time.
        outages: when links are away. One of a channel that the log does not have, or of
            another time, has no effect and a warning. START counts from the first event of the
            window.
        warnings: gets what is left out; the outcome has all that it has at the end.
        expiry: how long an Add waits for its link, in seconds; more than 0.
        threads: "shared": one thread does the work of all links, many packets at a time.
            "per-link": each link has a thread, which waits in the mailbox for each packet. The
            outcome is the same.
        mailbox_factory: what makes the mailboxes.
        patience: seconds of real time after which a mailbox that does not do what it must is
            given up: what it keeps is lost, and the replay ends there.
        window: Unix times in ns, from and to: what is before the first, or not before the second,
            is not played. HTLCs that were added before have only their replies.
        on_ended: called with each Add, once it has ended and the log has told its result, or at
            the end.
        keep_failed: whether the HTLCs that outages end are kept for the outcome; their counts are
            in any case.
        recorder: is told of outages and of the mail that waits meanwhile.
        on_progress: called every 10,000 events.

    Raises:
        ValueError: `expiry` is less than a nanosecond or more than a clock can tell, or `threads`
            is something else.
        Exception: whatever `events`, a callback or a mailbox raises.
    """
    if threads not in ("shared", "per-link"):
        raise ValueError(f"threads must be 'shared' or 'per-link', got {threads!r}")
    history = History(events, warnings, window, on_progress)
    post = Post(expiry, mailbox_factory, patience, per_link=threads == "per-link")
    recording = None if recorder is None else Recording(recorder)
    replay = _Replay(history, post, list(outages), recording)
    try:
        with Interrupts() as interrupts:
            replay.run(interrupts, partial(Endings, on_ended=on_ended, keep_failed=keep_failed))
    finally:
        post.close()
    return replay.outcome(warnings)


class _Replay:
    def __init__(
        self,
        history: History,
        post: Post,
        outages: list[Outages],
        recording: Recording | None,
    ) -> None:
        self._history = history
        self._post = post
        self._outages = outages
        self._recording = recording
        self._failed: list[EndedHtlc] = []
        self._held: list[HeldReply] = []
        self._unborn = 0
        self._trouble = ""
        self._was_interrupted = False

    def run(self, interrupts: Interrupts, make_endings: Callable[[int], Endings]) -> None:
        history = self._history
        steps = history.steps()
        begun: list[Step] = []
        try:
            begun.extend(itertools.islice(steps, 1))
        except KeyboardInterrupt:
            self._was_interrupted = True
        # Only now the history knows its first time.
        agenda: Agenda[Batch, Channel] = Agenda(changes(self._outages, history.start_ns))
        endings = make_endings(history.start_ns)
        self._failed = endings.failed
        switch = Switch(self._post, agenda, endings, self._recording)
        try:
            self._play(switch, itertools.chain(begun, steps), interrupts)
        except GivenUp as given_up:
            self._trouble = f"given up: {given_up}"
        self._unborn = switch.close_books()

    def _play(self, switch: Switch, steps: Iterable[Step], interrupts: Interrupts) -> None:
        try:
            for step in steps:
                interrupts.are_held = True
                switch.play(step)
                interrupts.are_held = False
                if interrupts.waits:
                    interrupts.let_in()
        except KeyboardInterrupt:
            if interrupts.are_held:
                raise  # in the middle of a step: the accounts may be wrong
            self._was_interrupted = True
        interrupts.are_held = True
        for step in self._history.rest():
            switch.play(step)
        switch.advance(self._history.end_ns)
        self._held = switch.finish()

    def outcome(self, warnings: LogWarnings) -> Outcome:
        history = self._history
        channels = self._post.channels
        for text in self._useless_outages():
            warnings.add(text)
        if self._trouble:
            warnings.add(self._trouble)
        counts = {number: channels[number].link.account.counts for number in sorted(channels)}
        links = [channel.link for channel in channels.values()]
        return Outcome(
            events=dict(history.events),
            start_ns=history.start_ns,
            end_ns=history.end_ns,
            channels=counts,
            total=sum(counts.values(), self._post.strays),
            failed=self._failed,
            held=self._held,
            replies_unborn=self._unborn,
            refusals=dict(history.refusals),
            handoffs=self._post.handoffs + sum(link.handoffs for link in links),
            warnings=list(warnings),
            adds_left_out=warnings.adds_left_out,
            was_given_up=bool(self._trouble),
            was_interrupted=self._was_interrupted,
        )

    def _useless_outages(self) -> Iterator[str]:
        history = self._history
        for outage in self._outages:
            channel = outage.channel
            if channel is not None and channel not in self._post.channels:
                yield f"outage of {channel}: the log has no packet for that channel"
            elif trouble := outage.trouble(history.start_ns, history.end_ns):
                yield f"outage of {channel or 'all'}: {trouble}"
