"""The documentation speaks of what exists, and leaves nothing out."""

from __future__ import annotations

import inspect
import pkgutil
import re
import runpy

import pytest

import lnmailbox

MAILBOX_GO = """
    ErrMailBoxShuttingDown ErrPacketAlreadyExists

    MailBox AddMessage AddPacket HasPacket AckPacket FailAdd MessageOutBox PacketOutBox
    ResetMessages ResetPackets Start Stop

    mailBoxConfig shortChanID fetchUpdate forwardPackets clock expiry

    memoryMailBox started stopped cfg wireMessages wireMtx wireCond messageOutbox msgReset
    repPkts repIndex repHead addPkts addIndex addHead pktMtx pktCond pktOutbox pktReset
    wireShutdown pktShutdown quit newMemoryMailBox

    courierType wireCourier pktCourier mailCourier signalUntilReset signalUntilShutdown
    pktWithExpiry pkt deadline TODO(roasbeef)

    mailOrchestrator mu mailboxes liveIndex unclaimedPackets mailOrchConfig newMailOrchestrator
    GetOrCreateMailBox exclusiveGetOrCreateMailBox BindLiveShortChanID Deliver TODO(conner)
""".split()
"""What lnd's `htlcswitch/mailbox.go` declares at commit 1a6701122."""


@pytest.fixture(scope="module")
def comparison(project) -> list[list[str]]:
    """The rows of the comparison with lnd: what is there, what is here, and what differs."""
    text = (project / "docs" / "lnd.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if "`" in row[0]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def exists(name: str) -> bool:
    """Whether the dotted name means something in the package, be it a field of instances."""
    try:
        pkgutil.resolve_name(f"lnmailbox.{name}")
    except AttributeError:
        owner, _, field = name.rpartition(".")
        if not (owner and exists(owner)):
            return False
        source = inspect.getsource(pkgutil.resolve_name(f"lnmailbox.{owner}"))
        return re.search(rf"\bself\.{field}\b[^=]*? = ", source) is not None
    return True


def test_every_identifier_of_mailbox_go_is_in_the_comparison(comparison):
    there = {name for row in comparison for name in quoted(row[0])}

    assert [] == [name for name in MAILBOX_GO if name not in there]


def test_every_name_in_the_comparison_exists(comparison):
    pytest.importorskip("cryptography")
    here = [name for row in comparison for name in quoted(row[1])]

    assert here
    assert [] == [name for name in here if not exists(name.removesuffix("()"))]


def test_a_name_that_does_not_exist_would_be_noticed():
    assert not exists("MemoryMailBox.no_such_thing")
    assert not exists("MemoryMailBox._no_such_field")
    assert not exists("no_such_module.MemoryMailBox")
    assert not exists("no_such_name")


def test_every_public_name_is_in_the_reference(project):
    text = (project / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", text, re.MULTILINE))

    assert set(lnmailbox.__all__) <= documented
    assert {"lnmailbox.wire", "lnmailbox.sphinx"} <= documented


def test_every_module_has_its_line_in_the_tour_of_the_inside(project):
    text = (project / "docs" / "inside.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    modules = {
        module.name + ("/" if module.ispkg else ".py")
        for module in pkgutil.iter_modules(lnmailbox.__path__)
    }

    assert modules == {name for row in rows for name in quoted(row)}


def test_the_diagrams_are_those_that_the_script_draws(project, tmp_path):
    folder = project / "docs" / "diagrams"
    runpy.run_path(str(folder / "draw.py"))["main"](tmp_path)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}

    assert drawn
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
