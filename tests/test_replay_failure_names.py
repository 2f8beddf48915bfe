"""The names of lnd's failures: the numbers are those of its `.proto` file."""

from __future__ import annotations

from lnmailbox.replay.reading.failure_names import FAILURE_DETAILS


def test_each_name_has_lnds_number() -> None:
    """The first, the last and some in between, as `router.proto` says."""
    assert {0: "UNKNOWN", 6: "INSUFFICIENT_BALANCE", 22: "CIRCULAR_ROUTE"}.items() <= (
        FAILURE_DETAILS.items()
    )
    assert (28, "EXTERNAL_VALIDATION_FAILED") == (len(FAILURE_DETAILS), FAILURE_DETAILS[27])
