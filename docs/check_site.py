"""Check the built documentation: `python docs/check_site.py docs/_build/html`.

Every link inside of it must lead to a page or file that is there, and to an anchor that is in it.
Links to elsewhere must be whole, and are not followed: no check needs the network. In the
comparison with lnd every name of ours must be a link.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "srcset"}


class Page(HTMLParser):
    """What the check needs to know of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {"", "top"}  # browsers know these two
        self.unlinked: list[str] = []  # names in the second and third columns of tables
        self.open: list[str] = []
        self.column = -1
        self.images_without_text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag in ATTRIBUTES and ATTRIBUTES[tag] in values:
            self.links.append(values[ATTRIBUTES[tag]])
        if tag == "img" and "alt" not in values:
            self.images_without_text.append(values.get("src", ""))
        if tag in {"tr", "a", "code", "td"}:
            self.open.append(tag)
            self.column = {"tr": -1, "td": self.column + 1}.get(tag, self.column)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        is_code = {"td", "code"} <= {*self.open} and "a" not in self.open
        is_variable = self.column == 1 and data.islower() and "." not in data
        if is_code and self.column in {1, 2} and not is_variable:
            self.unlinked.append(data)


def check(folder: Path) -> list[str]:
    """Return what is wrong."""
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    wrong = []
    for path, page in pages.items():
        name = path.relative_to(folder.resolve()).as_posix()
        wrong += [f"{name}: an image without a text: {src}" for src in page.images_without_text]
        for link in sorted({*page.links}):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                if url.scheme not in {"http", "https", "mailto"} or " " in link:
                    wrong.append(f"{name}: no such kind of link: {link}")
                elif url.scheme != "mailto" and "." not in url.netloc:
                    wrong.append(f"{name}: a link without a host: {link}")
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file():
                wrong.append(f"{name}: no such file: {link}")
            elif target in pages and unquote(url.fragment) not in pages[target].anchors:
                wrong.append(f"{name}: no such anchor: {link}")
    comparison = pages.get((folder / "lnd.html").resolve())
    if comparison is None:
        wrong.append("there is no lnd.html")
    else:
        wrong += [f"lnd.html: not a link: {text}" for text in comparison.unlinked]
    return wrong


def main(folder: str) -> int:
    """Print what is wrong; return whether anything is."""
    wrong = check(Path(folder))
    print(*wrong, sep="\n")
    print(f"{len(wrong)} things are wrong" if wrong else "No link is broken.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
