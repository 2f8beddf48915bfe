"""The names of lnd's failures: the numbers are those of its `.proto` files."""

from __future__ import annotations

from lnmailbox.replay.reading.failure_names import FAILURE_DETAILS, WIRE_FAILURES


def test_each_name_has_lnds_number() -> None:
    """The first, the last and some in between, as `router.proto` and `lightning.proto` say."""
    assert {0: "UNKNOWN", 6: "INSUFFICIENT_BALANCE", 22: "CIRCULAR_ROUTE"}.items() <= (
        FAILURE_DETAILS.items()
    )
    assert (28, "EXTERNAL_VALIDATION_FAILED") == (len(FAILURE_DETAILS), FAILURE_DETAILS[27])
    assert {0: "RESERVED", 15: "TEMPORARY_CHANNEL_FAILURE", 997: "INTERNAL_FAILURE"}.items() <= (
        WIRE_FAILURES.items()
    )
    assert (29, "INVALID_ONION_BLINDING") == (len(WIRE_FAILURES), WIRE_FAILURES[25])
