"""What an orchestrator promises, in dicts of `PlainMailBox`es and without the package."""

from plain_mailbox import STOPPED, TWICE, PlainMailBox

FULL, UNKNOWN = "ParkedFull", "KeyError"


class PlainNode:
    def __init__(self, expiry, parked_expiry, max_parked, max_parked_channels):
        self.expiry, self.parked_expiry = expiry, parked_expiry
        self.max_parked, self.max_parked_channels = max_parked, max_parked_channels
        self.now, self.stopped = 0, False
        self.boxes, self.live, self.parked = {}, {}, {}  # by channel; by id; lists by id
        self.fails = []  # what was failed just now
        self.refused = self.expired = self.failed_before = 0

    def get(self, channel):
        if self.stopped:
            return STOPPED
        if channel not in self.boxes:
            box = self.boxes[channel] = PlainMailBox(self.expiry, None)
            box.now, box.running = self.now, True
        return None

    def bind(self, channel, id_):
        if self.stopped:
            return STOPPED
        self.get(channel)
        box = self.live[id_] = self.boxes[channel]
        for kind, number, _ in self.parked.pop(id_, []):
            box.add((kind, number))  # a second one is dropped
        return None

    def deliver(self, id_, kind, number):
        if self.stopped:
            return STOPPED
        if id_ in self.live:
            return self.live[id_].add((kind, number))
        here = self.parked.get(id_, [])
        if not here and len(self.parked) >= self.max_parked_channels:
            self.refused += 1
            return FULL
        if any((kind, number) == packet[:2] for packet in here):
            return TWICE
        if len(here) >= self.max_parked:
            self.refused += 1
            return FULL
        self.parked[id_] = [*here, (kind, number, self.now + self.parked_expiry)]
        return None

    def remove(self, channel):
        box = self.boxes.pop(channel, None)
        if box is None:
            return UNKNOWN
        self.live = {id_: other for id_, other in self.live.items() if other is not box}
        self.failed_before += box.counts["failed"]
        return [i.number for kind in ("reply", "add") for i in box.of(kind)]

    def drop_parked(self, id_):
        return [number for _, number, _ in self.parked.pop(id_, [])]

    def advance(self, seconds):
        self.now += seconds
        for box in self.boxes.values():
            box.now = self.now

    def expire(self):
        """Fail what is due; return the numbers of all that was failed, in no order."""
        for channel, box in self.boxes.items():
            self.forward(channel, box.expire())
        for id_, packets in list(self.parked.items()):
            due = [p for p in packets if p[0] == "add" and p[2] <= self.now]
            left = [p for p in packets if p not in due]
            self.parked[id_] = left
            if not left:
                del self.parked[id_]
            self.expired += len(due)
            self.forward(("parked", id_), [number for _, number, _ in due])
        fails, self.fails = self.fails, []
        return sorted(fails)

    def forward(self, name, numbers):
        self.fails += numbers

    def stop(self):
        self.stopped = True
        self.parked = {}
        for box in self.boxes.values():
            box.stop()
