"""The failure messages of BOLT 4."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest

from lnmailbox.wire import (
    AmountBelowMinimum,
    ChannelDisabled,
    ChannelUpdate,
    DecodeError,
    ExpiryTooFar,
    ExpiryTooSoon,
    FailureFlag,
    FailureMessage,
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
    KnownFailure,
    MPPTimeout,
    PermanentChannelFailure,
    PermanentNodeFailure,
    RequiredChannelFeatureMissing,
    RequiredNodeFeatureMissing,
    ShortChannelID,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UnknownFailure,
    UnknownNextPeer,
)
from wire_strategies import KNOWN_FAILURE_CLASSES

# The values and bytes of Eclair's FailureMessageCodecsSpec, an implementation independent of lnd.
ECLAIR_UPDATE = ChannelUpdate(
    signature=bytes.fromhex(
        "3eedbba335d4fb4c772c95bf6a0de91b86950fabbb3a9f203beef44f30547f89"
        "eaf5dbf434520b4dcab5a0641589aa5483cdfd24902295310383f9ab8835e620"
    ),
    chain_hash=bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"),
    short_channel_id=ShortChannelID.from_int(12345),
    timestamp=1234567,
    message_flags=1,
    channel_flags=1,
    time_lock_delta=100,
    htlc_minimum_msat=1000,
    base_fee=12,
    fee_rate=76,
    htlc_maximum_msat=150_000_000,
)
UPDATE_HEX = (
    "3eedbba335d4fb4c772c95bf6a0de91b86950fabbb3a9f203beef44f30547f89"
    "eaf5dbf434520b4dcab5a0641589aa5483cdfd24902295310383f9ab8835e620"
    "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"
    "00000000000030390012d6870101006400000000000003e80000000c0000004c0000000008f0d180"
)
TYPED = "008a" + "0102" + UPDATE_HEX
SHA = "d8db0e777047d814f569c8243073be42e56a411ebfe82fd877ba958fb068ae3e"
TWO_RECORDS = "fd023104deadbeef" + "fd0451050102030405"

KNOWN_ANSWERS = [
    (InvalidRealm(), "4001"),
    (TemporaryNodeFailure(), "2002"),
    (
        TemporaryNodeFailure(extra_opaque_data=bytes.fromhex(TWO_RECORDS)),
        "2002" + TWO_RECORDS,
    ),
    (PermanentNodeFailure(), "6002"),
    (RequiredNodeFeatureMissing(), "6003"),
    (InvalidOnionVersion(bytes.fromhex(SHA)), "c004" + SHA),
    (InvalidOnionHmac(bytes.fromhex(SHA)), "c005" + SHA),
    (InvalidOnionKey(bytes.fromhex(SHA)), "c006" + SHA),
    (InvalidOnionBlinding(bytes.fromhex(SHA)), "c018" + SHA),
    (TemporaryChannelFailure(ECLAIR_UPDATE), "1007" + TYPED),
    (TemporaryChannelFailure(), "1007" + "0000"),
    (PermanentChannelFailure(), "4008"),
    (RequiredChannelFeatureMissing(), "4009"),
    (UnknownNextPeer(), "400a"),
    (AmountBelowMinimum(123456, ECLAIR_UPDATE), "100b" + "000000000001e240" + TYPED),
    (FeeInsufficient(546463, ECLAIR_UPDATE), "100c" + "000000000008569f" + TYPED),
    (ChannelDisabled(0x0101, ECLAIR_UPDATE), "1014" + "0101" + TYPED),
    (IncorrectCltvExpiry(1211, ECLAIR_UPDATE), "100d" + "000004bb" + TYPED),
    (
        IncorrectOrUnknownPaymentDetails(123456, 1105),
        "400f" + "000000000001e240" + "00000451",
    ),
    (
        IncorrectOrUnknownPaymentDetails(
            100, 800_000, extra_opaque_data=bytes.fromhex("fd84d1fd012c") + b"\x80" * 300
        ),
        "400f" + "0000000000000064" + "000c3500" + "fd84d1fd012c" + "80" * 300,
    ),
    (ExpiryTooSoon(ECLAIR_UPDATE), "100e" + TYPED),
    (FinalIncorrectCltvExpiry(1234), "0012" + "000004d2"),
    (FinalIncorrectHtlcAmount(25_000_000), "0013" + "00000000017d7840"),
    (ExpiryTooFar(), "0015"),
    (InvalidOnionPayload(561, 1105), "4016" + "fd0231" + "0451"),
    (MPPTimeout(), "0017"),
    (UnknownFailure(0x20FF, b"\x42"), "20ff42"),
    # Withdrawn from BOLT 4; Eclair does not know them, lnd does.
    (IncorrectPaymentAmount(), "4010"),
    (FinalExpiryTooSoon(), "0011"),
]
WITH_UPDATE = [
    AmountBelowMinimum,
    ChannelDisabled,
    ExpiryTooSoon,
    FeeInsufficient,
    IncorrectCltvExpiry,
    TemporaryChannelFailure,
]


@pytest.mark.parametrize("failure, encoded", KNOWN_ANSWERS, ids=lambda value: str(value)[:40])
def test_a_failure_has_the_bytes_that_eclair_gives_it(failure: FailureMessage, encoded: str):
    """Both ways, on its own class and on the base class."""
    data = bytes.fromhex(encoded)

    assert encoded == failure.encode().hex()
    assert failure == FailureMessage.decode(data) == type(failure).decode(data)


def test_every_failure_class_has_a_known_answer():
    """Nobody adds a class without its bytes."""
    tested = {type(failure) for failure, _ in KNOWN_ANSWERS}

    assert {*KNOWN_FAILURE_CLASSES, UnknownFailure} == tested


@pytest.mark.parametrize("cls", WITH_UPDATE)
def test_the_older_form_of_an_update_has_no_type(cls):
    """Nodes before BOLTs pull request 979 wrote it; it decodes to the same failure."""
    failure = cls(update=ECLAIR_UPDATE)
    older = failure.encode(typed_update=False)

    assert failure.encode().replace(bytes.fromhex("008a0102"), bytes.fromhex("0088")) == older
    assert failure == FailureMessage.decode(older)


def test_a_signature_that_looks_like_a_type_is_no_obstacle():
    """One in 65,536 signatures begins with 0102; lnd then loses the update."""
    update = ChannelUpdate(signature=b"\x01\x02" + bytes(62))
    failure = TemporaryChannelFailure(update)

    assert failure == FailureMessage.decode(failure.encode(typed_update=False))
    assert failure == FailureMessage.decode(failure.encode())


@pytest.mark.parametrize("cls", WITH_UPDATE)
def test_an_update_may_be_absent(cls):
    """BOLT 4: nodes that tell no terms set its length to zero. lnd insists, but for one kind."""
    failure = cls()

    assert failure.encode().endswith(b"\0\0")
    assert failure == FailureMessage.decode(failure.encode())


def test_the_zero_update_of_lnd_inside_a_failure():
    """130 bytes with its type, since the flags deny the maximum."""
    failure = TemporaryChannelFailure(ChannelUpdate())

    assert "1007" + "0082" + "0102" + "00" * 128 == failure.encode().hex()
    assert "1007" + "0080" + "00" * 128 == failure.encode(typed_update=False).hex()


def test_what_follows_an_update_is_the_failures_tlv_stream():
    """The update's own records and the failure's are told apart by the update's length."""
    update = attrs.evolve(ECLAIR_UPDATE, extra_opaque_data=b"\x0a\x01\x02")
    failure = TemporaryChannelFailure(update, extra_opaque_data=b"\x0b\x00")

    assert failure == FailureMessage.decode(failure.encode())


