"""All mailboxes of a node, and the way to them."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest

from lnmailbox.testing.threads import PATIENCE, Call, blocked, run_threads
from lnmailbox import (
    CircuitKey,
    HTLCPacket,
    MailBox,
    MailBoxConfig,
    MailBoxShuttingDown,
    MailOrchestrator,
    MailOrchestratorConfig,
    ManualClock,
    MemoryMailBox,
    PacketAlreadyExists,
    SystemClock,
    UnknownHTLCType,
    WallClock,
)
from lnmailbox.contract import Quit
from lnmailbox.wire import (
    ChannelID,
    ChannelUpdate,
    Message,
    ShortChannelID,
    TemporaryChannelFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
)

PENDING = ShortChannelID()
SOURCE = ShortChannelID(1, 1, 1)


def channel(number: int) -> ChannelID:
    return ChannelID(number.to_bytes(32, "big"))


def short(number: int) -> ShortChannelID:
    return ShortChannelID(800_000 + number, 2, 3)


def no_update(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(short_chan_id)


def packet(htlc_id: int, htlc: Message | None = None) -> HTLCPacket:
    """Return an Add, unless told otherwise."""
    return HTLCPacket(
        incoming_chan_id=SOURCE, incoming_htlc_id=htlc_id, htlc=htlc or UpdateAddHTLC()
    )


class Node:
    """An orchestrator, and what its mailboxes fail back to the switch."""

    def __init__(self, factory: Callable[[MailBoxConfig], MailBox] = MemoryMailBox) -> None:
        self.clock = ManualClock()
        self.fetched: queue.Queue[ShortChannelID] = queue.Queue()
        self.failed: queue.Queue[HTLCPacket] = queue.Queue()
        self.made: list[MailBox] = []
        self.factory = factory
        self.then: Callable[[Quit], object] | None = None
        self.config = MailOrchestratorConfig(
            fetch_update=self.fetch_update,
            forward_packets=self.forward_packets,
            clock=self.clock,
            expiry=60,
            mailbox_factory=self.make,
        )
        self.orchestrator = MailOrchestrator(self.config)

    def make(self, config: MailBoxConfig) -> MailBox:
        mailbox = self.factory(config)
        self.made.append(mailbox)
        return mailbox

    def fetch_update(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        self.fetched.put(short_chan_id)
        return ChannelUpdate(short_channel_id=short_chan_id)

    def forward_packets(self, quit: Quit, /, *packets: HTLCPacket) -> None:  # noqa: A002
        for one in packets:
            self.failed.put(one)
        if self.then is not None:
            self.then(quit)

    def live(self, number: int) -> MailBox:
        """Return the mailbox of a channel that is live."""
        mailbox = self.orchestrator.get_or_create_mailbox(channel(number), short(number))
        self.orchestrator.bind_live_short_chan_id(mailbox, channel(number), short(number))
        return mailbox

    def other_mailbox(self, short_chan_id: ShortChannelID = PENDING) -> MemoryMailBox:
        """Return a mailbox of which the orchestrator does not know, not started."""
        config = MailBoxConfig(
            short_chan_id=short_chan_id,
            fetch_update=self.fetch_update,
            forward_packets=self.forward_packets,
            clock=self.clock,
        )
        return MemoryMailBox(config)


@pytest.fixture(name="node")
def a_node() -> Iterator[Node]:
    node = Node()
    yield node
    node.then = None
    node.orchestrator.stop()


def received(mailbox: MailBox) -> list[int]:
    """Take everything there is; return the ids in order."""
    ids = []
    while True:
        try:
            ids.append(mailbox.packet_outbox.get_nowait().incoming_htlc_id)
        except queue.Empty:
            return ids


def is_stopped(mailbox: MailBox) -> bool:
    try:
        mailbox.add_message(UpdateAddHTLC())
    except MailBoxShuttingDown:
        return True
    return False


# The configuration


def test_a_configuration_needs_the_two_callbacks_only():
    """A minute on the system's clock, in memory, is what one gets otherwise."""
    config = MailOrchestratorConfig(fetch_update=no_update, forward_packets=print)

    assert SystemClock() == config.clock
    assert 60.0 == config.expiry
    assert config.mailbox_factory is MemoryMailBox

    with pytest.raises(TypeError):
        MailOrchestratorConfig(no_update, print)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        MailOrchestratorConfig(fetch_update=no_update)  # type: ignore[call-arg]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.expiry = 5  # type: ignore[misc]


