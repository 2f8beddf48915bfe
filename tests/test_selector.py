"""`MailSelector`: what is registered, what is reported, waking and closing."""

from __future__ import annotations

import gc
import weakref

import pytest

from lnmailbox import MailBoxShuttingDown, MailSelector
from lnmailbox.testing import Call, blocked
from lnmailbox.testing.conformance.base import EXPIRY, add, key, settle
from receivers import Looks, make_mailbox


@pytest.fixture
def box():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def other():
    with make_mailbox() as box:
        yield box


@pytest.fixture
def selector():
    with MailSelector() as selector:
        yield selector


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


def test_a_selector_says_how_many_outboxes_it_has(box):
    class Own(MailSelector):
        pass

    selector = Own()
    selector.register(box.message_outbox)
    shown = [repr(selector)]
    selector.close()

    assert ["<Own of 1 outboxes>", "<Own closed>"] == [*shown, repr(selector)]


# Registering


def test_a_key_says_which_outbox_and_what_its_owner_knows_it_by(box, selector):
    data = object()

    key = selector.register(box.message_outbox, data)
    selector.register(box.packet_outbox)
    box.add_message("hello")

    assert (box.message_outbox, data) == key
    assert [key] == selector.select()
    registered = selector.get_map()
    assert {box.message_outbox: key, box.packet_outbox: (box.packet_outbox, None)} == registered
    with pytest.raises(TypeError):
        registered[box.message_outbox] = None


def test_an_outbox_is_registered_once_at_most(box, selector):
    """The refused second time changes nothing: the outbox is reported as before."""
    key = selector.register(box.message_outbox, "first")

    with pytest.raises(KeyError, match="is registered"):
        selector.register(box.message_outbox, "second")

    assert 1 == len(box.message_outbox._listeners)
    box.add_message("hello")
    assert [key] == selector.select()


def test_what_is_no_outbox_is_refused(box, selector):
    with pytest.raises(TypeError, match=r"^expected an outbox, such as mailbox\.packet_outbox"):
        selector.register(box)

    assert {} == selector.get_map()


def test_an_outbox_that_was_unregistered_is_neither_reported_nor_looked_at(box, selector, looks):
    """It can't be unregistered again, and can be registered again."""
    key = selector.register(box.message_outbox)
    selector.register(box.packet_outbox)
    assert [] == selector.select(0)
    looks.count = 0
    box.add_message("hello")

    assert key is selector.unregister(box.message_outbox)
    with pytest.raises(KeyError, match="is not registered"):
        selector.unregister(box.message_outbox)
    assert [] == selector.select(0)
    assert 0 == looks.count
    assert {} == box.message_outbox._listeners
    again = selector.register(box.message_outbox, "again")
    assert [again] == selector.select(0)


def test_registering_ends_the_wait_if_there_is_mail(box, selector):
    """A selector without outboxes waits for one; it is not one whose mailboxes are stopped."""
    box.add_message("hello")
    assert [] == selector.select(0)
    call = blocked(selector.select)

    key = selector.register(box.message_outbox)

    assert [key] == call.result()


# Reporting


def test_an_outbox_is_reported_as_long_as_it_look(box, selector):
    """Level-triggered: in each call, until the last item is taken."""
    key = selector.register(box.message_outbox)
    for _ in range(2):
        box.add_message("hello")

    reports = []
    for _ in range(2):
        reports += [selector.select(0), selector.select(0)]
        box.message_outbox.get_nowait()

    assert [[key]] * 4 == reports
    assert [] == selector.select(0)


@pytest.mark.parametrize(
    "event",
    [
        lambda box: box.add_packet(settle(1)),
        lambda box: box.add_packets([add(1), add(2)]),
        lambda box: box.nack_packet(key(0)),
        lambda box: box.reset_packets(),
    ],
    ids="settle packets nack reset".split(),
)
def test_whatever_makes_an_item_deliverable_is_reported(box, selector, event):
    box.add_packet(add(0))
    box.packet_outbox.get()
    key = selector.register(box.packet_outbox)
    assert [] == selector.select(0)
    call = blocked(selector.select)

    event(box)

    assert [key] == call.result()


def test_a_selector_does_not_look_again_and_again_at_slots_that_are_empty(box, selector, looks):
    """Nor at Adds that have expired: once it has looked, it sleeps."""
    selector.register(box.packet_outbox)
    box.add_packets([settle(number) for number in range(3)] + [add(3), add(4)])
    box.ack_packets([key(number) for number in range(4)])
    box._config.clock._now_ns += int(EXPIRY * 10**9)

    call = blocked(selector.select)

    assert 1 == looks.count
    selector.wake()
    assert [] == call.result()


@pytest.mark.parametrize("timeout", [0, 0.001])
def test_without_mail_in_time_nothing_is_reported(box, selector, timeout):
    selector.register(box.message_outbox)

    assert [] == selector.select(timeout)
    assert [] == selector._bells


def test_each_of_the_outboxes_that_keep_having_mail_is_first_in_turn(selector):
    """If only the first key of each call is served, all are served still, n - 1 calls apart."""
    boxes = [make_mailbox() for _ in range(4)]
    keys = [selector.register(box.message_outbox) for box in boxes]
    for box in boxes:
        box.add_message("hello")

    reports = [selector.select(0) for _ in range(8)]

    assert [set(keys)] * 8 == [set(report) for report in reports]
    assert set(keys) == {report[0] for report in reports[:4]}
    assert [report[0] for report in reports[:4]] == [report[0] for report in reports[4:]]


