"""Contract 15, 16, 27: callbacks that use the mailbox, and callbacks that raise."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ...wire import FailureMessage
from ..switch import Gate, Switch, raiser
from ..threads import Call
from .base import (
    CALLBACKS,
    CARRIERS,
    EXPIRY,
    MailBoxTests,
    add,
    drain,
    key,
    message,
    numbers,
    settle,
)


class WrongEncrypter(Switch):
    """An obfuscator that returns no reason."""

    reason: Any = None

    def encrypt_first_hop(self, failure: FailureMessage) -> Any:
        return self.reason


def errors_logged(caplog):
    return [record for record in caplog.records if record.levelno == logging.ERROR]


class CallbackTests(MailBoxTests):
    @pytest.mark.parametrize("carrier", CARRIERS)
    @pytest.mark.parametrize("callback", CALLBACKS)
    def test_a_callback_may_call_everything(self, box, switch, clock, carrier, callback):
        """Contract 27: callbacks run under no lock, so nothing they call can deadlock."""
        seen = []

        def use_the_mailbox():
            switch.when.clear()
            box.add_message(message(20))
            seen.append(box.message_outbox.get_nowait().id)
            box.add_packet(settle(21))
            box.add_packets([settle(22), add(23)])
            seen.extend(numbers(drain(box.packet_outbox)))
            box.reset_messages()
            box.reset_packets()
            seen.extend(numbers(box.packet_outbox.get_batch(10)))
            seen.append(box.nack_packet(key(22)))
            seen.extend(numbers(drain(box.packet_outbox)))
            seen.append(box.has_packet(key(21)))
            seen.append(box.ack_packet(key(21)))
            seen.append(box.ack_packets([key(21), key(22)]))
            seen.append(box.fail_add(add(23)))
            seen.append(box.statistics().replies_unacked)
            box.start()

        switch.when[callback] = use_the_mailbox
        box.add_packet(add(1, obfuscator=switch))

        if carrier == "fail_add":
            assert True is Call(box.fail_add, add(1)).result()
        else:
            clock.advance(EXPIRY)

        assert [23, 1] == switch.next_fails(2)
        expected = [20, 21, 22, 23, 21, 22, 23, True, 22, True, True, 1, True, 0]
        assert expected == seen

    @pytest.mark.parametrize("callback", CALLBACKS)
    def test_a_callback_that_fails_its_own_add_finds_it_taken(self, box, switch, callback):
        """Contract 13: there is one fail."""
        answers = []
        switch.when[callback] = lambda: answers.append(box.fail_add(add(1)))
        box.add_packet(add(1, obfuscator=switch))

        assert True is box.fail_add(add(1))

        assert [False] == answers
        assert [1] == switch.fails_so_far()


class CallbackErrorTests(MailBoxTests):
    def test_an_add_that_can_not_be_encrypted_stays(self, box, switch, caplog):
        """Contract 15: undelivered as it was, and it can be failed later. It is logged."""
        box.add_packets([add(1, obfuscator=switch), add(2)])
        switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))

        assert False is box.fail_add(add(1))

        assert [] == switch.fails_so_far()
        assert 1 == box.statistics().encrypt_errors
        [record] = errors_logged(caplog)
        assert "no key" in str(record.exc_info[1])

        switch.when.clear()
        assert [1, 2] == numbers(drain(box.packet_outbox))
        assert True is box.fail_add(add(1))
        assert [1] == switch.fails_so_far()

    def test_a_delivered_add_that_can_not_be_encrypted_stays_delivered(self, box, switch):
        """Contract 15: it is replayed after a reset."""
        box.add_packet(add(1, obfuscator=switch))
        drain(box.packet_outbox)
        switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))

        assert False is box.fail_add(add(1))

        assert [] == drain(box.packet_outbox)
        assert box.nack_packet(key(1))
        assert [1] == numbers(drain(box.packet_outbox))
        box.reset_packets()
        assert [1] == numbers(drain(box.packet_outbox))

    def test_a_reset_while_an_add_is_being_failed_in_vain(self, box, switch):
        """Contract 9 and 15: it is undelivered afterwards, although it was delivered before."""
        gate = Gate()

        def fail_slowly():
            gate.pass_through()
            raise ValueError("no key")

        switch.when["encrypt_first_hop"] = fail_slowly
        box.add_packets([add(1, obfuscator=switch), add(2)])
        drain(box.packet_outbox)
        failing = Call(box.fail_add, add(1))
        gate.wait_until_reached()

        box.reset_packets()

        assert [2] == numbers(drain(box.packet_outbox))
        gate.open()
        assert False is failing.result()
        assert [1] == numbers(drain(box.packet_outbox))

    def test_a_receiver_is_woken_by_an_add_that_could_not_be_failed(self, box, switch):
        """Contract 3 and 15."""
        gate = Gate()

        def fail_slowly():
            gate.pass_through()
            raise ValueError("no key")

        switch.when["encrypt_first_hop"] = fail_slowly
        box.add_packet(add(1, obfuscator=switch))
        failing = Call(box.fail_add, add(1))
        gate.wait_until_reached()
        receiver = Call(box.packet_outbox.get)
        receiver.wait_until_blocked()

        gate.open()

        assert False is failing.result()
        assert 1 == receiver.result().incoming_htlc_id

    @pytest.mark.parametrize("reason", [None, "text", b"\0" * 65536], ids=["None", "text", "long"])
    def test_an_encryption_that_returns_no_reason_is_one_that_failed(self, new_box, reason):
        """Contract 15: the Add stays."""
        encrypter = WrongEncrypter()
        encrypter.reason = reason
        box = new_box()
        box.add_packet(add(1, obfuscator=encrypter))

        assert False is box.fail_add(add(1))
        assert 1 == box.statistics().adds_unacked

    def test_an_expired_add_that_can_not_be_encrypted_is_tried_again(
        self, box, switch, clock, caplog
    ):
        """Contract 15: `expiry` later, as often as it takes; the others go on; logged once."""
        switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))
        box.add_packets([add(1, obfuscator=switch), add(2)])

        for attempt in (1, 2, 3):
            clock.advance(EXPIRY)
            assert [attempt + 1] == switch.next_fails(1)
            assert attempt == box.statistics().encrypt_errors
            assert 1 == len(errors_logged(caplog))
            assert [] == drain(box.packet_outbox)
            box.add_packet(add(attempt + 2))

        switch.when.clear()
        clock.advance(EXPIRY)
        assert [1, 5] == switch.next_fails(2)
        assert 0 == box.statistics().adds_unacked

    def test_an_expired_add_that_can_not_be_encrypted_is_tried_again_after_a_reset(
        self, box, switch, clock
    ):
        """Contract 12 and 15."""
        switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))
        box.add_packets([add(1, obfuscator=switch), add(2)])
        clock.advance(EXPIRY)
        assert [2] == switch.next_fails(1)
        switch.when.clear()

        box.reset_packets()

        assert [1] == switch.next_fails(1)
        assert 2 == box.statistics().adds_expired

    def test_an_expired_add_that_can_not_be_encrypted_can_be_acked_and_failed(
        self, box, switch, clock
    ):
        """Contract 5, 13, 15: it is in the mailbox."""
        switch.when["encrypt_first_hop"] = raiser(ValueError("no key"))
        box.add_packets([add(1, obfuscator=switch), add(2, obfuscator=switch), add(3)])
        clock.advance(EXPIRY)
        assert [3] == switch.next_fails(1)
        switch.when.clear()

        assert True is box.ack_packet(key(1))
        assert True is box.fail_add(add(2))

        assert [2] == switch.fails_so_far()
        assert 0 == box.statistics().adds_unacked

    @pytest.mark.parametrize("carrier", CARRIERS)
    def test_what_the_switch_raises_is_logged_and_counted(
        self, box, switch, clock, caplog, carrier
    ):
        """Contract 15: the Add is gone, as the switch has had its fail packet."""
        switch.when["forward_packets"] = raiser(ValueError("switch is full"), times=2)
        box.add_packets([add(1), add(2), add(3)])

        if carrier == "fail_add":
            assert True is box.fail_add(add(1))
            assert False is box.fail_add(add(1))
            assert True is box.fail_add(add(2))
            assert True is box.fail_add(add(3))
        else:
            clock.advance(EXPIRY)

        assert [3] == switch.next_fails(1)
        assert 2 == box.statistics().forward_errors
        assert 0 == box.statistics().adds_unacked
        records = errors_logged(caplog)
        assert ["switch is full"] * 2 == [str(record.exc_info[1]) for record in records]
        assert all(record.exc_info[2] is not None for record in records)

    @pytest.mark.parametrize("callback", CALLBACKS)
    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_no_error_in_a_callback_ends_a_courier(self, box, switch, clock, callback, error):
        """Contract 16: the next expired Add is carried back all the same."""
        ordinary = issubclass(error, Exception)
        if callback == "fetch_update" and ordinary:
            at_once, later = [1, 2], []
        elif callback == "forward_packets":
            at_once, later = [2], []
        else:
            at_once, later = [2], [1]
        switch.when[callback] = raiser(error, times=1)
        box.add_packets([add(number, obfuscator=switch) for number in (1, 2)])

        clock.advance(EXPIRY)

        assert at_once == switch.next_fails(len(at_once))
        box.add_packet(add(3))
        clock.advance(EXPIRY)
        assert [*later, 3] == switch.next_fails(len(later) + 1)

    @pytest.mark.parametrize("callback", CALLBACKS)
    def test_an_interrupt_in_a_callback_goes_to_the_caller(self, box, switch, callback):
        """Contract 15: `fail_add` lets KeyboardInterrupt through, and no HTLC is lost."""
        switch.when[callback] = raiser(KeyboardInterrupt)
        box.add_packet(add(1, obfuscator=switch))

        with pytest.raises(KeyboardInterrupt):
            box.fail_add(add(1))

        switch.when.clear()
        statistics = box.statistics()
        if callback == "forward_packets":
            assert (0, 1) == (statistics.adds_unacked, statistics.forward_errors)
        else:
            assert [1] == numbers(drain(box.packet_outbox))
            assert box.fail_add(add(1))
