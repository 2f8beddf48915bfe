"""An orchestrator's statistics for Prometheus (extra `metrics`: prometheus_client)::

    from prometheus_client import REGISTRY, start_http_server

    REGISTRY.register(MailCollector(orchestrator))
    start_http_server(9100)

The numbers are sums over all mailboxes, so there are as many time series for ten thousand
channels as for one: 21 metrics, four of them with a label, `kind`, of at most 4 values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .routing.orchestrator import MailOrchestrator
from .wire.shown import shown

__all__ = ["MailCollector"]

_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


class MailCollector(Collector):
    """Collects what `MailOrchestrator.statistics` says, each time it is scraped.

    Args:
        orchestrator: whose mailboxes are counted. Counters of a mailbox that was removed are
            kept in the sums, so that none goes back.
        namespace: what the metrics' names begin with.

    Raises:
        TypeError: `orchestrator` is no `MailOrchestrator`.
        ValueError: no metric's name can begin with `namespace`.
    """

    def __init__(self, orchestrator: MailOrchestrator, namespace: str = "lnmailbox") -> None:
        if not isinstance(orchestrator, MailOrchestrator):
            raise TypeError(f"orchestrator must be a MailOrchestrator, got {shown(orchestrator)}")
        if not isinstance(namespace, str) or not _NAME.fullmatch(namespace):
            raise ValueError(f"namespace must be letters, digits and _, got {shown(namespace)}")
        self._orchestrator = orchestrator
        self._namespace = namespace

    def describe(self) -> Iterator[Metric]:
        """Name nothing, so that registering does not collect."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every metric. Blocks for a moment for each mailbox's lock."""
        now = self._orchestrator.statistics()
        total = now.total
        yield self._gauge("mailboxes", "Mailboxes that were not removed", now.mailboxes)
        yield self._gauge("live_channels", "Short channel ids that lead to a mailbox", now.live)
        yield self._gauge("parked_packets", "Packets whose channel is not live", now.parked)
        yield self._gauge("parked_channels", "Channels with parked packets", now.parked_channels)
        yield self._counter(
            "parked_refused", "Packets refused with ParkedFull", now.parked_refused
        )
        yield self._counter("parked_expired", "Parked Adds failed back", now.parked_expired)
        yield self._gauge("wire_messages", "Wire messages that wait", total.messages)
        yield self._gauge(
            "wire_message_bytes", "Bytes of wire messages that wait", total.message_bytes
        )
        yield self._counter(
            "wire_messages_refused", "Messages refused with WireQueueFull", total.messages_refused
        )
        yield self._gauges(
            "replies",
            "Unacked Settles and Fails by where they are",
            undelivered=total.replies_undelivered,
            delivered=total.replies_delivered,
        )
        yield self._gauges(
            "adds",
            "Unacked Adds by where they are",
            undelivered=total.adds_undelivered,
            delivered=total.adds_delivered,
            overdue=total.adds_overdue,
            being_failed=total.adds_being_failed,
        )
        yield self._gauge(
            "oldest_reply_age_seconds", "Age of the oldest unacked reply", total.oldest_reply_age
        )
        yield self._gauge(
            "oldest_add_age_seconds", "Age of the oldest unacked Add", total.oldest_add_age
        )
        yield self._gauge(
            "packets_held", "Packets that wait for a reset after a restart", total.packets_held
        )
        yield self._counter(
            "packets_refused", "Packets refused as duplicates", total.packets_refused
        )
        yield self._counter(
            "packets_redelivered", "Packets delivered again", total.packets_redelivered
        )
        yield self._counter("packets_acked", "Packets acked", total.packets_acked)
        yield self._counter("adds_failed", "Adds failed back", total.adds_failed)
        yield self._counter(
            "adds_expired", "Adds failed back because they expired", total.adds_expired
        )
        yield self._counters(
            "callback_errors",
            "Callbacks that raised: the Add stays, or its Fail was not accepted",
            encrypt=total.encrypt_errors,
            forward=total.forward_errors,
        )
        yield self._gauges(
            "receivers",
            "Who waits for mail",
            threads=total.receivers,
            listeners=total.listeners,
        )

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        return GaugeMetricFamily(f"{self._namespace}_{name}", text, value=value)

    def _counter(self, name: str, text: str, value: float) -> Metric:
        return CounterMetricFamily(f"{self._namespace}_{name}", text, value=value)

    def _gauges(self, name: str, text: str, **values: float) -> Metric:
        metric = GaugeMetricFamily(f"{self._namespace}_{name}", text, labels=["kind"])
        for kind, value in values.items():
            metric.add_metric([kind], value)
        return metric

    def _counters(self, name: str, text: str, **values: float) -> Metric:
        metric = CounterMetricFamily(f"{self._namespace}_{name}", text, labels=["kind"])
        for kind, value in values.items():
            metric.add_metric([kind], value)
        return metric
