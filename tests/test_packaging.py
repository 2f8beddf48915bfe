"""What a plain `pip install lnmailbox` gives, and what is built for it."""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.resources
import mailbox
import os
import re
import runpy
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from types import SimpleNamespace

import pytest

import distributions
import lnmailbox

NAMES = """
    AddRef ChannelParty ChannelType CircuitKey Clock DurableMailBox EncrypterKind ErrorEncrypter
    FailureDetail HTLCPacket JournalCodec JournalError Keystone LinkError MailBox MailBoxConfig
    MailBoxError MailBoxShuttingDown MailBoxStatistics MailOrchestrator MailOrchestratorConfig
    MailOrchestratorStatistics MailSelector ManualClock MemoryMailBox Outbox OutboxStatistics
    PacketAlreadyExists PacketCodec ParkedFull PaymentCircuit SQLiteJournal SettleFailRef
    SystemClock UnknownHTLCType WallClock WireQueueFull dust_closure select
""".split()


def modules_after(statement: str) -> set[str]:
    """The top-level modules in a fresh interpreter after the statement, without `site`'s.

    And without coverage, which has modules of its own.
    """
    script = f"import sys; old = {{*sys.modules}}; {statement}; print(*{{*sys.modules}} - old)"
    unmeasured = {k: text for k, text in os.environ.items() if not k.startswith("COVERAGE_")}
    output = subprocess.run(
        [sys.executable, "-I", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=unmeasured,
    ).stdout
    return {name.partition(".")[0] for name in output.split()}


def test_the_standard_library_keeps_its_mailbox(project):
    assert mailbox.Maildir.__module__ == "mailbox"
    assert not (project / "mailbox" / "__init__.py").exists()


def test_the_public_names_are_those_promised_in_order():
    assert NAMES == lnmailbox.__all__
    assert all(hasattr(lnmailbox, name) for name in NAMES)


def test_the_package_says_that_it_is_typed():
    assert importlib.resources.files("lnmailbox").joinpath("py.typed").is_file()


def test_the_version_is_the_latest_of_the_changelog(project):
    changelog = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## \[(\d[^]]*)]", changelog, re.MULTILINE)

    assert latest is not None
    assert importlib.metadata.version("lnmailbox") == latest[1]


def test_importing_it_imports_attrs_and_the_standard_library_only():
    allowed = {"lnmailbox", "attr", "attrs", *sys.stdlib_module_names}

    assert set() == modules_after("import lnmailbox") - allowed


def test_importing_it_spares_the_slow_modules_of_the_standard_library():
    slow = {"argparse", "asyncio", "email", "importlib.metadata", "json", "selectors", "socket"}
    slow |= {"sqlite3", "pathlib"}

    assert set() == slow & (modules_after("import lnmailbox") - modules_after("import attrs"))


def test_what_needs_sqlite_is_imported_when_it_is_wanted():
    assert "sqlite3" in modules_after("from lnmailbox import SQLiteJournal")
    assert "sqlite3" not in modules_after("import lnmailbox.reference, lnmailbox.testing")


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lnmailbox' has no attribute 'SQLJournal'"):
        lnmailbox.SQLJournal  # noqa: B018


# What is built of it


@pytest.fixture
def setup_cfg(project) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(project / "setup.cfg", encoding="utf-8")
    return parser


def metadata(**changed: str | None) -> Message:
    """What `setup.cfg` and `setup.py` make, but for the changes."""
    fields = {
        "License-Expression": "MIT",
        "License-File": "LICENSE",
        "Home-page": distributions.HOME,
        **changed,
    }
    links = [name for name in distributions.LINKS if name != "Homepage"]
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    lines += [f"Project-URL: {name}, {distributions.HOME}/{name}" for name in links]
    return Parser().parsestr("\n".join([*lines, "", "[guarantees](https://example.com/docs)"]))


def test_metadata_without_a_mistake_passes():
    assert [] == distributions.wrong_metadata(metadata())


@pytest.mark.parametrize(
    "changed, wrong",
    [
        ({"License-Expression": None}, "the licence is not the SPDX expression MIT"),
        ({"License": "MIT"}, "the licence is not the SPDX expression MIT"),
        ({"License-File": None}, "the licence's text is not LICENSE"),
        ({"Home-page": None}, "there is no URL of the Homepage"),
        (
            {"Project-URL": "Chat, https://example.com"},
            "not a URL of the project: https://example.com",
        ),
    ],
)
def test_mistakes_in_the_metadata_are_found(changed, wrong):
    assert [wrong] == distributions.wrong_metadata(metadata(**changed))


def test_links_that_an_index_cannot_follow_are_found():
    broken = metadata()
    broken.set_payload("[guarantees](docs/guarantees.md)")
    empty = metadata()
    empty.set_payload("")

    assert ["a link that an index cannot follow: docs/guarantees.md"] == (
        distributions.wrong_metadata(broken)
    )
    assert ["the description is not the README"] == distributions.wrong_metadata(empty)


def test_what_is_missing_in_a_distribution_is_found_and_so_is_what_is_too_much():
    assert ["there is no py.typed"] == distributions.wrong_wheel(["lnmailbox/__init__.py"])
    assert ["not the package's: tests/node.py"] == distributions.wrong_wheel(
        ["lnmailbox/py.typed", "lnmailbox-0.1.0.dist-info/METADATA", "tests/node.py"]
    )
    assert ["missing in the sdist: tox.ini", "only in the sdist: build/x"] == (
        distributions.wrong_sdist({"PKG-INFO", "build/x", "setup.py"}, {"setup.py", "tox.ini"})
    )


def test_the_project_has_one_address(project, setup_cfg):
    """In the metadata, the README's links on an index, the policy and the workflows."""
    files = ["setup.cfg", "setup.py", "SECURITY.md", "tests/distributions.py"]
    addresses = {
        address
        for name in files
        for address in re.findall(
            r"https://github\.com/[\w-]+/lnmailbox\b", (project / name).read_text("utf-8")
        )
    }

    assert {distributions.HOME} == addresses == {setup_cfg["metadata"]["url"]}


def test_the_readme_on_an_index_leads_to_the_files(project, monkeypatch):
    """`setup.py` gives it links that do not need the files beside it."""
    given: dict[str, str] = {}
    monkeypatch.setitem(sys.modules, "setuptools", SimpleNamespace(setup=given.update))
    runpy.run_path(str(project / "setup.py"))
    links = re.findall(r"]\(([^)]+)\)", given["long_description"])

    assert f"{distributions.HOME}/blob/main/docs/guarantees.md" in links
    assert [] == [link for link in links if "://" not in link]


def test_hosted_services_do_what_a_developer_does(project):
    """They run `.ci/run` and `tox`, and build the documentation with the same extras."""
    ci = (project / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    release = (project / ".github/workflows/release.yml").read_text(encoding="utf-8")
    hosted = (project / ".readthedocs.yaml").read_text(encoding="utf-8")
    [extras] = re.findall(r"extra_requirements: \[(.*)]", hosted)
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(project / "tox.ini")

    assert "- run: .ci/run\n" in ci
    assert "- run: tox -e package -- " in release
    assert tox["testenv:docs"]["extras"].split() == extras.split(", ")
    assert "configuration: docs/conf.py" in hosted


def test_a_release_needs_no_secret(project):
    """The index trusts the workflow, in an environment of its own."""
    release = (project / ".github/workflows/release.yml").read_text(encoding="utf-8")

    assert "      id-token: write" in release
    assert "      name: pypi\n" in release
    assert "secrets." not in release
    assert "password" not in release
