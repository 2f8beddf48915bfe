"""Where lnd's mailbox keeps less than ours: delivery, acks, expiry, failing back.

Each test runs one script on both; the table is in `reference_differences.py`.
"""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import suppress

import attrs

from lnmailbox import (
    CircuitKey,
    MailBoxError,
    ManualClock,
    PacketAlreadyExists,
    WireQueueFull,
)
from lnmailbox.reference import channel, outbox
from lnmailbox.reference.mailbox import PktWithExpiry
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, add, key, settle
from lnmailbox.testing.switch import Gate, raiser
from lnmailbox.testing.threads import PATIENCE, Call, blocked
from lnmailbox.wire import ChannelUpdate, ShortChannelID, encode_failure
from reference_lab import hangs, outcomes


def first(ready):
    return ready[0]


def last(ready):
    return ready[-1]


def test_a_settle_waits_behind_an_add_on_offer():
    def script(lab):
        lab.box.add_packet(add(1))
        lab.box.add_packet(settle(2))
        return lab.deliver()

    assert {"ours": [2, 1], "lnd": [1, 2]} == outcomes(script)


def test_an_acked_packet_that_is_on_offer_is_delivered():
    """A failed one as well; what is behind it is not, and nothing comes again."""

    def script(lab):
        for number in (1, 2, 3):
            lab.box.add_packet(add(number))
        assert lab.box.ack_packet(key(1))
        assert lab.box.ack_packet(key(3))
        acked = lab.deliver()
        lab.box.reset_packets()
        assert lab.box.fail_add(add(2))
        return acked, lab.switch.fails_so_far(), lab.deliver(), lab.deliver()

    assert {"ours": ([2], [2], [], []), "lnd": ([1, 2], [2], [2], [])} == outcomes(script)


def test_an_acked_packet_that_is_on_offer_is_kept():
    def script(lab):
        packet = settle(1)
        lab.box.add_packet(packet)
        lab.box.ack_packet(key(1))
        reference = weakref.ref(packet)
        del packet
        gc.collect()
        return reference() is not None

    assert {"ours": False, "lnd": True} == outcomes(script)


def test_fail_add_eats_a_settle():
    """And the Add stays, to be failed a second time when it expires."""

    def script(lab):
        lab.box.add_packet(add(1))
        lab.box.add_packet(settle(1))
        assert lab.box.fail_add(add(1))
        is_there = lab.box.has_packet(key(1))
        fails = lab.switch.fails_so_far()
        lab.clock.advance(EXPIRY)
        lab.rest()
        return is_there, fails, lab.switch.fails_so_far(), lab.deliver()

    assert {"ours": (True, [1], [], [1]), "lnd": (False, [1], [1], [])} == outcomes(script)


def test_an_add_that_expires_eats_a_settle():
    """Then the Add expires once more."""

    def script(lab):
        lab.box.add_packet(add(1))
        lab.box.add_packet(settle(1))
        lab.clock.advance(EXPIRY)
        fails = lab.switch.next_fails(2 if lab.lnd else 1)
        return fails, lab.deliver(), lab.box.has_packet(key(1))

    assert {"ours": ([1], [1], True), "lnd": ([1, 1], [], False)} == outcomes(script)


def test_a_reset_that_waits_for_its_turn(monkeypatch):
    """A receiver that waits as well comes first if chance wills it: here it does, or does not."""

    def script(lab):
        for number in range(3):
            lab.box.add_message(number)
        if not lab.lnd:
            assert 0 == lab.box.message_outbox.get()
            lab.box.reset_messages()
            lab.box.add_message("new")
            return lab.box.message_outbox.get()
        lab.rest()
        with lab.box.wire_cond:  # keeps the courier from its next message
            assert 0 == lab.box.message_outbox.get()
            receiver = blocked(lab.box.message_outbox.get)
            reset = blocked(lab.box.reset_messages)
        reset.result()
        lab.box.add_message("new")
        return receiver.result()

    monkeypatch.setattr(channel.random, "choice", first)
    assert {"ours": "new", "lnd": 1} == outcomes(script, patience=0.0)

    monkeypatch.setattr(channel.random, "choice", last)
    assert {"ours": "new", "lnd": "new"} == outcomes(script, patience=0.0)


def test_an_add_does_not_expire_behind_a_reply():
    """When the reply is taken, it does."""

    def script(lab):
        lab.box.add_packet(settle(1))
        lab.box.add_packet(add(2))
        lab.clock.advance(EXPIRY)
        if not lab.lnd:
            return lab.switch.next_fails(1), lab.deliver()
        lab.rest()
        fails = lab.switch.fails_so_far()
        delivered = lab.deliver()
        return fails, delivered, lab.switch.next_fails(1)

    assert {"ours": ([2], [1]), "lnd": ([], [1], [2])} == outcomes(script)


