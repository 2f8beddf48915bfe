"""Lets names in backticks lead to the reference, and the reference to the source.

In a page, `MailBox.add_packet` becomes a link to the reference. A name of the inside, such as
`keeping.shelf.Shelf.reset`, has no place there and leads to its line in the source. Pages stay
plain Markdown; this happens when they are built.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import desc_signature
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.osutil import relative_uri

import lnmailbox

PACKAGE = Path(lnmailbox.__file__).parent
PREFIXES = "", "wire.", "testing.", "contract.", "sphinx.", "metrics."
"""Where a name without its module is looked for, in this order."""
BOLTS = "https://github.com/lightning/bolts/blob/master/"
BOLT = {"2": "02-peer-protocol.md", "4": "04-onion-routing.md", "7": "07-routing-gossip.md"}
PORT_PREFIXES = "reference.mailbox.", "reference.", *PREFIXES


def owners_of(name: str) -> Iterator[str]:
    """Yield the names under which the bases of its class have it."""
    owner, _, member = name.rpartition(".")
    try:
        cls = pkgutil.resolve_name(f"lnmailbox.{owner}") if owner else None
    except (AttributeError, ImportError):
        return
    if isinstance(cls, type):
        for base in cls.__mro__[1:]:
            module = base.__module__.removeprefix("lnmailbox.")
            yield f"{base.__name__}.{member}"
            yield f"{module}.{base.__name__}.{member}"


@cache
def lines_of(path: Path) -> dict[str, int]:
    """Return the line of every class, function and field in a module."""
    lines: dict[str, int] = {}

    def note(body: list[ast.stmt], scope: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                lines.setdefault(scope + node.name, node.lineno)
                if isinstance(node, ast.ClassDef):
                    note(node.body, f"{scope}{node.name}.")
                else:
                    for field, line in _fields(node):
                        lines.setdefault(scope + field, line)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in getattr(node, "targets", None) or [node.target]:
                    for name in re.findall(r"[\w.]+", ast.unparse(target)):
                        lines.setdefault(scope + name, node.lineno)

    note(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return lines


def _fields(method: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield what a method assigns to `self`, with the lines."""
    for node in ast.walk(method):
        match node:
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                yield name, node.lineno


def source_of(name: str) -> tuple[str, int] | None:
    """Return the module, as a path in the package, and the line of a name in the package."""
    module, rest = PACKAGE, name.split(".")
    while rest and (module / rest[0]).is_dir():
        module /= rest.pop(0)
    path = module / f"{rest.pop(0)}.py" if rest and _is_module(module / rest[0]) else None
    path = path or module / "__init__.py"
    if not rest:
        return _place(path, 1)
    if line := lines_of(path).get(".".join(rest)):
        return _place(path, line)
    return _source_elsewhere(name)


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file()


def _place(path: Path, line: int) -> tuple[str, int]:
    return path.relative_to(PACKAGE).with_suffix("").as_posix(), line


def _source_elsewhere(name: str) -> tuple[str, int] | None:
    """For a name that its module imports, or that its class inherits."""
    owner, _, member = name.rpartition(".")
    try:
        place = pkgutil.resolve_name(f"lnmailbox.{owner}".rstrip("."))
        thing = None if isinstance(place, type) else getattr(place, member)
    except (AttributeError, ImportError):
        return None
    if isinstance(place, type):
        wanted = [(base.__module__, f"{base.__qualname__}.{member}") for base in place.__mro__]
    elif isinstance(thing, type):
        wanted = [(thing.__module__, thing.__qualname__)]
    else:  # a function, or a constant that another module defines
        wanted = [(module, member) for module in [getattr(thing, "__module__", ""), *_imported()]]
    for module, whole in wanted:
        if module.startswith("lnmailbox"):
            path = Path(inspect.getfile(sys.modules[module]))
            if line := lines_of(path).get(whole):
                return _place(path, line)
    return None


def _imported() -> list[str]:
    return sorted(name for name in sys.modules if name.startswith("lnmailbox."))


