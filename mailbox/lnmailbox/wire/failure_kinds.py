"""Which class of `failures.py` has which code, for `FailureMessage.decode`.

The classes are imported when the first code is looked up: importing all 25 would add an eighth to
the time of `import lnmailbox` (13 ms to 98).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .failure_message import kinds

if TYPE_CHECKING:
    from .failure_message import KnownFailure

__all__ = ["find_kind"]


def find_kind(code: int) -> type[KnownFailure] | None:
    """Return the class of the failures with `code`, or None if BOLT 4 has no such code."""
    from .failures import KINDS

    return KINDS.get(code)


kinds.find = find_kind
