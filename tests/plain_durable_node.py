"""What an orchestrator with a journal promises beyond `PlainNode`."""

from plain_mailbox import PlainMailBox
from plain_node import PlainNode


class PlainDurableNode(PlainNode):
    """What is on disk is what is in memory, and after a `stop` what was parked then."""

    on_disk = None

    def stop(self):
        if not self.stopped:
            self.on_disk = self.parked
        super().stop()

    def parked_rows(self):
        """Return the channels with what is parked for them on disk."""
        return self.parked if self.on_disk is None else self.on_disk

    def restart(self):
        """End the process, and begin the next one."""
        boxes, parked = self.boxes, self.parked_rows()
        limits = self.max_parked, self.max_parked_channels
        now = self.now
        self.__init__(self.expiry, self.parked_expiry, *limits)
        self.now, self.on_disk, self.parked, self.left = now, None, parked, boxes

    def recover(self, committed, fails):
        """Take up what the boxes had; return the channels."""
        for number, old in self.left.items():
            if old.items:
                box = self.boxes[number] = PlainMailBox(self.expiry, None)
                box.now, box.items, box.running = self.now, old.items, True
                for item in old.items:
                    item.was_delivered, item.place = True, "link"
                    if fails and item.kind == "add":
                        item.deadline = min(item.deadline, self.now)
                box.ack(*[item.number for item in box.items if item.number in committed])
                box.reset()
        return sorted(self.boxes)