@pytest.mark.parametrize(
    "encoded, failure",
    [
        ("400f", IncorrectOrUnknownPaymentDetails(0, 0)),
        ("400f" + "000000000000002a", IncorrectOrUnknownPaymentDetails(42, 0)),
        ("400f" + "000000000000002a" + "00000451", IncorrectOrUnknownPaymentDetails(42, 1105)),
    ],
)
def test_old_nodes_may_leave_out_amount_and_height(encoded: str, failure: FailureMessage):
    """What is absent is zero."""
    assert failure == FailureMessage.decode(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "encoded, message",
    [
        ("", "failure.code at byte 0: needs 2 bytes, 0 are left"),
        ("20", "failure.code at byte 0: needs 2 bytes, 1 are left"),
        ("c005" + "2a" * 30, "InvalidOnionHmac.onion_sha256 at byte 2: needs 32 bytes, 30"),
        ("400f" + "00" * 7, "IncorrectOrUnknownPaymentDetails.amount at byte 2: needs 8 bytes"),
        ("400f" + "00" * 11, "IncorrectOrUnknownPaymentDetails.height at byte 10: needs 4 bytes"),
        ("1007", "TemporaryChannelFailure.update length at byte 2: needs 2 bytes, 0 are left"),
        ("1007" + "0005" + "00", "TemporaryChannelFailure.update at byte 4: needs 5 bytes, 1"),
        ("1007" + "0001" + "00", "ChannelUpdate.signature at byte 2: needs 64 bytes, 1 are left"),
        ("4016" + "fd00fc" + "0000", "InvalidOnionPayload.type at byte 5: 252 is not in"),
        ("4016" + "fe0000ffff", "InvalidOnionPayload.type at byte 7: 65535 is not in"),
        ("4016" + "ff00000000ffffffff", "InvalidOnionPayload.type at byte 11: 4294967295 is not"),
        ("4016" + "ff00", "InvalidOnionPayload.type at byte 3: needs 8 bytes, 1 are left"),
        ("00" * 65536, "failure: 65536 bytes, a failure has at most 65535"),
    ],
)
def test_bytes_that_are_no_failure_are_refused_with_field_and_place(encoded: str, message: str):
    """The error says what was being read, where, and what was wrong."""
    with pytest.raises(DecodeError) as caught:
        FailureMessage.decode(bytes.fromhex(encoded))

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "record_type, encoded",
    [
        (0xFC, "fc"),
        (0xFD, "fd00fd"),
        (0xFFFF, "fdffff"),
        (0x1_0000, "fe00010000"),
        (0xFFFF_FFFF, "feffffffff"),
        (0x1_0000_0000, "ff0000000100000000"),
    ],
)
def test_the_type_of_an_invalid_record_takes_as_few_bytes_as_it_can(
    record_type: int, encoded: str
):
    """BOLT 1's BigSize at the edges of its four lengths."""
    failure = InvalidOnionPayload(record_type, 5)

    assert "4016" + encoded + "0005" == failure.encode().hex()
    assert failure == FailureMessage.decode(failure.encode())


