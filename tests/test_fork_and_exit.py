"""Mailboxes in a forked child, and at the interpreter's end: run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from durable import open_journal
from lnmailbox.testing import PATIENCE

SCRIPT = """
import os, sys, threading, warnings
from lnmailbox import ManualClock, MailBoxConfig, MemoryMailBox
from lnmailbox.failing import courier
from lnmailbox.testing import Gate, Switch
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, add

clock, gate = ManualClock(), Gate()

def make(**when):
    switch = Switch()
    switch.when.update(when)
    mailbox = MemoryMailBox(MailBoxConfig(
        short_chan_id=CHANNEL, fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets, clock=clock, expiry=EXPIRY))
    mailbox.start()
    mailbox.add_packet(add(1))
    return mailbox, switch

mailbox, _ = make(forward_packets=gate.pass_through)
clock.advance(EXPIRY)
gate.wait_until_reached()
mailbox.add_packet(add(2))
"""

DURABLE = """
from lnmailbox.testing.conformance.base import key
from durable import open_journal

journals = []

def make_in(path, **when):
    switch = Switch()
    switch.when.update(when)
    journal = open_journal(path)
    journals.append(journal)
    mailbox = journal.mailbox(MailBoxConfig(
        short_chan_id=CHANNEL, chan_id=bytes(32), fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets, clock=clock, expiry=EXPIRY))
    mailbox.start()
    mailbox.add_packets([add(1), add(2), add(3)])
    return mailbox, switch

path = sys.argv[1]
gate.open()
mailbox.stop()
gate = Gate()
mailbox, _ = make_in(path, forward_packets=gate.pass_through)
mailbox.packet_outbox.get()
clock.advance(EXPIRY)
gate.wait_until_reached()
mailbox.add_packet(add(4))
"""

FORK_DURABLE = """
warnings.simplefilter("ignore")
child = os.fork()
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    mailbox.add_packet(add(5))
    os._exit(0)
if "used" in sys.argv:
    from lnmailbox import JournalError
    for change in (lambda: mailbox.add_packet(add(6)), lambda: mailbox.ack_packet(key(1))):
        try:
            change()
        except JournalError:
            pass
        else:
            raise AssertionError
    mailbox.stop()
    new, switch = make_in(path + ".child")
    clock.advance(EXPIRY)
    assert [1, 2, 3] == switch.next_fails(3)
    new.stop()
    journals[-1].close()
    os._exit(0)
if "dropped" in sys.argv:
    del mailbox, journals
"""

TRANSACTION = """
def stay():
    with journals[0].transaction() as connection:
        connection.execute("CREATE TABLE own (x)")
        mailbox.ack_packet(key(4))
        mailbox.add_packet(add(7))
        held.set()
        threading.Event().wait()

held = threading.Event()
threading.Thread(target=stay, daemon=True).start()
held.wait()
for change in (lambda: mailbox.add_packet(add(8)), lambda: mailbox.ack_packet(key(4))):
    threading.Thread(target=change, daemon=True).start()
while len(journals[0]._queue) < 1:
    pass
"""

FORK = """
def hold():
    with courier._lock:
        held.set()
        threading.Event().wait()

held = threading.Event()
threading.Thread(target=hold, daemon=True).start()
held.wait()
warnings.simplefilter("ignore")
child = os.fork()
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)
mailbox.stop()
new, switch = make()
clock.advance(EXPIRY)
assert [1] == switch.next_fails(1)
new.stop()
os._exit(7)
"""

HOLD = """
def hold(*locks):
    for lock in locks:
        lock.acquire()
    held.set()
    threading.Event().wait()

held = threading.Event()
watch = mailbox._desk.alarm._watch
locks = [courier._lock, watch._lock, type(watch)._lock_of_all]
if "all" in sys.argv:
    locks.append(mailbox._lock)
