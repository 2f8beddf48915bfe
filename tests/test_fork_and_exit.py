"""Mailboxes in a forked child, and at the interpreter's end: run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
