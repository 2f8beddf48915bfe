"""The packet that tells the switch that an Add could not be delivered, whatever goes wrong."""

from __future__ import annotations

import logging
import queue
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from lnmailbox.testing.threads import PATIENCE
from lnmailbox import (
    AddRef,
    CircuitKey,
    ErrorEncrypter,
    FailureDetail,
    HTLCPacket,
    LinkError,
    MailBoxConfig,
    ManualClock,
    MemoryMailBox,
    PaymentCircuit,
    SettleFailRef,
    fail_add,
)
from lnmailbox.contract import Quit
from lnmailbox.fail_add import make_fail_packet
from lnmailbox.wire import (
    ChannelUpdate,
    FailureMessage,
    ShortChannelID,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
    decode_failure,
    encode_failure,
)

SOURCE, TARGET = ShortChannelID(1, 2, 3), ShortChannelID(4, 5, 6)
KEY = CircuitKey(SOURCE, 7)
UPDATE = ChannelUpdate(short_channel_id=TARGET, timestamp=1_700_000_000, base_fee=1000)
TOO_LARGE = attrs.evolve(UPDATE, extra_opaque_data=bytes(200))

free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture(autouse=True)
def nothing_is_encoded_yet() -> None:
    """Forget the failures that were encoded before, with an encoder that works."""
    fail_add._channel_failure.cache_clear()


class Obfuscator:
    """An encrypter that shows what it was given, and can be told to fail some times."""

    def __init__(self, *failing: BaseException) -> None:
        self.failing = list(failing)
        self.given: list[FailureMessage] = []

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        self.given.append(failure)
        if self.failing:
            raise self.failing.pop(0)
        return b"encrypted " + type(failure).__name__.encode()


def known(short_chan_id: ShortChannelID) -> ChannelUpdate:
    return attrs.evolve(UPDATE, short_channel_id=short_chan_id)


def unknown(short_chan_id: ShortChannelID) -> ChannelUpdate:
    raise LookupError(f"no update for {short_chan_id}")


def an_add(obfuscator: ErrorEncrypter | None = None, htlc_id: int = 7) -> HTLCPacket:
    """Return an Add in which every field says something."""
    return HTLCPacket(
        incoming_chan_id=SOURCE,
        incoming_htlc_id=htlc_id,
        outgoing_chan_id=TARGET,
        outgoing_htlc_id=8,
        amount=1000,
        incoming_amount=1001,
        htlc=UpdateAddHTLC(id=8, amount=1000),
        circuit=PaymentCircuit(incoming=CircuitKey(SOURCE, htlc_id)),
        source_ref=AddRef(1, 2),
        dest_ref=SettleFailRef(TARGET, 3, 4),
        obfuscator=obfuscator,
        incoming_timeout=800_000,
        outgoing_timeout=799_960,
    )


def link_failure(packet: HTLCPacket) -> LinkError:
    assert packet.link_failure is not None
    return packet.link_failure


def reason(packet: HTLCPacket) -> bytes:
    assert type(packet.htlc) is UpdateFailHTLC
    return packet.htlc.reason


# The packet


@pytest.mark.parametrize("obfuscator", [None, Obfuscator()], ids=["local", "forwarded"])
def test_the_fail_packet_goes_back_the_way_the_add_came(obfuscator: Obfuscator | None):
    """What the switch needs to find the circuit is copied, and nothing else."""
    packet = an_add(obfuscator)
    failed = make_fail_packet(KEY, packet, TARGET, known)
    expected = HTLCPacket(
        incoming_chan_id=SOURCE,
        incoming_htlc_id=7,
        outgoing_chan_id=TARGET,
        outgoing_htlc_id=8,
        circuit=packet.circuit,
        source_ref=packet.source_ref,
        obfuscator=obfuscator,
        has_source=True,
        local_failure=obfuscator is None,
        link_failure=failed.link_failure,
        htlc=failed.htlc,
    )

    assert attrs.asdict(expected, recurse=False) == attrs.asdict(failed, recurse=False)
    assert packet.circuit is failed.circuit
    assert type(packet.htlc) is UpdateAddHTLC


