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

LND = "https://github.com/lightningnetwork/lnd/"
COMMIT = "1a6701122cd22824e79a87251f2366334f036a21"
URL = f"{LND}blob/{COMMIT}/htlcswitch/mailbox.go#L"

MAILBOX_GO = """
    18 ErrMailBoxShuttingDown  22 ErrPacketAlreadyExists

    30 MailBox  32 AddMessage  35 AddPacket  39 HasPacket  46 AckPacket  53 FailAdd
    57 MessageOutBox  61 PacketOutBox  64 ResetMessages  67 ResetPackets  71 Start  74 Stop

    77 mailBoxConfig  80 shortChanID  84 fetchUpdate  89 forwardPackets  92 clock  97 expiry

    102 memoryMailBox  103 started  104 stopped  106 cfg  108 wireMessages  109 wireMtx
    110 wireCond  112 messageOutbox  113 msgReset  116 repPkts  117 repIndex  118 repHead
    121 addPkts  122 addIndex  123 addHead  125 pktMtx  126 pktCond  128 pktOutbox  129 pktReset
    131 wireShutdown  132 pktShutdown  133 quit  137 newMemoryMailBox

    166 courierType  170 wireCourier  173 pktCourier  179 Start  187 ResetMessages  188 msgDone
    199 ResetPackets  200 pktDone  211 signalUntilReset  239 AckPacket  285 HasPacket  296 Stop
    307 signalUntilShutdown  335 pktWithExpiry  336 pkt  337 expiry  340 deadline
    348 mailCourier  356 TODO(roasbeef)  404 nextRep  405 nextRepEl  406 nextAdd  407 nextAddEl
    408 nextMsg  467 pktOutbox  468 addOutbox  469 add  470 deadline  549 AddMessage
    567 AddPacket  618 FailAdd  693 MessageOutBox  701 PacketOutBox

    710 mailOrchestrator  711 mu  713 cfg  716 mailboxes  722 liveIndex  724 TODO(conner)
    732 unclaimedPackets  735 mailOrchConfig  739 forwardPackets  743 fetchUpdate  746 clock
    751 expiry  755 newMailOrchestrator  765 Stop  773 GetOrCreateMailBox
    799 exclusiveGetOrCreateMailBox  823 BindLiveShortChanID  845 Deliver
"""
"""What lnd's `htlcswitch/mailbox.go` declares at that commit, with the line of each."""

OTHER_LINES = """
    161 var _ MailBox  181 go  182 go  189 select  201 select  223 select  323 select
    351 close  353 pktShutdown  364 wait  367 select  381 wait  384 select  416 removal
    429 peek  433 addHead  453 select  507 select
"""
"""Its goroutines, selects and waits, the deferred closes, and what takes from the queues."""


def by_line(text: str) -> list[tuple[int, str]]:
    return [(int(line), name) for line, name in re.findall(r"(\d+) (\S+(?: _ \w+)?)", text)]


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


def go_names(cell: str) -> list[tuple[int, str]]:
    """Return the text of each link into `mailbox.go` that the cell has, with its line."""
    return [(int(line), text) for text, line in re.findall(r"\[([^]]*)]\[(\d+)]", cell)]


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


def test_every_identifier_of_mailbox_go_is_linked_to_its_line(comparison):
    linked = {(line, f"`{name}`") for line, name in by_line(MAILBOX_GO)}

    assert set() == linked - {link for row in comparison for link in go_names(row[0])}


def test_goroutines_selects_and_waits_are_linked_to_their_lines(comparison):
    links = dict(link for row in comparison for link in go_names(row[0]))

    assert [] == [
        (line, word) for line, word in by_line(OTHER_LINES) if word not in links.get(line, "")
    ]
    assert dict(by_line(MAILBOX_GO + OTHER_LINES)).keys() == links.keys()


def test_no_name_of_the_original_is_without_a_link(lnd):
    """Neither in the tables of `mailbox.go` nor in those of what is elsewhere and what is new."""
    go, since = lnd.split("## What changed in lnd since")
    without = [
        name
        for row in rows(go)
        if row[0] != " `mailbox.go` "
        for name in quoted(re.sub(r"\[[^]]*](\[\d+]|\(https://[^)]+\))", "", row[0]))
    ]

    assert [] == without
    assert [] == [row for row in rows(since) if f"({LND}commit/" not in row[0]]


def test_the_comparison_is_in_the_order_of_the_file(comparison):
    """By the first line in each row."""
    first = [go_names(row[0])[0][0] for row in comparison if go_names(row[0])]

    assert sorted(first) == first


def test_every_line_is_linked_at_the_commit(lnd, comparison):
    linked = dict(re.findall(r"(?m)^\[(\d+)\]: (\S+)$", lnd))
    used = {str(line) for row in comparison for line, _ in go_names(row[0])}

    assert {line: URL + line for line in used} == linked


def test_links_into_lnd_stay_where_they_are(lnd, side_by_side):
    """They name a whole commit, not a branch, which moves."""
    links = re.findall(rf"{LND}(?:blob|tree|commit)/([^/)\s]+)", lnd + side_by_side)

    assert links
    assert [] == [commit for commit in links if not re.fullmatch(r"[0-9a-f]{40}", commit)]


def test_the_original_is_named_with_its_date_and_release(lnd):
    assert f"[`1a6701122`]({LND}commit/{COMMIT}) of 18 June 2020" in lnd
    assert f"[v0.11.0-beta]({LND}releases/tag/v0.11.0-beta) of 20 August 2020" in lnd


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
