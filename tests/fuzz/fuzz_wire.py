"""Fuzz the codecs of `lnmailbox.wire`, guided by coverage: a million inputs unless told otherwise.

    pip install . atheris && python tests/fuzz/fuzz_wire.py

Whatever the bytes, a decoder returns a value or raises `DecodeError`; anything else ends the run
with a traceback and the input. A value that was decoded encodes to bytes that decode to it again,
and a message to the very bytes it came from. The first byte of an input chooses the decoder.
Arguments are libFuzzer's: `-runs=100000`, `-seed=1`, a directory with a corpus, an input to try.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lnmailbox"]):
    from lnmailbox import wire

MESSAGES: list[type[wire.WireMessage]] = [
    wire.ChannelUpdate,
    wire.UpdateAddHTLC,
    wire.UpdateFailHTLC,
    wire.UpdateFailMalformedHTLC,
    wire.UpdateFulfillHTLC,
]
FAILURES = [cls for cls in vars(wire).values() if isinstance(cls, type)]
FAILURES = [cls for cls in FAILURES if issubclass(cls, wire.KnownFailure)]
FAILURES.remove(wire.KnownFailure)

FAILURE = len(MESSAGES)
PADDED_FAILURE = FAILURE + 1


def one_input(data: bytes) -> None:
    choice, encoded = data[:1] or b"\0", data[1:]
    kind = choice[0] % (PADDED_FAILURE + 1)
    try:
        if kind < FAILURE:
            message = MESSAGES[kind].decode(encoded)
            assert message.encode() == encoded
            assert message.serialized_size() == len(encoded)
            return
        failure = (wire.FailureMessage.decode if kind == FAILURE else wire.decode_failure)(encoded)
    except wire.DecodeError:
        return
    again = failure.encode()
    assert wire.FailureMessage.decode(again) == failure
    if len(again) <= 256:
        assert wire.decode_failure(wire.encode_failure(failure)) == failure


def seeds() -> list[bytes]:
    """Return one input for each kind of value, with and without an update."""
    update = wire.ChannelUpdate(message_flags=1, htlc_maximum_msat=1, extra_opaque_data=b"\1\0")
    failures = [cls() for cls in FAILURES]
    failures += [cls(update=update) for cls in FAILURES if hasattr(cls, "update")]
    return [
        *(bytes([kind]) + cls().encode() for kind, cls in enumerate(MESSAGES)),
        bytes([MESSAGES.index(wire.ChannelUpdate)]) + update.encode(),
        *(bytes([FAILURE]) + failure.encode() for failure in failures),
        *(bytes([FAILURE]) + failure.encode(typed_update=False) for failure in failures),
        *(bytes([PADDED_FAILURE]) + wire.encode_failure(failure) for failure in failures),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds()):
            Path(folder, f"seed{number}").write_bytes(seed)
        defaults = ["-runs=1000000", "-max_len=1600", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *defaults, *sys.argv[1:], folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
