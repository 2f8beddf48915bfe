"""The configuration of a mailbox: its channel, its callbacks, its clock."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeVar

import attrs

from ..clock import Clock, SystemClock, seconds_to_ns
from ..packet import HTLCPacket
from ..wire import ChannelID, ChannelUpdate, FailureMessage, ShortChannelID
from ..wire.shown import shown

__all__ = [
    "FailUpdate",
    "FetchUpdate",
    "ForwardPackets",
    "MailBoxConfig",
    "Quit",
    "SwitchConfig",
    "called_with",
    "require_callable",
    "require_config",
    "require_short_chan_id",
]


class Quit(Protocol):
    """Tells callbacks that block whether to return: the mailbox stops (lnd: `quit`)."""

    def is_set(self) -> bool:
        """Whether `stop` was called."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Block until `stop` is called, or for `timeout` seconds; return whether it was called."""
        ...


FetchUpdate = Callable[[ShortChannelID], ChannelUpdate]
"""Returns the latest update of a channel; raises if there is none."""


FailUpdate = Callable[[ShortChannelID, ShortChannelID], FailureMessage]
"""Returns the failure for an Add, by the id that its sender named and the mailbox's id."""


class ForwardPackets(Protocol):
    """Hands packets to the switch; called with one at a time."""

    def __call__(self, quit: Quit, /, *packets: HTLCPacket) -> None: ...  # noqa: A002


def called_with(*arguments: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """Return a validator that refuses callbacks that can't be called so, and coroutine functions.

    Such an error must come at once. Later, it comes in a courier's thread and costs an HTLC.
    """
    call = ", ".join(arguments)
    # Callbacks that were checked: plain functions, and the functions of bound methods. Checking
    # takes up to 100 us, and all mailboxes of a node have the same callbacks.
    right: tuple[weakref.WeakSet[FunctionType], ...] = (weakref.WeakSet(), weakref.WeakSet())

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        function = value.__func__ if isinstance(value, MethodType) else value
        seen = right[function is value]
        if not isinstance(function, FunctionType):
            _check_call(attribute.name, call, arguments, value)
        elif function not in seen:
            _check_call(attribute.name, call, arguments, value)
            seen.add(function)

    return check


def require_callable(name: str, arguments: tuple[str, ...], value: object) -> None:
    """Raise TypeError unless `value` can be called with such arguments, and is no coroutine."""
    _check_call(name, ", ".join(arguments), arguments, value)


def _check_call(name: str, call: str, arguments: tuple[str, ...], value: object) -> None:
    if not callable(value):
        raise TypeError(f"{name} must be callable, got {value!r}")
    called = (value, inspect.getattr_static(type(value), "__call__", None))
    if any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in called):
        raise TypeError(
            f"{name} is called as {name}({call}), and nobody awaits what a coroutine function "
            f"returns, got {value!r}"
        )
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return  # some built-in callables have no signature
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(f"{name} is called as {name}({call}): {error}, got {value!r}") from None


def check_expiry(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    seconds_to_ns(attribute.name, value)


def check_limit(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{attribute.name} must be an integer >= 0 or None, got {shown(value)}")


def _check_clock(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not (callable(getattr(value, "now_ns", None)) and callable(getattr(value, "wait", None))):
        raise TypeError(f"clock must have now_ns() and wait(), got {value!r}")


def _check_short_chan_id(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    require_short_chan_id(value)


def require_short_chan_id(value: object) -> None:
    if not isinstance(value, ShortChannelID):
        raise TypeError(f"short_chan_id must be a ShortChannelID, got {shown(value)}")


def require_config(kind: type, value: object) -> None:
    """Raise TypeError unless `value` is a configuration of this kind."""
    if not isinstance(value, kind):
        raise TypeError(f"config must be a {kind.__name__}, got {shown(value)}")


def _to_chan_id(value: bytes | None) -> ChannelID | None:
    return None if value is None else ChannelID(value)


_Config = TypeVar("_Config", bound="MailBoxConfig")


@attrs.frozen(kw_only=True)
class SwitchConfig:
    """The fields that all mailboxes of a switch have in common; see `MailBoxConfig`."""

    fetch_update: FetchUpdate = attrs.field(validator=called_with("short_chan_id"))
    forward_packets: ForwardPackets = attrs.field(validator=called_with("quit", "packet"))
    clock: Clock = attrs.field(default=SystemClock(), validator=_check_clock)
    expiry: float = attrs.field(default=60.0, validator=check_expiry)
    fail_update: FailUpdate | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(called_with("outgoing_scid", "mailbox_scid")),
    )
    max_wire_messages: int | None = attrs.field(default=1000, validator=check_limit)
    max_wire_bytes: int | None = attrs.field(default=4 * 2**20, validator=check_limit)
    latch_on_overflow: bool = True


@attrs.frozen(kw_only=True)
class MailBoxConfig(SwitchConfig):
    """The configuration of a mailbox (lnd: `mailBoxConfig`).

    Attributes:
        short_chan_id: the channel's id at first. `MailOrchestrator.bind_live_short_chan_id`
            gives the mailbox another one.
        fetch_update: called as `fetch_update(short_chan_id)` for each Add that is failed back.
            Returns the channel's latest update, or raises if there is none.
        forward_packets: called as `forward_packets(quit, packet)` with each Add that is failed
            back. May block; it should return when `quit` is set.
        clock: measures `expiry`. Mailboxes with equal clocks share a thread.
        expiry: seconds that an Add may stay undelivered; 60 by default. In lnd's configuration
            this is `htlcswitch.mailboxdeliverytimeout`, 1 minute by default and 2 at most.
        fail_update: called as `fail_update(outgoing_scid, mailbox_scid)` in place of
            `fetch_update`, for channels with aliases, with the id that the sender named
            (`packet.original_outgoing_chan_id`) and the mailbox's. Returns the failure (lnd:
            `failMailboxUpdate`).
        max_wire_messages, max_wire_bytes: the budget for wire messages that wait; None is
            unlimited (lnd: `maxWireMessages`, `maxWireBytes`).
        latch_on_overflow: whether a mailbox that refused a message refuses all that follow, until
            `reset_messages`. A gap in the order of wire messages can cost the channel.
        chan_id: the channel's 32 bytes, by which the configs of two pending channels differ.
            Orchestrators set it. `MemoryMailBox` does not need it.

    The callbacks are called outside every lock, by couriers and by the callers of `fail_add`, and
    may call any method of any mailbox.

    Raises:
        TypeError: `short_chan_id` is not a `ShortChannelID`, a callback can't be called as above
            or is a coroutine function, or `clock` is no clock.
        ValueError: `expiry` is not a finite number of at least 0, `chan_id` is not 32 bytes, or a
            budget is neither None nor an integer of at least 0.
    """

    short_chan_id: ShortChannelID = attrs.field(validator=_check_short_chan_id)
    chan_id: ChannelID | None = attrs.field(default=None, converter=_to_chan_id)

    @classmethod
    def of_channel(
        cls: type[_Config], switch: SwitchConfig, chan_id: ChannelID, short_chan_id: ShortChannelID
    ) -> _Config:
        """Return the configuration of one channel's mailbox.

        Raises:
            TypeError: `switch` is no `SwitchConfig`, or `short_chan_id` no `ShortChannelID`.
        """
        require_config(SwitchConfig, switch)
        common = {field.name: getattr(switch, field.name) for field in attrs.fields(SwitchConfig)}
        return cls(short_chan_id=short_chan_id, chan_id=chan_id, **common)
