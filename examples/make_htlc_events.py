"""Write htlc_events.jsonl, a made-up log of HTLC events, beside this script.

It has the form in which lnd reports them (SubscribeHtlcEvents as JSON): one event a line, 64-bit
numbers as strings, fields that are zero left out. No channel, payment or amount in it is real;
the same numbers come out each time.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

CHANNELS = [
    block << 40 | transaction << 16 | output
    for block, transaction, output in [
        (880000, 1, 1),
        (880144, 512, 0),
        (881250, 77, 1),
        (883000, 2048, 0),
        (884096, 13, 2),
    ]
]
START_NS = 1_760_000_000_000_000_000
MINUTES = 30
PAYMENTS = 120

Event = dict[str, Any]


class Node:
    """Makes up the events of a node, and counts the HTLCs of its channels."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.events: list[Event] = []
        self.incoming_ids = {channel: 40 * n for n, channel in enumerate(CHANNELS, 1)}
        self.outgoing_ids = {channel: 70 * n for n, channel in enumerate(CHANNELS, 1)}

    def forward(self, at_ns: int) -> None:
        incoming, outgoing = self.random.sample(CHANNELS, 2)
        amount = self.amount()
        info = {
            "incoming_timelock": 885_080 + self.random.randrange(300),
            "outgoing_timelock": 885_000,
            "incoming_amt_msat": str(amount + 1_000 + amount * 250 // 1_000_000),
            "outgoing_amt_msat": str(amount),
        }
        incoming_ids = {
            "incoming_channel_id": str(incoming),
            "incoming_htlc_id": self.next_id(self.incoming_ids, incoming),
        }
        channels = {**incoming_ids, "outgoing_channel_id": str(outgoing)}
        if self.random.random() < 0.12:
            self.report(at_ns, channels, "FORWARD", link_fail_event=self.refusal(info))
            self.final(at_ns + self.delay(0.2, 0.4), incoming_ids, settled=False)
            return
        ids = {**channels, "outgoing_htlc_id": self.next_id(self.outgoing_ids, outgoing)}
        self.report(at_ns, ids, "FORWARD", forward_event={"info": info})
        end_ns = at_ns + self.delay(0.4, 9.0)
        settled = self.random.random() < 0.7
        self.report(end_ns, ids, "FORWARD", **result(settled))
        self.final(end_ns + self.delay(0.1, 1.0), incoming_ids, settled=settled)

    def send(self, at_ns: int) -> None:
        outgoing = self.random.choice(CHANNELS)
        ids = {
            "outgoing_channel_id": str(outgoing),
            "outgoing_htlc_id": self.next_id(self.outgoing_ids, outgoing),
        }
        info = {"outgoing_timelock": 885_000, "outgoing_amt_msat": str(self.amount())}
        self.report(at_ns, ids, "SEND", forward_event={"info": info})
        settled = self.random.random() < 0.8
        self.report(at_ns + self.delay(0.4, 5.0), ids, "SEND", **result(settled))

    def receive(self, at_ns: int) -> None:
        incoming = self.random.choice(CHANNELS)
        ids = {
            "incoming_channel_id": str(incoming),
            "incoming_htlc_id": self.next_id(self.incoming_ids, incoming),
        }
        settled = self.random.random() < 0.85
        if settled:
            self.report(at_ns, ids, "RECEIVE", settle_event={})
        else:
            failure = {
                "info": {"incoming_timelock": 885_040, "incoming_amt_msat": str(self.amount())},
                "wire_failure": "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS",
                "failure_detail": "UNKNOWN_INVOICE",
                "failure_string": "invoice not found",
            }
            self.report(at_ns, ids, "RECEIVE", link_fail_event=failure)
        self.final(at_ns + self.delay(0.1, 1.0), ids, settled=settled)

    def final(self, at_ns: int, ids: Event, *, settled: bool) -> None:
        body = {"settled": True, "offchain": True} if settled else {"offchain": True}
        self.report(at_ns, ids, "UNKNOWN", final_htlc_event=body)

    def report(self, at_ns: int, ids: Event, origin: str, **body: Event) -> None:
        event = {**ids, "timestamp_ns": str(at_ns), "event_type": origin, **body}
        self.events.append(event)

    def amount(self) -> int:
        return self.random.randrange(10_000, 10 ** self.random.randint(5, 9))

    def delay(self, least: float, most: float) -> int:
        return round(self.random.uniform(least, most) * 1e9)

    @staticmethod
    def next_id(ids: dict[int, int], channel: int) -> str:
        ids[channel] += 1
        return str(ids[channel])

    @staticmethod
    def refusal(info: Event) -> Event:
        return {
            "info": info,
            "wire_failure": "TEMPORARY_CHANNEL_FAILURE",
            "failure_detail": "INSUFFICIENT_BALANCE",
            "failure_string": "insufficient bandwidth to route htlc",
        }


def result(settled: bool) -> dict[str, Event]:
    return {"settle_event": {}} if settled else {"forward_fail_event": {}}


def made_up_events() -> list[Event]:
    """Return the events of the sample, the notice of the subscription first."""
    node = Node(seed=2024)
    times = sorted(node.random.randrange(MINUTES * 60 * 10**9) for _ in range(PAYMENTS))
    for at_ns in times:
        payment = node.random.choices([node.forward, node.send, node.receive], [6, 2, 2])[0]
        payment(START_NS + at_ns)
    node.events.sort(key=lambda event: int(event["timestamp_ns"]))
    return [{"event_type": "UNKNOWN", "subscribed_event": {}}, *node.events]


def main() -> None:
    lines = [f"{json.dumps(event)}\n" for event in made_up_events()]
    Path(__file__).with_name("htlc_events.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
