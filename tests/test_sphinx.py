"""The onion encryption of failures."""

from __future__ import annotations

import importlib
import json
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnmailbox.wire import (
    ChannelUpdate,
    DecodeError,
    FailureMessage,
    InvalidOnionHmac,
    MPPTimeout,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    encode_failure,
)
from wire_strategies import failures

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    pytest.importorskip("cryptography", reason="no free-threaded 3.13 wheels of cryptography")

from lnmailbox.sphinx import (
    DecryptedFailure,
    SphinxErrorDecrypter,
    SphinxErrorEncrypter,
    UnidentifiedFailure,
)

SECRETS = [bytes([number]) * 32 for number in range(1, 6)]

secrets = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=30, unique=True)


def wrapped(packet: bytes, shared_secrets: list[bytes]) -> bytes:
    """Return the packet as it is after it passed these hops, the last of them first."""
    for secret in reversed(shared_secrets):
        packet = SphinxErrorEncrypter(secret).intermediate_encrypt(packet)
    return packet


@pytest.fixture(scope="module")
def vector(shared_data: Path):
    """BOLT 4's published example of a returned failure."""
    return json.loads((shared_data / "bolt04-onion-error-test.json").read_text())


@pytest.fixture(scope="module")
def vector_secrets(vector) -> list[bytes]:
    return [bytes.fromhex(hop["hop_shared_secret"]) for hop in vector["generate"]["hops"]]


def test_bolt_4s_example_is_reproduced_from_the_failure_to_the_packet(vector, vector_secrets):
    """The last hop fails the HTLC, and four hops hand the failure on."""
    failure = FailureMessage.decode(bytes.fromhex(vector["generate"]["failure_message"]))
    packet = SphinxErrorEncrypter(vector_secrets[-1]).encrypt_first_hop(failure)

    assert TemporaryNodeFailure() == failure
    assert 292 == len(packet)
    assert vector["errorpacket"] == wrapped(packet, vector_secrets[:-1]).hex()


def test_bolt_4s_example_is_decrypted_and_its_hop_found(vector, vector_secrets):
    """The sender learns the failure, and that it came from the fifth hop."""
    decrypted = SphinxErrorDecrypter(vector_secrets).decrypt_error(
        bytes.fromhex(vector["errorpacket"])
    )

    assert DecryptedFailure(TemporaryNodeFailure(), 4) == decrypted


@given(secrets, st.data())
def test_the_sender_learns_the_failure_and_the_hop_it_came_from(
    shared_secrets: list[bytes], data: st.DataObject
):
    """For every failure that fits, on routes of any length, also beyond 27 hops."""
    failure = data.draw(failures.filter(lambda failure: len(failure.encode()) <= 256))
    hop = data.draw(st.integers(0, len(shared_secrets) - 1))
    packet = SphinxErrorEncrypter(shared_secrets[hop]).encrypt_first_hop(failure)
    reason = wrapped(packet, shared_secrets[:hop])

    assert 292 == len(reason)
    assert DecryptedFailure(failure, hop) == SphinxErrorDecrypter(shared_secrets).decrypt_error(
        reason
    )


def test_a_failure_that_the_next_hop_could_not_encrypt_is_encrypted_for_it():
    """It came in `update_fail_malformed_htlc`, and counts as this hop's."""
    failure = InvalidOnionHmac(bytes(32))
    encrypter = SphinxErrorEncrypter(SECRETS[0])
    packet = encrypter.encrypt_malformed_error(encode_failure(failure))

    assert encrypter.encrypt_first_hop(failure) == packet
    assert DecryptedFailure(failure, 0) == SphinxErrorDecrypter(SECRETS).decrypt_error(packet)


@given(st.binary(max_size=400))
def test_an_intermediate_layer_keeps_the_length_and_is_its_own_inverse(reason: bytes):
    """A hop neither knows nor checks what it hands on."""
    encrypter = SphinxErrorEncrypter(SECRETS[0])
    once = encrypter.intermediate_encrypt(reason)

    assert len(reason) == len(once)
    assert reason == encrypter.intermediate_encrypt(once)


