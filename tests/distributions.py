"""Check what was built: `python tests/distributions.py dist`, after `python -m build`.

The metadata must say what an index and a licence scanner look for, the wheel must have the package
and nothing else, and the sdist all that is in the repository.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HOME = "https://github.com/lnmailbox/lnmailbox"
LINKS = ["Changelog", "Documentation", "Homepage", "Issues", "Security"]
MADE = r"PKG-INFO|mailbox/lnmailbox\.egg-info/.*"
"""What setuptools adds to an sdist."""


def wrong_metadata(metadata: Message) -> list[str]:
    """Return what an index or a licence scanner would miss."""
    wrong = []
    if metadata["License-Expression"] != "MIT" or metadata["License"] is not None:
        wrong.append("the licence is not the SPDX expression MIT")
    if metadata.get_all("License-File") != ["LICENSE"]:
        wrong.append("the licence's text is not LICENSE")
    urls = [line.split(", ", 1) for line in metadata.get_all("Project-URL", [])]
    named = {name for name, _ in urls} | ({"Homepage"} if metadata["Home-page"] else set())
    wrong += [f"there is no URL of the {name}" for name in LINKS if name not in named]
    wrong += [f"not a URL of the project: {url}" for _, url in urls if not url.startswith(HOME)]
    description = str(metadata.get_payload())
    links = re.findall(r"]\(([^)]+)\)", description)
    wrong += [f"a link that an index cannot follow: {x}" for x in links if "://" not in x]
    return wrong if links else [*wrong, "the description is not the README"]


def wrong_wheel(names: list[str]) -> list[str]:
    """Return what should or should not be in the wheel."""
    wrong = [
        f"not the package's: {name}"
        for name in names
        if not re.match(r"lnmailbox(-[\w.]+\.dist-info)?/", name)
    ]
    return wrong if "lnmailbox/py.typed" in names else [*wrong, "there is no py.typed"]


def wrong_sdist(names: set[str], tracked: set[str]) -> list[str]:
    """Return what is in the repository or in the sdist, and not in the other one."""
    wrong = [f"missing in the sdist: {name}" for name in sorted(tracked - names)]
    more = sorted(name for name in names - tracked if not re.fullmatch(MADE, name))
    return wrong + [f"only in the sdist: {name}" for name in more]


def listed(*options: str) -> set[str]:
    """Return the files of the repository that git lists with these options."""
    command = ["git", "-C", str(PROJECT), "ls-files", "-z", *options]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {*names.split("\0")} - {""}


def main(folder: str) -> int:
    """Print what is wrong; return whether anything is."""
    [wheel] = Path(folder).glob("*.whl")
    [sdist] = Path(folder).glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        wrong = wrong_metadata(Parser().parsestr(archive.read(metadata).decode()))
        wrong += wrong_wheel(names)
    if (PROJECT / ".git").exists():
        with tarfile.open(sdist) as files:
            there = {m.name.partition("/")[2] for m in files.getmembers() if m.isfile()}
        drafts = listed("--others", "--exclude-standard")  # they may be in it
        wrong += wrong_sdist(there - drafts, listed("--cached") - listed("--deleted"))
    print(*wrong, sep="\n")
    print(f"{len(wrong)} things are wrong" if wrong else "The distributions are complete.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
