"""The mailboxes of a replay: in memory, or over a journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lnmailbox import JournalError, MailBox, MailBoxConfig, MemoryMailBox

from ...console import complain
from .packets import CODEC

__all__ = ["mailboxes"]


@contextmanager
def mailboxes(path: str | None) -> Iterator[Callable[[MailBoxConfig], MailBox]]:
    """Give a factory of mailboxes that keep their mail in this file, a new one; None is memory.

    Raises:
        JournalError: there is mail in the file, or it cannot be used; also at the end, if
            something could not be kept in it.
    """
    if path is None:
        yield MemoryMailBox
        return
    from lnmailbox import SQLiteJournal  # imports sqlite3

    with _heard() as listener, SQLiteJournal(path, sync="normal", codec=CODEC) as journal:
        if journal.channels():
            raise JournalError(f"{path} has mail in it: the replay needs a new file")
        yield journal.mailbox
    if listener.error is not None:
        raise listener.error


class _Listener(logging.Handler):
    """Hears what couriers can only log: that the journal did not keep a Fail."""

    error: JournalError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, JournalError):
            self.error = error
        else:
            complain(self.format(record))


@contextmanager
def _heard() -> Iterator[_Listener]:
    logger = logging.getLogger("lnmailbox")
    listener = _Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield listener
    finally:
        logger.removeHandler(listener)