def test_an_expired_add_and_a_receiver_toss_a_coin(monkeypatch):
    """Heads it is delivered, tails it is failed."""

    def script(lab):
        lab.box.add_packet(add(1))
        assert [1] == lab.deliver()
        lab.clock.advance(EXPIRY)
        receiver = blocked(lab.box.packet_outbox.get)
        lab.box.reset_packets()
        if not lab.lnd:
            assert [1] == lab.switch.next_fails(1)
        lab.box.add_packet(settle(2))
        return receiver.result().incoming_htlc_id

    monkeypatch.setattr(channel.random, "choice", first)
    assert {"ours": 2, "lnd": 1} == outcomes(script)

    monkeypatch.setattr(channel.random, "choice", last)
    assert {"ours": 2, "lnd": 2} == outcomes(script)


def test_a_busy_switch_stalls_the_mailbox(monkeypatch):
    monkeypatch.setattr(outbox, "_PATIENCE", 0.0)

    def script(lab):
        gate = Gate()
        lab.switch.when["forward_packets"] = gate.pass_through
        lab.box.add_packet(add(1))
        lab.rest()
        lab.clock.advance(EXPIRY)
        gate.wait_until_reached()
        lab.box.add_packet(settle(2))
        delivered = lab.deliver()
        reset = Call(lab.box.reset_packets)
        hung = lab.lnd and hangs(reset)
        gate.open()
        reset.result()
        lab.rest()
        return delivered, hung, lab.deliver()

    assert {"ours": ([2], False, [2]), "lnd": ([], True, [2])} == outcomes(script, patience=0.0)


def test_fail_add_encrypts_for_the_packet_it_is_given():
    """Here that one has no obfuscator: the sender of the HTLC can't read what it gets."""

    def script(lab):
        lab.box.add_packet(add(1, obfuscator=lab.switch))
        assert lab.box.fail_add(add(1))
        fail = lab.switch.next_fail()
        plain = encode_failure(fail.link_failure.wire_message)
        return fail.local_failure, fail.htlc.reason == plain

    assert {"ours": (False, False), "lnd": (True, True)} == outcomes(script)


def test_an_add_is_gone_before_its_failure_is_made():
    def script(lab):
        gate = Gate()
        lab.switch.when["fetch_update"] = gate.pass_through
        lab.box.add_packet(add(1))
        failing = Call(lab.box.fail_add, add(1))
        gate.wait_until_reached()
        unacked = lab.box.statistics().adds_unacked
        acked = lab.box.ack_packet(key(1))
        gate.open()
        return unacked, acked, failing.result(), lab.switch.fails_so_far()

    assert {"ours": (1, True, False, []), "lnd": (0, False, True, [1])} == outcomes(script)


def test_a_deadline_outlives_its_add():
    """Half a minute after it was added the second Add is failed."""

    def script(lab):
        lab.box.add_packet(add(1))
        lab.clock.advance(EXPIRY / 2)
        lab.box.ack_packet(key(1))
        lab.box.add_packet(add(1))
        lab.clock.advance(EXPIRY / 2)
        lab.rest()
        return lab.switch.fails_so_far(), lab.deliver()

    assert {"ours": ([], [1]), "lnd": ([1], [])} == outcomes(script)


def test_an_add_whose_key_was_changed_spins_the_courier():
    """Until the Add is acked under its old key."""

    def script(lab):
        packet = add(1)
        lab.box.add_packet(packet)
        assert packet is lab.box.packet_outbox.get()
        packet.incoming_htlc_id = 9
        lab.clock.advance(EXPIRY)
        if not lab.lnd:
            lab.box.reset_packets()
            return lab.switch.next_fails(1)
        ack_packet, asked = lab.box.ack_packet, threading.Semaphore(0)

        def ask(changed):
            asked.release()
            return ack_packet(changed)

        lab.box.ack_packet = ask
        lab.box.reset_packets()
        for _ in range(5):
            assert asked.acquire(timeout=PATIENCE)
        assert ack_packet(key(1))
        lab.rest()
        return lab.switch.fails_so_far()

    assert {"ours": [1], "lnd": []} == outcomes(script, patience=0.0)


def test_the_fail_packet_misses_obfuscator_and_outgoing_ids():
    def script(lab):
        packet = add(1, obfuscator=lab.switch, outgoing_chan_id=CHANNEL, outgoing_htlc_id=6)
        lab.box.add_packet(packet)
        lab.box.fail_add(packet)
        fail = lab.switch.next_fail()
        return fail.out_key, fail.obfuscator is lab.switch

    ours, lnd = (CircuitKey(CHANNEL, 6), True), (CircuitKey(ShortChannelID(), 0), False)
    assert {"ours": ours, "lnd": lnd} == outcomes(script)