@pytest.mark.parametrize("name", ["fetch_update", "forward_packets", "mailbox_factory"])
def test_what_can_not_be_called_is_named(name: str):
    """At once, and not when the first HTLC fails."""
    arguments: dict[str, Any] = {
        "fetch_update": no_update,
        "forward_packets": print,
        name: "call me",
    }

    with pytest.raises(TypeError) as caught:
        MailOrchestratorConfig(**arguments)

    assert f"{name} must be callable, got 'call me'" == str(caught.value)


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "60", True, None])
def test_an_expiry_that_is_no_span_is_named(bad: Any):
    """As a mailbox would refuse it."""
    with pytest.raises(ValueError) as caught:
        MailOrchestratorConfig(fetch_update=no_update, forward_packets=print, expiry=bad)

    assert f"expiry must be a finite number of seconds >= 0, got {bad!r}" == str(caught.value)


@pytest.mark.parametrize("bad", [None, 5, "12:00"])
def test_a_clock_that_is_none_is_named(bad: Any):
    """It needs the time, and a way to wait for it."""
    with pytest.raises(TypeError, match="^clock must have "):
        MailOrchestratorConfig(fetch_update=no_update, forward_packets=print, clock=bad)


# Making and finding mailboxes


def test_a_channel_has_one_mailbox(node: Node):
    """It is made when it is asked for first, and found afterwards."""
    first = node.orchestrator.get_or_create_mailbox(channel(1), short(1))
    second = node.orchestrator.get_or_create_mailbox(channel(2), short(2))

    assert first is node.orchestrator.get_or_create_mailbox(channel(1), short(3))
    assert first is node.orchestrator.get_or_create_mailbox(ChannelID(bytes(channel(1))), PENDING)
    assert first is not second
    assert [first, second] == node.made
    assert short(1) == first.short_chan_id


def test_a_mailbox_is_started_when_it_is_made(node: Node):
    """What is added can be received at once."""
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), short(1))
    added = packet(1)
    mailbox.add_packet(added)

    assert added is mailbox.packet_outbox.get_nowait()


def test_a_factory_gets_what_the_orchestrator_was_told():
    """With the channel's id."""
    configs: list[MailBoxConfig] = []
    config = MailOrchestratorConfig(
        fetch_update=lambda _: ChannelUpdate(),
        forward_packets=print,
        clock=WallClock(),
        expiry=7.5,
        mailbox_factory=lambda config: configs.append(config) or MemoryMailBox(config),  # type: ignore[func-returns-value]
    )
    with MailOrchestrator(config) as orchestrator:
        mailbox = orchestrator.get_or_create_mailbox(channel(1), short(1))

        assert isinstance(mailbox, MemoryMailBox)

    expected = MailBoxConfig(
        short_chan_id=short(1),
        fetch_update=config.fetch_update,
        forward_packets=print,
        clock=WallClock(),
        expiry=7.5,
    )
    assert [expected] == configs


@pytest.mark.parametrize("bad", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_a_channel_id_has_32_bytes(bad: Any, node: Node):
    """No mailbox is made or bound for another one."""
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), short(1))

    with pytest.raises(ValueError, match="^ChannelID must be 32 bytes"):
        node.orchestrator.get_or_create_mailbox(bad, short(1))
    with pytest.raises(ValueError, match="^ChannelID must be 32 bytes"):
        node.orchestrator.bind_live_short_chan_id(mailbox, bad, short(1))

    assert [mailbox] == node.made