def test_a_class_decodes_only_its_own_code():
    """The base class is for whoever does not know what to expect."""
    with pytest.raises(DecodeError, match="^UnknownNextPeer: code 0x2002 is that of Temporary"):
        UnknownNextPeer.decode(TemporaryNodeFailure().encode())

    assert UnknownNextPeer() == KnownFailure.decode(UnknownNextPeer().encode())


@pytest.mark.parametrize(
    "failure, flags",
    [
        (InvalidOnionHmac(), FailureFlag.BADONION | FailureFlag.PERM),
        (PermanentNodeFailure(), FailureFlag.PERM | FailureFlag.NODE),
        (TemporaryChannelFailure(), FailureFlag.UPDATE),
        (MPPTimeout(), FailureFlag(0)),
        (UnknownFailure(0x20FF), FailureFlag.NODE),
    ],
)
def test_the_upper_bits_of_the_code_are_flags(failure: FailureMessage, flags: FailureFlag):
    """They tell a sender what to avoid, also if the code is unknown."""
    assert flags == failure.flags


@pytest.mark.parametrize("cls", KNOWN_FAILURE_CLASSES)
def test_a_failure_tells_people_its_name_and_what_it_means(cls):
    """Every class has a sentence of its own."""
    others = [other.DESCRIPTION for other in KNOWN_FAILURE_CLASSES if other is not cls]

    assert f"{cls.__name__}: {cls().description}" == str(cls())
    assert cls.CODE == cls().code
    assert cls.DESCRIPTION
    assert cls.DESCRIPTION not in others


