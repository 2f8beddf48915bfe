"""Reading the pages of the documentation, for the tests of what they say."""

from __future__ import annotations

import inspect
import pkgutil
import re

__all__ = ["code_of", "exists", "quoted", "rows"]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all rows of the tables whose first cell has code in it."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [cells for cells in lines if "`" in cells[0]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def code_of(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def exists(name: str) -> bool:
    """Whether the dotted name means something in the package, be it a field of instances."""
    try:
        pkgutil.resolve_name(f"lnmailbox.{name}")
    except AttributeError:
        owner, _, field = name.rpartition(".")
        if not (owner and exists(owner)):
            return False
        source = inspect.getsource(pkgutil.resolve_name(f"lnmailbox.{owner}"))
        return re.search(rf"\bself\.{field}\b[^=]*? = ", source) is not None
    return True