@pytest.mark.parametrize("bad", [5, "1x2x3", None])
def test_a_short_channel_id_is_no_plain_number(bad: Any, node: Node):
    """Wherever one is asked for; nothing is made, bound or parked."""
    mailbox = node.other_mailbox()
    attempts: list[Callable[[], object]] = [
        lambda: node.orchestrator.get_or_create_mailbox(channel(2), bad),
        lambda: node.orchestrator.bind_live_short_chan_id(mailbox, channel(2), bad),
        lambda: node.orchestrator.deliver(bad, packet(1)),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError) as caught:
            attempt()

        assert f"short_chan_id must be a ShortChannelID, got {bad!r}" == str(caught.value)

    assert [] == node.made
    assert PENDING == mailbox.short_chan_id


def test_threads_that_want_the_same_channel_get_one_mailbox(node: Node):
    """The factory is called once for each, however many ask at once."""
    for number in range(50):
        found = run_threads(
            *[lambda n=number: node.orchestrator.get_or_create_mailbox(channel(n), short(n))] * 8
        )

        assert 1 == len(set(map(id, found)))
        assert number + 1 == len(node.made)


def test_a_factory_that_is_at_work_is_waited_for():
    """By those who want the same channel: they get its mailbox, and it makes no second one."""
    gate, entered = threading.Event(), threading.Event()

    def factory(config: MailBoxConfig) -> MailBox:
        entered.set()
        gate.wait(PATIENCE)
        return MemoryMailBox(config)

    node = Node(factory)
    with node.orchestrator as orchestrator:
        first = Call(orchestrator.get_or_create_mailbox, channel(1), short(1))
        assert entered.wait(PATIENCE)
        second = blocked(orchestrator.get_or_create_mailbox, channel(1), short(1))
        gate.set()

        assert first.result() is second.result()
        assert 1 == len(node.made)


def test_a_factory_that_is_at_work_holds_up_no_delivery():
    """Packets for live channels get through, others are parked, and mailboxes are found."""
    gate, entered = threading.Event(), threading.Event()

    def factory(config: MailBoxConfig) -> MailBox:
        if config.short_chan_id == short(2):
            entered.set()
            gate.wait(PATIENCE)
        return MemoryMailBox(config)

    node = Node(factory)
    with node.orchestrator as orchestrator:
        live = node.live(1)
        call = Call(orchestrator.get_or_create_mailbox, channel(2), short(2))
        assert entered.wait(PATIENCE)
        orchestrator.deliver(short(1), packet(1))
        orchestrator.deliver(short(2), packet(2))

        assert [1] == received(live)
        assert live is orchestrator.get_or_create_mailbox(channel(1), short(1))

        gate.set()
        orchestrator.bind_live_short_chan_id(call.result(), channel(2), short(2))

        assert [2] == received(call.result())


def test_a_factory_may_call_the_orchestrator():
    """In its own thread: it can make another mailbox, deliver, and bind."""

    def factory(config: MailBoxConfig) -> MailBox:
        if config.short_chan_id == short(1):
            other = node.live(2)
            node.orchestrator.deliver(short(1), packet(1))
            node.orchestrator.deliver(short(2), packet(2))
            assert [2] == received(other)
        return MemoryMailBox(config)

    node = Node(factory)
    with node.orchestrator:
        assert [1] == received(node.live(1))
        assert 2 == len(node.made)


@pytest.mark.parametrize("where", ["factory", "start"])
def test_a_mailbox_that_can_not_be_made_can_be_made_later(where: str):
    """The error reaches the caller, and the channel has no mailbox."""
    errors: list[Exception] = [OSError("disk full")]

    class Stubborn(MemoryMailBox):
        def start(self) -> None:
            if errors:
                raise errors.pop()
            super().start()

    def factory(config: MailBoxConfig) -> MailBox:
        if where == "factory" and errors:
            raise errors.pop()
        return Stubborn(config)

    node = Node(factory)
    with node.orchestrator as orchestrator:
        with pytest.raises(OSError, match="disk full"):
            orchestrator.get_or_create_mailbox(channel(1), short(1))

        mailbox = orchestrator.get_or_create_mailbox(channel(1), short(1))

        assert mailbox is orchestrator.get_or_create_mailbox(channel(1), short(1))
        assert not is_stopped(mailbox)


