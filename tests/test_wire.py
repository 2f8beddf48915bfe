"""The package `lnmailbox.wire` as a whole."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

from lnmailbox import wire

FOLDER = Path(wire.__file__).parent


def imports(path: Path) -> set[str]:
    """Return the modules of `wire` that a module imports, in its functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found.update(name.partition(".")[0] for name in names)
    return found


def test_no_two_modules_import_each_other_by_whatever_way():
    """They stand in an order: each imports only what is below it."""
    modules = {path.stem: imports(path) for path in FOLDER.glob("*.py")}

    order = list(graphlib.TopologicalSorter(modules).static_order())

    assert {"layout", "messages", "failures"} < set(order)
    assert "__init__" == order[-1]


def test_no_module_imports_from_the_package_of_which_it_is_a_part():
    """Its `__init__` hands names on, to others."""
    others = {
        path.stem: path.read_text(encoding="utf-8")
        for path in FOLDER.glob("*.py")
        if path.stem != "__init__"
    }

    assert [] == [name for name, text in others.items() if "from . import" in text]
    assert [] == [name for name, text in others.items() if "lnmailbox.wire import" in text]


def test_all_its_names_are_there_in_order():
    """Those of the failures come when they are asked for."""
    assert sorted(wire.__all__) == wire.__all__
    assert all(hasattr(wire, name) for name in wire.__all__)
    assert not hasattr(wire, "TemporaryChanelFailure")


def test_every_module_of_it_can_be_imported_first():
    """Whichever an application happens to begin with, failures can be read."""
    for path in sorted(FOLDER.glob("*.py")):
        name = "lnmailbox.wire" + ("" if path.stem == "__init__" else f".{path.stem}")
        script = f"import {name}, lnmailbox.wire as w; w.FailureMessage.decode(bytes([0x20, 2]))"

        assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode
