"""The configuration of an orchestrator and its mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from ..contract import MailBox, MailBoxConfig, SwitchConfig
from ..contract.config import called_with, check_expiry, check_limit
from ..mailboxes.memory import MemoryMailBox

if TYPE_CHECKING:
    from ..mailboxes.sqlite_journal import SQLiteJournal

__all__ = ["MailOrchestratorConfig"]


def _check_journal(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    # SQLite is imported by those who have a journal: it would add a sixth to the time of the
    # import.
    from ..mailboxes.sqlite_journal import SQLiteJournal

    attrs.validators.instance_of(SQLiteJournal)(instance, attribute, value)


@attrs.frozen(kw_only=True)
class MailOrchestratorConfig(SwitchConfig):
    """The configuration of an orchestrator and its mailboxes (lnd: `mailOrchConfig`).

    Attributes:
        fetch_update, forward_packets, clock, expiry, fail_update, max_wire_messages,
            max_wire_bytes, latch_on_overflow: as in `MailBoxConfig`.
        mailbox_factory: called as `mailbox_factory(config)` once for each channel, one call at a
            time; returns a mailbox that is not started. `config.chan_id` names the channel. The
            factory may use the orchestrator, but must not ask it for the channel that it is
            making the mailbox of.
        max_parked: how many packets `deliver` parks for one short channel id; by default 483, as
            many HTLCs as a commitment can have (BOLT 2). None is unlimited.
        max_parked_channels: for how many ids it parks packets; by default 512. With Adds, which
            take 3 KB each, the defaults bound what is parked to some 0.7 GB.
        journal: keeps the mail on disk: mailboxes are made by `journal.mailbox`, unless there is
            another `mailbox_factory`, and what is parked outlives the process. Call `recover`
            once at the start.
        parked_expiry: seconds after which a parked Add is failed back as in a mailbox. None, the
            default, is never. Replies do not expire.

    Raises:
        TypeError: a callback or `mailbox_factory` is a coroutine function or can't be called as
            described, or `clock` is no clock.
        ValueError: `expiry` or `parked_expiry` is not a finite number of at least 0, or a limit is
            neither None nor an integer of at least 0.
    """

    mailbox_factory: Callable[[MailBoxConfig], MailBox] = attrs.field(
        default=MemoryMailBox, validator=called_with("config")
    )
    max_parked: int | None = attrs.field(default=483, validator=check_limit)
    max_parked_channels: int | None = attrs.field(default=512, validator=check_limit)
    parked_expiry: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(check_expiry)
    )
    journal: SQLiteJournal | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_journal)
    )
