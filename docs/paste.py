"""Paste pieces of files into the pages: `python docs/paste.py`.

A comment over a block of code says where it is from, so that a page can be read as it is, on
GitHub as well as on the site:

    <!-- from ../examples/select_link.py: link -->      between `# [link` and `# link]`
    <!-- from ../mailbox/lnmailbox/bell.py: Bell.ring -->        a class or function
    <!-- from performance/results.txt -->               the whole file

A test holds that the pages have what the files have.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

BLOCK = re.compile(
    r"(?ms)^(<!-- from (\S+?)(?:: (\S+))? -->\n(?:<!-- fmt: off -->\n)?```(\w+)\n)(.*?)^```$"
)


def piece(path: Path, name: str | None) -> str:
    """Return a piece of a file, without its indentation."""
    text = path.read_text(encoding="utf-8")
    if name is None:
        return text
    if marked := re.search(rf"(?ms)# \[{re.escape(name)}\b[^\n]*\n(.*?)^[^\n]*# {name}\]", text):
        found = marked[1]
    else:
        body: list[ast.stmt] = ast.parse(text).body
        for part in name.split("."):
            [node] = [each for each in body if getattr(each, "name", None) == part]
            body = node.body
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        found = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return textwrap.dedent(found).strip("\n") + "\n"


def pasted(page: Path) -> str:
    """Return the text of a page with the pieces as they are now."""

    def fill(block: re.Match[str]) -> str:
        return f"{block[1]}{piece(page.parent / block[2], block[3])}```"

    return BLOCK.sub(fill, page.read_text(encoding="utf-8"))


def main(folder: Path = Path(__file__).parent) -> None:
    """Write the pages that have changed."""
    for page in sorted(folder.rglob("*.md")):
        text = pasted(page)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            print(page)


if __name__ == "__main__":
    main()