threading.Thread(target=hold, args=locks, daemon=True).start()
held.wait()
warnings.simplefilter("ignore")
child = os.fork()
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)
if "stopped" in sys.argv:
    mailbox.stop()
if "dropped" in sys.argv:
    del mailbox
"""

BLOCKED = """
from lnmailbox import MailSelector, select

outbox = mailbox.message_outbox
selector = MailSelector()
selector.register(outbox)
for receive in (outbox.get, lambda: select(outbox), selector.select, lambda: list(outbox)):
    threading.Thread(target=receive, daemon=True).start()
while (mailbox.statistics().receivers, mailbox.statistics().listeners) != (2, 2):
    pass
while not selector._bells:
    pass
"""

FINALIZER = """
class Owner:
    def __del__(self, out=os.write):
        self.mailbox.stop()
        out(1, b"stopped")

owner = Owner()
owner.mailbox = mailbox
if "cycle" in sys.argv:
    owner.itself = owner
threading.Thread(target=list, args=(mailbox.packet_outbox,), daemon=True).start()
"""


def unmeasured():
    """Return the environment for a process whose end is tested: coverage would change it."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT + script, *arguments],
        check=False,
        capture_output=True,
        timeout=PATIENCE,
        text=True,
        env={**unmeasured(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return done.stdout.strip(), done.stderr, done.returncode


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_can_stop_its_parents_mailbox_and_make_its_own():
    """On the same clock, though a courier is in a callback."""
    assert ("7", "", 0) == run(FORK)


@pytest.mark.parametrize("kept", ["", "cycle"])
def test_a_finalizer_may_stop_a_mailbox_at_the_interpreters_end(kept):
    """Though a courier is in a callback, and is frozen there."""
    assert ("stopped", "", 0) == run(FINALIZER, kept)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("how", ["kept", "dropped"])
def test_a_forked_child_that_ignores_its_parents_mailbox_ends_as_if_there_were_none(how):
    """Though another thread of the parent had every lock, and a courier was in a callback."""
    assert ("0", "", 0) == run(HOLD, "all", how)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_can_stop_a_mailbox_whose_watch_was_busy():
    """Another thread of the parent had every lock but the mailbox's own."""
    assert ("0", "", 0) == run(HOLD, "stopped")


def test_a_program_ends_though_receivers_are_blocked_and_a_courier_is_busy():
    """Nobody has stopped the mailbox. No traceback, no hang, and status 0."""
    assert ("", "", 0) == run(BLOCKED)


def left_on_disk(path):
    """Return the numbers of the packets and of the Fails that the next process finds."""
    with open_journal(path) as journal:
        assert [] == journal._file.check()
        packets = [row.key.htlc_id for row in journal._file.packets()]
        fails = [journal.codec.decode(data) for _, _, data in journal._file.fail_data()]
        return packets, [packet.incoming_htlc_id for packet in fails]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("how", ["used", "ignored", "dropped"])
def test_a_forked_child_does_no_harm_to_its_parents_journal(tmp_path, how):
    """A courier of the parent is handing over a Fail. The child may have a journal of its own."""
    path = tmp_path / "journal"

    assert ("0", "", 0) == run(DURABLE + FORK_DURABLE, str(path), how)
    packets, fails = left_on_disk(path)
    assert [1, 3, 4, 5] == packets
    assert [2] == fails


def test_a_program_with_a_journal_ends_though_its_courier_is_busy(tmp_path):
    """Nobody has stopped the mailbox or closed the file. The Fail is in it, and so is the rest."""
    path = tmp_path / "journal"

    assert ("", "", 0) == run(DURABLE + BLOCKED, str(path))
    assert ([1, 3, 4], [2]) == left_on_disk(path)


def test_a_program_ends_though_a_transaction_is_open_and_others_wait_for_it(tmp_path):
    path = tmp_path / "journal"

    assert ("", "", 0) == run(DURABLE + TRANSACTION, str(path))
    assert ([1, 3, 4], [2]) == left_on_disk(path)
