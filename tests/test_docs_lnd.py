"""The pages that compare this package with lnd's `mailbox.go` speak of what is there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from inspect import unwrap
from pathlib import Path
from pkgutil import resolve_name

import pytest

import lnmailbox
from pages import exists, quoted, rows

PACKAGE = Path(lnmailbox.__file__).parent

URL = "https://github.com/lightningnetwork/lnd/blob/1a6701122/htlcswitch/mailbox.go#L"

MAILBOX_GO = """
    ErrMailBoxShuttingDown ErrPacketAlreadyExists

    MailBox AddMessage AddPacket HasPacket AckPacket FailAdd MessageOutBox PacketOutBox
    ResetMessages ResetPackets Start Stop

    mailBoxConfig shortChanID fetchUpdate forwardPackets clock expiry

    memoryMailBox started stopped cfg wireMessages wireMtx wireCond messageOutbox msgReset
    repPkts repIndex repHead addPkts addIndex addHead pktMtx pktCond pktOutbox pktReset
    wireShutdown pktShutdown quit newMemoryMailBox

    courierType wireCourier pktCourier mailCourier signalUntilReset signalUntilShutdown
    pktWithExpiry pkt deadline msgDone pktDone nextRep nextRepEl nextAdd nextAddEl nextMsg
    addOutbox add TODO(roasbeef)

    mailOrchestrator mu mailboxes liveIndex unclaimedPackets mailOrchConfig newMailOrchestrator
    GetOrCreateMailBox exclusiveGetOrCreateMailBox BindLiveShortChanID Deliver TODO(conner)
""".split()
"""What lnd's `htlcswitch/mailbox.go` declares at commit 1a6701122."""

OTHER_LINES = {181, 182, 189, 201, 223, 323, 351, 353, 364, 367, 381, 384, 416, 453, 507}
"""Its goroutines, the selects, the waits, and the deferred closes."""


@pytest.fixture
def lnd(project: Path) -> str:
    return (project / "docs" / "lnd.md").read_text(encoding="utf-8")


@pytest.fixture
def side_by_side(project: Path) -> str:
    return (project / "docs" / "side_by_side.md").read_text(encoding="utf-8")


@pytest.fixture
def comparison(lnd: str) -> list[list[str]]:
    """The rows of the tables with four columns: Go, the reference port, ours, the reason."""
    return [row for row in rows(lnd) if len(row) == 4 and row[0] != " `mailbox.go` "]


def excerpts(text: str) -> list[str]:
    """Return the blocks of `py`, which need not be Python that compiles."""
    return re.findall(r"(?ms)^```py\n(.*?)^```$", text)


def lines_in(cell: str) -> list[int]:
    return [int(number) for number in re.findall(r"\[(\d+)\]", cell)]


def in_reference(cell: str) -> Callable[[str], bool]:
    """Return whether a name in the cell exists: in the reference port, or else in the package.

    It may also be a local variable of a function in the cell.
    """

    def look_up(name: str) -> bool:
        places = "reference.mailbox.", "reference.", ""
        return any(exists(place + name) for place in places) or name in local_variables

    local_variables = {
        variable
        for method in re.findall(r"`(Courier\w+\.\w+)`", cell)
        if exists(f"reference.{method}")
        for variable in variables_of(f"lnmailbox.reference:{method}")
    }
    return look_up


def variables_of(name: str) -> tuple[str, ...]:
    try:
        function = unwrap(resolve_name(name))
    except AttributeError:  # a field
        return ()
    code = getattr(function, "__code__", None)
    return code.co_varnames + code.co_cellvars if code else ()


def test_every_identifier_of_mailbox_go_is_in_the_comparison(comparison):
    there = {name for row in comparison for name in quoted(row[0])}

    assert [] == [name for name in MAILBOX_GO if name not in there]


def test_goroutines_selects_and_waits_are_in_the_comparison(comparison):
    there = {number for row in comparison for number in lines_in(row[0])}

    assert set() == OTHER_LINES - there


def test_the_comparison_is_in_the_order_of_the_file(comparison):
    """By the first line in each row."""
    first = [lines_in(row[0])[0] for row in comparison if lines_in(row[0])]

    assert sorted(first) == first


def test_every_line_is_linked(lnd, comparison):
    linked = dict(re.findall(r"(?m)^\[(\d+)\]: (\S+)$", lnd))
    used = {str(number) for row in comparison for number in lines_in(row[0])}

    assert {number: URL + number for number in used} == linked


def test_every_name_in_the_comparison_exists(comparison):
    """In the column of the reference port, and in that of ours. No cell has no name."""
    pytest.importorskip("cryptography")

    unknown = [
        name for row in comparison for name in quoted(row[1]) if not in_reference(row[1])(name)
    ]
    unknown += [name for row in comparison for name in quoted(row[2]) if not exists(name)]

    assert [] == unknown
    assert [] == [row for row in comparison if not (quoted(row[1]) and quoted(row[2]))]


def test_a_name_that_does_not_exist_would_be_noticed():
    cell = "`msg_done` in `CourierMailBox.reset_messages` and `CourierMailBox.cfg`"

    assert in_reference(cell)("msg_done")
    assert not in_reference(cell)("pkt_done")
    assert not in_reference(cell)("CourierMailBox.no_such_thing")
    assert not in_reference("")("msg_done")


def test_the_methods_of_the_port_are_in_the_order_of_the_file(comparison):
    """So that one can read the two together, from top to bottom."""
    seen: list[str] = []
    for row in comparison:
        seen += [name for name in quoted(row[1]) if name not in seen]
    codes = [
        (name, resolve_name(f"lnmailbox.reference:{name}").__code__.co_firstlineno)
        for name in seen
        if re.fullmatch(r"Courier\w+\.[a-z_]+", name)
        and name != "CourierMailBox._go"
        and variables_of(f"lnmailbox.reference:{name}")
    ]

    assert 15 < len(codes)
    assert codes == sorted(codes, key=lambda code: code[1])


def test_every_piece_of_code_is_in_the_sources(side_by_side):
    """However deep it stands there."""
    sources = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py")]
    missing = [
        piece
        for block in excerpts(side_by_side)
        for piece in re.split(r"(?m)^\.\.\.\n", block)
        if not any(is_in(piece, source) for source in sources)
    ]

    assert [] == missing


def is_in(piece: str, source: str) -> bool:
    lines = re.sub(r"\n{3,}", "\n\n", textwrap.dedent(piece))  # methods, which no class is around
    return any(textwrap.indent(lines, " " * depth) in source for depth in range(0, 24, 4))


def test_every_section_shows_both(side_by_side):
    sections = re.split(r"(?m)^## ", side_by_side)[1:]

    assert ["Adding", "Delivering", "Ack", "Reset", "Expiry", "Stop"] == [
        section.partition("\n")[0] for section in sections
    ]
    assert {2} == {len(excerpts(section)) for section in sections}
    assert all("\n- *" in section for section in sections)
