"""Why an HTLC failed at this node."""

from __future__ import annotations

import copy
import pickle

import pytest

from lnmailbox import FailureDetail, LinkError
from lnmailbox.wire import ChannelUpdate, TemporaryChannelFailure, TemporaryNodeFailure


def test_a_link_error_shows_its_detail():
    """As lnd's log does."""
    error = LinkError(TemporaryNodeFailure(), FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD)

    assert "could not add downstream htlc" == str(error)


def test_a_link_error_without_a_detail_shows_what_goes_over_the_wire():
    """The sentence of the failure message."""
    failure = TemporaryNodeFailure()
    error = LinkError(failure)

    assert error.detail is None
    assert failure is error.wire_message
    assert str(failure) == str(error)
    assert "" != str(error)


def test_a_link_error_can_be_raised():
    """It is an exception with both its parts."""
    failure = TemporaryChannelFailure(ChannelUpdate(timestamp=1))

    with pytest.raises(LinkError, match="^link not eligible$") as caught:
        raise LinkError(failure, FailureDetail.OUTGOING_FAILURE_LINK_NOT_ELIGIBLE)

    assert failure is caught.value.wire_message
    assert FailureDetail.OUTGOING_FAILURE_LINK_NOT_ELIGIBLE is caught.value.detail


def test_a_link_error_shows_both_its_parts_to_a_developer():
    """Whatever the text leaves out."""
    shown = repr(LinkError(TemporaryNodeFailure(), FailureDetail.OUTGOING_FAILURE_NONE))

    assert shown.startswith("LinkError(")
    assert "TemporaryNodeFailure" in shown
    assert "OUTGOING_FAILURE_NONE" in shown


@pytest.mark.parametrize("detail", [None, FailureDetail.OUTGOING_FAILURE_DECODE_ERROR])
def test_link_errors_survive_pickling_and_copying(detail: FailureDetail | None):
    """The failure is equal and the detail is the same."""
    error = LinkError(TemporaryChannelFailure(ChannelUpdate(timestamp=7)), detail)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert LinkError is type(again)
        assert error.wire_message == again.wire_message
        assert detail is again.detail
        assert str(error) == str(again)


def test_each_detail_has_its_own_text():
    """lnd's, so that logs of both can be searched for the same words."""
    texts = [detail.value for detail in FailureDetail]

    assert len(set(texts)) == len(texts)
    assert all(isinstance(text, str) and text for text in texts)
    assert "no failure detail" == FailureDetail.OUTGOING_FAILURE_NONE.value
    assert "insufficient bandwidth to route htlc" == (
        FailureDetail.OUTGOING_FAILURE_INSUFFICIENT_BALANCE.value
    )
    assert all(detail.name.startswith("OUTGOING_FAILURE_") for detail in FailureDetail)
    assert FailureDetail("link not eligible") is FailureDetail.OUTGOING_FAILURE_LINK_NOT_ELIGIBLE
