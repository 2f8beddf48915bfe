"""`SQLiteJournal`: the journal that makes mailboxes."""

from __future__ import annotations

from ..contract import MailBoxConfig
from ..keeping.channels import ChannelJournal
from .durable import DurableMailBox

__all__ = ["SQLiteJournal"]


class SQLiteJournal(ChannelJournal):
    """One file that keeps the mail of all channels of a node.

    The file is an SQLite database, in which the journal's tables begin with `lnmailbox_`. It can
    be one that the application has tables of its own in: they are read and written through
    `transaction`. There is one connection and one owner: a second one gets a `JournalError` at
    once. Every method may be called from any thread. No thread belongs to it: whoever waits for
    the disk commits for everybody who came meanwhile.

    A journal does not survive `fork()`: the child gets `JournalError`, the parent goes on.

    Args:
        path: of the file; it is made if it is not there, readable by its owner only: it holds
            the secrets of obfuscators.
        sync: "full" survives a power cut. "normal" survives the end of the process, and after a
            power cut the last commits may be missing. On macOS, "full" includes `fullfsync`.
        lazy_acks: whether acks return at once and are written with the next commit. A packet that
            was acked just before a crash may then come again.
        codec: makes packets into bytes and back; `PacketCodec` by default.
        wall_clock: tells the date. Deadlines outlive the process as dates.

    Raises:
        JournalError: the file can't be opened, is damaged, is no journal, is of a newer version,
            or is open already: with the reason.
        ValueError: `sync` is neither "full" nor "normal".
        TypeError: `path` is no path, or `codec` or `wall_clock` lacks a method.
    """

    def mailbox(self, config: MailBoxConfig) -> DurableMailBox:
        """Return the mailbox of a channel, not started: a `mailbox_factory`."""
        return DurableMailBox(config, self)
