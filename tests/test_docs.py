"""The documentation speaks of what exists, leaves nothing out, and its code runs."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lnmailbox
import lnmailbox.reference
import lnmailbox.testing
import lnmailbox.wire
from lnmailbox import HTLCPacket, MailBoxConfig, ManualClock, MemoryMailBox
from lnmailbox.contract import Hand
from lnmailbox.keeping.entry import NEVER, Claim, Place
from lnmailbox.keeping.shelf import Shelf
from lnmailbox.testing import PATIENCE, Switch, blocked, wait_until_quiet
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC
from pages import code_of, exists, quoted, rows

PACKAGE = Path(lnmailbox.__file__).parent
PUBLIC = lnmailbox, lnmailbox.wire, lnmailbox.testing, lnmailbox.reference


@pytest.fixture
def page(project) -> Callable[[str], str]:
    """Reads a page of the documentation."""
    return lambda name: (project / "docs" / name).read_text(encoding="utf-8")


# The names in the pages


def test_a_name_that_does_not_exist_would_be_noticed():
    assert not exists("MemoryMailBox.no_such_thing")
    assert not exists("MemoryMailBox._no_such_field")
    assert not exists("no_such_module.MemoryMailBox")
    assert not exists("no_such_name")


# The reference


def test_every_public_name_is_in_the_reference_once(project):
    documented = [
        name for path in sorted((project / "docs/api").glob("*.md")) for name in directives(path)
    ]
    public = [f"{module.__name__}.{name}" for module in PUBLIC for name in module.__all__]

    assert [] == [name for name in public if documented.count(name) != 1]
    assert {"lnmailbox.metrics", "lnmailbox.sphinx"} <= {*documented}


def directives(path: Path) -> Iterator[str]:
    """Yield what a page of the reference documents, with the module."""
    module = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if directive := re.match(r"\.\. (auto\w+|module|currentmodule):: ([\w.]+)", line):
            kind, name = directive.groups()
            if kind in {"automodule", "module", "currentmodule"}:
                module = name
            if kind != "currentmodule" and kind != "module":
                yield name if name.startswith("lnmailbox.") else f"{module}.{name}"


def test_the_overview_leads_to_every_page_of_the_reference(page, project):
    """Its table has what the pages document, its contents the pages, in the same order."""
    text = page("api.md")
    linked = re.findall(r"(?m)^\| \[[^]]+]\((api/\w+)\.md\)", text)
    named = quoted("".join(line for line in text.splitlines() if line.startswith("|")))
    pages = [*(project / "docs/api").glob("*.md")]
    documented = {name for path in pages for name in directives(path)}

    assert linked == re.findall(r"(?m)^(api/\w+)$", text)
    assert {f"api/{path.stem}" for path in pages} == {*linked}
    assert [] == [name for name in lnmailbox.__all__ if name not in named]
    assert [] == [
        name
        for name in named
        for module in [name.rpartition(".")[0]]
        if not documented & {f"lnmailbox.{each}" for each in (name, f"contract.{name}", module)}
    ]


def test_no_page_of_the_reference_is_long(project):
    """A reader finds a name on a page of its own kind, not among all."""
    sizes = {path.name: len([*directives(path)]) for path in (project / "docs/api").glob("*.md")}

    assert {} == {name: size for name, size in sizes.items() if size > 40}


# Pages that can be read as they are


def pages_of(project: Path) -> dict[str, str]:
    paths = [*project.glob("*.md"), *(project / "docs").glob("*.md")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_pages_are_plain_markdown(project):
    """GitHub shows a directive as it is written. But for tables of contents there are none."""
    found = [
        (name, line)
        for name, text in pages_of(project).items()
        for line in re.findall(r"(?m)^(?:`{3,}|:{3,}) ?\{[^\n]*|\{\w+\}`[^\n]*", text)
        if line != "```{toctree}"
    ]

    assert [] == found


def test_pieces_of_files_are_in_the_pages_as_they_are_in_the_files(project):
    """`python docs/paste.py` pastes them again."""
    paste = runpy.run_path(str(project / "docs" / "paste.py"))
    pasted = 0
    for path in (project / "docs").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        pasted += len(paste["BLOCK"].findall(text))

        assert text.count("<!-- from ") == len(paste["BLOCK"].findall(text)), path.name
        assert paste["pasted"](path) == text

    assert pasted > 20


CODE = """\
class Bell:
    @property
    def ring(self):
        # [it
        return 1  # now
        # it]