# Late binding


def test_parked_packets_come_first_and_in_order(node: Node):
    """Replies and Adds each, and then what was delivered later."""
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), PENDING)
    parked = [
        packet(4),
        packet(9, UpdateFulfillHTLC()),
        packet(2),
        packet(8, UpdateFailHTLC()),
        packet(3),
    ]
    for one in parked:
        node.orchestrator.deliver(short(1), one)

    assert [] == received(mailbox)

    node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))
    node.orchestrator.deliver(short(1), packet(1))

    assert [9, 8, 4, 2, 3, 1] == received(mailbox)


def test_packets_are_parked_for_their_own_channel(node: Node):
    """Binding one channel brings none of another's."""
    first, second = (
        node.orchestrator.get_or_create_mailbox(channel(number), PENDING) for number in (1, 2)
    )
    for htlc_id in range(6):
        node.orchestrator.deliver(short(1 + htlc_id % 2), packet(htlc_id))
    node.orchestrator.bind_live_short_chan_id(second, channel(2), short(2))

    assert ([], [1, 3, 5]) == (received(first), received(second))

    node.orchestrator.bind_live_short_chan_id(first, channel(1), short(1))

    assert ([0, 2, 4], []) == (received(first), received(second))


def test_an_add_does_not_age_while_it_is_parked(node: Node):
    """Its time starts when the mailbox gets it."""
    node.orchestrator.deliver(short(1), packet(1))
    node.clock.advance(1000)
    mailbox = node.live(1)
    node.clock.advance(59)

    assert 1 == mailbox.statistics().adds_undelivered

    node.clock.advance(1)

    assert 1 == node.failed.get(timeout=PATIENCE).incoming_htlc_id


def test_a_bound_mailbox_knows_its_short_channel_id(node: Node):
    """An Add that expires, or is failed, fetches the update of the channel that went live."""
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), PENDING)

    assert PENDING == mailbox.short_chan_id

    node.orchestrator.deliver(short(1), packet(1))
    node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))
    node.clock.advance(60)
    failed = node.failed.get(timeout=PATIENCE)

    assert short(1) == mailbox.short_chan_id == node.fetched.get_nowait()
    assert failed.link_failure is not None
    assert TemporaryChannelFailure(ChannelUpdate(short_channel_id=short(1))) == (
        failed.link_failure.wire_message
    )


def test_a_mailbox_has_its_short_channel_id_when_it_gets_parked_packets():
    """One that expires at once must not be failed with the update of no channel."""
    seen: list[ShortChannelID] = []

    class Curious(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            seen.append(self.short_chan_id)
            super().add_packet(packet)

    node = Node(Curious)
    with node.orchestrator as orchestrator:
        mailbox = orchestrator.get_or_create_mailbox(channel(1), PENDING)
        orchestrator.deliver(short(1), packet(1))
        orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))

    assert [short(1)] == seen


def test_several_ids_can_lead_to_one_mailbox(node: Node):
    """It has the one that was bound last."""
    mailbox = node.live(1)
    node.orchestrator.deliver(short(7), packet(1))
    node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(7))
    node.orchestrator.deliver(short(1), packet(2))
    node.orchestrator.deliver(short(7), packet(3))

    assert [1, 2, 3] == received(mailbox)
    assert short(7) == mailbox.short_chan_id