class LinkNames(SphinxPostTransform):
    """Makes the links."""

    default_priority = 20  # after Sphinx has resolved the names that it knows
    formats = ("html",)

    def run(self) -> None:
        for signature in list(self.document.findall(desc_signature)):
            self.link_source(signature)
        for literal in list(self.document.findall(nodes.literal)):
            if not self.is_inside(literal, nodes.reference, nodes.title):
                self.link(literal, self.prefixes(literal))
        for entry in self.document.findall(nodes.entry):
            for text in [text for code in entry.findall(nodes.literal) for text in code.children]:
                self.allow_breaks(text)
        for text in list(self.document.findall(nodes.Text)):
            if not self.is_inside(text, nodes.reference, nodes.title, nodes.literal):
                self.link_bolts(text)
        for image in list(self.document.findall(nodes.image)):
            if not self.is_inside(image, nodes.reference):
                self.link_picture(image)

    def is_inside(self, node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
        while node.parent is not None:
            node = node.parent
            if isinstance(node, kinds):
                return True
        return False

    def prefixes(self, literal: nodes.literal) -> tuple[str, ...]:
        """In the comparison with lnd, the column says whose name it is."""
        if self.env.docname != "lnd":
            return PREFIXES
        entry = literal.parent
        while entry is not None and not isinstance(entry, nodes.entry):
            entry = entry.parent
        if entry is None:
            return PREFIXES
        match entry.parent.index(entry), len(entry.parent):
            case 0, _:
                return ()  # lnd's names
            case 1, 4:
                return PORT_PREFIXES
        return PREFIXES

    def link(self, literal: nodes.literal, prefixes: tuple[str, ...]) -> None:
        name = literal.astext().removesuffix("()").removeprefix("lnmailbox.")
        is_word = name.islower() and name.isalpha() and self.env.docname not in {"api", "lnd"}
        if is_word or not re.fullmatch(r"[A-Za-z]\w*(\.\w+)*", name):
            return
        names = [prefix + name for prefix in prefixes]
        if prefixes is PORT_PREFIXES:
            ways = self.in_port, self.documented
        else:
            ways = self.documented, self.inherited
        if "." in name or self.env.docname == "lnd":
            ways += (self.in_source,)
        for find in ways:
            for full in names:
                if uri := find(full):
                    title = f"lnmailbox.{full}"
                    reference = nodes.reference("", "", internal=True, refuri=uri, reftitle=title)
                    literal.replace_self(reference)
                    reference += literal
                    return

    def documented(self, name: str) -> str | None:
        entry = self.env.get_domain("py").objects.get(f"lnmailbox.{name}")
        return f"{self.uri(entry.docname)}#{entry.node_id}" if entry else None

    def in_port(self, name: str) -> str | None:
        if not name.startswith("reference."):
            return None
        found = source_of(name)
        is_there = found is not None and found[0].startswith("reference/")
        return self.documented(name) or (self.source_uri(*found) if is_there else None)

    def inherited(self, name: str) -> str | None:
        """What a base class says of it, or the class itself: it has the text of its fields."""
        owner, _, member = name.rpartition(".")
        found = [uri for full in owners_of(name) if (uri := self.documented(full))]
        if not found and not member.startswith("_") and source_of(name):
            found = [uri for uri in [self.documented(owner)] if uri]
        return found[0] if found else None

    def in_source(self, name: str) -> str | None:
        found = source_of(name)
        return self.source_uri(*found) if found else None

    def link_source(self, signature: desc_signature) -> None:
        module = (signature.get("module") or "").removeprefix("lnmailbox").removeprefix(".")
        found = source_of(".".join(filter(None, [module, signature.get("fullname")])))
        if found is not None:
            link = nodes.inline("", "[source]", classes=["viewcode-link"])
            signature += nodes.reference(
                "", "", link, internal=True, refuri=self.source_uri(*found)
            )

    def allow_breaks(self, text: nodes.Node) -> None:
        """Let a long name in a table go on in the next line, at a dot or an underscore."""
        parts = re.split(r"(?<=[.:/])(?=\w)|(?<=[a-z0-9])(?=_)", text.astext())
        pieces: list[nodes.Node] = []
        for part in parts:
            pieces += [nodes.Text(part), nodes.raw("", "<wbr>", format="html")]
        text.parent.replace(text, pieces[:-1])

    def link_picture(self, image: nodes.image) -> None:
        """On a telephone its lettering is small; a tap opens the picture alone, as on GitHub."""
        _, name = self.env.images[image["uri"]]
        link = nodes.reference("", "", internal=True, refuri=self.uri_of_file(f"_images/{name}"))
        image.replace_self(link)
        link += image

    def uri_of_file(self, path: str) -> str:
        return relative_uri(self.app.builder.get_target_uri(self.env.docname), path)

    def link_bolts(self, text: nodes.Text) -> None:
        """For docstrings; in the pages they are links already."""
        parts = re.split(r"\bBOLT ([247])\b", text.astext())
        if len(parts) > 1:
            pieces: list[nodes.Node] = [nodes.Text(parts[0])]
            for number, after in zip(parts[1::2], parts[2::2], strict=True):
                link = nodes.reference("", f"BOLT {number}", refuri=BOLTS + BOLT[number])
                pieces += [link, nodes.Text(after)]
            text.parent.replace(text, pieces)

    def uri(self, docname: str) -> str:
        return self.app.builder.get_relative_uri(self.env.docname, docname)

    def source_uri(self, module: str, line: int) -> str:
        return f"{self.uri(f'source/{module}')}#L-{line}"


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, object], str]]:
    """Make a page of each module, with an anchor at each line."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        body = app.builder.highlighter.highlight_block(
            path.read_text(encoding="utf-8"), "python", lineanchors="L"
        )
        title = f"lnmailbox/{module}.py"
        yield (
            f"source/{module}",
            {"title": title, "body": f'<h1>{title}</h1><div class="source">{body}</div>'},
            "page.html",
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_post_transform(LinkNames)
    app.connect("html-collect-pages", source_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
