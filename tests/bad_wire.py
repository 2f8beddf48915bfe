"""Bad arguments for wire messages and encrypted failures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from bad_values import BUFFERS, CHANNEL_IDS, FOREIGN, Row, World, numbers
from lnmailbox.wire import (
    ChannelID,
    FailureMessage,
    ShortChannelID,
    UpdateAddHTLC,
    decode_failure,
    encode_failure,
)


def sphinx_from_bytes(_: World, bad: Any) -> object:
    return importlib.import_module("lnmailbox.sphinx").SphinxErrorEncrypter.from_bytes(bad)


def sphinx(name: str, method: str = "") -> Callable[[World, Any], object]:
    def call(_: World, bad: Any) -> object:
        kind = getattr(importlib.import_module("lnmailbox.sphinx"), name)
        if not method:
            return kind(bad)
        return getattr(kind(bytes(32) if name.endswith("Encrypter") else [bytes(32)]), method)(bad)

    return call


WIRE: dict[str, Row] = {
    # Wire
    "ShortChannelID(block_height)": Row(
        lambda w, bad: ShortChannelID(bad, 0, 0), ValueError, numbers(24)
    ),
    "ShortChannelID(tx_index)": Row(
        lambda w, bad: ShortChannelID(0, bad, 0), ValueError, numbers(24)
    ),
    "ShortChannelID(tx_position)": Row(
        lambda w, bad: ShortChannelID(0, 0, bad), ValueError, numbers(16)
    ),
    "ShortChannelID.from_int(value)": Row(
        lambda w, bad: ShortChannelID.from_int(bad), ValueError, numbers(64)
    ),
    "ShortChannelID.from_bytes(bytes)": Row(
        lambda w, bad: ShortChannelID.from_bytes(bad),
        ValueError,
        [None, 5, "12345678", b"", bytes(7), bytes(9), []],
    ),
    "ShortChannelID.from_string(text)": Row(
        lambda w, bad: ShortChannelID.from_string(bad),
        ValueError,
        [None, 5, b"1x1x1", [], "", "1x1", "1x1:1", "-1", "x" * 500],
    ),
    "ChannelID(value)": Row(
        lambda w, bad: ChannelID(bad), ValueError, [bad for bad in CHANNEL_IDS if bad != bytes(32)]
    ),
    "ChannelID.from_outpoint(txid)": Row(
        lambda w, bad: ChannelID.from_outpoint(bad, 0), ValueError, CHANNEL_IDS
    ),
    "ChannelID.from_outpoint(output_index)": Row(
        lambda w, bad: ChannelID.from_outpoint(bytes(32), bad), ValueError, numbers(16)
    ),
    "WireMessage.decode(data)": Row(lambda w, bad: UpdateAddHTLC.decode(bad), TypeError, BUFFERS),
    "FailureMessage.decode(data)": Row(
        lambda w, bad: FailureMessage.decode(bad), TypeError, BUFFERS
    ),
    "decode_failure(data)": Row(lambda w, bad: decode_failure(bad), TypeError, BUFFERS),
    "encode_failure(failure)": Row(
        lambda w, bad: encode_failure(bad), TypeError, [None, 5, "failure", b"", [], FOREIGN]
    ),
    # Encrypted failures
    "SphinxErrorEncrypter(shared_secret)": Row(
        sphinx("SphinxErrorEncrypter"), ValueError, CHANNEL_IDS[:-2], is_secret=True
    ),
    "SphinxErrorEncrypter.from_bytes(data)": Row(
        sphinx_from_bytes, ValueError, CHANNEL_IDS[:-2], is_secret=True
    ),
    "SphinxErrorDecrypter(shared_secrets)": Row(
        sphinx("SphinxErrorDecrypter"), ValueError, [[bytes(31)], ["0" * 32]], is_secret=True
    ),
    "SphinxErrorEncrypter.encrypt_first_hop(failure)": Row(
        sphinx("SphinxErrorEncrypter", "encrypt_first_hop"), TypeError, [None, 5, b"", FOREIGN]
    ),
    "SphinxErrorEncrypter.encrypt_malformed_error(reason)": Row(
        sphinx("SphinxErrorEncrypter", "encrypt_malformed_error"), TypeError, BUFFERS
    ),
    "SphinxErrorEncrypter.intermediate_encrypt(reason)": Row(
        sphinx("SphinxErrorEncrypter", "intermediate_encrypt"), TypeError, BUFFERS
    ),
    "SphinxErrorDecrypter.decrypt_error(reason)": Row(
        sphinx("SphinxErrorDecrypter", "decrypt_error"), TypeError, BUFFERS
    ),
}
