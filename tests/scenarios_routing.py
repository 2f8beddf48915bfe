"""Scenarios with an orchestrator; see `scenario_world`."""

from __future__ import annotations

from typing import Any

from lnmailbox import (
    HTLCPacket,
    MailBox,
    MailBoxConfig,
    MailOrchestrator,
    MailOrchestratorConfig,
)
from lnmailbox.testing.conformance.base import EXPIRY, add, drain, numbers
from node import PENDING, channel, short
from scenario_world import World, scenario
from scheduler import Run


class Node(World):
    """An orchestrator and its mailboxes."""

    def __init__(self, run: Run, **options: Any) -> None:
        super().__init__(run, boxes=0)
        config = MailOrchestratorConfig(
            mailbox_factory=self._make, **{**self.callbacks, **options}
        )
        self.orchestrator = MailOrchestrator(config)

    def _make(self, config: MailBoxConfig) -> MailBox:
        box: MailBox = World.make(config)
        self.boxes.append(box)
        return box

    def live(self) -> MailBox:
        box = self.orchestrator.get_or_create_mailbox(channel(1), PENDING)
        self.orchestrator.bind_live_short_chan_id(box, channel(1), short(1))
        return box

    def deliver(self, *delivered: int) -> None:
        for number in delivered:
            self.orchestrator.deliver(short(1), add(number, obfuscator=self))

    def parked(self) -> list[HTLCPacket]:
        return self.orchestrator.drop_parked(short(1))

    def stop(self) -> None:
        self.check()
        self.run.play(self.orchestrator.stop)


@scenario
def binding_against_delivering(run: Run) -> None:
    """Packets arrive in the order of their delivery, parked or not."""
    node = Node(run)
    node.deliver(1)
    one, other, _ = run.play(node.live, node.live, lambda: node.deliver(2, 3))

    assert one is other
    assert [1, 2, 3] == numbers(drain(one.packet_outbox))
    assert [] == node.parked()
    node.stop()


@scenario
def removing_against_delivering(run: Run) -> None:
    """A packet is with the one who removed the mailbox, parked, or in the next mailbox."""
    node = Node(run)
    node.live()
    removed, _, _ = run.play(
        lambda: node.orchestrator.remove_mailbox(channel(1)),
        lambda: node.deliver(1, 2),
        node.unless_stopped(node.live),
    )
    left = [packet for box in node.orchestrator.mailboxes() for packet in box.unacked()]
    node.account(1, 2, left=removed + left + node.parked())
    node.stop()


@scenario
def removing_against_expiry_and_failing_and_acking(run: Run) -> None:
    """Each packet is returned, failed or acked."""
    node = Node(run)
    box: Any = node.live()
    node.deliver(1, 2, 3)
    removed, *_ = run.play(
        lambda: node.orchestrator.remove_mailbox(channel(1)),
        lambda: node.clock.advance(EXPIRY),
        lambda: box.fail_add(add(1)),
        node.ack(2),
    )
    node.account(1, 2, 3, left=removed)
    node.stop()


@scenario
def parked_adds_that_expire_against_binding(run: Run) -> None:
    """An Add that expires while it is parked is failed, or in the mailbox, or given back."""
    node = Node(run, parked_expiry=EXPIRY)
    node.deliver(1, 2)
    _, _, dropped = run.play(
        lambda: node.clock.advance(EXPIRY), node.live, lambda: node.parked()[:]
    )
    run.play(lambda: node.clock.advance(1))

    node.account(1, 2, left=dropped + node.boxes[0].unacked() + node.parked())
    node.orchestrator.statistics()
    node.stop()
