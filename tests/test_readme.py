"""The README's examples run, and its commands print the output that it shows."""

from __future__ import annotations

import re
import shlex

import pytest

from lnmailbox.__main__ import main


@pytest.fixture(scope="module")
def readme(project) -> str:
    return (project / "README.md").read_text(encoding="utf-8")


def fences(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_examples_run(readme):
    examples = fences("python", readme)

    assert examples
    for number, example in enumerate(examples, 1):
        exec(compile(example, f"README.md, example {number}", "exec"), {"__name__": "__main__"})


def test_the_commands_print_what_is_shown(readme, project, monkeypatch, capsys):
    """A line of three dots stands for any lines left out."""
    monkeypatch.chdir(project)
    shown = [fence.splitlines() for fence in fences("console", readme)]
    commands = [(command, *output) for command, *output in shown if "lnmailbox " in command]

    assert commands
    for command, *output in commands:
        program, *arguments = shlex.split(command.split(" && ")[-1].removeprefix("$ "))
        status = main(arguments)
        printed = capsys.readouterr().out.splitlines()

        assert (program, status) == ("lnmailbox", 0)
        assert [] == [line for line in output if line != "..." and line not in printed]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_links_lead_to_files_that_exist(project, page):
    text = (project / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)

    assert [] == [target for target in targets if not (project / target).exists()]
