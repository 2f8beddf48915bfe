"""The port of lnd's mailbox answers as the Go code does, in scripts that this has run.

`lnd_scripts.txt` was recorded with lnd's `mailbox.go` at commit 1a6701122 and its clock for tests,
with some milliseconds for the couriers after each step. A line is a step and the answer to it,
and then the Fails that the switch got: key, failure, and whether it was for the node itself.
"""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from lnmailbox import (
    MailBoxConfig,
    MailBoxShuttingDown,
    ManualClock,
    PacketAlreadyExists,
    UnknownHTLCType,
)
from lnmailbox.reference import CourierMailBox
from lnmailbox.testing import PATIENCE
from lnmailbox.testing.conformance.base import CHANNEL, EXPIRY, key, packet
from lnmailbox.wire import (
    ChannelUpdate,
    TemporaryChannelFailure,
    UpdateAddHTLC,
    UpdateFailHTLC,
    UpdateFailMalformedHTLC,
    UpdateFulfillHTLC,
    decode_failure,
)

RECORDED = (Path(__file__).parent / "lnd_scripts.txt").read_text("utf-8")
SCRIPTS = [script.splitlines() for script in RECORDED.split("\n\n")[1:]]

CLASSES = {
    "add": UpdateAddHTLC,
    "settle": UpdateFulfillHTLC,
    "fail": UpdateFailHTLC,
    "odd": UpdateFailMalformedHTLC,
}
NAMES = {htlc: name for name, htlc in CLASSES.items()}

ANSWERS = {
    PacketAlreadyExists: "exists",
    MailBoxShuttingDown: "stopped",
    UnknownHTLCType: "unknown",
}

TOO_LONG = ChannelUpdate(extra_opaque_data=b"\1\xfd\1\0" + bytes(256))


class Obfuscator:
    def __init__(self, quality):
        self.quality = quality

    def encrypt_first_hop(self, failure):
        if self.quality == "bad":
            raise ValueError
        return f"encrypted {kind_of(failure)}".encode()


def kind_of(failure):
    return "channel" if isinstance(failure, TemporaryChannelFailure) else "node"


class Lab:
    """A mailbox that does what the steps say."""

    def __init__(self):
        self.clock = ManualClock()
        self.updates = "ok"
        self.fails = []
        self.box = CourierMailBox(
            MailBoxConfig(
                short_chan_id=CHANNEL,
                fetch_update=self.fetch_update,
                forward_packets=self.forward_packets,
                clock=self.clock,
                expiry=EXPIRY,
            )
        )

    def fetch_update(self, short_chan_id):
        return {"ok": ChannelUpdate(), "long": TOO_LONG}[self.updates]

    def forward_packets(self, stopping, fail):
        reason = fail.htlc.reason
        local = " local" if fail.local_failure else ""
        what = kind_of(decode_failure(reason)) if local else reason.decode()
        self.fails.append(f"[{fail.incoming_htlc_id} {what}{local}]")

    def do(self, step):
        """Do one step; return the answer as it would have been recorded."""
        name, *arguments = step.split()
        try:
            answer = getattr(self, name, self.add)(*arguments, name=name)
        except tuple(ANSWERS) as error:
            answer = ANSWERS[type(error)]
        assert self.box.wait_for_rest(PATIENCE)
        fails, self.fails = "".join(self.fails), []
        return f"{step}: {answer or ''} {fails}".rstrip()

    def add(self, number, quality="", *, name):
        obfuscator = Obfuscator(quality) if quality else None
        self.box.add_packet(packet(int(number), CLASSES[name](), obfuscator=obfuscator))
        return "ok"

    def fail_add(self, number, quality="", *, name):
        obfuscator = Obfuscator(quality) if quality else None
        self.box.fail_add(packet(int(number), UpdateAddHTLC(), obfuscator=obfuscator))

    def message(self, number, *, name):
        self.box.add_message(number)
        return "ok"

    def take(self, *, name):
        taken = self.receive(self.box.packet_outbox)
        return f"{taken.incoming_htlc_id} {NAMES[type(taken.htlc)]}" if taken else "none"

    def take_message(self, *, name):
        return self.receive(self.box.message_outbox) or "none"

    def receive(self, outbox):
        try:
            return outbox.get_nowait()
        except (queue.Empty, MailBoxShuttingDown):
            return None

    def ack(self, number, *, name):
        return str(self.box.ack_packet(key(int(number)))).lower()

    def has(self, number, *, name):
        return str(self.box.has_packet(key(int(number)))).lower()

    def reset(self, *, name):
        self.box.reset_packets()
        return "ok"

    def reset_messages(self, *, name):
        self.box.reset_messages()
        return "ok"

    def advance(self, seconds, *, name):
        self.clock.advance(float(seconds))

    def update(self, updates, *, name):
        self.updates = updates

    def start(self, *, name):
        self.box.start()

    def stop(self, *, name):
        self.box.stop()


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_the_port_answers_as_the_go_code_did(script):
    """Step by step, and every Fail after the same step."""
    lab = Lab()
    try:
        answers = [lab.do(line.partition(":")[0]) for line in script]
    finally:
        lab.box.start()
        lab.box.stop()

    assert script == answers
