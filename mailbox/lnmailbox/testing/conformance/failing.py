"""Contract 13 and 14: failing an Add, and the fail packet."""

from __future__ import annotations

import pytest

from ... import (
    AddRef,
    CircuitKey,
    FailureDetail,
    HTLCPacket,
    LinkError,
    PaymentCircuit,
    SettleFailRef,
)
from ...wire import (
    ChannelUpdate,
    ShortChannelID,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
    encode_failure,
)
from ..switch import Gate, raiser
from ..threads import Call, run_threads
from .base import CHANNEL, EXPIRY, SOURCE, MailBoxTests, add, drain, key, numbers, said, settle


class FailAddTests(MailBoxTests):
    @pytest.mark.parametrize("delivered", [True, False])
    def test_an_add_is_failed_once(self, box, switch, delivered):
        """Contract 13: delivered or not, it is removed, and a second call does nothing."""
        box.add_packet(add(1))
        if delivered:
            drain(box.packet_outbox)

        assert True is box.fail_add(add(1))
        assert False is box.fail_add(add(1))

        assert [1] == switch.fails_so_far()
        box.reset_packets()
        assert [] == drain(box.packet_outbox)
        assert not box.ack_packet(key(1))
        assert 1 == box.statistics().adds_failed

    def test_an_add_that_is_not_there_is_not_failed(self, box, switch):
        """Contract 13: never added, or acked."""
        box.add_packets([add(1), add(2)])
        box.ack_packet(key(1))

        assert False is box.fail_add(add(1))
        assert False is box.fail_add(add(3))

        assert [] == switch.fails_so_far()
        assert [2] == numbers(drain(box.packet_outbox))

    def test_an_add_that_expired_is_not_failed_again(self, box, switch, clock):
        """Contract 13: the guard against two fails for one HTLC."""
        box.add_packet(add(1))
        clock.advance(EXPIRY)
        assert [1] == switch.next_fails(1)

        assert False is box.fail_add(add(1))

        assert [] == switch.fails_so_far()

    def test_an_add_that_was_failed_does_not_expire(self, box, switch, clock):
        """Contract 13."""
        box.add_packets([add(1), add(2)])
        box.fail_add(add(1))

        clock.advance(EXPIRY)

        assert [1, 2] == switch.next_fails(2)

    def test_eight_threads_that_fail_an_add_send_one_fail(self, box, switch):
        """Contract 13 and 27: one of them is told that it did."""
        for number in range(50):
            box.add_packet(add(number))

            done = run_threads(*[lambda number=number: box.fail_add(add(number))] * 8)

            assert [False] * 7 + [True] == sorted(done)
            assert [number] == switch.fails_so_far()

    def test_while_an_add_is_being_failed_nobody_else_gets_it(self, box, switch):
        """Contract 13: neither a receiver nor another `fail_add`, nor after a reset."""
        gate = Gate()
        switch.when["encrypt_first_hop"] = gate.pass_through
        box.add_packet(add(1, obfuscator=switch))
        failing = Call(box.fail_add, add(1))
        gate.wait_until_reached()

        assert [] == drain(box.packet_outbox)
        assert False is box.fail_add(add(1))
        assert not box.nack_packet(key(1))
        box.reset_packets()
        assert [] == drain(box.packet_outbox)
        assert False is box.fail_add(add(1))

        gate.open()

        assert True is failing.result()
        assert [1] == switch.fails_so_far()

    @pytest.mark.parametrize("carrier", ["courier", "fail_add"])
    def test_an_add_that_is_acked_while_it_is_being_failed_is_not_failed(
        self, box, switch, clock, carrier
    ):
        """Contract 5 and 13: the ack was there first."""
        gate = Gate()
        switch.when["encrypt_first_hop"] = gate.pass_through
        box.add_packets([add(1, obfuscator=switch), add(2)])
        failing = Call(box.fail_add, add(1)) if carrier == "fail_add" else None
        if failing is None:
            clock.advance(EXPIRY)
        gate.wait_until_reached()

        assert True is box.ack_packet(key(1))

        gate.open()

        if failing is None:
            assert [2] == switch.next_fails(1)
        else:
            assert False is failing.result()
            assert [] == switch.fails_so_far()
            assert [2] == numbers(drain(box.packet_outbox))

    def test_an_add_whose_key_is_used_again_while_it_is_being_failed(self, box, switch):
        """Contract 6 and 13: acked and added anew, the new one is another Add, and stays."""
        gate = Gate()
        switch.when["encrypt_first_hop"] = gate.pass_through
        box.add_packet(add(1, obfuscator=switch))
        failing = Call(box.fail_add, add(1))
        gate.wait_until_reached()
        box.ack_packet(key(1))
        box.add_packet(add(1, amount=5))

        gate.open()

        assert False is failing.result()
        assert [] == switch.fails_so_far()
        assert said([add(1, amount=5)]) == said(drain(box.packet_outbox))
        assert box.fail_add(add(1))

    @pytest.mark.parametrize("life", ["before start", "running", "after stop"])
    def test_an_add_can_be_failed_whether_or_not_the_mailbox_runs(self, new_box, switch, life):
        """Contract 13 and 18: no HTLC is stuck; after the stop, `quit` is set for the callback."""
        box = new_box()
        box.add_packet(add(1))
        if life != "before start":
            box.start()
        if life == "after stop":
            box.stop()

        assert True is box.fail_add(add(1))

        assert [1] == switch.fails_so_far()
        assert (life == "after stop") is switch.quit.is_set()

    def test_an_add_of_the_zero_channel_can_be_failed(self, box, switch):
        """Contract 14: that is the source of this node's own payments."""
        box.add_packet(HTLCPacket(incoming_htlc_id=4, htlc=UpdateAddHTLC()))

        assert box.fail_add(HTLCPacket(incoming_htlc_id=4, htlc=settle(4).htlc))

        assert CircuitKey(ShortChannelID(), 4) == switch.next_fail().in_key