def test_an_unknown_failure_tells_people_its_code_and_flags():
    """There is nothing else to tell."""
    assert "UnknownFailure: unknown code 0x60ff (PERM|NODE)" == str(UnknownFailure(0x60FF))
    assert "UnknownFailure: unknown code 0x00ff (no flags)" == str(UnknownFailure(0xFF))


def test_lnds_code_for_an_invalid_realm_is_unknown_and_kept():
    """lnd gives it BADONION, the BOLT gave it PERM; neither is sent any more."""
    assert UnknownFailure(0x8001) == FailureMessage.decode(b"\x80\x01")


def test_an_unknown_failure_cannot_pose_as_a_known_one():
    """It would decode to something else than was encoded."""
    with pytest.raises(ValueError, match="must not be that of TemporaryNodeFailure, got 0x2002$"):
        UnknownFailure(0x2002)


@pytest.mark.parametrize("cls", [*KNOWN_FAILURE_CLASSES, lambda: UnknownFailure(1)])
def test_failures_are_frozen_compare_by_value_and_can_be_copied(cls):
    """They can be keys and travel between processes."""
    failure = cls()
    copies = [copy.deepcopy(failure), pickle.loads(pickle.dumps(failure))]

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        failure.extra_opaque_data = b""
    assert {failure} == {failure, *copies}


def test_a_bad_value_is_refused_by_name():
    """The fields of failures are checked like those of messages."""
    with pytest.raises(ValueError, match=r"^FeeInsufficient.htlc_msat must be .*, got -1$"):
        FeeInsufficient(-1)
    with pytest.raises(ValueError, match=r"^ExpiryTooSoon.update must be a ChannelUpdate or None"):
        ExpiryTooSoon(b"update")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^MPPTimeout.extra_opaque_data must be at most 65535"):
        MPPTimeout(extra_opaque_data=bytes(65536))


@pytest.mark.parametrize("cls", KNOWN_FAILURE_CLASSES)
def test_a_failure_without_values_is_shown_by_its_name(cls):
    """Fields that have their default are left out."""
    assert f"{cls.__name__}()" == repr(cls())


@pytest.mark.parametrize(
    "failure, expected",
    [
        (FeeInsufficient(5), "FeeInsufficient(htlc_msat=5)"),
        (
            InvalidOnionHmac(b"\xdd" * 32),
            "InvalidOnionHmac(onion_sha256=<bytes dddddddd...dddd (32)>)",
        ),
        (
            TemporaryChannelFailure(ChannelUpdate(timestamp=7)),
            "TemporaryChannelFailure(update=ChannelUpdate(timestamp=7))",
        ),
        (MPPTimeout(extra_opaque_data=bytes(999)), "MPPTimeout(extra_opaque_data=bytes(999))"),
        (
            UnknownFailure(0xFF, b"\1" * 65533),
            "UnknownFailure(code=255, data=<bytes 01010101...0101 (65533)>)",
        ),
    ],
)
def test_a_failure_is_shown_with_the_fields_that_are_set(failure: FailureMessage, expected: str):
    """Long bytes are abbreviated: a log gets every failure that a mailbox makes."""
    assert expected == repr(failure)
