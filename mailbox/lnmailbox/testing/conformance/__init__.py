"""The tests that every `MailBox` has to pass, whichever way it keeps its mail.

To run them on another implementation, give it a test class with a factory::

    class TestSQLiteMailBox(MailBoxConformance):
        def make_mailbox(self, config: MailBoxConfig) -> MailBox:
            return SQLiteMailBox(config, path=":memory:")

A kind that outlives its process overrides `reopen` too. `IdentityConformance` is for kinds that
hand over the very objects.

The tests know nothing but the contract: the abstract `MailBox`, and `Outbox` as receivers see it.
"Contract 5" in a test's docstring is the fifth of these promises, which the documentation
explains under "Guarantees":

Order and delivery (`order`)
    1. Messages, replies and Adds are each first in, first out; an item goes to one receiver.
    2. Replies go before Adds, decided at the moment of delivery.
    3. A receive that times out or is interrupted consumes nothing.
    4. What comes out equals what went in, and is known by the key it was added under.

Ack, reset, duplicates (`acks`, `nack`, `batches`)
    5. An ack removes by key, the reply first, then the Add; an acked packet is never delivered.
    6. A key is unique among the replies, and among the Adds.
    7. `fail_add` touches Adds only.
    8. `has_packet` sees replies only.
    9. Resets are complete when they return; packets are replayed in order of arrival.
    10. Three classes are packets, exactly; everything else is refused and changes nothing.

Expiry and failing back (`expiry`, `failing`, `callbacks`)
    11. An undelivered Add expires at its deadline, with or without a receiver.
    12. An expired Add is never delivered; a delivered Add does not expire, until it is reset.
    13. Each Add is failed once at most, in the order of the queue.
    14. The fail packet, field by field.
    15. An HTLC is never lost, whatever the encoder, the encrypter or the switch raises.
    16. No callback's exception ends a courier.

Life and threads (`life`, `left_behind`, `callbacks`, `threads`)
    17. `stop` is idempotent, wakes receivers, joins couriers, and may come from a callback.
    18. Before `start` and after `stop`, some methods work and some raise.
    19. Couriers are daemons with telling names, and keep no mailbox alive.
    22. A mailbox has the short channel id that it was given last.
    27. Every method may be called from any thread.

Besides these: what `statistics` counts (`counting`), how many wire messages a mailbox takes
(`budgets`), and `dust_packets` (`dust`).
"""

from __future__ import annotations

import pytest

_MODULES = (
    "base order acks nack batches expiry failing callbacks life left_behind counting budgets dust "
    "threads reopening"
).split()
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

from .acks import AckTests  # noqa: E402
from .batches import BatchTests  # noqa: E402
from .budgets import BudgetTests  # noqa: E402
from .callbacks import CallbackErrorTests, CallbackTests  # noqa: E402
from .counting import StatisticsTests  # noqa: E402
from .dust import DustTests  # noqa: E402
from .expiry import ExpiryTests  # noqa: E402
from .failing import FailAddTests, FailPacketTests  # noqa: E402
from .left_behind import LeftBehindTests  # noqa: E402
from .life import LifeTests  # noqa: E402
from .nack import NackTests  # noqa: E402
from .order import IdentityTests, OrderTests  # noqa: E402
from .reopening import ReopeningTests  # noqa: E402
from .threads import InterruptTests, ThreadTests  # noqa: E402

__all__ = ["IdentityConformance", "MailBoxConformance"]


class MailBoxConformance(
    OrderTests,
    AckTests,
    NackTests,
    BatchTests,
    ExpiryTests,
    FailAddTests,
    FailPacketTests,
    CallbackErrorTests,
    LifeTests,
    CallbackTests,
    LeftBehindTests,
    StatisticsTests,
    BudgetTests,
    DustTests,
    ThreadTests,
    InterruptTests,
    ReopeningTests,
):
    """Every conformance test; `make_mailbox` is to be provided."""


class IdentityConformance(IdentityTests):
    """For mailboxes that hand over the very objects that were added, besides the others."""
