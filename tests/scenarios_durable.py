"""Scenarios of mailboxes in a journal; see `scenario_world`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable import open_journal
from lnmailbox import JournalError, MailBoxShuttingDown, MailOrchestrator, MailOrchestratorConfig
from lnmailbox.keeping.codec import PacketCodec
from lnmailbox.keeping.encrypters import EncrypterKind
from lnmailbox.testing.conformance.base import EXPIRY, add, key, numbers
from node import channel, short
from scenario_world import World, scenario
from scheduler import Run

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Journalled(World):
    """An orchestrator with a journal, and the mailbox of one channel."""

    def __init__(self, run: Run) -> None:
        super().__init__(run, boxes=0)
        folder = tempfile.TemporaryDirectory(dir=_MEMORY)
        kind = EncrypterKind("world", Journalled, lambda _: b"", lambda _: self)
        self.journal = open_journal(Path(folder.name) / "journal", codec=PacketCodec([kind]))
        run.at_end += [self.journal._file.close, folder.cleanup]
        self.orchestrator = MailOrchestrator(
            MailOrchestratorConfig(journal=self.journal, **self.callbacks)
        )
        self.boxes.append(self.live())

    def live(self) -> Any:
        box = self.orchestrator.get_or_create_mailbox(channel(1), short(1))
        self.orchestrator.bind_live_short_chan_id(box, channel(1), short(1))
        return box

    def remove(self) -> list[Any]:
        return self.orchestrator.remove_mailbox(channel(1))

    def unless_refused(self, *calls: Callable[[], object]) -> Callable[[], list[object]]:
        """Return a function that calls each, and returns what those that don't raise return."""

        def caller() -> list[object]:
            done = []
            for call in calls:
                try:
                    done.append(call())
                except (MailBoxShuttingDown, JournalError):
                    pass
            return done

        return caller

    def adding(self, number: int) -> Callable[[], int]:
        def adder() -> int:
            self.box.add_packet(add(number, obfuscator=self))
            return number

        return adder

    def check(self) -> None:
        super().check()
        if self.journal._trouble is None:
            self.journal.flush()
            assert [] == self.journal._file.check()

    def on_disk(self) -> list[int]:
        return sorted(row.key.htlc_id for row in self.journal._file.packets() if row.key)

    def stop(self) -> None:
        self.check()
        self.run.play(self.orchestrator.stop)
        self.check()


@scenario
def commits_that_threads_share(run: Run) -> None:
    """What was added is on disk, what was acked is not, and each is received once at most."""
    world = Journalled(run)
    world.add(1, 2)
    run.spawn(world.collect(), may_wait=True)
    run.play(lambda: world.add(3), lambda: world.add(4), world.ack(1))
    world.check()

    assert [2, 3, 4] == world.on_disk()
    assert len(world.got) == len(set(world.got))
    world.account(1, 2, 3, 4)
    world.stop()


@scenario
def failing_against_acking_on_disk(run: Run) -> None:
    """Exactly one of them has the Add, and the file says the same."""
    world = Journalled(run)
    world.add(1, 2)
    run.play(
        lambda: world.box.fail_add(add(1)),
        world.ack(1),
        lambda: world.clock.advance(EXPIRY),
    )
    world.check()

    assert [] == world.on_disk()
    assert [] == list(world.journal._file.fails())
    world.account(1, 2)
    world.stop()


@scenario
def removing_against_failing_and_acking(run: Run) -> None:
    """Each packet is returned, failed or acked, and the file has nothing of it."""
    world = Journalled(run)
    world.add(1, 2, 3)
    removed, *_ = run.play(
        world.remove,
        world.unless_refused(lambda: world.box.fail_add(add(1))),
        world.unless_refused(world.ack(2)),
    )

    assert 3 in numbers(removed)
    world.account(1, 2, 3, left=removed)
    assert [] == world.on_disk()
    world.stop()


@scenario
def removing_against_expiry_and_adding(run: Run) -> None:
    """What was added in time is returned or failed."""
    world = Journalled(run)
    world.add(1, 2)
    removed, added, _ = run.play(
        world.remove,
        world.unless_refused(world.adding(3)),
        lambda: world.clock.advance(EXPIRY),
    )

    world.account(1, 2, *added, left=removed)
    assert [] == world.on_disk()
    world.stop()


@scenario
def a_transaction_against_everything(run: Run) -> None:
    """Its changes are made together; what others do is made before or after it."""
    world = Journalled(run)
    world.add(1, 2)
    box = world.box

    def transaction() -> None:
        with world.journal.transaction():
            acked = box.ack_packet(key(1))
            world.add(3)
        if acked:
            world.acked.append(1)

    run.play(transaction, lambda: box.fail_add(add(1)), world.ack(2), box.reset_packets)
    world.check()

    assert [3] == world.on_disk() == numbers(box.unacked())
    world.account(1, 2, 3)
    world.stop()


@scenario
def removing_against_a_transaction(run: Run) -> None:
    """What it acks is not returned, or it acks nothing."""
    world = Journalled(run)
    world.add(1, 2)
    box = world.box

    def transaction() -> None:
        with world.journal.transaction():
            has_acked = box.ack_packet(key(1))
        if has_acked:
            world.acked.append(1)

    removed, _ = run.play(world.remove, world.unless_refused(transaction))

    world.account(1, 2, left=removed)
    assert [] == world.on_disk()
    world.stop()


@scenario
def a_transaction_that_fails_against_everything(run: Run) -> None:
    """It has changed nothing."""
    world = Journalled(run)
    world.add(1, 2)
    box = world.box

    def transaction() -> None:
        try:
            with world.journal.transaction():
                box.ack_packets([key(1), key(2)])
                world.add(3)
                raise LookupError
        except LookupError:
            pass

    run.spawn(world.collect(), may_wait=True)
    run.play(transaction, world.ack(1), lambda: world.clock.advance(EXPIRY))
    world.check()

    assert 3 not in world.got
    assert world.on_disk() == sorted(numbers(box.unacked()))
    world.account(1, 2)
    world.stop()


@scenario
def closing_a_journal_against_adding_and_acking(run: Run) -> None:
    """What has returned is in the file."""
    world = Journalled(run)
    world.add(1)
    _, added, acked = run.play(
        world.journal.close,
        world.unless_refused(world.adding(2), world.adding(3)),
        world.unless_refused(lambda: world.box.ack_packet(key(1))),
    )
    again = open_journal(world.journal._file.path)
    left = [row.key.htlc_id for row in again._file.packets() if row.key]
    again._file.close()

    assert [number for number in (1,) if not acked] + added == left
    run.play(world.orchestrator.stop)
