"""Mutations of mailboxes, of their life, and of dust."""

from __future__ import annotations

from mutants import Mutant

MAILBOXES = [
    Mutant(
        "a reset before the start raises",
        "life.py",
        "if self.stopped:\n            raise",
        "if not self.running:\n            raise",
        "life conformance_memory",
    ),
    Mutant(
        "a receiver is told of a message after it is there",
        "mailboxes/base.py",
        "            if outbox._bells or outbox._listeners:\n"
        "                outbox._ring_locked()\n"
        "            self._messages.add(message, size)\n",
        "            self._messages.add(message, size)\n"
        "            if outbox._bells or outbox._listeners:\n"
        "                outbox._ring_locked()\n",
        "interrupts",
    ),
    Mutant(
        "listeners are not told of a message",
        "mailboxes/base.py",
        "            if outbox._bells or outbox._listeners:\n"
        "                outbox._ring_locked()\n"
        "            self._messages",
        "            if outbox._bells:\n                outbox._ring_locked()\n"
        "            self._messages",
        "base_mailbox selector",
    ),
    Mutant(
        "a batch wakes one receiver",
        "mailboxes/base.py",
        "self._packet_outbox._ring_locked(len(replies) + len(adds))",
        "self._packet_outbox._ring_locked()",
        "conformance_memory base_mailbox",
    ),
    Mutant(
        "Adds of a batch are not watched",
        "mailboxes/base.py",
        "        if adds:\n            self._desk.watch_locked(deadline)\n",
        "",
        "base_mailbox conformance_memory",
    ),
    Mutant(
        "half of a batch stays after an error",
        "mailboxes/base.py",
        "            self._adds.withdraw(adds)\n",
        "",
        "base_mailbox faults",
    ),
    Mutant(
        "an Add has precedence over a reply when it is acked",
        "mailboxes/base.py",
        "shelf = self._replies if key in self._replies.unacked else self._adds",
        "shelf = self._adds if key in self._adds.unacked else self._replies",
        "conformance_memory",
    ),
    Mutant(
        "keys are acked before all of them were looked at",
        "mailboxes/base.py",
        '        keys = checked(keys, "keys", CircuitKey, require_key)\n',
        "        keys = list(keys)\n",
        "bad_input",
    ),
    Mutant(
        "a nack does not watch the deadline",
        "mailboxes/base.py",
        "                self._desk.watch_locked(shelf.unacked[key].deadline)\n",
        "",
        "base_mailbox conformance_memory",
    ),
    Mutant(
        "a nack wakes nobody",
        "mailboxes/base.py",
        "                self._packet_outbox._ring_locked()\n",
        "",
        "base_mailbox conformance_memory",
    ),
    Mutant(
        "a reset does not watch the deadlines",
        "mailboxes/base.py",
        "            self._desk.watch_locked(self._adds.earliest_deadline())\n",
        "",
        "conformance_memory base_mailbox",
    ),
    Mutant(
        "a reset wakes nobody",
        "mailboxes/base.py",
        "            self._packet_outbox._ring_all_locked()\n            self._desk.watch_locked(",
        "            self._desk.watch_locked(",
        "conformance_memory base_mailbox",
    ),
    Mutant(
        "messages can be reset after the stop",
        "mailboxes/base.py",
        "            self._life.require_not_stopped()\n            self._messages.clear()",
        "            self._messages.clear()",
        "conformance_memory",
    ),
    Mutant(
        "what was added before the start is not watched",
        "mailboxes/base.py",
        "            self._desk.open_locked()\n",
        "",
        "conformance_memory base_mailbox",
    ),
    Mutant(
        "receivers sleep through the start",
        "mailboxes/base.py",
        "            self._packet_outbox._ring_all_locked()\n            self._desk.open_locked()",
        "            self._desk.open_locked()",
        "conformance_memory base_mailbox",
    ),
    Mutant(
        "receivers sleep through the stop",
        "mailboxes/base.py",
        "            self._packet_outbox._ring_all_locked()\n            self._desk.signal_quit",
        "            self._desk.signal_quit",
        "outbox conformance_memory",
    ),
    Mutant(
        "callbacks that wait for quit sleep through the stop",
        "mailboxes/base.py",
        "            self._desk.signal_quit_locked()\n",
        "",
        "desk",
    ),
    Mutant(
        "stop does not wait for a callback",
        "mailboxes/base.py",
        "            self._desk.close()\n",
        "            pass\n",
        "conformance_memory",
    ),
    Mutant(
        "a failed Add counts as acked",
        "mailboxes/base.py",
        "packets_acked=replies.removed + adds.removed - desk.adds_failed",
        "packets_acked=replies.removed + adds.removed",
        "conformance_memory",
    ),
    Mutant(
        "Adds are returned before replies",
        "mailboxes/base.py",
        "return self._replies.packets() + self._adds.packets()",
        "return self._adds.packets() + self._replies.packets()",
        "conformance_memory removal",
    ),
    Mutant(
        "an Add with an earlier deadline is not watched",
        "mailboxes/memory.py",
        "if deadline < self._desk.alarm_at:",
        "if deadline > self._desk.alarm_at:",
        "conformance_memory desk",
    ),
    Mutant(
        "packets are accepted after the stop",
        "mailboxes/memory.py",
        "            if self._life.stopped:\n                raise MailBoxShuttingDown\n",
        "",
        "conformance_memory",
    ),
    Mutant(
        "dust at the very limit is dust",
        "dust.py",
        "// 1000 < limits[party]",
        "// 1000 <= limits[party]",
        "dust",
    ),
    Mutant(
        "the weights of the two transactions are mixed up",
        "dust.py",
        "if incoming == ours",
        "if incoming != ours",
        "dust",
    ),
]
