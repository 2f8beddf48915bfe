"""The onion encryption of failures on their way back to the sender (BOLT 4, "Returning Errors").

The hop that fails an HTLC puts a MAC before the padded failure and encrypts both; every hop before
it encrypts once more. Only the sender, who knows all shared secrets, can take the layers off and
see whose MAC fits.

Needs `cryptography`: `pip install lnmailbox[sphinx]`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from attrs import frozen

from .wire import DecodeError, FailureMessage, decode_failure, encode_failure
from .wire.checks import is_bytes
from .wire.shown import shown

try:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
except ImportError as error:
    raise ImportError(
        "lnmailbox.sphinx needs cryptography: pip install lnmailbox[sphinx]"
    ) from error

__all__ = [
    "DecryptedFailure",
    "SphinxErrorDecrypter",
    "SphinxErrorEncrypter",
    "UnidentifiedFailure",
]

_MAC_SIZE = 32
_NONCE = bytes(16)
_MOST_HOPS = 27
_DUMMY_SECRET = bytes(32)


class UnidentifiedFailure(ValueError):
    """No hop's MAC fits: some hop changed the packet, or it belongs to another payment."""


class SphinxErrorEncrypter:
    """Encrypts failures at one hop, on their way back (lnd `SphinxErrorEncrypter`).

    It can be the `obfuscator` of packets. Immutable, so any thread may use it; nothing blocks.

    Args:
        shared_secret: the 32 bytes that this hop shares with the sender of the onion.

    Raises:
        ValueError: `shared_secret` is not 32 bytes.
    """

    __slots__ = ("_shared_secret",)

    def __init__(self, shared_secret: bytes) -> None:
        self._shared_secret = _checked(shared_secret)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # without the secret

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` needs: the shared secret, 32 bytes, in clear.

        A journal keeps encrypters so. Whoever has the secret reads the failures of this HTLC and
        can forge them; it says nothing about other HTLCs, and moves no money.
        """
        return self._shared_secret

    @classmethod
    def from_bytes(cls, data: bytes) -> SphinxErrorEncrypter:
        """Return the encrypter that `to_bytes` wrote as `data`.

        Raises:
            ValueError: `data` is not 32 bytes.
        """
        return cls(data)

    def encrypt_first_hop(self, failure: FailureMessage) -> bytes:
        """Return the packet, 292 bytes, for a failure that begins at this hop.

        Raises:
            ValueError: `encode_failure` refused `failure`, which is too long.
        """
        return self.encrypt_malformed_error(encode_failure(failure))

    def encrypt_malformed_error(self, reason: bytes) -> bytes:
        """Return the packet for a failure that is encoded already, 32 bytes longer than it.

        This is how a hop tells the sender what the next one reported by
        `update_fail_malformed_htlc`, which has no encryption of its own.

        Args:
            reason: what `encode_failure` returned.

        Raises:
            TypeError: `reason` is not bytes.
        """
        _require_bytes(reason)
        return _xor(self._shared_secret, _mac(self._shared_secret, reason) + reason)

    def intermediate_encrypt(self, reason: bytes) -> bytes:
        """Return the packet that came from the next hop under this hop's layer, as long as before.

        Args:
            reason: the `reason` of the next hop's `update_fail_htlc`, of any length.

        Raises:
            TypeError: `reason` is not bytes.
        """
        _require_bytes(reason)
        return _xor(self._shared_secret, reason)


@frozen
class DecryptedFailure:
    """A failure, and the hop of the route that it came from."""

    failure: FailureMessage
    """The failure of that hop."""
    hop_index: int
    """0 is the first hop after the sender."""


class SphinxErrorDecrypter:
    """Decrypts failures for the sender of a payment.

    Immutable, so any thread may use it; nothing blocks.

    Args:
        shared_secrets: one of 32 bytes for each hop of the route, the first hop first.

    Raises:
        ValueError: a secret is not 32 bytes.
    """

    __slots__ = ("_shared_secrets",)

    def __init__(self, shared_secrets: Iterable[bytes]) -> None:
        self._shared_secrets = tuple(_checked(secret) for secret in shared_secrets)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._shared_secrets)} hops>"  # without secrets

    def decrypt_error(self, reason: bytes) -> DecryptedFailure:
        """Return the failure in a packet, and the hop it came from.

        At least 27 layers are taken off, with a made-up secret after the last hop, so that the
        time it takes tells nobody how far away the failure was.

        Args:
            reason: the `reason` of the first hop's `update_fail_htlc`.

        Raises:
            UnidentifiedFailure: no hop's MAC fits.
            DecodeError: a hop's MAC fits, but what it sent is no failure (`decode_failure`).
            TypeError: `reason` is not bytes.
        """
        _require_bytes(reason)
        found: tuple[int, bytes] | None = None
        hops = len(self._shared_secrets)
        packet = reason
        for hop in range(max(hops, _MOST_HOPS)):
            secret = self._shared_secrets[hop] if hop < hops else _DUMMY_SECRET
            packet = _xor(secret, packet)
            mac, message = packet[:_MAC_SIZE], packet[_MAC_SIZE:]
            fits = hmac.compare_digest(mac, _mac(secret, message))
            if fits and hop < hops and found is None:
                found = hop, message
        if found is None:
            raise UnidentifiedFailure(
                f"no MAC of {hops} hops fits the {len(reason)} bytes of this failure"
            )
        hop, message = found
        try:
            return DecryptedFailure(decode_failure(message), hop)
        except DecodeError as error:
            raise DecodeError(f"hop {hop} sent no failure: {error}") from error


def _checked(secret: bytes) -> bytes:
    if not is_bytes(secret, 32):
        raise ValueError("a shared secret must be 32 bytes")  # shown nowhere: it is a secret
    return secret


def _key(kind: bytes, secret: bytes) -> bytes:
    return hmac.digest(kind, secret, "sha256")


def _mac(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(_key(b"um", secret), message, "sha256")


def _require_bytes(reason: object) -> None:
    if not isinstance(reason, bytes):
        raise TypeError(f"reason must be bytes, got {shown(reason)}")


def _xor(secret: bytes, packet: bytes) -> bytes:
    cipher = Cipher(ChaCha20(_key(b"ammag", secret), _NONCE), mode=None)
    return cipher.encryptor().update(packet)
