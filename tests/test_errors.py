"""What a mailbox raises."""

from __future__ import annotations

import copy
import pickle
import queue
import sys

import pytest

import lnmailbox
from lnmailbox import (
    JournalError,
    MailBoxError,
    MailBoxShuttingDown,
    PacketAlreadyExists,
    ParkedFull,
    UnknownHTLCType,
    WireQueueFull,
    errors,
)

KINDS = [
    JournalError,
    MailBoxShuttingDown,
    PacketAlreadyExists,
    ParkedFull,
    UnknownHTLCType,
    WireQueueFull,
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_mailbox_error(kind: type[MailBoxError]):
    """One `except` catches whatever a mailbox says no with."""
    assert issubclass(kind, MailBoxError)
    assert issubclass(kind, Exception)


def test_errors_are_the_standard_ones_where_there_are_such():
    """A full queue, and a type that does not fit."""
    assert issubclass(WireQueueFull, queue.Full)
    assert issubclass(ParkedFull, queue.Full)
    assert issubclass(UnknownHTLCType, TypeError)
    assert not issubclass(MailBoxShuttingDown, (queue.Empty, queue.Full))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queue.ShutDown is new in Python 3.13")
def test_shutting_down_is_what_a_queue_raises_that_was_shut_down():
    """A consumer written for `queue.Queue` ends at a mailbox's stop, too."""
    with pytest.raises(queue.ShutDown, match="^mailbox is shutting down$"):  # type: ignore[attr-defined,unused-ignore]
        raise MailBoxShuttingDown


def test_every_error_is_exported():
    """By the package as well as by its module."""
    assert sorted(errors.__all__) == errors.__all__
    assert set(errors.__all__) <= set(lnmailbox.__all__)
    assert set(errors.__all__) == {kind.__name__ for kind in (MailBoxError, *KINDS)}


def test_shutting_down_says_so_unless_told_otherwise():
    """With lnd's words."""
    assert "mailbox is shutting down" == str(MailBoxShuttingDown())
    assert "the switch has stopped" == str(MailBoxShuttingDown("the switch has stopped"))


@pytest.mark.parametrize("kind", [MailBoxError, *KINDS])
@pytest.mark.parametrize("text", ["a reason", ""])
def test_errors_survive_pickling_and_copying(kind: type[MailBoxError], text: str):
    """With their text, as they must to come back from another process."""
    error = kind(text)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert kind is type(again)
        assert text == str(again)
        assert error.args == again.args


def test_shutting_down_survives_pickling_with_its_own_text():
    """The text it has by default does not double."""
    again = pickle.loads(pickle.dumps(MailBoxShuttingDown()))

    assert "mailbox is shutting down" == str(again)
