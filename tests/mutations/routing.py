"""Mutations of the orchestrator, of parked packets, and of clocks."""

from __future__ import annotations

from mutants import Mutant

ROUTING = [
    Mutant(
        "one packet too many is parked",
        "routing/parked.py",
        "len(packets) >= self._max_packets",
        "len(packets) > self._max_packets",
        "parked parking",
    ),
    Mutant(
        "packets are parked for one channel too many",
        "routing/parked.py",
        "len(self._channels) >= self._max_channels",
        "len(self._channels) > self._max_channels",
        "parked parking",
    ),
    Mutant(
        "deadlines of packets that are parked no more pile up",
        "routing/parked.py",
        "if self._void > len(self._deadlines) // 2 + _FEW:",
        "if False:",
        "parked",
    ),
    Mutant(
        "a parked Add expires a nanosecond late",
        "routing/parked.py",
        "if self.next_deadline() > now:",
        "if self.next_deadline() >= now:",
        "parked parking",
    ),
    Mutant(
        "a channel is live before what is parked has gone in",
        "routing/parking.py",
        "            if packet is None:\n"
        "                self._live_index[short_chan_id] = mailbox",
        "            self._live_index[short_chan_id] = mailbox",
        "binding orchestrator",
    ),
    Mutant(
        "binding leaves the mailbox without a name",
        "routing/orchestrator.py",
        "            mailbox.short_chan_id = short_chan_id\n",
        "",
        "binding orchestrator",
    ),
    Mutant(
        "a mailbox that was removed can be bound",
        "routing/orchestrator.py",
        "            if mailbox in self._removed:\n                raise MailBoxShuttingDown\n",
        "",
        "removal",
    ),
    Mutant(
        "each mailbox is waited for before the next one is told to stop",
        "routing/orchestrator.py",
        "            mailbox.signal_stop()\n",
        "            pass\n",
        "orchestrator reference_orchestrator",
    ),
    Mutant(
        "a packet for a mailbox that is being removed is refused",
        "routing/orchestrator.py",
        "                if self._live_index.get(short_chan_id) is mailbox:\n"
        "                    raise",
        "                raise",
        "removal",
    ),
    Mutant(
        "ids lead to a mailbox that was removed",
        "routing/orchestrator.py",
        "        self._live_index = live\n",
        "",
        "removal",
    ),
    Mutant(
        "the next parked deadline is not armed",
        "routing/parking.py",
        "                if deadline < NEVER:\n                    self._alarm.set(deadline)\n",
        "",
        "parking",
    ),
    Mutant(
        "two threads make two mailboxes for a channel",
        "routing/orchestrator.py",
        "        with self._setup_lock:\n            mailbox = self._find(chan_id)\n"
        "            if mailbox is None:\n                mailbox",
        "        with self._setup_lock:\n            if mailbox is None:\n                mailbox",
        "orchestrator",
    ),
    Mutant(
        "parked Adds that come due during a binding are forgotten",
        "routing/parking.py",
        "            self._alarm.set(now + RETRY_NS)\n            return",
        "            return",
        "parking",
    ),
    Mutant(
        "the counts of a mailbox that was removed are lost",
        "routing/orchestrator.py",
        "            del self._mailboxes[chan_id]\n            self._past = past\n",
        "            del self._mailboxes[chan_id]\n",
        "removal metrics",
    ),
    Mutant(
        "a manual clock wakes nobody",
        "clock.py",
        "        for condition in waiting:\n",
        "        for condition in []:\n",
        "clock",
    ),
    Mutant(
        "a manual clock waits for the time that it is",
        "clock.py",
        "self._now_ns >= deadline_ns",
        "self._now_ns > deadline_ns",
        "clock",
    ),
    Mutant(
        "a wall clock that is set is noticed a minute later",
        "clock.py",
        "_LOOK_NS = 50_000_000",
        "_LOOK_NS = 60_000_000_000",
        "clock",
    ),
]