def test_the_fail_packet_has_the_key_the_add_was_added_under():
    """The link may have changed the packet since."""
    packet = an_add()
    packet.incoming_htlc_id = 99

    assert KEY == make_fail_packet(KEY, packet, TARGET, known).in_key


def test_the_switch_is_told_why():
    """By the failure for the sender, and the detail that only this node sees."""
    error = link_failure(make_fail_packet(KEY, an_add(), TARGET, known))

    assert TemporaryChannelFailure(UPDATE) == error.wire_message
    assert FailureDetail.OUTGOING_FAILURE_DOWNSTREAM_HTLC_ADD is error.detail
    assert "could not add downstream htlc" == str(error)


def test_a_local_add_fails_in_clear():
    """The reason is 260 bytes that everybody can read, and says which update is the latest."""
    failed = make_fail_packet(KEY, an_add(), TARGET, known)

    assert 260 == len(reason(failed))
    assert encode_failure(TemporaryChannelFailure(UPDATE)) == reason(failed)
    assert TemporaryChannelFailure(UPDATE) == decode_failure(reason(failed))
    assert failed.local_failure


def test_a_forwarded_add_fails_encrypted():
    """The reason is what its encrypter returned for the same failure."""
    obfuscator = Obfuscator()
    failed = make_fail_packet(KEY, an_add(obfuscator), TARGET, known)

    assert b"encrypted TemporaryChannelFailure" == reason(failed)
    assert [TemporaryChannelFailure(UPDATE)] == obfuscator.given
    assert not failed.local_failure
    assert obfuscator is failed.obfuscator


def test_the_update_is_fetched_for_the_mailboxs_channel():
    """Once, and not for the channels that the packet names."""
    asked: list[ShortChannelID] = []

    def fetch(short_chan_id: ShortChannelID) -> ChannelUpdate:
        asked.append(short_chan_id)
        return known(short_chan_id)

    channel = ShortChannelID(9, 9, 9)
    failed = make_fail_packet(KEY, an_add(), channel, fetch)

    assert [channel] == asked
    assert TemporaryChannelFailure(known(channel)) == link_failure(failed).wire_message


# Smaller failures


@pytest.mark.parametrize("obfuscator", [None, Obfuscator()], ids=["local", "forwarded"])
def test_without_an_update_it_is_the_node_that_fails(
    obfuscator: Obfuscator | None, caplog: pytest.LogCaptureFixture
):
    """Whatever `fetch_update` raises; that there is none is nothing special."""
    with caplog.at_level(logging.DEBUG, logger="lnmailbox"):
        failed = make_fail_packet(KEY, an_add(obfuscator), TARGET, unknown)

    assert TemporaryNodeFailure() == link_failure(failed).wire_message
    if obfuscator is None:
        assert encode_failure(TemporaryNodeFailure()) == reason(failed)
    else:
        assert b"encrypted TemporaryNodeFailure" == reason(failed)
    text = "no channel update for 4x5x6: no update for 4x5x6"
    assert [("lnmailbox.fail_add", logging.DEBUG, text)] == caplog.record_tuples


@pytest.mark.parametrize("update", [TOO_LARGE, "no update at all"], ids=["too large", "no update"])
def test_an_update_that_can_not_be_encoded_is_left_out(
    update: Any, caplog: pytest.LogCaptureFixture
):
    """A failure has 256 bytes. It is logged which update it was."""
    failed = make_fail_packet(KEY, an_add(), TARGET, lambda _: update)

    assert TemporaryChannelFailure() == link_failure(failed).wire_message
    assert encode_failure(TemporaryChannelFailure()) == reason(failed)
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert repr(update) in caplog.text
    assert "ValueError" in caplog.text


def test_a_fetch_update_that_returns_nothing_leaves_the_update_out(
    caplog: pytest.LogCaptureFixture,
):
    """None is what the failure has where the node tells no update."""
    failed = make_fail_packet(KEY, an_add(), TARGET, lambda _: None)  # type: ignore[arg-type, return-value]

    assert TemporaryChannelFailure() == link_failure(failed).wire_message
    assert [] == caplog.records


