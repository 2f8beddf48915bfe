"""Mistakes that were made, or nearly, each with a schedule that shows it."""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import pytest

from exploring import STRATEGIES, Failed, explore, replay
from scenarios import SCENARIOS
from scheduled import installed

ENOUGH = 2_000
"""In so many schedules of one strategy a mistake is found."""


class Mistake(NamedTuple):
    scenario: str
    where: str  # the module below the package, and the function
    right: str
    wrong: str
    schedule: str


MISTAKES = {
    "a receiver hangs its bell when it has let go of the lock": Mistake(
        "expiry_against_a_waiting_reader",
        "receiving.outbox LocalOutbox._wait_into",
        "                    self._bells.append(bell)\n                bell.wait",
        "                self._bells.append(bell)\n                bell.wait",
        "2:2 1:1 4:2 0:2",
    ),
    "a receiver whose time is up does not look again": Mistake(
        "timeouts_against_delivery",
        "receiving.outbox LocalOutbox._wait_into",
        "bell.wait(until)",
        "bell.wait(until)\n"
        "                if until.is_over():\n"
        "                    self._bells[:] = [b for b in self._bells if b is not bell]\n"
        "                    raise queue.Empty",
        "20:3",
    ),
    "a receiver that finds an item when its time is up leaves its bell": Mistake(
        "timeouts_against_delivery",
        "receiving.outbox LocalOutbox._wait_into",
        "                        self._take_down_locked(bell)\n",
        "                        self._source.look() or self._take_down_locked(bell)\n",
        "0:1 0:2 1:2 0:3 2:2 7:1 4:2",
    ),
    "a reset wakes nobody": Mistake(
        "two_receivers_and_a_reset",
        "mailboxes.base BaseMailBox.reset_packets",
        "self._packet_outbox._ring_all_locked()",
        "pass",
        "",
    ),
    "a stop wakes no receiver": Mistake(
        "two_stops_against_everything",
        "mailboxes.base BaseMailBox.signal_stop",
        "self._packet_outbox._ring_all_locked()",
        "pass",
        "0:3",
    ),
    "what an interrupted receiver had is waiting twice": Mistake(
        "what_a_receiver_gives_back_against_a_reset_and_a_nack",
        "keeping.shelf Shelf.put_back",
        "entry.packet is packet and entry.at is self._round",
        "entry.packet is packet",
        "0:2 0:1 3:4 1:3 2:1 0:3 2:2 3:1",
    ),
    "a message comes back after a reset": Mistake(
        "a_message_given_back_against_a_reset",
        "keeping.messages MessageQueue.put_back",
        "if since == self.round:",
        "if True:",
        "3:1",
    ),
    "an Add is failed that was acked meanwhile": Mistake(
        "fail_add_against_expiry_against_ack",
        "keeping.shelf Shelf.take_out",
        "entry is None or entry.at is not claim",
        "entry is None",
        "0:2 0:1 24:1",
    ),
    "an Add that somebody fails is failed by another one too": Mistake(
        "fail_add_against_expiry_against_ack",
        "keeping.shelf Shelf.claim",
        "type(entry.at) is not Claim and ",
        "",
        "0:1 11:2 5:1",
    ),
    "a claim is not given up": Mistake(
        "giving_up_against_a_reset",
        "failing.desk ReturnsDesk._settle",
        "self._give_up_locked(attempt.claim)",
        "pass",
        "",
    ),
    "an alarm that has rung passes for set": Mistake(
        "a_courier_that_ends_against_one_that_starts",
        "failing.desk ReturnsDesk._on_deadline",
        "self.alarm_at = NEVER",
        "pass",
        "",
    ),
    "a courier ends though a desk waits": Mistake(
        "a_courier_that_ends_against_one_that_starts",
        "failing.courier Couriers._next",
        "if self._waiting:",
        "if self._waiting and found != self._found:",
        "0:3",
    ),
    "a courier that is at work is not told of more": Mistake(
        "a_courier_that_ends_against_one_that_starts",
        "failing.courier Couriers._send_locked",
        "serving.once_more = True",
        "pass",
        "0:1 1:2 29:1 12:1",
    ),
    "two couriers wait for each other": Mistake(
        "stops_from_callbacks",
        "failing.courier Couriers._await_server_locked",
        "del turns[serving]",
        "pass",
        "7:1 1:1 7:2",
    ),
    "a callback hangs its bell for the end when it has let go of the lock": Mistake(
        "quit_against_stop",
        "failing.desk _Quit.wait",
        "                bell = Bell()\n                self._bells.append(bell)\n",
        "                bell = Bell()\n            self._bells.append(bell)\n",
        "4:2 8:1",
    ),
    "nobody looks at what a thread was told of and left": Mistake(
        "a_thread_that_ends_after_it_was_told_of_mail",
        "receiving.selector _Told.__del__",
        "selector._pass_on()",
        "pass",
        "",
    ),
    "a selector takes no note of news during a look": Mistake(
        "select_over_two_mailboxes_one_of_which_stops",
        "receiving.selector MailSelector._note_locked",
        "if self._news.get(outbox) == count:",
        "if outbox in self._news:",
        "24:1 22:4 6:2 12:2 8:3 1:2 0:3 2:2",
    ),
    "a coroutine is taken to have been told of what came later": Mistake(
        "a_coroutine_against_a_thread",
        "receiving.awaiting _LoopBell.__call__",
        "self._rung_for = look",
        "self._rung_for = self._look",
        "6:2 1:1",
    ),
    "a packet for a removed mailbox is refused": Mistake(
        "removing_against_delivering",
        "routing.orchestrator MailOrchestrator.deliver",
        "if self._live_index.get(short_chan_id) is mailbox:",
        "if True:",
        "0:2 10:1 11:1",
    ),
    "a mailbox is live before it has what was parked": Mistake(
        "binding_against_delivering",
        "routing.parking Parking._first_parked_or_make_live",
        "            if packet is None:\n                self._live_index",
        "            if True:\n                self._live_index",
        "19:2",
    ),
    "a channel gets two mailboxes": Mistake(
        "binding_against_delivering",
        "routing.orchestrator MailOrchestrator.get_or_create_mailbox",
        "            mailbox = self._find(chan_id)\n            if mailbox is None:\n",
        "            if mailbox is None:\n",
        "0:1 4:2",
    ),
    "a parked Add expires while it is moved": Mistake(
        "parked_adds_that_expire_against_binding",
        "routing.parking Parking._on_parked_deadline",
        "if not self._setup_lock.acquire(blocking=False):",
        "if not self._setup_lock.acquire(blocking=False) and self._setup_lock is None:",
        "0:2 22:2",
    ),
    "what a removal has returned can still be acked and failed": Mistake(
        "removing_against_expiry_and_failing_and_acking",
        "mailboxes.base BaseMailBox._let_go_locked",
        "shelf.ack_all(list(shelf.unacked))",
        "pass",
        "",
    ),
    "a removal from a file does not wait for what is under way": Mistake(
        "removing_against_a_transaction",
        "mailboxes.durable DurableMailBox.release",
        "journal.flush()",
        "pass",
        "19:1 6:1",
    ),
    "a Fail is decided while the mailbox is removed from the file": Mistake(
        "removing_against_failing_and_acking",
        "mailboxes.durable DurableMailBox.release",
        "channel.is_removed = True",
        "pass",
        "50:1",
    ),
    "an Add whose Fail is being written can be acked": Mistake(
        "failing_against_acking_on_disk",
        "failing.decided DurableDesk._decide",
        "claim.final = True",
        "pass",
        "23:1",
    ),
}


