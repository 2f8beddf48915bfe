"""The accounting: every packet accounted for, and every fault found."""

from __future__ import annotations

import attrs

from lnmailbox.replay.playing.ledger import Account, Counts


def nonzero(counts: Counts) -> dict[str, int]:
    return {name: count for name, count in attrs.asdict(counts).items() if count}


def account(adds: str = "", replies: str = "") -> Account[str]:
    """An account of Adds whose deadlines are 1, 2, 3... and of replies."""
    account: Account[str] = Account()
    for deadline_ns, add in enumerate(adds, 1):
        account.posted(add, deadline_ns)
    for reply in replies:
        account.posted(reply)
    return account


def test_what_goes_in_and_comes_out_is_delivered_when_acked() -> None:
    """A packet counts as delivered from the ack on, not from when it was taken."""
    book = account("A", "r")
    assert ["r", "A"] == book.undelivered
    assert 2 == book.undelivered_count

    assert book.taken("r")
    assert book.taken("A")

    assert {"adds": 1, "replies": 1} == nonzero(book.counts)
    assert not book.counts.holds

    book.acked("r", was_there=True)
    book.acked("A", was_there=True)

    assert {
        "adds": 1,
        "adds_delivered": 1,
        "replies": 1,
        "replies_delivered": 1,
        "acked": 2,
    } == nonzero(book.counts)
    assert book.counts.holds


def test_what_was_not_acked_is_due_again_in_order_of_arrival() -> None:
    """After an outage everything unacked comes out once more, between what came since."""
    book = account("ABC", "rs")
    for packet in "rsAB":
        book.taken(packet)
    book.acked("A", was_there=True)

    book.link_left()
    book.posted("t")
    book.posted("D", 9)

    assert list("rstBCD") == book.undelivered
    assert 3 == book.counts.adds_waiting

    for packet in "rstBCD":
        book.taken(packet)
        book.acked(packet, was_there=True)

    assert {
        "adds": 4,
        "adds_delivered": 4,
        "replies": 3,
        "replies_delivered": 3,
        "redelivered": 3,
        "acked": 7,
    } == nonzero(book.counts)


def test_adds_are_due_from_their_deadline_on() -> None:
    """An undelivered Add is due at its deadline; one that was taken is not, until link_left."""
    book = account("ABC", "r")
    book.taken("r")
    book.taken("A")

    assert [] == book.due(1)
    assert ["B"] == book.due(2)

    book.link_left()

    assert ["A", "B"] == book.due(2)
    assert ["A", "B", "C"] == book.due(99)

    book.expired("A")

    assert {"adds": 3, "adds_expired": 1, "adds_waiting": 2, "replies": 1} == nonzero(book.counts)
    assert book.counts.holds


def test_what_the_link_takes_and_fails_is_refused() -> None:
    """Refused is an end of its own."""
    book = account("A")
    book.taken("A")

    book.refused("A")

    assert {"adds": 1, "adds_refused": 1} == nonzero(book.counts)
    assert book.counts.holds


def test_an_add_without_a_peer_is_no_mail() -> None:
    """It counts, and the mailbox has not seen it."""
    book = account()

    book.unroutable()

    assert {"adds": 1, "adds_unroutable": 1} == nonzero(book.counts)
    assert book.counts.holds
    assert book.is_empty


def test_an_account_is_empty_when_all_is_acked() -> None:
    """What waits and what the link holds is in it."""
    book = account("A", "r")
    for packet in "rA":
        assert not book.is_empty
        book.taken(packet)
        assert not book.is_empty
        book.acked(packet, was_there=True)

    assert book.is_empty


def test_the_next_deadline_is_that_of_the_first_undelivered_add() -> None:
    """Replies have none."""
    book = account("AB", "r")

    assert 1 == book.next_deadline_ns
    book.taken("A")
    assert 2 == book.next_deadline_ns
    book.taken("B")
    assert book.next_deadline_ns is None


def test_what_comes_out_unasked_is_a_duplicate() -> None:
    """Whether it was never put in, was acked, has expired, or was just taken."""
    for past in ("nothing", "taken", "acked", "expired"):
        book = account("A")
        if past in ("taken", "acked"):
            book.taken("A")
        if past == "acked":
            book.acked("A", was_there=True)
        if past == "expired":
            book.expired("A")

        assert not book.taken("X" if past == "nothing" else "A")

        assert 1 == book.counts.duplicated
        assert not book.counts.holds


def test_the_owner_may_report_a_duplicate_too() -> None:
    """For what the account cannot see."""
    book = account()

    book.unexpected()

    assert {"duplicated": 1} == nonzero(book.counts)


def test_what_overtakes_another_is_out_of_order() -> None:
    """In its class, or an Add before a reply; the one that was overtaken is not blamed."""
    book = account("AB", "rs")

    for packet in "srBA":
        book.taken(packet)

    assert 2 == book.counts.out_of_order

    book = account("A", "r")
    book.taken("A")

    assert 1 == book.counts.out_of_order

    book = account("AB")
    book.expired("B")
    book.expired("A")

    assert 1 == book.counts.out_of_order
    assert not book.counts.holds


def test_what_is_gone_when_acked_is_lost() -> None:
    """A mailbox that does not know a packet any more would not deliver it again either."""
    book = account("A")
    book.taken("A")

    book.acked("A", was_there=False)

    assert {"adds": 1, "lost": 1} == nonzero(book.counts)
    assert not book.counts.holds


def test_what_never_comes_is_lost_and_no_longer_waiting() -> None:
    """Adds, replies, and what was taken and cannot be failed."""
    book = account("AB", "r")
    book.taken("r")
    book.taken("A")

    book.lose(["r", "A", "B"])

    assert {"adds": 2, "replies": 1, "lost": 3} == nonzero(book.counts)
    assert [] == book.undelivered


def test_the_inventory_finds_every_difference() -> None:
    """What is missing is lost, what is too much is duplicated, and the order counts."""
    book = account("ABCD", "r")

    book.inventory(["r", "B", "A", "A", "X", "D"])

    assert {
        "adds": 4,
        "adds_waiting": 3,
        "replies": 1,
        "lost": 1,
        "duplicated": 2,
        "out_of_order": 1,
    } == nonzero(book.counts)
    assert ["r", "A", "B", "D"] == book.undelivered


def test_an_inventory_without_difference_changes_nothing() -> None:
    """What waits still waits."""
    book = account("AB", "r")
    before = attrs.evolve(book.counts)

    book.inventory(["r", "A", "B"])

    assert before == book.counts
    assert before.holds


def test_counts_add_up() -> None:
    """The total of all channels is the sum, field by field."""
    total = Counts(adds=1, lost=2) + Counts(adds=10, fees_lost_msat=5)

    assert Counts(adds=11, lost=2, fees_lost_msat=5) == total
