"""What a durable mailbox promises beyond `PlainMailBox`: what is on disk, and what comes back."""

from plain_mailbox import PlainMailBox


class Fail:
    def __init__(self, number, arrived):
        self.number, self.arrived, self.is_handed_over = number, arrived, False


class PlainDurableMailBox(PlainMailBox):
    """On disk are `rows`, packets, and `decided`, Fails: both in order of the arrival."""

    def __init__(self, expiry, max_messages, lazy):
        self.lazy, self.drift = lazy, 0  # how far the date is ahead of the clock
        self.rows, self.decided, self.refuses = [], [], False
        self.arrivals = []  # the numbers of all Adds
        super().__init__(expiry, max_messages)

    def begin(self):
        super().begin()
        self.in_transaction = False
        self.acked, self.held, self.left = [], [], []

    def commit(self):
        """What was left out of earlier commits goes with this one."""
        self.rows = list(self.items)
        self.decided = [fail for fail in self.decided if not fail.is_handed_over]

    def reopen(self, killed, drift):
        """End the process. What no commit followed is undone by a kill."""
        if not killed:
            self.commit()
        self.items, self.drift = list(self.rows), self.drift + drift
        super().reopen(False)
        today = self.now + self.drift
        for item in self.items:
            item.deadline = self.now + min(max(item.date - today, 0), self.expiry)
        for fail in self.decided:
            fail.is_handed_over = False
        self.held, self.left = list(self.items), list(self.decided)

    def start(self):
        while self.left and not self.stopped:
            self.hand_over(self.left.pop(0))
        return super().start()

    def hand_over(self, fail):
        fail.is_handed_over = not self.refuses
        self.forward_errors += self.refuses
        self.fails += [fail.number] * fail.is_handed_over

    def forward(self, number):
        self.commit()
        last = max(i for i, arrived in enumerate(self.arrivals) if arrived == number)
        fail = Fail(number, last)
        self.decided = sorted([*self.decided, fail], key=lambda fail: fail.arrived)
        self.hand_over(fail)

    def of(self, kind, place=None):
        """Return what is there. Nothing gets at what is acked in a transaction."""
        return [i for i in super().of(kind, place) if place is None or i not in self.acked]

    def add(self, *packets):
        old = len(self.items)
        wrong = super().add(*packets)
        for item in self.items[old:]:
            item.date = item.deadline + self.drift
            self.arrivals += [item.number] * (item.kind == "add")
            item.place = "coming" if self.in_transaction else "waiting"
        if wrong is None and not self.in_transaction:
            self.commit()
        return wrong

    def ack(self, *numbers):
        if self.in_transaction:
            return sum(map(self.ack_later, numbers))
        count = super().ack(*numbers)
        if count and not self.lazy:
            self.commit()
        return count

    def ack_later(self, number):
        found = [i for kind in ("reply", "add") for i in self.of(kind) if i.number == number]
        found = [i for i in found if i not in self.acked and i.place != "coming"]
        self.acked += found[:1]
        return len(found[:1])

    def end_transaction(self, commits):
        acked, coming = self.acked, [i for i in self.items if i.place == "coming"]
        self.in_transaction, self.acked = False, []
        for item in acked if commits else []:
            self.remove(item, "acked")
        for item in coming:
            item.place = "waiting"
        if commits:
            self.commit()
        else:
            self.items = [item for item in self.items if item not in coming]

    def give_back(self, items):
        if not self.stopped:
            self.held = [item for item in self.held if item not in items]
        return super().give_back(items)

    def reset(self):
        if not self.stopped:
            self.held = []
            self.give_back([item for item in self.acked if item.place == "link"])
        return super().reset()
