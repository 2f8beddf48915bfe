"""`dust_packets()`: what the Adds in a mailbox sum up to, with lnd's own numbers."""

from __future__ import annotations

import pytest

from lnmailbox import ChannelParty, ChannelType, dust_closure

from ..switch import Gate
from ..threads import Call
from .base import MailBoxTests, add, drain, key, raises, settle

# lnd's `TestMailBoxDustHandling`: an Add of 600 sat is dust remotely, one of 300 sat on both.
FEE_RATE = 253
IS_DUST = dust_closure(ChannelType.LEGACY, local_limit_sat=400, remote_limit_sat=500)
SOME, ALL = (0, 600_000), (300_000, 900_000)


class DustTests(MailBoxTests):
    def test_without_a_closure_nothing_is_dust(self, box):
        """As at first, and when it is taken away."""
        box.add_packet(add(1, amount=1))

        assert (0, 0) == box.dust_packets()

        box.set_dust_closure(IS_DUST)
        assert (1, 1) == box.dust_packets()

        box.set_dust_closure(None)
        assert (0, 0) == box.dust_packets()

    def test_the_dust_of_the_adds_is_summed_up_for_each_party(self, box):
        """Unchanged by delivery and reset; acks and failures take an Add out."""
        box.set_fee_rate(FEE_RATE)
        box.set_dust_closure(IS_DUST)
        assert (0, 0) == box.dust_packets()

        box.add_packet(add(1, amount=600_000))
        assert SOME == box.dust_packets()

        box.add_packet(add(2, amount=300_000))
        assert ALL == box.dust_packets()

        drain(box.packet_outbox)
        assert ALL == box.dust_packets()

        box.reset_packets()
        assert ALL == box.dust_packets()

        box.ack_packet(key(2))
        assert SOME == box.dust_packets()

        box.fail_add(add(1))
        assert (0, 0) == box.dust_packets()

    def test_replies_are_no_dust(self, box):
        """They take an HTLC out of the commitment."""
        box.set_dust_closure(IS_DUST)
        box.add_packet(settle(1, amount=1))

        assert (0, 0) == box.dust_packets()

    def test_the_closure_gets_the_fee_rate_and_whole_satoshis(self, box):
        """For each Add twice: outgoing, on either commitment; amounts are rounded down."""
        calls = []

        def is_dust(*arguments):
            calls.append(arguments)
            return arguments[2] is ChannelParty.REMOTE

        box.set_fee_rate(7_000)
        box.set_dust_closure(is_dust)
        box.add_packets([add(1, amount=1_999), add(2, amount=2_000)])

        assert (0, 3_999) == box.dust_packets()
        assert calls == [
            (7_000, False, party, amount)
            for amount in (1, 2)
            for party in (ChannelParty.LOCAL, ChannelParty.REMOTE)
        ]

    def test_the_closure_may_use_the_mailbox_and_block(self, box):
        """Contract 27: no code of the user runs under a lock. It works after `stop` as well."""
        gate = Gate()

        def is_dust(fee_rate, incoming, party, amount_sat):
            gate.pass_through()
            return not box.ack_packet(key(1)) or True

        box.set_dust_closure(is_dust)
        box.add_packet(add(1, amount=5))
        call = Call(box.dust_packets)
        gate.wait_until_reached()
        box.add_packet(add(2, amount=70))
        box.stop()

        gate.open()

        assert (5, 5) == call.result()
        assert (70, 70) == box.dust_packets()

    def test_what_the_closure_raises_is_raised(self, box):
        box.set_dust_closure(lambda *arguments: 1 // 0 > 0)
        box.add_packet(add(1))

        assert raises(ZeroDivisionError, box.dust_packets)

    @pytest.mark.parametrize("bad", [-1, 1.5, True, None, "253"], ids=repr)
    def test_a_fee_rate_is_a_number_of_satoshis(self, box, bad):
        with pytest.raises(ValueError, match="^sat_per_kw must be an integer >= 0, got"):
            box.set_fee_rate(bad)

    @pytest.mark.parametrize("bad", [7, lambda: True, lambda rate, amount: True])
    def test_a_closure_can_be_called_with_four_arguments(self, box, bad):
        with pytest.raises(TypeError, match="^is_dust "):
            box.set_dust_closure(bad)
