"""No assertion, here or in the package, has a form in which it cannot fail."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ALWAYS_TRUE = ast.Lambda, ast.GeneratorExp, ast.JoinedStr, ast.Set
ALWAYS_TRUE_CALLS = "enumerate filter iter map object repr reversed super type zip".split()


def void_assertions(source: str) -> list[int]:
    """Return the lines of assertions that cannot fail, or of which one part cannot."""
    asserts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    return sorted(node.lineno for node in asserts if cannot_fail(node.test))


def cannot_fail(test: ast.expr) -> bool:
    """Tell whether the test, or one part of it, is true for its form alone."""
    match test:
        case ast.IfExp(body=body, orelse=orelse):  # `A if local else B == C` compares B only
            return not (is_comparison(body) and is_comparison(orelse))
        case ast.BoolOp(values=values):
            return any(map(cannot_fail, values))
        case ast.NamedExpr(value=value):
            return cannot_fail(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return is_empty(operand)
        case ast.Constant(value=value):
            return bool(value)
        case ast.Dict(keys=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return bool(parts)
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="object")]):
            return True
        case ast.Call(func=ast.Name(id="all"), args=[argument]):
            return is_empty(argument)
        case ast.Call(func=ast.Name(id="any"), args=[ast.List() | ast.Tuple() as argument]):
            return any(map(cannot_fail, argument.elts))
        case ast.Call(func=ast.Name(id=name)):
            return name in ALWAYS_TRUE_CALLS
        case ast.Compare():
            return any(itertools.starmap(always_holds, links(test)))
    return isinstance(test, ALWAYS_TRUE)


def is_comparison(test: ast.expr) -> bool:
    """Tell whether it compares, or denies or joins comparisons."""
    match test:
        case ast.UnaryOp(op=ast.Not()):
            return True
        case ast.BoolOp(values=values):
            return all(map(is_comparison, values))
    return isinstance(test, ast.Compare) and not cannot_fail(test)


def is_empty(value: ast.expr) -> bool:
    """Tell whether it is a literal that is false."""
    match value:
        case ast.Constant(value=constant):
            return not constant
        case ast.Dict(keys=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return not parts
    return False


def links(comparison: ast.Compare) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    """Return `a < b` and `b == c` for `a < b == c`."""
    operands = [comparison.left, *comparison.comparators]
    return zip(operands, comparison.ops, operands[1:], strict=False)


def always_holds(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
    """Tell whether something is compared with itself by identity, or a length with zero."""
    match left, op, right:
        case _, ast.Is(), _:
            return isinstance(left, ast.Name) and ast.dump(left) == ast.dump(right)
        case ast.Call(func=ast.Name(id="len")), ast.GtE(), ast.Constant(value=0):
            return True
        case ast.Constant(value=0), ast.LtE(), ast.Call(func=ast.Name(id="len")):
            return True
    return False


def test_every_assertion_of_the_tests_and_the_package_can_fail(project: Path):
    """Put the part that chooses in parentheses: `assert (A if local else B) == C`."""
    void = [
        f"{path.relative_to(project)}:{line}"
        for folder in ("tests", "mailbox", "examples", "benchmarks")
        for path in sorted((project / folder).rglob("*.py"))
        for line in void_assertions(path.read_text(encoding="utf-8"))
    ]

    assert [] == void


@pytest.mark.parametrize(
    "test",
    """
    plain if local else b"encrypted:" + plain == reason
    1 == acked if together else box.ack_packet(key)
    a == b if c else "text"
    a == b if c else 0 <= len(d)
    (a == b if c else d)
    True
    "a text"
    1
    f"{a} is {b}"
    lambda: a == b
    (a == b, "a tuple")
    [a == b]
    {a == b}
    {a: b}
    (a == b for a in c)
    a == b or "a message"
    a == b and "a message"
    not ""
    not ()
    (a := "text")
    a is a
    b == a is a
    len(a) >= 0
    0 <= len(a)
    all([])
    any([a == b, "text"])
    isinstance(a, object)
    type(a), int
    map(bool, a)
    filter(bool, a)
    """.strip().splitlines(),
)
def test_a_form_that_cannot_fail_is_found(test: str):
    assert [2] == void_assertions(f"a = 1\nassert {test.strip()}")


@pytest.mark.parametrize(
    "test",
    """
    (plain if local else b"encrypted:" + plain) == reason
    plain == (reason if local else other)
    a == b if c else a == d
    a == b if c else not d
    a == b if c else d == e and f < g
    a == (1, 2)
    [] == a
    a == a
    a is b
    a.b is a.b
    not a
    a
    False
    ""
    ()
    a(lambda: b)
    a in (1, 2)
    len(a) >= 1
    0 < len(a)
    a == b, "a message"
    a == b, f"{a} is not {b}"
    a == b or c == d
    all(a == b for a in c)
    all([a == b])
    any([a == b])
    isinstance(a, int)
    type(a) is int
    map(a) == b
    """.strip().splitlines(),
)
def test_a_form_that_can_fail_is_left_alone(test: str):
    assert [] == void_assertions(f"a = 1\nassert {test.strip()}")


def test_assertions_are_found_wherever_they_stand():
    """In functions, classes, and after other statements of the same kind."""
    source = """
class A:
    def a(self):
        assert self
        with self:
            assert 1
async def b():
    assert b, "fine"
    assert (b, "a tuple")
"""

    assert [6, 9] == void_assertions(source)
