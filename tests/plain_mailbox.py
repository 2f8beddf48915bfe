"""What a mailbox promises, in lists and without the package. Errors are returned as names."""

STOPPED, TWICE = "MailBoxShuttingDown", "PacketAlreadyExists"


class Item:
    def __init__(self, kind, number, deadline):
        self.kind, self.number, self.deadline = kind, number, deadline
        self.place, self.was_delivered = "waiting", False


class PlainMailBox:
    def __init__(self, expiry, max_messages):
        self.expiry, self.max_messages = expiry, max_messages
        self.now = 0
        self.items, self.fails = [], []  # what is unacked, and what was failed just now
        self.begin()

    def begin(self):
        self.messages, self.is_latched = [], False
        self.running = self.stopped = False
        self.forward_errors = 0
        self.counts = dict.fromkeys("acked failed redelivered refused".split(), 0)

    def reopen(self, renew):
        """End, and begin again with what was unacked: it counts as with the link."""
        self.begin()
        for item in self.items:
            item.place, item.was_delivered = "link", True
            item.deadline = self.now + self.expiry if renew else item.deadline

    def of(self, kind, place=None):
        return [i for i in self.items if i.kind == kind and place in (None, i.place)]

    def find(self, number, kinds=("reply", "add"), place=None):
        found = (i for kind in kinds for i in self.of(kind, place) if i.number == number)
        return next(found, None)

    def add(self, *packets):
        if self.stopped:
            return STOPPED
        if len(set(packets)) < len(packets) or any(self.find(n, [kind]) for kind, n in packets):
            self.counts["refused"] += 1
            return TWICE
        self.items += [Item(kind, n, self.now + self.expiry) for kind, n in packets]
        return None

    def remove(self, item, why):
        self.items.remove(item)
        self.counts[why] += 1

    def ack(self, *numbers):
        before = len(self.items)
        for number in numbers:
            item = self.find(number)
            if item:
                self.remove(item, "acked")
        return before - len(self.items)

    def give_back(self, items):
        if self.stopped:
            return STOPPED
        for item in items:
            item.place = "waiting"
        return bool(items)

    def nack(self, number):
        item = self.find(number, place="link")
        return self.give_back([item] if item else [])

    def reset(self):
        self.give_back([i for i in self.items if i.place == "link"])
        return STOPPED if self.stopped else None

    def fail_add(self, number, can_encrypt):
        item = self.find(number, ["add"]) if can_encrypt else None
        if item:
            self.remove(item, "failed")
            self.forward(number)
        return item is not None

    def forward(self, number):
        self.fails.append(number)

    def expire(self):
        """Fail what is due; return the numbers of all that was failed since the last call."""
        for item in self.of("add", "waiting"):
            if self.running and item.deadline <= self.now:
                self.fail_add(item.number, True)
        fails, self.fails = self.fails, []
        return fails

    def take(self, count):
        if self.stopped:
            return STOPPED
        adds = [item for item in self.of("add", "waiting") if item.deadline > self.now]
        mail = (self.of("reply", "waiting") + adds) * self.running
        for item in mail[:count]:
            self.counts["redelivered"] += item.was_delivered
            item.place, item.was_delivered = "link", True
        return [item.number for item in mail[:count]]

    def add_message(self, number):
        if self.stopped:
            return STOPPED
        self.is_latched |= len(self.messages) == self.max_messages
        return "WireQueueFull" if self.is_latched else self.messages.append(number)

    def take_message(self):
        if self.stopped:
            return STOPPED
        return [self.messages.pop(0)] if self.messages and self.running else []

    def reset_messages(self):
        if not self.stopped:
            self.messages, self.is_latched = [], False
        return STOPPED if self.stopped else None

    def start(self):
        self.running = not self.stopped
        return STOPPED if self.stopped else None

    def stop(self):
        self.running, self.stopped = False, True