def test_an_id_can_be_bound_to_another_mailbox(node: Node):
    """It leads there from then on; what the first one has stays with it."""
    first, second = node.live(1), node.live(2)
    node.orchestrator.deliver(short(1), packet(1))
    node.orchestrator.bind_live_short_chan_id(second, channel(2), short(1))
    node.orchestrator.deliver(short(1), packet(2))

    assert ([1], [2]) == (received(first), received(second))


def test_binding_twice_changes_nothing(node: Node):
    """Nothing is delivered twice."""
    node.orchestrator.deliver(short(1), packet(1))
    mailbox = node.live(1)
    node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))

    assert [1] == received(mailbox)


def test_a_mailbox_from_elsewhere_is_registered_when_it_is_bound(node: Node):
    """It is found afterwards, and stopped with the others; starting it is the caller's."""
    mailbox = node.other_mailbox()
    node.orchestrator.deliver(short(1), packet(1))
    node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))

    assert mailbox is node.orchestrator.get_or_create_mailbox(channel(1), short(1))
    assert [] == node.made
    assert [] == received(mailbox)

    mailbox.start()

    assert [1] == received(mailbox)

    node.orchestrator.stop()

    assert is_stopped(mailbox)


def test_a_channel_with_a_mailbox_takes_no_other(node: Node):
    """The error names the channel, and nothing changes."""
    mailbox, other = node.live(1), node.other_mailbox(short(9))
    node.orchestrator.deliver(short(2), packet(1))

    with pytest.raises(ValueError) as caught:
        node.orchestrator.bind_live_short_chan_id(other, channel(1), short(2))

    assert f"channel {channel(1)} has another mailbox: {mailbox!r}" == str(caught.value)
    assert short(9) == other.short_chan_id
    assert 0 == other.statistics().adds_unacked


# What is refused


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", [UpdateAddHTLC, UpdateFulfillHTLC])
def test_a_duplicate_is_refused_when_it_is_delivered(kind: type[Message], live: bool, node: Node):
    """Whether the first is parked or in the mailbox; a packet of the other class is none."""
    if live:
        node.live(1)
    node.orchestrator.deliver(short(1), packet(1, kind()))

    with pytest.raises(PacketAlreadyExists, match="HTLC ID=1"):
        node.orchestrator.deliver(short(1), packet(1, kind()))

    other: Message = UpdateFailHTLC() if kind is UpdateAddHTLC else UpdateAddHTLC()
    node.orchestrator.deliver(short(1), packet(1, other))
    node.orchestrator.deliver(short(1), packet(2, kind()))

    assert 3 == len(received(node.live(1)))


def test_the_same_key_may_be_parked_for_several_channels(node: Node):
    """Duplicates are a matter of one mailbox."""
    node.orchestrator.deliver(short(1), packet(1))
    node.orchestrator.deliver(short(2), packet(1))

    assert ([1], [1]) == (received(node.live(1)), received(node.live(2)))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("htlc", [None, UpdateFailMalformedHTLC()])
def test_what_is_neither_an_add_nor_a_reply_is_refused_when_it_is_delivered(
    htlc: Message | None, live: bool, node: Node
):
    """Nothing of it is parked."""
    if live:
        node.live(1)

    with pytest.raises(UnknownHTLCType, match="^unknown htlc type: "):
        node.orchestrator.deliver(short(1), HTLCPacket(htlc=htlc))

    assert [] == received(node.live(1))


def test_what_a_mailbox_refuses_at_its_binding_is_logged_and_the_rest_delivered(
    node: Node, caplog: pytest.LogCaptureFixture
):
    """Who delivered it has gone on long ago."""
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), PENDING)
    mailbox.add_packet(packet(2))
    for htlc_id in (1, 2, 3):
        node.orchestrator.deliver(short(1), packet(htlc_id))
    node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))
    node.orchestrator.deliver(short(1), packet(4))

    assert [2, 1, 3, 4] == received(mailbox)
    (record,) = caplog.records
    assert ("lnmailbox.mail_orchestrator", logging.ERROR) == (record.name, record.levelno)
    assert f"{mailbox!r} refused parked packet {packet(2).keystone}" == record.getMessage()
    assert "PacketAlreadyExists" in caplog.text


