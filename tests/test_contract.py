"""The configuration, the statistics record, and the abstract class itself."""

from __future__ import annotations

import math

import attrs
import pytest

from lnmailbox import (
    MailBox,
    MailBoxConfig,
    MailBoxStatistics,
    ManualClock,
    MemoryMailBox,
    SystemClock,
    WallClock,
)
from lnmailbox.wire import ChannelUpdate, ShortChannelID


def fetch_update(short_chan_id):
    return ChannelUpdate(short_channel_id=short_chan_id)


def forward_packets(quit, *packets):  # noqa: A002
    pass


NEEDED = {
    "short_chan_id": ShortChannelID(1, 2, 3),
    "fetch_update": fetch_update,
    "forward_packets": forward_packets,
}


def test_a_mailbox_lets_adds_wait_for_a_minute_of_the_systems_time_by_default():
    config = MailBoxConfig(**NEEDED)

    assert SystemClock() == config.clock
    assert 60.0 == config.expiry


@pytest.mark.parametrize("name", NEEDED)
def test_a_configuration_needs_an_id_and_two_callbacks(name):
    """There is no sensible default for any of them."""
    with pytest.raises(TypeError, match=name):
        MailBoxConfig(**{field: value for field, value in NEEDED.items() if field != name})


def test_a_configuration_is_given_by_name():
    """Positions would say nothing about what they mean."""
    with pytest.raises(TypeError):
        MailBoxConfig(*NEEDED.values())


def test_a_configuration_does_not_change():
    config = MailBoxConfig(**NEEDED)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.expiry = 1.0


@pytest.mark.parametrize("value", [0, None, "539268x845x1", (1, 2, 3)])
def test_a_channels_id_has_its_own_class(value):
    """An integer or a text could mean anything."""
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**{**NEEDED, "short_chan_id": value})

    assert f"short_chan_id must be a ShortChannelID, got {value!r}" == str(caught.value)


@pytest.mark.parametrize("name", ["fetch_update", "forward_packets"])
def test_a_callback_can_be_called(name):
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**{**NEEDED, name: 7})

    assert f"{name} must be callable, got 7" == str(caught.value)


@pytest.mark.parametrize("clock", [SystemClock(), WallClock(), ManualClock()])
def test_a_clock_tells_the_time_and_can_wait(clock):
    assert clock is MailBoxConfig(**NEEDED, clock=clock).clock


@pytest.mark.parametrize("clock", [None, 7, math])
def test_what_tells_no_time_is_no_clock(clock):
    with pytest.raises(TypeError) as caught:
        MailBoxConfig(**NEEDED, clock=clock)

    assert f"clock must have now_ns() and wait(), got {clock!r}" == str(caught.value)


@pytest.mark.parametrize("expiry", [0, 0.0, 1, 1e-9, 86400.0, 1e12])
def test_an_expiry_is_any_span_of_time(expiry):
    assert expiry == MailBoxConfig(**NEEDED, expiry=expiry).expiry


@pytest.mark.parametrize("expiry", [-1, -1e-9, math.nan, math.inf, -math.inf, "60", None, True])
def test_an_expiry_is_no_less_than_nothing_and_no_more_than_for_ever(expiry):
    with pytest.raises(ValueError) as caught:
        MailBoxConfig(**NEEDED, expiry=expiry)

    text = f"expiry must be a finite number of seconds >= 0, got {expiry!r}"
    assert text == str(caught.value)


def test_statistics_are_a_frozen_record_compared_by_value():
    fields = [field.name for field in attrs.fields(MailBoxStatistics)]
    statistics = MailBoxStatistics(**dict.fromkeys(fields, 3))

    assert MailBoxStatistics(**dict.fromkeys(fields, 3)) == statistics
    assert attrs.evolve(statistics, messages=4) != statistics
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        statistics.messages = 0


def test_a_mailbox_is_abstract():
    """What an implementation has to write is refused as long as it is missing."""
    with pytest.raises(TypeError, match="abstract"):
        MailBox()


def test_nothing_of_the_contract_is_missing_in_memory():
    assert frozenset() == MemoryMailBox.__abstractmethods__


class Recorded(MailBox):
    """A mailbox that knows only how to start and stop."""

    message_outbox = packet_outbox = None

    def __init__(self):
        self.calls = []

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")

    def _unused(self, *_):
        raise NotImplementedError

    add_message = add_packet = add_packets = has_packet = ack_packet = ack_packets = _unused
    nack_packet = fail_add = reset_messages = reset_packets = statistics = _unused


def test_with_starts_a_mailbox_and_stops_it():
    """Whatever the implementation: `__enter__` and `__exit__` are the contract's."""
    with Recorded() as box:
        assert ["start"] == box.calls

    assert ["start", "stop"] == box.calls


def test_with_stops_a_mailbox_where_an_error_leaves_the_block():
    box = Recorded()

    with pytest.raises(ZeroDivisionError), box:
        raise ZeroDivisionError

    assert ["start", "stop"] == box.calls


def test_signalling_the_stop_is_optional():
    """An implementation that has nothing to do ahead of `stop` writes nothing."""
    box = Recorded()

    box.signal_stop()

    assert [] == box.calls


def test_a_mailbox_has_the_zero_id_until_it_is_given_one():
    """As that of a channel that is still pending."""
    assert ShortChannelID() == Recorded().short_chan_id
