"""Running the code in the pages of the documentation, and comparing what it prints."""

from __future__ import annotations

import io
import re
import textwrap
from contextlib import redirect_stdout

__all__ = ["is_excerpt", "printed_and_shown"]


def printed_and_shown(text: str) -> list[tuple[str, str]]:
    """Run all blocks of Python in one namespace; return what they print, and what is shown.

    A block of `text` shows what was printed since the one before. What is printed and not shown
    comes last, beside "".
    """
    pairs: list[tuple[str, str]] = []
    namespace = {"__name__": "__main__"}
    printed = io.StringIO()
    fences = re.findall(r"(?ms)^```(python|text)\n(.*?)^```$", text)
    for number, (language, body) in enumerate(fences, 1):
        if language == "python":
            with redirect_stdout(printed):
                exec(compile(body, f"block {number}", "exec"), namespace)
        else:
            pairs.append((printed.getvalue(), body))
            printed = io.StringIO()
    if printed.getvalue():
        pairs.append((printed.getvalue(), ""))
    return pairs


def is_excerpt(piece: str, source: str) -> bool:
    """Whether the lines are in the source, however deep they stand there."""
    closer = re.sub(r"\n{3,}", "\n\n", piece)  # functions that are methods there
    return any(
        textwrap.indent(lines, " " * depth) in source
        for lines in (piece, closer)
        for depth in range(0, 24, 4)
    )