@pytest.fixture(autouse=True)
def scheduler() -> Iterator[None]:
    with installed():
        yield


@pytest.fixture
def mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> Mistake:
    """Make the mistake in the package."""
    made = MISTAKES[name]
    module_name, path = made.where.split()
    module = importlib.import_module(f"lnmailbox.{module_name}")
    *owner, function = path.split(".")
    where = reduce(getattr, owner, module)
    source = inspect.getsource(inspect.getattr_static(where, function))
    assert 1 == source.count(made.right)
    wrong = textwrap.dedent(source.replace(made.right, made.wrong))
    names: dict[str, object] = {}
    exec("from __future__ import annotations\n" + wrong, vars(module), names)
    monkeypatch.setattr(where, function, names[function])
    return made


@pytest.mark.parametrize("name", MISTAKES)
def test_a_schedule_that_shows_a_mistake_shows_none(name):
    """It is not made any more."""
    made = MISTAKES[name]

    replay(SCENARIOS[made.scenario], made.schedule)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_schedule_shows_its_mistake(mistake):
    """If the package has changed, the failure tells another schedule, which takes its place."""
    scenario = SCENARIOS[mistake.scenario]
    try:
        replay(scenario, mistake.schedule)
    except Exception:
        return
    for strategy in STRATEGIES:
        try:
            explore(scenario, strategy, ENOUGH)
        except Failed as found:
            pytest.fail(f"the mistake shows elsewhere: {found}")
    pytest.fail("the mistake does not show")