"""
PIECES = {
    ": it": "return 1  # now\n",
    ": Bell.ring": "@property\ndef ring(self):\n    # [it\n    return 1  # now\n",
    "": CODE,
}


def test_a_piece_that_has_changed_is_pasted_again(project, tmp_path):
    """What is between two marks, a method with its decorators, and a whole file."""
    paste = runpy.run_path(str(project / "docs" / "paste.py"))
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "page.md").write_text(
        "".join(f"<!-- from code.py{name} -->\n```py\nold\n```\n" for name in PIECES)
    )
    paste["main"](tmp_path)
    blocks = re.findall(r"(?s)```py\n(.*?)```", (tmp_path / "page.md").read_text())

    assert [*PIECES.values()] == blocks


BOLTS = {"2": "02-peer-protocol.md", "4": "04-onion-routing.md", "7": "07-routing-gossip.md"}


def test_a_bolt_that_a_page_names_is_linked(project):
    pages = pages_of(project)
    del pages["CHANGELOG.md"]
    for name, text in pages.items():
        prose = re.sub(r"(?ms)^```.*?^```$", "", text)
        for before, number, after in re.findall(r"(.?)\bBOLT (\d+)(?=(.{,80}))", prose):
            url = f"https://github.com/lightning/bolts/blob/master/{BOLTS[number]}"

            assert before == "[", (name, number)
            assert after.startswith((f"]({url})", f"]({url}#")), (name, after)


# The tour of the inside


@pytest.fixture
def tour(page) -> list[str]:
    """The modules in the order of the tour; a name that ends with a slash is a whole package."""
    _, table = page("inside.md").split("## Rooms and modules")
    return [name for row in rows(table) for name in quoted(row[0])]


def place_in(tour: list[str], module: str) -> int:
    """Return the line of a module, which is a path in the package."""
    lines = [
        number
        for number, name in enumerate(tour)
        if module == name or (name.endswith("/") and module.startswith(name))
    ]
    assert len(lines) == 1, f"{module} has {len(lines)} lines"
    return lines[0]


def imports(path: Path) -> Iterator[str]:
    """Yield the modules, as paths in the package, that the top level of a file imports."""
    package = ["lnmailbox", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(filter(None, [start, node.module]))
            for name in [f"{module}.{alias.name}" for alias in node.names] + [module]:
                if name.startswith("lnmailbox.") and exists_as_module(name):
                    found = Path(importlib.util.find_spec(name).origin)
                    yield found.relative_to(PACKAGE).as_posix()
                    break


def exists_as_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_every_module_has_one_line_in_the_tour(tour):
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).as_posix()
        if not module.endswith("__init__.py"):
            place_in(tour, module)
    assert [] == [name for name in tour if not (PACKAGE / name).exists()]


def test_a_module_imports_only_from_lines_below_its_own(tour):
    upwards = []
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).as_posix()
        if not module.endswith("__init__.py"):
            for imported in imports(path):
                room = imported.removesuffix("__init__.py")
                lines = [n for n, name in enumerate(tour) if name.startswith(room)]
                if place_in(tour, module) > max(lines or [place_in(tour, imported)]):
                    upwards.append((module, imported))

    assert [] == upwards


def test_every_station_on_the_ways_of_a_packet_and_an_add_exists(page):
    _, ways = page("inside.md").split("## The way of a packet")
    ways, _ = ways.split("## Rooms and modules")
    stations = [name for name in quoted(ways) if "." in name]

    assert len(stations) > 15
    assert [] == [name for name in stations if not exists(name)]


# The diagrams


def test_the_diagrams_are_those_that_the_script_draws(project, tmp_path):
    folder = project / "docs" / "diagrams"
    runpy.run_path(str(folder / "draw.py"))["main"](tmp_path)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}

    assert drawn
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}


ADD = HTLCPacket(incoming_htlc_id=1, htlc=UpdateAddHTLC())
KEY = ADD.in_key


def shelves() -> Iterator[tuple[str, Shelf, Claim]]:
    """Yield shelves, each with a packet that has come to its place in another way.

    If the packet is claimed, by the claim.
    """
    for home in ("WAITING", "LINK", "OVERDUE", "STUCK"):
        for claimed in (False, True):
            shelf, claim = Shelf(), Claim()
            shelf.add(ADD, 10)
            if home == "LINK":
                shelf.take(0)
            elif home != "WAITING":
                shelf.expire(10)
            if home == "STUCK":
                shelf.claim(claim, KEY)
                shelf.give_up(claim, 20)
                claim = Claim()
            if claimed:
                shelf.claim(claim, KEY)
            yield ("CLAIMED" if claimed else home), shelf, claim


MOVES: dict[str, Callable[[Shelf, Claim], object]] = {
    "take": lambda shelf, _: shelf.take(0),
    "take_into": lambda shelf, _: shelf.take_into(Hand(), 1, 0),
    "nack": lambda shelf, _: shelf.nack(KEY),
    "reset": lambda shelf, _: shelf.reset(),
    "expire": lambda shelf, _: shelf.expire(min(shelf.next_deadline(), NEVER - 1)),
    "claim": lambda shelf, _: shelf.claim(Claim(), KEY),
    "claim_overdue": lambda shelf, _: shelf.claim_overdue(Claim()),
    "take_out": lambda shelf, claim: shelf.take_out(claim),
    "give_up": lambda shelf, claim: shelf.give_up(claim, 20),
    "ack": lambda shelf, _: shelf.ack(KEY),
}


def name_of_place(shelf: Shelf) -> str:
    place = shelf.place(KEY)
    return "NOWHERE" if place is None else place.name


def test_the_arrows_of_the_diagram_are_all_the_ways_from_place_to_place(project):
    """Every method on a packet in every place: an arrow if the place changes, else none."""
    ways = {"add NOWHERE WAITING"}
    for name, move in MOVES.items():
        for place, shelf, claim in shelves():
            assert place == name_of_place(shelf)
            move(shelf, claim)
            if place != name_of_place(shelf):
                ways.add(f"{name.removesuffix('_into')} {place} {name_of_place(shelf)}")
    svg = (project / "docs" / "diagrams" / "states.svg").read_text(encoding="utf-8")
    arrows = {
        move for moves in re.findall(r'data-moves="(.*?)"', svg) for move in moves.split(", ")
    }

    assert ways == arrows


def test_the_calls_of_the_sequence_are_made_in_its_order(project, monkeypatch):
    calls: list[str] = []

    def note(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def noting(*args: object, **kwargs: object) -> object:
            answer = function(*args, **kwargs)
            if name != "claim_overdue" or answer:  # it also finds that nothing is overdue
                calls.append(name)
            return answer

        return noting

    for name in ("claim_overdue", "take_out"):
        monkeypatch.setattr(Shelf, name, note(name, getattr(Shelf, name)))
    switch, clock = Switch(), ManualClock()
    config = MailBoxConfig(
        short_chan_id=ShortChannelID(),
        fetch_update=note("fetch_update", switch.fetch_update),
        forward_packets=note("forward_packets", switch.forward_packets),
        clock=clock,
    )

    def call(name: str, *args: object) -> object:
        calls.append(name)
        return getattr(box, name)(*args)

    with MemoryMailBox(config) as box:
        calls.append("get")
        receiver = blocked(box.packet_outbox.get)
        call("add_packet", ADD)
        assert receiver.result() is ADD
        call("reset_packets")
        calls.append("get")
        assert box.packet_outbox.get() is ADD
        assert call("ack_packet", KEY)
        call("add_packet", HTLCPacket(incoming_htlc_id=8, htlc=UpdateAddHTLC()))
        clock.advance(config.expiry)
        wait_until_quiet(clock)

    svg = (project / "docs" / "diagrams" / "sequence.svg").read_text(encoding="utf-8")

    assert re.findall(r'data-moves="(.*?)"', svg) == calls


def test_every_place_is_explained(page):
    assert {place.name for place in Place} <= {
        name for row in rows(page("inside.md")) for name in quoted(row[0])
    }


# The code in the pages


def test_the_code_in_the_pages_is_python(project):
    for path in (project / "docs").glob("*.md"):
        for code in code_of(path.read_text(encoding="utf-8")):
            compile(code, path.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_page_on_testing_is_a_file_of_tests_that_pass(page, pytester):
    """Of the conformance suite a few tests are enough: it is run on other mailboxes in full."""
    code = "\n".join(code_of(page("testing.md")))
    pytester.makepyfile(code)
    own = code.count("\ndef test_")

    result = pytester.runpytest("-k", "not AuditedMailBox or ends_once", "-W", "error")

    assert own
    assert result.ret == 0
    assert result.parseoutcomes()["passed"] > own


# Logging


LEVELS = {"error": "Errors", "exception": "Errors", "report": "Errors"} | {
    "warning": "Warnings",
    "info": "Info",
    "mention": "Debug",
}


def messages_in_the_source() -> set[tuple[str, str, str]]:
    """Return the level, the logger and the text of everything that is logged."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        module = ".".join(["lnmailbox", *path.relative_to(PACKAGE).with_suffix("").parts])
        if "getLogger" not in source:
            module = "lnmailbox.failing.desk"  # whose complaints are handed to `fail_packet`
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(
                    ast.Attribute(logger, method), [ast.Constant(str(text)), *_], keywords
                ) if method in LEVELS and re.search("logger|complaints", ast.unparse(logger)):
                    lower = any(keyword.arg == "level" for keyword in keywords)
                    found.add(("Warnings" if lower else LEVELS[method], module, text))
    return found