def test_a_mailbox_that_is_stopped_gets_nothing_and_the_packets_stay_parked(node: Node):
    """They can still be bound to another one."""
    for htlc_id in (1, 2, 3):
        node.orchestrator.deliver(short(1), packet(htlc_id))
    stopped = node.other_mailbox()
    stopped.stop()

    with pytest.raises(MailBoxShuttingDown):
        node.orchestrator.bind_live_short_chan_id(stopped, channel(1), short(1))

    node.orchestrator.deliver(short(1), packet(4))
    mailbox = node.orchestrator.get_or_create_mailbox(channel(2), short(1))
    node.orchestrator.bind_live_short_chan_id(mailbox, channel(2), short(1))

    assert [1, 2, 3, 4] == received(mailbox)


@pytest.mark.parametrize("error", [MailBoxShuttingDown, KeyboardInterrupt])
def test_what_a_mailbox_did_not_get_when_binding_broke_off_stays_parked(
    error: type[BaseException], node: Node
):
    """What it got is not delivered a second time."""

    class Closing(MemoryMailBox):
        left = 2

        def add_packet(self, packet: HTLCPacket) -> None:
            if not self.left:
                raise error
            self.left -= 1
            super().add_packet(packet)

    node.factory = Closing
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), PENDING)
    for htlc_id in (1, 2, 3, 4):
        node.orchestrator.deliver(short(1), packet(htlc_id))

    with pytest.raises(error):
        node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))

    assert [1, 2] == received(mailbox)

    node.factory = MemoryMailBox
    other = node.orchestrator.get_or_create_mailbox(channel(2), PENDING)
    node.orchestrator.bind_live_short_chan_id(other, channel(2), short(1))

    assert [3, 4] == received(other)


def test_what_is_delivered_while_packets_are_handed_over_comes_after_them():
    """It is parked behind them, and the binding goes on until nothing is parked."""
    more = iter([packet(10), packet(11), packet(12)])

    class Slow(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            late = next(more, None)
            if late is not None:
                Call(node.orchestrator.deliver, short(1), late).result()
            super().add_packet(packet)

    node = Node(Slow)
    with node.orchestrator as orchestrator:
        for htlc_id in (1, 2):
            orchestrator.deliver(short(1), packet(htlc_id))

        assert [1, 2, 10, 11, 12] == received(node.live(1))

        orchestrator.deliver(short(1), packet(13))

        assert [13] == received(node.made[0])


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Let threads take turns a thousand times as often, so that more can come between."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient_threads")
def test_parked_packets_are_never_overtaken(node: Node):
    """Several threads deliver while another binds: each thread's packets keep their order."""
    threads, packets, parked = 3, 12, 20

    def deliver(number: int, thread: int) -> None:
        for htlc_id in range(thread * packets, (thread + 1) * packets):
            node.orchestrator.deliver(short(number), packet(htlc_id))

    for number in range(300):
        mailbox = node.orchestrator.get_or_create_mailbox(channel(number), PENDING)
        for htlc_id in range(1000, 1000 + parked):
            node.orchestrator.deliver(short(number), packet(htlc_id))
        run_threads(
            *(partial(deliver, number, thread) for thread in range(threads)),
            partial(
                node.orchestrator.bind_live_short_chan_id, mailbox, channel(number), short(number)
            ),
        )
        ids = received(mailbox)

        assert list(range(1000, 1000 + parked)) == ids[:parked]
        for thread in range(threads):
            expected = list(range(thread * packets, (thread + 1) * packets))
            assert expected == [htlc_id for htlc_id in ids if htlc_id in expected]
        assert parked + threads * packets == len(ids)


# Stopping


