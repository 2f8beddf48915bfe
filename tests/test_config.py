"""The configuration of mailboxes, and its checks."""

from __future__ import annotations

import functools
import math
from typing import Any

import attrs
import pytest

from lnmailbox import MailBoxConfig, ManualClock, SystemClock, WallClock
from lnmailbox.contract.config import SwitchConfig
from lnmailbox.testing import Switch
from lnmailbox.wire import ChannelID, ShortChannelID

SWITCH = Switch()

NEEDED: dict[str, Any] = {
    "short_chan_id": ShortChannelID(1, 2, 3),
    "fetch_update": SWITCH.fetch_update,
    "forward_packets": SWITCH.forward_packets,
}


class Callable:
    def __call__(self, *args):
        return args


class Coroutine:
    async def __call__(self, *args):
        return args


class Methods:
    def one(self, first):
        return first

    def two(self, first, second):
        return first, second

    async def coroutine(self, *args):
        return args

    @staticmethod
    def alone(first, second):
        return first, second


async def coroutine(*args):
    return args


async def generator(*args):
    yield args


def two(first, second):
    return first, second


def test_a_mailbox_lets_adds_wait_for_a_minute_of_the_systems_time_by_default():
    config = MailBoxConfig(**NEEDED)

    assert SystemClock() == config.clock
    assert 60.0 == config.expiry
    assert config.chan_id is None
    assert config.fail_update is None


def test_wire_messages_have_budgets_by_default():
    """lnd's (`maxWireMessages`, `maxWireBytes`), and a refusal lasts."""
    config = MailBoxConfig(**NEEDED)

    assert (1000, 4_194_304) == (config.max_wire_messages, config.max_wire_bytes)
    assert True is config.latch_on_overflow


@pytest.mark.parametrize("name", ["max_wire_messages", "max_wire_bytes"])
@pytest.mark.parametrize("value", [-1, 1.0, True, "1000"])
def test_a_budget_is_a_number_of_things_or_none(name, value):
    with pytest.raises(ValueError) as caught:
        MailBoxConfig(**NEEDED, **{name: value})

    assert f"{name} must be an integer >= 0 or None, got {value!r}" == str(caught.value)


@pytest.mark.parametrize("value", [7, coroutine, lambda one: one])
def test_a_failure_by_alias_comes_from_a_function_of_two_ids(value):
    with pytest.raises(TypeError, match=r"^fail_update (must be callable|is called as fail_up)"):
        MailBoxConfig(**NEEDED, fail_update=value)


@pytest.mark.parametrize("name", NEEDED)
def test_a_configuration_needs_an_id_and_two_callbacks(name):
    """There is no sensible default for any of them."""
    with pytest.raises(TypeError, match=name):
        MailBoxConfig(**{field: value for field, value in NEEDED.items() if field != name})


def test_a_configuration_is_given_by_name_and_does_not_change():
    with pytest.raises(TypeError):
        MailBoxConfig(*NEEDED.values())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        MailBoxConfig(**NEEDED).expiry = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("value", [0, None, "539268x845x1", (1, 2, 3)])
def test_a_short_channel_id_has_its_own_class(value):
    """An integer or a text could mean anything."""
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**{**NEEDED, "short_chan_id": value})

    assert f"short_chan_id must be a ShortChannelID, got {value!r}" == str(caught.value)


def test_a_channel_id_is_32_bytes_or_unknown():
    assert ChannelID(b"x" * 32) == MailBoxConfig(**NEEDED, chan_id=b"x" * 32).chan_id

    with pytest.raises(ValueError, match="^ChannelID must be 32 bytes"):
        MailBoxConfig(**NEEDED, chan_id=b"x" * 31)


def test_the_configuration_of_a_channel_has_what_is_common_to_the_switch():
    """All of it, so that a new field cannot be forgotten."""
    switch = SwitchConfig(
        fetch_update=SWITCH.fetch_update,
        forward_packets=SWITCH.forward_packets,
        clock=WallClock(),
        expiry=7.5,
        fail_update=two,
        max_wire_messages=5,
        max_wire_bytes=None,
        latch_on_overflow=False,
    )
    chan_id = ChannelID(b"x" * 32)
    config = MailBoxConfig.of_channel(switch, chan_id, ShortChannelID(1, 2, 3))
    common = attrs.asdict(switch, recurse=False)

    assert MailBoxConfig(**{**NEEDED, **common}, chan_id=chan_id) == config