def test_a_wake_up_costs_the_same_with_a_thousand_outboxes_registered(selector, looks):
    """One item, one outbox looked at: the 999 others cost their registration and no more."""
    boxes = [make_mailbox() for _ in range(1_000)]
    keys = [selector.register(box.message_outbox) for box in boxes]
    assert [] == selector.select(0)
    assert 1_000 == looks.count

    for number in range(0, 1_000, 100):
        looks.count = 0
        boxes[number].add_message("hello")
        assert [keys[number]] == selector.select()
        boxes[number].message_outbox.get()
        assert [] == selector.select(0)

        assert 2 == looks.count

    looks.count = 0
    selector.wake()
    assert [[], []] == [selector.select(), selector.select(0)]
    assert 0 == looks.count


# Starting and stopping


def test_a_selector_waits_for_a_mailbox_to_be_started(selector):
    box = make_mailbox(started=False)
    box.add_message("hello")
    key = selector.register(box.message_outbox)
    assert [] == selector.select(0)
    call = blocked(selector.select)

    with box:
        assert [key] == call.result()


def test_stopped_mailboxes_are_passed_over(box, other, selector):
    """Those that were stopped before their registration, too."""
    box.add_message("hello")
    box.stop()
    selector.register(box.message_outbox)
    with pytest.raises(MailBoxShuttingDown):
        selector.select(0)
    key = selector.register(other.message_outbox)
    other.add_message("hello")

    assert [key] == selector.select()
    other.message_outbox.get()
    assert [] == selector.select(0)


def test_a_selector_whose_mailboxes_are_all_stopped_says_so(box, other, selector):
    for outbox in (box.message_outbox, box.packet_outbox, other.message_outbox):
        selector.register(outbox)
    call = blocked(selector.select)
    box.stop()
    call.wait_until_blocked()
    other.stop()

    with pytest.raises(MailBoxShuttingDown):
        call.result()
    for timeout in (0, None):
        with pytest.raises(MailBoxShuttingDown):
            selector.select(timeout)


def test_unregistering_the_last_running_mailbox_ends_the_wait(box, other, selector):
    """And when the stopped one is unregistered too, there is something to wait for again."""
    selector.register(box.message_outbox)
    selector.register(other.message_outbox)
    box.stop()
    call = blocked(selector.select)

    selector.unregister(other.message_outbox)

    with pytest.raises(MailBoxShuttingDown):
        call.result()
    selector.unregister(box.message_outbox)
    assert [] == selector.select(0)
    key = selector.register(other.message_outbox)
    other.add_message("hello")
    assert [key] == selector.select()


# Waking


def test_wake_may_come_with_mail(box, selector):
    """Then the mail is reported, and the thread has been woken."""
    key = selector.register(box.message_outbox)
    box.add_message("hello")
    selector.wake()
    assert [key] == selector.select()
    box.message_outbox.get()

    assert [] == selector.select(0)
    box.add_message("again")
    assert [key] == selector.select()


def test_a_wake_that_comes_while_a_thread_is_looking_counts(box, selector, looks):
    """It ends this call, or, if there is mail, the next one too."""
    key = selector.register(box.message_outbox)
    looks.afterwards = selector.wake
    assert [] == Call(selector.select).result()
    looks.afterwards = selector.wake
    box.add_message("hello")
    assert [key] == selector.select()
    box.message_outbox.get()

    assert [] == selector.select()


# The end


def test_a_closed_selector_takes_nothing_on_and_reports_nothing(box, selector):
    """It lets go of its outboxes; a second `close` does nothing."""
    selector.register(box.message_outbox)
    selector.close()
    selector.close()
    selector.wake()

    assert {} == selector.get_map()
    for refused in (lambda: selector.select(0), lambda: selector.register(box.message_outbox)):
        with pytest.raises(RuntimeError, match="^the selector is closed$"):
            refused()
    with pytest.raises(KeyError):
        selector.unregister(box.message_outbox)
    assert {} == box.message_outbox._listeners


def test_a_closed_selector_does_not_keep_its_outboxes_alive(selector):
    box = make_mailbox()
    box.add_message("hello")
    selector.register(box.message_outbox)
    gone = weakref.ref(box.message_outbox)
    selector.close()

    del box
    gc.collect()

    assert gone() is None


def test_an_outbox_forgets_a_selector_that_was_dropped_without_being_closed(box):
    """The selector is gone at once, what the outbox knows of it with the next mail."""
    selector = MailSelector()
    selector.register(box.message_outbox)
    gone = weakref.ref(selector)

    del selector
    gc.collect()
    assert gone() is None
    box.add_message("hello")

    assert {} == box.message_outbox._listeners


def test_mail_that_is_announced_after_its_outbox_was_unregistered_changes_nothing(box, selector):
    """A call of the listener that was under way may still arrive."""
    selector.register(box.message_outbox)
    [listener] = box.message_outbox._listeners
    selector.unregister(box.message_outbox)
    box.add_message("hello")

    assert listener(box.message_outbox)  # it is over
    assert [] == selector.select(0)
    key = selector.register(box.message_outbox)
    assert listener(box.message_outbox)
    assert [key] == selector.select(0)