def test_stopping_stops_every_mailbox_and_turns_everybody_away(node: Node):
    """Live or not, made here or bound; also those who ask for a mailbox that exists."""
    mailboxes = [node.live(1), node.orchestrator.get_or_create_mailbox(channel(2), PENDING)]
    call = blocked(mailboxes[0].packet_outbox.get)
    node.orchestrator.stop()

    assert [True, True] == [is_stopped(mailbox) for mailbox in mailboxes]
    with pytest.raises(MailBoxShuttingDown):
        call.result()

    other = node.other_mailbox()
    attempts: list[Callable[[], object]] = [
        lambda: node.orchestrator.deliver(short(1), packet(1)),
        lambda: node.orchestrator.deliver(short(5), packet(1)),
        lambda: node.orchestrator.get_or_create_mailbox(channel(1), short(1)),
        lambda: node.orchestrator.get_or_create_mailbox(channel(3), short(3)),
        lambda: node.orchestrator.bind_live_short_chan_id(mailboxes[0], channel(1), short(1)),
        lambda: node.orchestrator.bind_live_short_chan_id(other, channel(3), short(3)),
    ]
    for attempt in attempts:
        with pytest.raises(MailBoxShuttingDown):
            attempt()

    assert 2 == len(node.made)


def test_an_orchestrator_stops_at_the_end_of_a_with_block():
    """Also when an error ends it, which goes on its way."""

    def fail(orchestrator: MailOrchestrator) -> None:
        with orchestrator:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail((broken := Node()).orchestrator)
    with pytest.raises(MailBoxShuttingDown):
        broken.live(1)

    node = Node()
    mailbox = node.live(1)
    with node.orchestrator as orchestrator:
        assert orchestrator is node.orchestrator
        assert not is_stopped(mailbox)

    assert is_stopped(mailbox)
    with pytest.raises(MailBoxShuttingDown):
        orchestrator.deliver(short(1), packet(1))


def test_an_orchestrator_that_has_nothing_can_be_stopped():
    """Any number of times, from any number of threads."""
    orchestrator = Node().orchestrator
    run_threads(*[orchestrator.stop] * 4)
    orchestrator.stop()


def test_parked_packets_that_are_dropped_are_logged(node: Node, caplog: pytest.LogCaptureFixture):
    """How many, once; not those that went to a mailbox."""
    node.orchestrator.deliver(short(1), packet(1))
    node.live(1)
    for htlc_id in (2, 3, 4):
        node.orchestrator.deliver(short(htlc_id % 2 + 5), packet(htlc_id))
    node.orchestrator.stop()
    node.orchestrator.stop()

    text = "stopped with 3 packets for channels that never went live"
    assert [("lnmailbox.mail_orchestrator", logging.WARNING, text)] == caplog.record_tuples


def test_nothing_is_logged_where_nothing_is_dropped(node: Node, caplog: pytest.LogCaptureFixture):
    """The usual end is no warning."""
    node.live(1)
    node.orchestrator.stop()

    assert [] == caplog.records


def test_every_mailbox_is_signalled_before_any_is_waited_for():
    """So they end together, and not one after the other."""
    steps: list[tuple[str, ShortChannelID]] = []

    class Noting(MemoryMailBox):
        def signal_stop(self) -> None:
            steps.append(("signal", self.short_chan_id))
            super().signal_stop()

        def stop(self) -> None:
            steps.append(("stop", self.short_chan_id))
            MemoryMailBox.signal_stop(self)
            super().stop()

    node = Node(Noting)
    for number in (1, 2, 3):
        node.live(number)
    node.orchestrator.stop()
    signals = [("signal", short(number)) for number in (1, 2, 3)]

    assert signals == steps[:3]
    assert {("stop", short(number)) for number in (1, 2, 3)} <= set(steps[3:])


