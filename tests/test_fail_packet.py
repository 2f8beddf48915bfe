"""The packet that tells the switch that an Add could not be delivered."""

from __future__ import annotations

import logging
import sysconfig

import attrs
import pytest

from lnmailbox import LinkError
from lnmailbox.contract import SwitchConfig
from lnmailbox.failing import fail_packet
from lnmailbox.failing.complaints import Complaints
from lnmailbox.failing.fail_packet import make_fail_packet
from lnmailbox.testing.conformance.base import CHANNEL, add, key
from lnmailbox.wire import (
    ChannelUpdate,
    FailureMessage,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UpdateFailHTLC,
    encode_failure,
)

UPDATE = ChannelUpdate(short_channel_id=CHANNEL, timestamp=1_700_000_000, base_fee=1000)

free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture(autouse=True)
def nothing_is_encoded_yet():
    """Forget the failures that were encoded before, with an encoder that works."""
    fail_packet._channel_failure.cache_clear()
    fail_packet._encoded.cache_clear()


class Obfuscator:
    """An encrypter that shows what it was given."""

    def __init__(self):
        self.given = []

    def encrypt_first_hop(self, failure):
        self.given.append(failure)
        return b"encrypted"


def known(short_chan_id):
    return attrs.evolve(UPDATE, short_channel_id=short_chan_id)


def unknown(short_chan_id):
    raise LookupError(f"no update for {short_chan_id}")


def make(
    packet,
    fetch_update=known,
    complaints=None,
):
    complaints = complaints or Complaints(logging.getLogger("lnmailbox.test"))
    switch = SwitchConfig(fetch_update=fetch_update, forward_packets=lambda stopping, packet: None)
    return make_fail_packet(key(7), packet, CHANNEL, switch, complaints)


def failure(packet):
    assert isinstance(packet.link_failure, LinkError)
    assert isinstance(packet.link_failure.wire_message, FailureMessage)
    return packet.link_failure.wire_message


def reason(packet):
    assert type(packet.htlc) is UpdateFailHTLC
    return packet.htlc.reason


def encoder_for(*kinds):
    """Return an `encode_failure` that can't encode anything but these kinds."""

    def encode(failure):
        if type(failure) not in kinds:
            raise OverflowError(f"can't encode {failure!r}")
        return encode_failure(failure)

    return encode


def test_the_fail_packet_has_the_key_the_add_was_added_under():
    """The link may have changed the packet since. Its HTLC is not touched."""
    packet = add(99)
    packet.incoming_chan_id = CHANNEL
    failed = make(packet)

    assert key(7) == failed.in_key
    assert (CHANNEL, 99) == packet.in_key
    assert failed.htlc is not packet.htlc


def test_an_update_of_any_kind_is_left_out_if_need_be():
    """Also one without a hash. The switch and the encrypter get the same failure."""
    obfuscator = Obfuscator()
    failed = make(add(7, obfuscator=obfuscator), lambda _: ["no update"])

    assert TemporaryChannelFailure() == failure(failed)
    assert ([failure(failed)], b"encrypted") == (obfuscator.given, reason(failed))


def test_if_only_the_smallest_failure_can_be_encoded_it_is_sent(monkeypatch):
    """Better a vague failure than none."""
    monkeypatch.setattr(fail_packet, "encode_failure", encoder_for(TemporaryNodeFailure))
    failed = make(add(7))

    assert TemporaryNodeFailure() == failure(failed)
    assert encode_failure(TemporaryNodeFailure()) == reason(failed)


def test_if_nothing_can_be_encoded_that_is_raised(monkeypatch):
    """The mailbox then keeps the Add; the encrypter is not asked."""
    monkeypatch.setattr(fail_packet, "encode_failure", encoder_for())
    obfuscator = Obfuscator()

    with pytest.raises(OverflowError, match="can't encode TemporaryNodeFailure"):
        make(add(7, obfuscator=obfuscator))

    assert [] == obfuscator.given


def test_a_channel_without_an_update_is_nothing_special(caplog):
    with caplog.at_level(logging.DEBUG, logger="lnmailbox"):
        make(add(7), unknown)

    text = f"no channel update for {CHANNEL}: no update for {CHANNEL}"
    assert [("lnmailbox.test", logging.DEBUG, text)] == caplog.record_tuples


@pytest.mark.parametrize(
    "update", [attrs.evolve(UPDATE, extra_opaque_data=bytes(range(256)) * 255), "x" * 65_000]
)
def test_an_update_that_can_not_be_encoded_is_told_in_short(update, caplog):
    """A peer chooses it, and it may have 65 kB. A second one is only counted."""
    complaints = Complaints(logging.getLogger("lnmailbox.test"))
    for _ in range(2):
        make(add(7), lambda _: update, complaints)

    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert "can't encode a failure with " in caplog.text
    assert "ValueError" in caplog.text
    assert 4000 > len(caplog.text)


@pytest.mark.parametrize("fetch_update", [known, unknown])
def test_the_sender_learns_which_hop_failed_and_why(
    fetch_update,
):
    """The third hop's failure goes back through two others."""
    if free_threaded:
        pytest.importorskip("cryptography", reason="no free-threaded wheels of cryptography")
    from lnmailbox.sphinx import SphinxErrorDecrypter, SphinxErrorEncrypter

    secrets = [bytes([number]) * 32 for number in (1, 2, 3)]
    first, second, third = map(SphinxErrorEncrypter, secrets)
    failed = make(add(7, obfuscator=third), fetch_update)
    back = first.intermediate_encrypt(second.intermediate_encrypt(reason(failed)))
    seen = SphinxErrorDecrypter(secrets).decrypt_error(back)

    assert 292 == len(reason(failed)) == len(back)
    assert (failure(failed), 2) == (seen.failure, seen.hop_index)
    assert not failed.local_failure