def test_the_page_on_logging_has_every_message_with_its_level_and_logger(page):
    listed = set()
    for section in page("logging.md").split("\n### ")[1:]:
        level, *lines = section.splitlines()
        for line in lines:
            if entry := re.fullmatch(r"`(.+)` \(`(lnmailbox[\w.]+)`\)", line):
                text, logger = entry.groups()
                listed.add((level, logger, text))

    assert messages_in_the_source() == listed


@pytest.mark.parametrize("blocks, is_heard", [(0, True), (1, False)])
def test_errors_reach_stderr_without_configuration_unless_the_package_is_silenced(
    page, blocks, is_heard
):
    """The first block of the page silences it."""
    program = f"""
{"".join(code_of(page("logging.md"))[:blocks])}
from lnmailbox import HTLCPacket, MailBoxConfig, MemoryMailBox
from lnmailbox.testing import Switch
from lnmailbox.testing.switch import raiser
from lnmailbox.wire import ShortChannelID, UpdateAddHTLC

switch = Switch()
switch.when["forward_packets"] = raiser(ConnectionError("the switch is away"))
box = MemoryMailBox(
    MailBoxConfig(
        short_chan_id=ShortChannelID(),
        fetch_update=switch.fetch_update,
        forward_packets=switch.forward_packets,
    )
)
add = HTLCPacket(htlc=UpdateAddHTLC())
box.add_packet(add)
box.fail_add(add)
"""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
    )

    assert is_heard is ("ConnectionError: the switch is away" in finished.stderr)
    assert is_heard is (finished.stderr != "")
