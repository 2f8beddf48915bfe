"""Where lnd's mailbox keeps less than ours: start, stop, and threads.

Each test runs one script on both; the table is in `reference_differences.py`. What hangs is
looked at for a moment, and released at the test's end.
"""

from __future__ import annotations

import gc
import queue
import threading
import weakref

from lnmailbox import MailBoxShuttingDown, MemoryMailBox
from lnmailbox.testing.conformance.base import EXPIRY, add, key, settle
from lnmailbox.testing.switch import Gate, raiser
from lnmailbox.testing.threads import PATIENCE, Call
from reference_lab import BRIEFLY, Lab, hangs, outcomes


def test_a_panic_in_a_callback_ends_the_courier(monkeypatch):
    panics = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", panics.put)

    def script(lab):
        lab.switch.when["forward_packets"] = raiser(SystemExit, times=1)
        lab.box.add_packet(add(1))
        lab.clock.advance(EXPIRY)
        lab.rest()
        lab.box.add_packet(add(2))
        lab.clock.advance(EXPIRY)
        lab.rest()
        if lab.lnd:
            return lab.switch.fails_so_far(), panics.get(timeout=PATIENCE).exc_type
        return lab.switch.next_fails(1), None

    assert {"ours": ([2], None), "lnd": ([], SystemExit)} == outcomes(script)
    assert panics.empty()


def test_stop_before_start_hangs():
    """A start ends it."""

    def script(lab):
        stop = Call(lab.box.stop)
        hung = lab.lnd and hangs(stop)
        if hung:
            lab.box.start()
        stop.result()
        return hung

    assert {"ours": False, "lnd": True} == outcomes(script, start=False)


def test_stop_in_a_callback_deadlocks():
    """Another thread's stop hangs with it."""

    def script(lab):
        entered = threading.Event()

        def stop():
            entered.set()
            lab.box.stop()

        lab.switch.when["forward_packets"] = stop
        lab.box.add_packet(add(1))
        lab.clock.advance(EXPIRY)
        assert entered.wait(PATIENCE)
        other = Call(lab.box.stop)
        hung = lab.lnd and hangs(other)
        lab.let_couriers_stop_themselves()
        other.result()
        return hung, lab.switch.next_fails(1)

    assert {"ours": (False, [1]), "lnd": (True, [1])} == outcomes(script, patience=0.0)


def test_stop_signals_until_the_courier_has_ended():
    """It waits for a callback as ours does, but does not stand still."""

    def script(lab):
        gate = Gate()
        lab.switch.when["forward_packets"] = gate.pass_through
        lab.box.add_packet(add(1))
        lab.rest()
        lab.clock.advance(EXPIRY)
        gate.wait_until_reached()
        signals = lab.signals() if lab.lnd else None
        stop = Call(lab.box.stop)
        assert lab.switch.quit.wait(PATIENCE)
        if lab.lnd:
            signalled = [signals.acquire(timeout=PATIENCE) for _ in range(3)]
        else:
            stop.wait_until_blocked()
            signalled = []
        gate.open()
        stop.result()
        return len(signalled), lab.switch.fails_so_far()

    assert {"ours": (0, [1]), "lnd": (3, [1])} == outcomes(script, patience=0.0)


def test_a_reset_in_a_callback_deadlocks():
    """A stop ends it."""

    def script(lab):
        answers = queue.Queue()

        def reset():
            try:
                lab.box.reset_packets()
                answers.put("reset")
            except MailBoxShuttingDown:
                answers.put("hung until the stop")

        lab.switch.when["forward_packets"] = reset
        lab.box.add_packet(add(1))
        lab.clock.advance(EXPIRY)
        try:
            return answers.get(timeout=BRIEFLY if lab.lnd else PATIENCE)
        except queue.Empty:
            lab.box.stop()
            return answers.get(timeout=PATIENCE)

    assert {"ours": "reset", "lnd": "hung until the stop"} == outcomes(script, patience=0.0)


def test_what_is_added_after_stop_is_swallowed():
    """It is in the mailbox, and no receiver can have it."""

    def script(lab):
        lab.box.stop()
        accepted = 0
        for add_item, item in [
            (lab.box.add_packet, settle(1)),
            (lab.box.add_packet, add(2)),
            (lab.box.add_message, "ping"),
        ]:
            try:
                add_item(item)
                accepted += 1
            except MailBoxShuttingDown:
                pass
        try:
            lab.deliver()
        except MailBoxShuttingDown:
            return accepted, lab.box.has_packet(key(1))

    assert {"ours": (0, False), "lnd": (3, True)} == outcomes(script)


def test_start_after_stop_says_nothing():
    def script(lab):
        lab.box.stop()
        try:
            lab.box.start()
        except MailBoxShuttingDown:
            return "refused"
        return "said nothing"

    assert {"ours": "refused", "lnd": "said nothing"} == outcomes(script)


def test_a_reset_before_start_hangs():
    """A start ends it."""

    def script(lab):
        lab.box.add_message("old")
        resets = [Call(lab.box.reset_packets), Call(lab.box.reset_messages)]
        hung = [lab.lnd and hangs(reset) for reset in resets]
        lab.box.start()
        for reset in resets:
            reset.result()
        return hung

    assert {"ours": [False, False], "lnd": [True, True]} == outcomes(script, start=False)


def test_an_idle_mailbox_has_two_threads():
    def script(lab):
        before = set(threading.enumerate())
        lab.box.start()
        started = set(threading.enumerate()) - before
        lab.box.stop()
        return len(started), all(thread.daemon for thread in started)

    assert {"ours": (0, True), "lnd": (2, True)} == outcomes(script, start=False)


def test_a_mailbox_lives_on_through_its_couriers():
    """It can be stopped if somebody finds it."""

    def script(lab):
        reference = weakref.ref(lab.box)
        lab.box = None
        gc.collect()
        lives = reference() is not None
        lab.box = reference() or Lab(MemoryMailBox).box
        return lives

    assert {"ours": False, "lnd": True} == outcomes(script)
