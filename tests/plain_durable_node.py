"""What an orchestrator with a journal promises beyond `PlainNode`."""

from plain_node import PlainNode


class PlainDurableNode(PlainNode):
    """On disk are all packets, what was parked before a `stop`, and what the switch refused."""

    def __init__(self, *limits):
        super().__init__(*limits)
        self.limits, self.refuses = limits, False
        self.decided, self.before_stop = {}, None

    def stop(self):
        if not self.stopped:
            self.before_stop = self.parked
        super().stop()

    def parked_rows(self):
        return self.parked if self.before_stop is None else self.before_stop

    def forward(self, name, numbers):
        if numbers and self.refuses:
            self.decided.setdefault(name, []).extend(numbers)
        else:
            super().forward(name, numbers)

    def take_up(self, name):
        """Hand over again what the switch refused."""
        self.forward(name, self.decided.pop(name, []))

    def get(self, channel):
        is_new = channel not in self.boxes
        wrong = super().get(channel)
        if wrong is None and is_new:
            self.take_up(channel)
        return wrong

    def restart(self):
        """End the process, and begin the next one."""
        left, decided, refuses, now = self.boxes, self.decided, self.refuses, self.now
        parked = self.parked_rows()
        self.__init__(*self.limits)
        self.left, self.decided, self.refuses, self.now = left, decided, refuses, now
        self.parked = parked
        for name in list(decided):
            if isinstance(name, tuple):
                self.take_up(name)

    def recover(self, committed, fails):
        """Take up what the boxes had; return the channels."""
        kept = {channel: box.items for channel, box in self.left.items() if box.items}
        for channel in {*kept, *(name for name in self.decided if isinstance(name, int))}:
            self.get(channel)
            box = self.boxes[channel]
            box.items = kept.get(channel, [])
            for item in box.items:
                item.was_delivered, item.place = True, "link"
                if fails and item.kind == "add":
                    item.deadline = min(item.deadline, self.now)
            box.ack(*[item.number for item in box.items if item.number in committed])
            box.reset()
        return sorted(self.boxes)