@given(st.integers(0, 291), st.integers(1, 255))
def test_a_changed_packet_fits_no_hop(place: int, change: int):
    """One byte is enough, wherever it is."""
    failed = SphinxErrorEncrypter(SECRETS[2]).encrypt_first_hop(MPPTimeout())
    packet = bytearray(wrapped(failed, SECRETS[:2]))
    packet[place] ^= change
    with pytest.raises(UnidentifiedFailure, match="no MAC of 5 hops fits the 292 bytes"):
        SphinxErrorDecrypter(SECRETS).decrypt_error(bytes(packet))


@given(st.binary(max_size=400))
def test_bytes_that_are_no_packet_fit_no_hop(reason: bytes):
    """Too short, too long or made up: there is one error for all of them."""
    with pytest.raises(UnidentifiedFailure):
        SphinxErrorDecrypter(SECRETS).decrypt_error(reason)


def test_the_made_up_secret_after_the_last_hop_finds_nothing():
    """Else a failure could come from a hop that is not on the route."""
    packet = SphinxErrorEncrypter(bytes(32)).encrypt_first_hop(MPPTimeout())
    with pytest.raises(UnidentifiedFailure, match="no MAC of 2 hops"):
        SphinxErrorDecrypter(SECRETS[:2]).decrypt_error(wrapped(packet, SECRETS[:2]))
    with pytest.raises(UnidentifiedFailure, match="no MAC of 0 hops"):
        SphinxErrorDecrypter([]).decrypt_error(packet)


def test_the_first_hop_whose_mac_fits_is_the_one():
    """The layers of hops behind it mean nothing, even under the same secret."""
    packet = SphinxErrorEncrypter(SECRETS[0]).encrypt_first_hop(MPPTimeout())
    decrypter = SphinxErrorDecrypter([SECRETS[0], SECRETS[0]])

    assert DecryptedFailure(MPPTimeout(), 0) == decrypter.decrypt_error(packet)


def test_a_hop_that_sends_nonsense_under_its_mac_is_named():
    """The MAC proves who it was."""
    packet = SphinxErrorEncrypter(SECRETS[1]).encrypt_malformed_error(b"nonsense")
    with pytest.raises(DecodeError, match=r"^hop 1 sent no failure: failure.message at byte 2: "):
        SphinxErrorDecrypter(SECRETS).decrypt_error(wrapped(packet, SECRETS[:1]))


def test_a_failure_that_does_not_fit_is_refused():
    """As by `encode_failure`: no packet of another size gives it away."""
    update = ChannelUpdate(extra_opaque_data=bytes(200))
    with pytest.raises(ValueError, match="a failure at most 256"):
        SphinxErrorEncrypter(SECRETS[0]).encrypt_first_hop(TemporaryChannelFailure(update))


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33), "1" * 32, None, 32])
def test_a_shared_secret_has_32_bytes(secret):
    """It is a secret, so the error does not show it."""
    with pytest.raises(ValueError, match="^a shared secret must be 32 bytes$"):
        SphinxErrorEncrypter(secret)
    with pytest.raises(ValueError, match="^a shared secret must be 32 bytes$"):
        SphinxErrorDecrypter([SECRETS[0], secret])


def test_secrets_do_not_show_in_what_is_printed():
    """Neither in logs nor in tracebacks."""
    assert "<SphinxErrorEncrypter>" == repr(SphinxErrorEncrypter(SECRETS[0]))
    assert "<SphinxErrorDecrypter of 5 hops>" == repr(SphinxErrorDecrypter(SECRETS))


def test_a_subclass_is_shown_by_its_own_name():
    """A program may count what its encrypters do."""

    class Counting(SphinxErrorEncrypter):
        pass

    assert "<Counting>" == repr(Counting(SECRETS[0]))


def test_without_cryptography_the_error_says_which_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    """The rest of the package does not need it."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    monkeypatch.delitem(sys.modules, "lnmailbox.sphinx")
    with pytest.raises(ImportError, match=r"pip install lnmailbox\[sphinx\]"):
        importlib.import_module("lnmailbox.sphinx")
