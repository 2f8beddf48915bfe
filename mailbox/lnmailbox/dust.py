"""Which HTLCs are too small for an output of their own, and what those in a mailbox sum up to."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Protocol

from .packet import HTLCPacket
from .wire import UpdateAddHTLC
from .wire.shown import shown

__all__ = ["ChannelParty", "ChannelType", "DustClosure", "dust_closure", "dust_sums"]

_MSAT_PER_SAT = 1000


class ChannelParty(enum.Enum):
    """Whose commitment transaction is meant (lnd: `lntypes.ChannelParty`)."""

    LOCAL = "local"
    REMOTE = "remote"


class ChannelType(enum.Enum):
    """What the second-level transactions of a channel's HTLCs weigh.

    The value is the weight of the timeout and of the success transaction (BOLT 3, lnd:
    `HtlcTimeoutWeight`, `HtlcSuccessWeight` and the `...Confirmed` ones).
    """

    LEGACY = (663, 703)
    ANCHORS = (666, 706)
    ZERO_FEE_HTLC = (0, 0)
    """Anchors with zero-fee HTLC transactions, and taproot channels: they pay no fee."""


class DustClosure(Protocol):
    """Tells whether an HTLC is dust on a party's commitment (lnd: `dustClosure`)."""

    def __call__(
        self, fee_rate: int, incoming: bool, party: ChannelParty, amount_sat: int, /
    ) -> bool: ...


def dust_closure(
    channel_type: ChannelType, local_limit_sat: int, remote_limit_sat: int
) -> DustClosure:
    """Return the closure of a channel, for `MailBox.set_dust_closure` (lnd: `HtlcIsDust`).

    An HTLC is dust if its amount less the fee of the second-level transaction is below the dust
    limit of the party whose commitment it is on.

    Args:
        channel_type: how heavy that transaction is.
        local_limit_sat: the dust limit of this node, in sat.
        remote_limit_sat: the dust limit of the peer, in sat.

    Raises:
        TypeError: `channel_type` is no `ChannelType`.
        ValueError: a limit is not an integer of at least 0.
    """
    if not isinstance(channel_type, ChannelType):
        raise TypeError(f"channel_type must be a ChannelType, got {shown(channel_type)}")
    limits = {ChannelParty.LOCAL: local_limit_sat, ChannelParty.REMOTE: remote_limit_sat}
    for party, limit in limits.items():
        require_amount(f"{party.value}_limit_sat", limit)
    timeout_weight, success_weight = channel_type.value

    def is_dust(fee_rate: int, incoming: bool, party: ChannelParty, amount_sat: int, /) -> bool:
        # The sender of an HTLC gets it back by a timeout, the receiver claims it.
        ours = party is ChannelParty.LOCAL
        weight = success_weight if incoming == ours else timeout_weight
        return amount_sat - fee_rate * weight // 1000 < limits[party]

    return is_dust


def dust_sums(
    packets: Iterable[HTLCPacket], is_dust: DustClosure, fee_rate: int
) -> tuple[int, int]:
    """Return the sums of the amounts in msat that are dust on the local and remote commitment.

    Every Add counts, as outgoing. Its amount is rounded down to whole sat for `is_dust`.
    """
    local, remote = ChannelParty.LOCAL, ChannelParty.REMOTE
    local_sum = remote_sum = 0
    for packet in packets:
        if type(packet.htlc) is not UpdateAddHTLC:
            continue
        amount = packet.amount
        if is_dust(fee_rate, False, local, amount // _MSAT_PER_SAT):
            local_sum += amount
        if is_dust(fee_rate, False, remote, amount // _MSAT_PER_SAT):
            remote_sum += amount
    return local_sum, remote_sum


def require_amount(name: str, value: object) -> None:
    """Raise ValueError unless `value` is an integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be an integer >= 0, got {shown(value)}")
