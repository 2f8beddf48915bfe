"""Files with bytes that somebody has changed: an error, or what was in them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from durable import Boxes, closing_connection
from durable_world import RAM
from kept_packets import fields_of
from lnmailbox import JournalError, MailBoxConfig
from lnmailbox.testing import wait_until_quiet
from lnmailbox.testing.conformance.base import CHANNEL, add, drain, settle
from lnmailbox.wire import UpdateAddHTLC
from long_runs import DOES_MANY

STEP = 101 if DOES_MANY else 701
KEYS = [(number, is_add) for number in range(8) for is_add in (True, False)]


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(dir=RAM) as folder:
        yield Path(folder) / "journal"


def packet(number, is_add):
    if not is_add:
        return settle(number)
    one = add(number)
    one.htlc = UpdateAddHTLC(id=number, onion_blob=bytes(range(256)) * 5 + bytes(86))
    return one


def make(path):
    """Make a file with two channels, one of them with a Fail; return its bytes."""
    node = Boxes(path)
    for number, is_add in KEYS:
        node.box(1 + number % 2).add_packet(packet(number, is_add))
    node.switch.when["forward_packets"] = lambda: 1 / 0
    node.box().add_packet(add(9))
    node.box().fail_add(add(9))
    node.close()
    return path.read_bytes()


def read_all(path):
    """Return what the next process delivers by channel, what it fails, and what it can't."""
    node = Boxes(path)
    found = {}
    try:
        for chan_id in node.journal.channels():
            config = MailBoxConfig(
                short_chan_id=CHANNEL,
                chan_id=chan_id,
                fetch_update=node.switch.fetch_update,
                forward_packets=node.switch.forward_packets,
                clock=node.clock,
            )
            box = node.boxes[chan_id] = node.journal.mailbox(config)
            box.start()
            box.reset_packets()
            found[chan_id] = drain(box.packet_outbox)
        wait_until_quiet(node.clock)
        errors = sum(box.statistics().forward_errors for box in node.boxes.values())
        return found, node.switch.fails_so_far(), errors
    finally:
        node.close()


def test_whatever_byte_is_wrong_no_packet_is_lost_or_changed_unnoticed(path):
    """Each one is delivered as it was, in order, or is an Add that is failed early.

    A channel's id and an Add's deadline have no checksum: the mail may be found under an id that
    nobody knows, and an Add may be failed at once. A Fail that is damaged is reported, and stays
    in the file. All else is an error.
    """
    good = make(path)
    expected, fails, _ = read_all(path)
    assert [9] == fails
    errors = 0
    for at in range(0, len(good), STEP):
        write_with_a_wrong_byte(path, good, at)
        try:
            found, failed, unreadable = read_all(path)
        except JournalError:
            errors += 1
            continue

        assert len(expected) == len(found), at
        for before, after in zip(expected.values(), found.values(), strict=True):
            early = [fields_of(one) for one in before if one.incoming_htlc_id in failed]
            late = [fields_of(one) for one in before if fields_of(one) not in early]
            got = [fields_of(one) for one in after]
            assert late == [one for one in got if one not in early], at
        assert unreadable == (9 not in failed), at
    assert errors > len(good) // STEP // 5


def write_with_a_wrong_byte(path, good, at):
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    data = bytearray(good)
    data[at] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("at", [100, 4096, 3 * 4096, 6 * 4096])
def test_a_damaged_file_is_refused_or_says_what_is_damaged(path, at):
    """It is never half read."""
    node = Boxes(path)
    node.box().add_packets([add(number) for number in range(100)])
    node.close()
    data = bytearray(path.read_bytes())
    data[at : at + 3000] = b"\xa5" * 3000
    path.write_bytes(data)

    with pytest.raises(JournalError):
        read_all(path)


def test_a_table_whose_name_is_damaged_is_an_error(path):
    """SQLite names it, in a text that cannot be decoded."""
    make(path)
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"CREATE TABLE lnmailbox_packet", b"CREATE TABLE lnmail\xffox_packet")
    )

    with pytest.raises(JournalError, match="damaged|malformed"):
        read_all(path)


@pytest.mark.parametrize(
    "statement, text",
    [
        (
            "htlc_id = 77 WHERE htlc_id = 2",
            "is about another packet",
        ),
        ("is_add = 2 WHERE htlc_id = 2", "neither an Add nor a reply"),
        (
            "htlc_id = 2 WHERE htlc_id = 4",
            "two packets have the same key",
        ),
        (
            "is_add = 0 WHERE htlc_id = 2",
            "two packets have the same key",
        ),
    ],
)
def test_a_key_that_is_not_the_packets_own_is_damage(path, statement, text):
    make(path)
    with closing_connection(path) as connection:
        connection.execute(f"UPDATE lnmailbox_packet SET {statement}")

    with pytest.raises(JournalError, match=text):
        read_all(path)


def test_a_reply_that_is_said_to_be_an_add_is_damage(path):
    node = Boxes(path)
    node.box().add_packet(settle(1))
    node.close()
    with closing_connection(path) as connection:
        connection.execute("UPDATE lnmailbox_packet SET is_add = 1")

    with pytest.raises(JournalError, match="is about another packet"):
        read_all(path)
