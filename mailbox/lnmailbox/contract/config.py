"""What a mailbox is told: its channel, its switch, its clock."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import attrs

from ..clock import Clock, SystemClock, seconds_to_ns
from ..packet import HTLCPacket
from ..wire import ChannelID, ChannelUpdate, ShortChannelID

__all__ = [
    "FetchUpdate",
    "ForwardPackets",
    "MailBoxConfig",
    "Quit",
    "SwitchConfig",
    "require_short_chan_id",
]


class Quit(Protocol):
    """Whether a mailbox is being stopped, for callbacks that block (lnd: the `quit` channel)."""

    def is_set(self) -> bool:
        """Whether `stop` was called."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Block until `stop` is called, or for `timeout` seconds; return whether it was called."""
        ...


FetchUpdate = Callable[[ShortChannelID], ChannelUpdate]
"""Returns the latest update of a channel; raises if there is none."""


class ForwardPackets(Protocol):
    """Hands packets to the switch."""

    def __call__(self, quit: Quit, /, *packets: HTLCPacket) -> None: ...  # noqa: A002


def _called_with(*arguments: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """Return a validator: what is set can be called with so many arguments, and is no coroutine.

    A mailbox that finds this out when it fails its first Add has nobody to tell.
    """
    call = ", ".join(arguments)

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        name = attribute.name
        if not callable(value):
            raise TypeError(f"{name} must be callable, got {value!r}")
        called = (value, inspect.getattr_static(type(value), "__call__", None))
        if any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in called):
            raise TypeError(f"{name} must not be a coroutine function, got {value!r}")
        try:
            signature = inspect.signature(value)
        except (TypeError, ValueError):
            return  # some built-in ones have none
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise TypeError(
                f"{name} is called as {name}({call}): {error}, got {value!r}"
            ) from None

    return check


def _check_expiry(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    seconds_to_ns("expiry", value)


def _check_clock(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not (callable(getattr(value, "now_ns", None)) and callable(getattr(value, "wait", None))):
        raise TypeError(f"clock must have now_ns() and wait(), got {value!r}")


def _check_short_chan_id(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    require_short_chan_id(value)


def require_short_chan_id(value: object) -> None:
    if not isinstance(value, ShortChannelID):
        raise TypeError(f"short_chan_id must be a ShortChannelID, got {value!r}")


def _to_chan_id(value: bytes | None) -> ChannelID | None:
    return None if value is None else ChannelID(value)


_Config = TypeVar("_Config", bound="MailBoxConfig")


@attrs.frozen(kw_only=True)
class SwitchConfig:
    """What is the same for every mailbox of a switch; the fields of `MailBoxConfig` say more."""

    fetch_update: FetchUpdate = attrs.field(validator=_called_with("short_chan_id"))
    forward_packets: ForwardPackets = attrs.field(validator=_called_with("quit", "packet"))
    clock: Clock = attrs.field(default=SystemClock(), validator=_check_clock)
    expiry: float = attrs.field(default=60.0, validator=_check_expiry)


@attrs.frozen(kw_only=True)
class MailBoxConfig(SwitchConfig):
    """What a mailbox is told about its channel and its switch (lnd: `mailBoxConfig`).

    Attributes:
        short_chan_id: of the channel, until `MailOrchestrator.bind_live_short_chan_id` gives
            the mailbox another one.
        fetch_update: called as `fetch_update(short_chan_id)` for each Add that is failed back.
            Returns the channel's latest update, or raises if there is none.
        forward_packets: called as `forward_packets(quit, packet)` with each Add that is failed
            back. May block; it should return when `quit` is set.
        clock: measures `expiry`. Mailboxes with equal clocks share a thread.
        expiry: how long an Add may stay undelivered, in seconds; by default a minute.
        chan_id: of the channel; None if nobody said. Two pending channels differ only in this.

    The callbacks are called outside every lock, by couriers and by the callers of `fail_add`, and
    may call any method of any mailbox.

    Raises:
        TypeError: `short_chan_id` is not a `ShortChannelID`, a callback can't be called as above
            or is a coroutine function, or `clock` is no clock.
        ValueError: `expiry` is not a finite number of at least 0, or `chan_id` is not 32 bytes.
    """

    short_chan_id: ShortChannelID = attrs.field(validator=_check_short_chan_id)
    chan_id: ChannelID | None = attrs.field(default=None, converter=_to_chan_id)

    @classmethod
    def of_channel(
        cls: type[_Config], switch: SwitchConfig, chan_id: ChannelID, short_chan_id: ShortChannelID
    ) -> _Config:
        """Return the config of one channel's mailbox; what `switch` has was checked before."""
        require_short_chan_id(short_chan_id)
        config = cls.__new__(cls)
        for field in attrs.fields(SwitchConfig):
            object.__setattr__(config, field.name, getattr(switch, field.name))
        object.__setattr__(config, "short_chan_id", short_chan_id)
        object.__setattr__(config, "chan_id", chan_id)
        return config