@pytest.mark.parametrize("name, value", [("fetch_update", 7), ("forward_packets", None)])
def test_a_callback_can_be_called(name, value):
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**{**NEEDED, name: value})

    assert f"{name} must be callable, got {value!r}" == str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        two,
        lambda first, second, more=None: None,
        lambda *packets, **options: None,
        functools.partial(lambda a, b, c: None, 1),
        print,
        Callable(),
        Methods().two,
        Methods.alone,
        dict,
    ],
    ids=repr,
)
def test_a_callback_that_can_be_called_with_its_arguments_is_taken(value):
    """Callables without a signature, such as some built-in ones, are taken on trust."""
    for _ in range(2):
        assert value is MailBoxConfig(**{**NEEDED, "forward_packets": value}).forward_packets


@pytest.mark.parametrize(
    "name, value, call, reason",
    [
        ("forward_packets", lambda packet: None, "quit, packet", "too many positional arguments"),
        ("forward_packets", Methods().one, "quit, packet", "too many positional arguments"),
        ("forward_packets", Methods.two, "quit, packet", "missing a required argument: 'second'"),
        ("fetch_update", lambda: None, "short_chan_id", "too many positional arguments"),
        ("fetch_update", two, "short_chan_id", "missing a required argument: 'second'"),
        ("fetch_update", lambda *_, mode: 0, "short_chan_id", "missing a required argument:"),
        ("fetch_update", Methods().two, "short_chan_id", "missing a required argument: 'second'"),
    ],
)
def test_a_callback_that_cannot_be_called_so_is_refused(name, value, call, reason):
    """Each time: its first call would be too late, and cost an HTLC."""
    for _ in range(2):
        with pytest.raises(TypeError) as caught:
            MailBoxConfig(**{**NEEDED, name: value})

        text = str(caught.value)
        assert text.startswith(f"{name} is called as {name}({call}): {reason}")
        assert text.endswith(f", got {value!r}")


@pytest.mark.parametrize(
    "value",
    [coroutine, generator, Coroutine(), Methods().coroutine, functools.partial(coroutine, 1)],
    ids=["function", "generator", "object", "method", "partial"],
)
@pytest.mark.parametrize("name", ["fetch_update", "forward_packets"])
def test_a_callback_is_no_coroutine_function(name, value):
    """Nobody would await it, and each Add that is failed would be gone in silence."""
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**{**NEEDED, name: value})

    call = {"fetch_update": "short_chan_id", "forward_packets": "quit, packet"}[name]
    text = f"{name} is called as {name}({call}), and nobody awaits what a coroutine function "
    assert f"{text}returns, got {value!r}" == str(caught.value)


def test_a_function_that_is_right_as_a_method_may_be_wrong_alone():
    """That one of them was checked does not make the other right."""
    assert MailBoxConfig(**{**NEEDED, "fetch_update": Methods().one})

    with pytest.raises(TypeError, match="'first'"):
        MailBoxConfig(**{**NEEDED, "fetch_update": Methods.one})


@pytest.mark.parametrize("clock", [SystemClock(), WallClock(), ManualClock()])
def test_a_clock_tells_the_time_and_can_wait(clock):
    assert clock is MailBoxConfig(**NEEDED, clock=clock).clock


@pytest.mark.parametrize("clock", [None, 7, math])
def test_an_object_that_tells_no_time_is_no_clock(clock):
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**NEEDED, clock=clock)

    assert f"clock must have now_ns() and wait(), got {clock!r}" == str(caught.value)


@pytest.mark.parametrize("expiry", [0, 0.0, 1, 1e-9, 86400.0, 1e12])
def test_an_expiry_is_any_span_of_time(expiry):
    assert expiry == MailBoxConfig(**NEEDED, expiry=expiry).expiry


@pytest.mark.parametrize("expiry", [-1, -1e-9, math.nan, math.inf, -math.inf, "60", None, True])
def test_an_expiry_is_finite_and_not_negative(expiry):
    with pytest.raises(ValueError) as caught:
        MailBoxConfig(**NEEDED, expiry=expiry)

    text = f"expiry must be a finite number of seconds >= 0, got {expiry!r}"
    assert text == str(caught.value)