class FailPacketTests(MailBoxTests):
    @pytest.fixture
    def circuit(self):
        return PaymentCircuit(incoming=key(5), incoming_amount=1_001, outgoing_amount=1_000)

    @pytest.fixture(params=["courier", "fail_add"])
    def fail_packet_of(self, request, box, switch, clock):
        """Fails an Add as a courier does, or by hand; returns the fail packet."""

        def fail(packet):
            box.add_packet(packet)
            if request.param == "courier":
                clock.advance(EXPIRY)
            else:
                assert box.fail_add(packet)
            return switch.next_fail()

        return fail

    def full_add(self, circuit, **fields):
        """Return an Add with something in every field."""
        return HTLCPacket(
            incoming_chan_id=SOURCE,
            incoming_htlc_id=5,
            outgoing_chan_id=CHANNEL,
            outgoing_htlc_id=6,
            amount=1_000,
            incoming_amount=1_001,
            htlc=UpdateAddHTLC(id=6),
            circuit=circuit,
            source_ref=AddRef(height=3, index=4),
            dest_ref=SettleFailRef(height=8),
            converted_error=True,
            is_resolution=True,
            incoming_timeout=800_040,
            outgoing_timeout=800_000,
            **fields,
        )

    def test_a_fail_packet_says_where_it_comes_from_and_goes_to(self, fail_packet_of, circuit):
        """Contract 14: field by field; what is not named there has its zero value."""
        failing = fail_packet_of(self.full_add(circuit))

        update = ChannelUpdate(short_channel_id=CHANNEL, timestamp=7)
        failure = TemporaryChannelFailure(update)
        assert (SOURCE, 5) == failing.in_key
        assert (CHANNEL, 6) == failing.out_key
        assert circuit == failing.circuit
        assert AddRef(height=3, index=4) == failing.source_ref
        assert failing.obfuscator is None
        assert True is failing.has_source
        assert True is failing.local_failure
        assert type(failing.htlc) is UpdateFailHTLC
        assert UpdateFailHTLC(reason=encode_failure(failure)) == failing.htlc
        assert type(failing.link_failure) is LinkError
        assert failure == failing.link_failure.wire_message
        detail = FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD
        assert detail is failing.link_failure.detail
        assert "could not add downstream htlc" == str(failing.link_failure)
        assert (0, 0) == (failing.amount, failing.incoming_amount)
        assert (0, 0) == (failing.incoming_timeout, failing.outgoing_timeout)
        assert failing.dest_ref is None
        assert False is failing.converted_error
        assert False is failing.is_resolution

    def test_a_local_failure_is_260_clear_bytes(self, fail_packet_of, circuit):
        """Contract 14: of `encode_failure`."""
        failing = fail_packet_of(self.full_add(circuit))

        assert 260 == len(failing.htlc.reason)
        assert encode_failure(failing.link_failure.wire_message) == failing.htlc.reason

    def test_a_forwarded_failure_is_encrypted(self, fail_packet_of, circuit, switch):
        """Contract 14: by the obfuscator, which is passed on; then it is no local failure."""
        failing = fail_packet_of(self.full_add(circuit, obfuscator=switch))

        update = ChannelUpdate(short_channel_id=CHANNEL, timestamp=7)
        failure = TemporaryChannelFailure(update)
        assert b"encrypted:" + encode_failure(failure) == failing.htlc.reason
        assert switch is failing.obfuscator
        assert False is failing.local_failure
        assert True is failing.has_source
        assert failure == failing.link_failure.wire_message
        assert "could not add downstream htlc" == str(failing.link_failure)

    @pytest.mark.parametrize("local", [True, False])
    def test_without_a_channel_update_the_node_is_to_blame(self, fail_packet_of, switch, local):
        """Contract 14: if `fetch_update` raises."""
        switch.when["fetch_update"] = raiser(KeyError("no such channel"))

        failing = fail_packet_of(add(1, obfuscator=None if local else switch))

        plain = encode_failure(TemporaryNodeFailure())
        assert (plain if local else b"encrypted:" + plain) == failing.htlc.reason
        assert TemporaryNodeFailure() == failing.link_failure.wire_message

    @pytest.mark.parametrize(
        "update",
        [ChannelUpdate(extra_opaque_data=b"\1\xfd\1\0" + bytes(256)), "no update", None],
        ids=["too long", "no update", "None"],
    )
    def test_a_failure_that_can_not_be_encoded_becomes_a_smaller_one(
        self, new_box, switch, update
    ):
        """Contract 15: one without the update."""
        box = new_box(fetch_update=lambda _: update)
        box.add_packet(add(1))

        assert True is box.fail_add(add(1))

        failing = switch.next_fail()
        assert TemporaryChannelFailure() == failing.link_failure.wire_message
        assert encode_failure(TemporaryChannelFailure()) == failing.htlc.reason

    def test_the_update_is_that_of_the_mailbox_and_fetched_each_time(self, box, switch):
        """Contract 14: for the id that the mailbox has now (contract 22)."""
        live = ShortChannelID(800_000, 1, 2)
        box.add_packets([add(1), add(2)])

        assert box.short_chan_id == CHANNEL
        box.fail_add(add(1))
        box.short_chan_id = live
        box.fail_add(add(2))

        assert [CHANNEL, live] == switch.updates_fetched
        updates = [switch.next_fail().link_failure.wire_message.update for _ in range(2)]
        assert [CHANNEL, live] == [update.short_channel_id for update in updates]
