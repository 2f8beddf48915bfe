"""The pages on proof and bounds name tests that exist, and leave out no guarantee."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from lnmailbox.testing import conformance
from pages import quoted

TESTS = Path(__file__).parent
CONFORMANCE = Path(conformance.__file__).parent


@pytest.fixture
def page(project):
    return lambda name: (project / "docs" / name).read_text(encoding="utf-8")


@cache
def names_in(path: Path) -> set[str]:
    """Return the names of classes and of tests, with their classes, in a file."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
            found |= {f"{node.name}::{one.name}" for one in node.body if hasattr(one, "name")}
    return found


def exists(name: str) -> bool:
    """Whether a test, as `file::class::test` or shorter, is there."""
    file, _, test = name.partition("::")
    folder = CONFORMANCE if file.startswith("conformance/") else TESTS
    path = folder / file.removeprefix("conformance/")
    return path.is_file() and test in names_in(path)


def sections(text: str) -> list[tuple[str, str]]:
    """Return the headings of the third level, each with what stands below it."""
    parts = re.split(r"(?m)^(?=##+ )", text)
    return [
        re.match(r"### (.+)\n((?s:.*))", part).groups() for part in parts if part[:4] == "### "
    ]


def anchor(heading: str) -> str:
    """Return what a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", ["proof.md", "bounds.md"])
def test_every_test_that_is_named_exists(page, name):
    named = [one for one in quoted(page(name)) if "::" in one]

    assert len(named) >= 20
    assert [] == [one for one in named if not exists(one)]


def test_a_test_that_does_not_exist_would_be_noticed():
    assert exists("test_proof.py::test_every_test_that_is_named_exists")
    assert exists("conformance/acks.py::AckTests::test_an_acked_packet_is_gone")
    assert not exists("test_proof.py::test_no_such_thing")
    assert not exists("conformance/acks.py::AckTests::test_no_such_thing")
    assert not exists("no_such_file.py::test_every_test_that_is_named_exists")


def test_every_guarantee_has_a_section_with_its_link_and_its_tests(page):
    headings = [heading for heading, _ in sections(page("guarantees.md"))]
    proofs = sections(page("proof.md"))
    links = [re.fullmatch(r"\[(.+)\]\(guarantees\.md#(.+)\)", name).groups() for name, _ in proofs]

    assert [(heading, anchor(heading)) for heading in headings] == links
    for heading, tests in proofs:
        lines = tests.strip().splitlines()
        assert lines, heading
        assert [] == [line for line in lines if not re.fullmatch(r"- `[\w./]+(::\w+)+`", line)]


def test_every_guarantee_links_to_its_tests(page):
    """In the last line of its section."""
    guarantees = sections(page("guarantees.md"))

    assert len(guarantees) > 40
    for heading, text in guarantees:
        assert f"[Tests](proof.md#{anchor(heading)})" == text.strip().splitlines()[-1]
    assert len(guarantees) == page("guarantees.md").count("[Tests](")


def test_every_kind_of_test_is_in_a_file_that_exists(page):
    kinds = page("proof.md").split("## The kinds of tests")[1].split("## Figures")[0]
    files = [name for name in quoted(kinds) if name.endswith((".py", "/"))]

    assert len(files) > 10
    assert [] == [name for name in files if not (TESTS / name).exists()]


def test_every_bound_has_a_test(page):
    lines = [line.split("|") for line in page("bounds.md").splitlines() if line.startswith("| ")]

    assert len(lines) > 15
    assert [] == [cells[1] for cells in lines[1:] if "::" not in cells[4]]
