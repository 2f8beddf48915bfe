"""Which HTLCs are dust, by lnd's numbers. The conformance suite has the sums of a mailbox."""

from __future__ import annotations

from typing import Any

import pytest

from lnmailbox import ChannelParty, ChannelType, dust_closure
from lnmailbox.dust import dust_sums
from lnmailbox.testing.conformance.base import add

LOCAL, REMOTE = ChannelParty.LOCAL, ChannelParty.REMOTE


@pytest.mark.parametrize(
    "channel_type, timeout, success",
    [
        (ChannelType.LEGACY, 663, 703),
        (ChannelType.ANCHORS, 666, 706),
        (ChannelType.ZERO_FEE_HTLC, 0, 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
@pytest.mark.parametrize("fee_rate", [0, 253, 1000, 12_345])
@pytest.mark.parametrize("incoming", [True, False])
@pytest.mark.parametrize("party", ChannelParty)
def test_an_htlc_is_dust_below_limit_and_fee(
    channel_type: ChannelType,
    timeout: int,
    success: int,
    fee_rate: int,
    incoming: bool,
    party: ChannelParty,
):
    """Not at it. Whoever receives the HTLC on his own commitment claims it by a success."""
    is_dust = dust_closure(channel_type, 354, 546)
    weight = success if incoming is (party is LOCAL) else timeout
    border = {LOCAL: 354, REMOTE: 546}[party] + fee_rate * weight // 1000

    assert is_dust(fee_rate, incoming, party, border - 1)
    assert not is_dust(fee_rate, incoming, party, border)


def test_no_htlc_is_dust_if_there_is_no_limit_and_no_fee():
    is_dust = dust_closure(ChannelType.ZERO_FEE_HTLC, 0, 0)

    assert not any(is_dust(10_000, False, party, 0) for party in ChannelParty)


def test_lnds_example_sums_up():
    """At 253 sat/kw with limits of 400 and 500 sat (lnd: `TestMailBoxDustHandling`)."""
    is_dust = dust_closure(ChannelType.LEGACY, 400, 500)
    adds = [add(1, amount=600_000), add(2, amount=300_000)]

    assert (0, 600_000) == dust_sums(adds[:1], is_dust, 253)
    assert (300_000, 900_000) == dust_sums(adds, is_dust, 253)
    assert (0, 0) == dust_sums([add(3, amount=700_000)], is_dust, 253)


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ((663, 1, 1), TypeError, "channel_type must be a ChannelType, got 663"),
        (
            (ChannelType.LEGACY, -1, 1),
            ValueError,
            "local_limit_sat must be an integer >= 0",
        ),
        (
            (ChannelType.LEGACY, 1, 1.0),
            ValueError,
            "remote_limit_sat must be an integer >= 0",
        ),
        ((ChannelType.LEGACY, 1, True), ValueError, "remote_limit_sat must be an integer >= 0"),
    ],
)
def test_a_closure_is_of_a_type_with_two_limits(arguments: Any, error: type[Exception], text: str):
    with pytest.raises(error, match=f"^{text}"):
        dust_closure(*arguments)