def test_callbacks_that_wait_for_the_end_are_told_of_it_together(node: Node):
    """Each courier waits until it is to stop, and the last mailbox's for the first one too."""
    quits: queue.Queue[Quit] = queue.Queue()

    def wait(quit: Quit) -> None:  # noqa: A002
        quits.put(quit)
        quit.wait(PATIENCE)

    node.then = wait
    for number in (1, 2):
        node.live(number)
        node.orchestrator.deliver(short(number), packet(number))
    node.clock.advance(60)
    seen = [quits.get(timeout=PATIENCE) for _ in range(2)]

    assert [False, False] == [one.is_set() for one in seen]

    node.orchestrator.stop()

    assert [True, True] == [one.is_set() for one in seen]


def test_a_callback_may_stop_the_orchestrator(node: Node):
    """Its own courier is not waited for."""
    stopped = threading.Event()

    def stop(quit: Quit) -> None:  # noqa: A002
        node.orchestrator.stop()
        stopped.set()

    node.then = stop
    mailbox = node.live(1)
    node.orchestrator.deliver(short(1), packet(1))
    node.clock.advance(60)

    assert stopped.wait(PATIENCE)
    assert is_stopped(mailbox)


def test_callbacks_of_several_mailboxes_may_stop_the_orchestrator_at_once():
    """Couriers that wait for each other all go on, and so does everybody else."""
    for _ in range(30):
        node = Node()
        gate = threading.Barrier(3)

        def stop(quit: Quit, node: Node = node, gate: threading.Barrier = gate) -> None:  # noqa: A002
            gate.wait(PATIENCE)
            node.orchestrator.stop()

        node.then = stop
        for number in (1, 2):
            node.live(number)
            node.orchestrator.deliver(short(number), packet(number))
        node.clock.advance(60)
        gate.wait(PATIENCE)
        Call(node.orchestrator.stop).result()

        assert all(is_stopped(mailbox) for mailbox in node.made)


def test_a_mailbox_that_is_made_while_everything_stops_is_stopped():
    """The caller is turned away, and nothing is left running."""
    gate, entered = threading.Event(), threading.Event()

    def factory(config: MailBoxConfig) -> MailBox:
        entered.set()
        gate.wait(PATIENCE)
        return MemoryMailBox(config)

    node = Node(factory)
    call = Call(node.orchestrator.get_or_create_mailbox, channel(1), short(1))
    assert entered.wait(PATIENCE)
    Call(node.orchestrator.stop).result()
    gate.set()

    with pytest.raises(MailBoxShuttingDown):
        call.result()

    (mailbox,) = node.made
    assert is_stopped(mailbox)


def test_no_mailbox_outlives_a_stop_that_comes_at_any_moment():
    """Several threads make mailboxes, and bind and deliver, until they are turned away."""
    for _ in range(60):
        node = Node()

        def work(first: int, node: Node) -> None:
            for number in range(first, first + 1000):
                try:
                    node.live(number)
                    node.orchestrator.deliver(short(number), packet(number))
                except MailBoxShuttingDown:
                    return

        run_threads(partial(work, 0, node), partial(work, 1000, node), node.orchestrator.stop)

        assert all(is_stopped(mailbox) for mailbox in node.made)


@pytest.mark.parametrize("parked", [1, 3])
def test_a_stop_in_the_middle_of_a_binding_ends_it(parked: int, caplog: pytest.LogCaptureFixture):
    """What was not handed over is dropped, and the mailbox is stopped."""

    class Stopping(MemoryMailBox):
        def add_packet(self, packet: HTLCPacket) -> None:
            super().add_packet(packet)
            Call(node.orchestrator.stop).result()

    node = Node(Stopping)
    mailbox = node.orchestrator.get_or_create_mailbox(channel(1), PENDING)
    for htlc_id in range(1, parked + 1):
        node.orchestrator.deliver(short(1), packet(htlc_id))

    with pytest.raises(MailBoxShuttingDown):
        node.orchestrator.bind_live_short_chan_id(mailbox, channel(1), short(1))

    assert is_stopped(mailbox)
    assert mailbox.ack_packet(CircuitKey(SOURCE, 1))
    (record,) = caplog.records
    assert record.getMessage().startswith("stopped with ")