def encoder_for(*kinds: type[FailureMessage]) -> Callable[[FailureMessage], bytes]:
    """Return an `encode_failure` that can't encode anything but these kinds."""

    def encode(failure: FailureMessage) -> bytes:
        if type(failure) not in kinds:
            raise OverflowError(f"can't encode {failure!r}")
        return encode_failure(failure)

    return encode


def test_if_only_the_smallest_failure_can_be_encoded_it_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Better a vague failure than none."""
    monkeypatch.setattr(fail_add, "encode_failure", encoder_for(TemporaryNodeFailure))
    failed = make_fail_packet(KEY, an_add(), TARGET, known)

    assert TemporaryNodeFailure() == link_failure(failed).wire_message
    assert encode_failure(TemporaryNodeFailure()) == reason(failed)
    assert 2 == len(caplog.records)
    assert [logging.WARNING] * 2 == [record.levelno for record in caplog.records]


def test_if_nothing_can_be_encoded_that_is_raised(monkeypatch: pytest.MonkeyPatch):
    """The mailbox then keeps the Add; the encrypter is not asked."""
    monkeypatch.setattr(fail_add, "encode_failure", encoder_for())
    obfuscator = Obfuscator()

    with pytest.raises(OverflowError, match="can't encode TemporaryNodeFailure"):
        make_fail_packet(KEY, an_add(obfuscator), TARGET, known)

    assert [] == obfuscator.given


@pytest.mark.parametrize("garbage", [None, "text", bytearray(292), 5])
def test_a_reason_that_is_not_bytes_is_refused(garbage: Any):
    """The encrypter's mistake is found here, and not by the peer."""

    class Careless:
        def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
            return garbage  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match=r"^UpdateFailHTLC\.reason must be "):
        make_fail_packet(KEY, an_add(Careless()), TARGET, known)


# In a mailbox


