"""Lightning wire messages, byte for byte: HTLC updates (BOLT 2), failures (BOLT 4), and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import failure_kinds  # noqa: F401  (has `FailureMessage.decode` find the classes)
from .channel_update import ChannelUpdate
from .failure_codec import decode_failure, encode_failure
from .failure_message import FailureFlag, FailureMessage, KnownFailure, UnknownFailure
from .ids import ChannelID, ShortChannelID
from .messages import (
    Message,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
    WireMessage,
)
from .reader import DecodeError

if TYPE_CHECKING:
    from .failures import (
        AmountBelowMinimum,
        ChannelDisabled,
        ExpiryTooFar,
        ExpiryTooSoon,
        FeeInsufficient,
        FinalExpiryTooSoon,
        FinalIncorrectCltvExpiry,
        FinalIncorrectHtlcAmount,
        IncorrectCltvExpiry,
        IncorrectOrUnknownPaymentDetails,
        IncorrectPaymentAmount,
        InvalidOnionBlinding,
        InvalidOnionHmac,
        InvalidOnionKey,
        InvalidOnionPayload,
        InvalidOnionVersion,
        InvalidRealm,
        MPPTimeout,
        PermanentChannelFailure,
        PermanentNodeFailure,
        RequiredChannelFeatureMissing,
        RequiredNodeFeatureMissing,
        TemporaryChannelFailure,
        TemporaryNodeFailure,
        UnknownNextPeer,
    )

__all__ = [
    "AmountBelowMinimum",
    "ChannelDisabled",
    "ChannelID",
    "ChannelUpdate",
    "DecodeError",
    "ExpiryTooFar",
    "ExpiryTooSoon",
    "FailureFlag",
    "FailureMessage",
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
    "KnownFailure",
    "MPPTimeout",
    "Message",
    "PermanentChannelFailure",
    "PermanentNodeFailure",
    "RequiredChannelFeatureMissing",
    "RequiredNodeFeatureMissing",
    "ShortChannelID",
    "TemporaryChannelFailure",
    "TemporaryNodeFailure",
    "UnknownFailure",
    "UnknownNextPeer",
    "UpdateAddHTLC",
    "UpdateFailHTLC",
    "UpdateFailMalformedHTLC",
    "UpdateFulfillHTLC",
    "WireMessage",
    "decode_failure",
    "encode_failure",
]


def __getattr__(name: str) -> Any:
    """Import the failures when the first one is wanted, for the reason in `failure_kinds.py`."""
    if name in __all__:
        from . import failures

        value = globals()[name] = getattr(failures, name)  # found at once from now on
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
