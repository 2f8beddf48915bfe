"""The failure messages of BOLT 4, one class each, and two that nodes no longer send.

Classes have the BOLT's names (lnd puts `Fail` before them), fields lnd's. Where the two differ in
bytes, the BOLT is right: `channel_update` may be absent everywhere, `invalid_realm` was PERM|1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from .channel_update import ChannelUpdate
from .failure_message import FailureFlag, KnownFailure, channel_update
from .fields import big_size, fixed_bytes, uint16, uint32, uint64
from .reader import Reader

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AmountBelowMinimum",
    "ChannelDisabled",
    "ExpiryTooFar",
    "ExpiryTooSoon",
    "FeeInsufficient",
    "FinalExpiryTooSoon",
    "FinalIncorrectCltvExpiry",
    "FinalIncorrectHtlcAmount",
    "IncorrectCltvExpiry",
    "IncorrectOrUnknownPaymentDetails",
    "IncorrectPaymentAmount",
    "InvalidOnionBlinding",
    "InvalidOnionHmac",
    "InvalidOnionKey",
    "InvalidOnionPayload",
    "InvalidOnionVersion",
    "InvalidRealm",
    "MPPTimeout",
    "PermanentChannelFailure",
    "PermanentNodeFailure",
    "RequiredChannelFeatureMissing",
    "RequiredNodeFeatureMissing",
    "TemporaryChannelFailure",
    "TemporaryNodeFailure",
    "UnknownNextPeer",
]

_BADONION = FailureFlag.BADONION.value
_PERM = FailureFlag.PERM.value
_NODE = FailureFlag.NODE.value
_UPDATE = FailureFlag.UPDATE.value


@frozen(repr=False)
class InvalidRealm(KnownFailure):
    """`invalid_realm`: the onion used a realm this node has not. No longer in BOLT 4.

    lnd writes it with BADONION instead of PERM; that one decodes to an `UnknownFailure`.
    """

    CODE: ClassVar[int] = _PERM | 1
    DESCRIPTION: ClassVar[str] = "the node does not know the realm its part of the onion names"


@frozen(repr=False)
class TemporaryNodeFailure(KnownFailure):
    """`temporary_node_failure`: the node cannot forward now, for a reason of its own."""

    CODE: ClassVar[int] = _NODE | 2
    DESCRIPTION: ClassVar[str] = "the node has a passing problem, later it may work"


@frozen(repr=False)
class PermanentNodeFailure(KnownFailure):
    """`permanent_node_failure`: the node will not forward."""

    CODE: ClassVar[int] = _PERM | _NODE | 2
    DESCRIPTION: ClassVar[str] = "the node has a lasting problem, another route is needed"


@frozen(repr=False)
class RequiredNodeFeatureMissing(KnownFailure):
    """`required_node_feature_missing`: the onion lacks what the node insists on."""

    CODE: ClassVar[int] = _PERM | _NODE | 3
    DESCRIPTION: ClassVar[str] = "the node insists on a feature the onion does not use"


@frozen(repr=False)
class InvalidOnionVersion(KnownFailure):
    """`invalid_onion_version`: the onion's first byte is unknown.

    Args:
        onion_sha256: SHA-256 of the onion as received, 32 bytes.
    """

    CODE: ClassVar[int] = _BADONION | _PERM | 4
    DESCRIPTION: ClassVar[str] = "the node does not know this version of the onion"

    onion_sha256: bytes = fixed_bytes(32)


@frozen(repr=False)
class InvalidOnionHmac(KnownFailure):
    """`invalid_onion_hmac`: the onion was damaged on its way, or made wrongly.

    Args:
        onion_sha256: SHA-256 of the onion as received, 32 bytes.
    """

    CODE: ClassVar[int] = _BADONION | _PERM | 5
    DESCRIPTION: ClassVar[str] = "the onion's HMAC was wrong when it reached the node"

    onion_sha256: bytes = fixed_bytes(32)


@frozen(repr=False)
class InvalidOnionKey(KnownFailure):
    """`invalid_onion_key`: the onion's ephemeral key is no point of the curve.

    Args:
        onion_sha256: SHA-256 of the onion as received, 32 bytes.
    """

    CODE: ClassVar[int] = _BADONION | _PERM | 6
    DESCRIPTION: ClassVar[str] = "the node could not read the onion's ephemeral key"

    onion_sha256: bytes = fixed_bytes(32)


@frozen(repr=False)
class TemporaryChannelFailure(KnownFailure):
    """`temporary_channel_failure`: the outgoing channel cannot carry the HTLC now.

    This is what a mailbox sends for an Add that nobody collected in time.

    Args:
        update: the channel's current terms, if the node tells them.
    """

    CODE: ClassVar[int] = _UPDATE | 7
    DESCRIPTION: ClassVar[str] = "the next channel cannot carry this HTLC now, later it may"

    update: ChannelUpdate | None = channel_update()


@frozen(repr=False)
class PermanentChannelFailure(KnownFailure):
    """`permanent_channel_failure`: the outgoing channel carries nothing any more."""

    CODE: ClassVar[int] = _PERM | 8
    DESCRIPTION: ClassVar[str] = "the next channel will carry no HTLC any more"


@frozen(repr=False)
class RequiredChannelFeatureMissing(KnownFailure):
    """`required_channel_feature_missing`: the onion lacks what the channel insists on."""

    CODE: ClassVar[int] = _PERM | 9
    DESCRIPTION: ClassVar[str] = "the next channel insists on a feature the onion does not use"


@frozen(repr=False)
class UnknownNextPeer(KnownFailure):
    """`unknown_next_peer`: the onion names a channel that the node has not."""

    CODE: ClassVar[int] = _PERM | 10
    DESCRIPTION: ClassVar[str] = "the node has no such channel as the onion names"


@frozen(repr=False)
class AmountBelowMinimum(KnownFailure):
    """`amount_below_minimum`: less than the channel's `htlc_minimum_msat`.

    Args:
        htlc_msat: amount of the outgoing HTLC, msat.
        update: the channel's current terms, if the node tells them.
    """

    CODE: ClassVar[int] = _UPDATE | 11
    DESCRIPTION: ClassVar[str] = "the amount is below the least that the next channel carries"

    htlc_msat: int = uint64()
    update: ChannelUpdate | None = channel_update()


@frozen(repr=False)
class FeeInsufficient(KnownFailure):
    """`fee_insufficient`: the HTLC leaves the node less than its fee.

    Args:
        htlc_msat: amount of the incoming HTLC, msat.
        update: the channel's current terms, if the node tells them.
    """

    CODE: ClassVar[int] = _UPDATE | 12
    DESCRIPTION: ClassVar[str] = "the fee offered is below what the next channel costs"

    htlc_msat: int = uint64()
    update: ChannelUpdate | None = channel_update()


@frozen(repr=False)
class IncorrectCltvExpiry(KnownFailure):
    """`incorrect_cltv_expiry`: the HTLC leaves the node fewer blocks than it asks.

    Args:
        cltv_expiry: expiry of the outgoing HTLC, a block height.
        update: the channel's current terms, if the node tells them.
    """

    CODE: ClassVar[int] = _UPDATE | 13
    DESCRIPTION: ClassVar[str] = "the expiries of the two HTLCs are closer than the node accepts"

    cltv_expiry: int = uint32()
    update: ChannelUpdate | None = channel_update()


@frozen(repr=False)
class ExpiryTooSoon(KnownFailure):
    """`expiry_too_soon`: the HTLC might expire while it is being forwarded.

    Args:
        update: the channel's current terms, if the node tells them.
    """

    CODE: ClassVar[int] = _UPDATE | 14
    DESCRIPTION: ClassVar[str] = "the HTLC expires too soon to be forwarded safely"

    update: ChannelUpdate | None = channel_update()


@frozen(repr=False)
class IncorrectOrUnknownPaymentDetails(KnownFailure):
    """`incorrect_or_unknown_payment_details`: the recipient does not want this payment.

    Old nodes leave out the height, or both fields; what is absent decodes to zero.

    Args:
        amount: amount of the HTLC, msat.
        height: best block height that the recipient knew.
    """

    CODE: ClassVar[int] = _PERM | 15
    DESCRIPTION: ClassVar[str] = (
        "the recipient does not know the payment, or its amount, secret or expiry is wrong"
    )

    amount: int = uint64()
    height: int = uint32()

    @classmethod
    def _read(cls, code: int, reader: Reader) -> Self:
        amount = reader.uint(8, "amount") if reader.left else 0
        height = reader.uint(4, "height") if reader.left else 0
        return cls(amount, height, extra_opaque_data=reader.rest())


@frozen(repr=False)
class IncorrectPaymentAmount(KnownFailure):
    """`incorrect_payment_amount`: withdrawn from BOLT 4, since it let others probe payments."""

    CODE: ClassVar[int] = _PERM | 16
    DESCRIPTION: ClassVar[str] = "the recipient expected another amount"


@frozen(repr=False)
class FinalExpiryTooSoon(KnownFailure):
    """`final_expiry_too_soon`: withdrawn from BOLT 4, since it let others probe payments."""

    CODE: ClassVar[int] = 17
    DESCRIPTION: ClassVar[str] = "the HTLC expires too soon for the recipient"


@frozen(repr=False)
class FinalIncorrectCltvExpiry(KnownFailure):
    """`final_incorrect_cltv_expiry`: the last HTLC expires before what the onion says.

    Args:
        cltv_expiry: expiry of that HTLC, a block height.
    """

    CODE: ClassVar[int] = 18
    DESCRIPTION: ClassVar[str] = "the last HTLC's expiry is not the one in the onion"

    cltv_expiry: int = uint32()


@frozen(repr=False)
class FinalIncorrectHtlcAmount(KnownFailure):
    """`final_incorrect_htlc_amount`: the last HTLC is smaller than what the onion says.

    Args:
        incoming_htlc_amount: amount of that HTLC, msat.
    """

    CODE: ClassVar[int] = 19
    DESCRIPTION: ClassVar[str] = "the last HTLC's amount is not the one in the onion"

    incoming_htlc_amount: int = uint64()


@frozen(repr=False)
class ChannelDisabled(KnownFailure):
    """`channel_disabled`: the outgoing channel is switched off.

    Args:
        disabled_flags: no bit has a meaning (lnd `Flags`, which here are the code's).
        update: the channel's current terms, if the node tells them.
    """

    CODE: ClassVar[int] = _UPDATE | 20
    DESCRIPTION: ClassVar[str] = "the next channel is switched off"

    disabled_flags: int = uint16()
    update: ChannelUpdate | None = channel_update()


@frozen(repr=False)
class ExpiryTooFar(KnownFailure):
    """`expiry_too_far`: the HTLC would bind the node's money for too long."""

    CODE: ClassVar[int] = 21
    DESCRIPTION: ClassVar[str] = "the HTLC expires further in the future than the node accepts"


@frozen(repr=False)
class InvalidOnionPayload(KnownFailure):
    """`invalid_onion_payload`: the node's part of the onion is unsound or incomplete.

    Args:
        type: the TLV record that is at fault, or zero.
        offset: where in the node's part that record begins, in bytes.
    """

    CODE: ClassVar[int] = _PERM | 22
    DESCRIPTION: ClassVar[str] = "the node cannot make sense of its part of the onion"

    type: int = big_size()
    offset: int = uint16()


@frozen(repr=False)
class MPPTimeout(KnownFailure):
    """`mpp_timeout`: other parts of a payment did not come in time."""

    CODE: ClassVar[int] = 23
    DESCRIPTION: ClassVar[str] = "the other parts of the payment did not arrive in time"


@frozen(repr=False)
class InvalidOnionBlinding(KnownFailure):
    """`invalid_onion_blinding`: something went wrong within a blinded path.

    Args:
        onion_sha256: SHA-256 of the onion as received, 32 bytes; lnd permits zeros.
    """

    CODE: ClassVar[int] = _BADONION | _PERM | 24
    DESCRIPTION: ClassVar[str] = "something is wrong within the blinded part of the route"

    onion_sha256: bytes = fixed_bytes(32)


KINDS: dict[int, type[KnownFailure]] = {
    kind.CODE: kind
    for kind in (
        InvalidRealm,
        TemporaryNodeFailure,
        PermanentNodeFailure,
        RequiredNodeFeatureMissing,
        InvalidOnionVersion,
        InvalidOnionHmac,
        InvalidOnionKey,
        TemporaryChannelFailure,
        PermanentChannelFailure,
        RequiredChannelFeatureMissing,
        UnknownNextPeer,
        AmountBelowMinimum,
        FeeInsufficient,
        IncorrectCltvExpiry,
        ExpiryTooSoon,
        IncorrectOrUnknownPaymentDetails,
        IncorrectPaymentAmount,
        FinalExpiryTooSoon,
        FinalIncorrectCltvExpiry,
        FinalIncorrectHtlcAmount,
        ChannelDisabled,
        ExpiryTooFar,
        InvalidOnionPayload,
        MPPTimeout,
        InvalidOnionBlinding,
    )
}
"""The classes by their codes."""
