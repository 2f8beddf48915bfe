"""The README's examples work."""

from __future__ import annotations

import re

import pytest


def python_fences(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md"])
def test_the_examples_of_a_page_run(project, page):
    examples = python_fences((project / page).read_text(encoding="utf-8"))

    assert examples
    for number, example in enumerate(examples, 1):
        exec(compile(example, f"{page}, example {number}", "exec"), {"__name__": "__main__"})
