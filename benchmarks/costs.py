"""What is paid once: the import; and per failure: its encoding and encryption."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
from functools import partial

from .harness import ratio, take_turns

__all__ = ["failures", "imports"]

TIMED_IMPORT = (
    "from time import perf_counter as now; start = now(); import {}; print(now() - start)"
)


def imports(scale: float) -> dict[str, float]:
    """`import lnmailbox`, compared with `import attrs`, each in an interpreter of its own."""

    def seconds(module: str) -> float:
        command = [sys.executable, "-c", TIMED_IMPORT.format(module)]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)

    modules = "lnmailbox", "attrs"
    turns = {module: partial(seconds, module) for module in modules}
    ours, theirs = take_turns(turns, max(1, int(20 * scale))).values()
    return {
        "ratio": ratio(ours, theirs),
        "lnmailbox ms": statistics.median(ours) * 1e3,
        "attrs ms": statistics.median(theirs) * 1e3,
    }


def failures(scale: float) -> dict[str, float]:
    """µs of `encode_failure`; `encrypt_first_hop` compared with its HMAC and ChaCha20 calls."""
    if importlib.util.find_spec("cryptography") is None:
        return {}
    from lnmailbox.sphinx import SphinxErrorEncrypter
    from lnmailbox.wire import TemporaryNodeFailure, encode_failure

    from .failures import SECRET, microseconds, primitives

    failure = TemporaryNodeFailure()
    clear = encode_failure(failure)
    encrypter = SphinxErrorEncrypter(SECRET)
    calls = max(10, int(3_000 * scale))
    (encoding,) = microseconds(calls, lambda: encode_failure(failure))
    ours, theirs = microseconds(
        calls, lambda: encrypter.encrypt_first_hop(failure), lambda: primitives(clear)
    )
    return {"encode µs": encoding, "encrypt ratio": ours / theirs}