class Node:
    """A mailbox whose callbacks can be told to fail, and what the switch got."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.forward_error: BaseException | None = None
        self.forwarded: queue.Queue[HTLCPacket] = queue.Queue()
        self.fetch_update: Callable[[ShortChannelID], ChannelUpdate] = known
        self.box = MemoryMailBox(
            MailBoxConfig(
                short_chan_id=TARGET,
                fetch_update=self.fetch,
                forward_packets=self.forward,
                clock=self.clock,
                expiry=60,
            )
        )

    def fetch(self, short_chan_id: ShortChannelID) -> ChannelUpdate:
        return self.fetch_update(short_chan_id)

    def forward(self, quit: Quit, /, *packets: HTLCPacket) -> None:  # noqa: A002
        for packet in packets:
            self.forwarded.put(packet)
        if self.forward_error is not None:
            raise self.forward_error

    def next_failed(self) -> HTLCPacket:
        return self.forwarded.get(timeout=PATIENCE)

    @property
    def counts(self) -> dict[str, int]:
        """What the statistics say of Adds, without the zeros."""
        counts = attrs.asdict(self.box.statistics())
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    with node.box:
        yield node


def settle(caplog: pytest.LogCaptureFixture, node: Node) -> list[str]:
    """Wait until the couriers are done, and return what was logged as an error."""
    node.box.stop()
    return [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]


def test_an_add_that_can_not_be_encrypted_stays(node: Node, caplog: pytest.LogCaptureFixture):
    """`fail_add` says so, it is logged with the traceback, and the Add can be delivered."""
    packet = an_add(Obfuscator(ValueError("no key")))
    node.box.add_packet(packet)

    assert not node.box.fail_add(packet)
    assert {"adds_unacked": 1, "adds_undelivered": 1, "encrypt_errors": 1} == node.counts
    assert node.forwarded.empty()
    assert packet is node.box.packet_outbox.get_nowait()
    assert ["Add (Chan ID=1x2x3, HTLC ID=7) can't be failed and stays in the mailbox"] == (
        settle(caplog, node)
    )
    assert "ValueError: no key" in caplog.text


def test_another_attempt_to_fail_it_may_succeed(node: Node):
    """The encrypter failed once only; then the Add is failed once."""
    packet = an_add(Obfuscator(ValueError("no key")))
    node.box.add_packet(packet)

    assert [False, True, False] == [node.box.fail_add(packet) for _ in range(3)]
    assert {"adds_failed": 1, "encrypt_errors": 1} == node.counts
    assert b"encrypted TemporaryChannelFailure" == reason(node.next_failed())
    assert node.forwarded.empty()


def test_an_expired_add_that_can_not_be_encrypted_is_tried_again_later(node: Node):
    """After another `expiry` seconds; the Adds behind it do not wait for that."""
    node.box.add_packet(an_add(Obfuscator(ValueError("no key")), htlc_id=1))
    node.box.add_packet(an_add(Obfuscator(), htlc_id=2))
    node.clock.advance(60)

    assert 2 == node.next_failed().incoming_htlc_id
    assert 1 == node.counts["adds_overdue"] == node.counts["adds_unacked"]

    node.clock.advance(60)

    assert 1 == node.next_failed().incoming_htlc_id
    node.box.stop()
    assert {"adds_failed": 2, "adds_expired": 2, "encrypt_errors": 1} == node.counts


def test_an_add_that_can_never_be_encrypted_is_never_lost(
    node: Node, caplog: pytest.LogCaptureFixture
):
    """It is overdue, and still there to be acked or delivered after a reset."""

    class Hopeless:
        def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
            raise ValueError("no key")

    node.box.add_packet(an_add(Hopeless()))
    for attempt in range(3):
        # The same courier fails this one next, which tells that the attempt before it is over.
        node.box.add_packet(an_add(htlc_id=100 + attempt))
        node.clock.advance(60)

        assert 100 + attempt == node.next_failed().incoming_htlc_id

    errors = settle(caplog, node)

    assert 3 == len(errors)
    counts = {"adds_failed": 3, "adds_expired": 3, "encrypt_errors": 3}
    assert {"adds_unacked": 1, "adds_overdue": 1, **counts} == node.counts
    assert node.forwarded.empty()
    assert node.box.ack_packet(KEY)


@pytest.mark.parametrize("garbage", [None, "text"])
def test_an_encrypter_that_returns_no_bytes_loses_no_add(garbage: Any, node: Node):
    """It is as if it had raised."""

    class Careless:
        def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
            return garbage  # type: ignore[no-any-return]

    packet = an_add(Careless())
    node.box.add_packet(packet)

    assert not node.box.fail_add(packet)
    assert {"adds_unacked": 1, "adds_undelivered": 1, "encrypt_errors": 1} == node.counts


def test_an_encoder_that_always_fails_loses_no_add(node: Node, monkeypatch: pytest.MonkeyPatch):
    """It counts as one that could not be encrypted, and goes when encoding works again."""
    packet = an_add()
    node.box.add_packet(packet)
    with monkeypatch.context() as patch:
        patch.setattr(fail_add, "encode_failure", encoder_for())

        assert not node.box.fail_add(packet)

    assert {"adds_unacked": 1, "adds_undelivered": 1, "encrypt_errors": 1} == node.counts
    assert node.box.fail_add(packet)
    assert TemporaryChannelFailure(UPDATE) == decode_failure(reason(node.next_failed()))


@pytest.mark.parametrize("expired", [False, True])
def test_an_update_that_is_missing_or_too_large_loses_no_add(expired: bool, node: Node):
    """The switch gets the failure that fits, by `fail_add` or by a courier."""
    updates: list[tuple[Any, FailureMessage]] = [
        (unknown, TemporaryNodeFailure()),
        (lambda _: TOO_LARGE, TemporaryChannelFailure()),
        (known, TemporaryChannelFailure(UPDATE)),
    ]
    for fetch_update, expected in updates:
        node.fetch_update = fetch_update
        packet = an_add()
        node.box.add_packet(packet)
        if expired:
            node.clock.advance(60)
        else:
            assert node.box.fail_add(packet)

        assert expected == decode_failure(reason(node.next_failed()))

    node.box.stop()
    assert 3 == node.counts["adds_failed"]
    assert (3 if expired else 0) == node.counts.get("adds_expired", 0)


@pytest.mark.parametrize("expired", [False, True])
def test_a_switch_that_refuses_a_fail_packet_is_logged_and_counted(
    expired: bool, node: Node, caplog: pytest.LogCaptureFixture
):
    """It has had the packet: the Add is gone, and the next one is failed as well."""
    node.forward_error = ConnectionError("the switch is gone")
    for htlc_id in (1, 2):
        packet = an_add(htlc_id=htlc_id)
        node.box.add_packet(packet)
        if expired:
            node.clock.advance(60)
        else:
            assert node.box.fail_add(packet)

        assert htlc_id == node.next_failed().incoming_htlc_id

    errors = settle(caplog, node)
    expected = {"adds_failed": 2, "forward_errors": 2}
    if expired:
        expected["adds_expired"] = 2

    assert expected == node.counts
    assert [
        f"the switch did not accept the failure of Add (Chan ID=1x2x3, HTLC ID={htlc_id})"
        for htlc_id in (1, 2)
    ] == errors
    assert "ConnectionError: the switch is gone" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["fetch_update", "encrypt", "forward"])
def test_an_interrupt_reaches_the_caller_of_fail_add_and_loses_no_add(
    where: str, error: type[BaseException], node: Node
):
    """It is no failure of the callback: but the Add is in the mailbox, or with the switch."""
    packet = an_add(Obfuscator(error()) if where == "encrypt" else None)
    if where == "forward":
        node.forward_error = error()
    elif where == "fetch_update":

        def interrupted(short_chan_id: ShortChannelID) -> ChannelUpdate:
            raise error

        node.fetch_update = interrupted
    node.box.add_packet(packet)

    with pytest.raises(error):
        node.box.fail_add(packet)

    if where == "forward":
        assert {"adds_failed": 1, "forward_errors": 1} == node.counts
        assert KEY == node.next_failed().in_key
    else:
        assert {"adds_unacked": 1, "adds_undelivered": 1, "encrypt_errors": 1} == node.counts
        assert packet is node.box.packet_outbox.get_nowait()


def test_a_packet_that_was_acked_while_it_was_encrypted_is_not_failed(node: Node):
    """The switch must not hear of an HTLC twice."""

    class AckingObfuscator(Obfuscator):
        def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
            assert node.box.ack_packet(KEY)
            return super().encrypt_first_hop(failure)

    packet = an_add(AckingObfuscator())
    node.box.add_packet(packet)

    assert not node.box.fail_add(packet)
    assert {} == node.counts
    assert node.forwarded.empty()


# With the onion's encryption

SECRETS = [bytes([number]) * 32 for number in (1, 2, 3)]


@pytest.mark.parametrize("fetch_update", [known, unknown])
def test_the_sender_learns_which_hop_failed_and_why(
    node: Node, fetch_update: Callable[[ShortChannelID], ChannelUpdate]
):
    """An Add expires at the third hop, and its failure goes back through two others."""
    if free_threaded:
        pytest.importorskip("cryptography", reason="no free-threaded wheels of cryptography")
    from lnmailbox.sphinx import SphinxErrorDecrypter, SphinxErrorEncrypter

    node.fetch_update = fetch_update
    first, second, third = map(SphinxErrorEncrypter, SECRETS)
    node.box.add_packet(an_add(third))
    node.clock.advance(60)
    failed = node.next_failed()
    back = first.intermediate_encrypt(second.intermediate_encrypt(reason(failed)))
    seen = SphinxErrorDecrypter(SECRETS).decrypt_error(back)
    expected = TemporaryChannelFailure(UPDATE) if fetch_update is known else TemporaryNodeFailure()

    assert 292 == len(reason(failed)) == len(back)
    assert (expected, 2) == (seen.failure, seen.hop_index)
    assert expected == link_failure(failed).wire_message
    assert not failed.local_failure