def test_a_failure_that_can_not_be_encrypted_loses_the_htlc():
    """Neither a second `fail_add` nor its deadline brings the Fail."""

    def script(lab):
        packet = add(1, obfuscator=lab.switch)
        lab.box.add_packet(packet)
        lab.switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))
        assert not lab.box.fail_add(packet)
        lab.switch.when.clear()
        return lab.box.statistics().adds_unacked, lab.box.fail_add(packet)

    assert {"ours": (1, True), "lnd": (0, False)} == outcomes(script)


def test_a_failure_that_can_not_be_encoded_loses_the_htlc():
    too_long = ChannelUpdate(extra_opaque_data=b"\1\xfd\1\0" + bytes(256))

    def script(lab):
        lab.box.add_packet(add(1))
        failed = lab.box.fail_add(add(1))
        return failed, lab.switch.fails_so_far(), lab.box.statistics().adds_unacked

    expected = {"ours": (True, [1], 0), "lnd": (False, [], 0)}
    assert expected == outcomes(script, fetch_update=lambda _: too_long)


def test_packets_are_added_one_by_one():
    def script(lab):
        try:
            lab.box.add_packets([add(1), add(2), add(1), add(3)])
        except PacketAlreadyExists:
            return lab.deliver()

    assert {"ours": [], "lnd": [1, 2]} == outcomes(script)


def test_a_delivered_packet_can_not_be_given_back():
    """What lnd can't do says so, as an error of this package and as Python says it."""

    def script(lab):
        lab.box.add_packet(settle(1))
        lab.deliver()
        try:
            return lab.box.nack_packet(key(1)), lab.deliver()
        except MailBoxError as error:
            return isinstance(error, NotImplementedError), str(error)

    lnd = "lnd can't take back one delivered packet: use reset_packets, or a MemoryMailBox"
    assert {"ours": (True, [1]), "lnd": (True, lnd)} == outcomes(script)


def test_an_outbox_tells_of_one_item_at_most():
    """All of them are in the statistics."""

    def script(lab):
        sizes = [lab.box.message_outbox.qsize()]
        for number in range(3):
            lab.box.add_message(number)
        sizes.append(lab.box.message_outbox.qsize())
        return sizes, lab.box.statistics().messages

    assert {"ours": ([0, 3], 3), "lnd": ([0, 1], 3)} == outcomes(script)


def test_any_number_of_messages_may_wait():
    """Of any size, also if the config has a budget."""

    def script(lab):
        accepted = 0
        for size in (1, 1, 10**6):
            try:
                lab.box.add_message(bytes(size))
                accepted += 1
            except WireQueueFull:
                pass
        return accepted, lab.box.statistics().messages

    budgets = {"max_wire_messages": 2, "max_wire_bytes": 10}
    assert {"ours": (2, 2), "lnd": (3, 3)} == outcomes(script, **budgets)


def test_few_things_are_counted():
    """What is unacked, and where it is, both count."""

    def script(lab):
        lab.box.add_packets([add(1), add(2)])
        lab.clock.advance(EXPIRY / 2)
        lab.deliver_one()
        lab.box.add_packet(settle(3))
        lab.box.ack_packet(key(3))
        with suppress(PacketAlreadyExists):
            lab.box.add_packet(add(2))
        return {name: n for name, n in attrs.asdict(lab.box.statistics()).items() if n}

    lnd = {"adds_unacked": 2, "adds_undelivered": 1, "adds_delivered": 1}
    ours = {"oldest_add_age": EXPIRY / 2, "packets_acked": 1, "packets_refused": 1}
    assert {"ours": lnd | ours, "lnd": lnd} == outcomes(script)


def test_a_tick_between_two_looks_at_the_clock_is_lost():
    """lnd's clock for tests makes a timer for what remains; here deadlines are absolute."""

    class LndTestClock(ManualClock):
        """Moves by a minute after each look."""

        def now_ns(self):
            now = super().now_ns()
            self.advance(EXPIRY)
            return now

        def tick_after(self, duration):
            return super().now_ns() + duration

    clock = LndTestClock()
    waiting = PktWithExpiry(add(1), ManualClock(EXPIRY).now_ns())

    lnd = clock.tick_after(waiting.expiry - clock.now_ns())
    ours = waiting.deadline(clock).at_ns

    assert (2 * waiting.expiry, waiting.expiry) == (lnd, ours)
