"""An orchestrator's statistics, as Prometheus scrapes them."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from lnmailbox import MailBoxStatistics, MailOrchestratorStatistics
from lnmailbox.metrics import MailCollector
from lnmailbox.testing.conformance.base import EXPIRY, add, key, message, settle
from lnmailbox.testing.threads import PATIENCE
from node import Node, channel

# Of every field of the statistics that is exported: the metric. Sums of these are not.
SUMS = {"replies_unacked", "adds_unacked"}
EXPORTED = {
    "mailboxes": "lnmailbox_mailboxes",
    "live": "lnmailbox_live_channels",
    "parked": "lnmailbox_parked_packets",
    "parked_channels": "lnmailbox_parked_channels",
    "parked_refused": "lnmailbox_parked_refused_total",
    "parked_expired": "lnmailbox_parked_expired_total",
    "messages": "lnmailbox_wire_messages",
    "message_bytes": "lnmailbox_wire_message_bytes",
    "messages_refused": "lnmailbox_wire_messages_refused_total",
    "replies_undelivered": 'lnmailbox_replies{kind="undelivered"}',
    "replies_delivered": 'lnmailbox_replies{kind="delivered"}',
    "oldest_reply_age": "lnmailbox_oldest_reply_age_seconds",
    "adds_undelivered": 'lnmailbox_adds{kind="undelivered"}',
    "adds_delivered": 'lnmailbox_adds{kind="delivered"}',
    "adds_overdue": 'lnmailbox_adds{kind="overdue"}',
    "adds_being_failed": 'lnmailbox_adds{kind="being_failed"}',
    "oldest_add_age": "lnmailbox_oldest_add_age_seconds",
    "packets_held": "lnmailbox_packets_held",
    "packets_refused": "lnmailbox_packets_refused_total",
    "packets_redelivered": "lnmailbox_packets_redelivered_total",
    "packets_acked": "lnmailbox_packets_acked_total",
    "adds_failed": "lnmailbox_adds_failed_total",
    "adds_expired": "lnmailbox_adds_expired_total",
    "encrypt_errors": 'lnmailbox_callback_errors_total{kind="encrypt"}',
    "forward_errors": 'lnmailbox_callback_errors_total{kind="forward"}',
    "receivers": 'lnmailbox_receivers{kind="threads"}',
    "listeners": 'lnmailbox_receivers{kind="listeners"}',
}


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.orchestrator.stop()


@contextmanager
def exporter(collector: MailCollector) -> Iterator[int]:
    """Run prometheus_client's own exporter; give its port."""
    registry = CollectorRegistry()
    registry.register(collector)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def scraped(port: int) -> list[Metric]:
    """Get the metrics over HTTP, as Prometheus does, and read their text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/metrics")
    with connection.getresponse() as response:
        text = response.read().decode()
    connection.close()
    return list(text_string_to_metric_families(text))


def samples(metrics: list[Metric]) -> dict[str, float]:
    found = {}
    for metric in metrics:
        for sample in metric.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def numbered(cls: type, first: int, **fields: Any) -> Any:
    """Return statistics of which every field has another value."""
    names = [field.name for field in attrs.fields(cls) if field.name not in fields]
    return cls(**dict(zip(names, range(first, 10**6), strict=False)), **fields)


def test_every_statistic_is_scraped_under_its_name(node: Node, monkeypatch: Any):
    """No field of the statistics can be forgotten; what is a sum of others is none of its own."""
    total = numbered(MailBoxStatistics, 100)
    statistics = numbered(MailOrchestratorStatistics, 1, total=total)
    monkeypatch.setattr(node.orchestrator, "statistics", lambda: statistics)
    values = {**attrs.asdict(total), **attrs.asdict(statistics)}

    with exporter(MailCollector(node.orchestrator)) as port:
        metrics = scraped(port)

    assert values.keys() - SUMS - {"total"} == EXPORTED.keys()
    assert {EXPORTED[name]: values[name] for name in EXPORTED} == samples(metrics)


def test_a_scrape_shows_what_happens_in_a_node(node: Node):
    """Each one anew; and counters stay when a mailbox goes."""
    box = node.live(1)
    box.add_message(message(1))
    box.add_packets([settle(1), add(2), add(3)])
    box.packet_outbox.get_batch(2)
    box.ack_packet(key(1))
    with exporter(MailCollector(node.orchestrator)) as port:
        before = samples(scraped(port))
        node.clock.advance(EXPIRY)
        node.switch.next_fails(1)
        after = samples(scraped(port))
        node.orchestrator.remove_mailbox(channel(1))
        removed = samples(scraped(port))

    names = [
        "lnmailbox_mailboxes",
        'lnmailbox_adds{kind="undelivered"}',
        'lnmailbox_adds{kind="delivered"}',
        "lnmailbox_wire_message_bytes",
        "lnmailbox_oldest_add_age_seconds",
        "lnmailbox_packets_acked_total",
        "lnmailbox_adds_expired_total",
    ]
    size = message(1).serialized_size()
    assert [1, 1, 1, size, 0, 1, 0] == [before[name] for name in names]
    assert [1, 0, 1, size, EXPIRY, 1, 1] == [after[name] for name in names]
    assert [0, 0, 0, 0, 0, 1, 1] == [removed[name] for name in names]


def test_there_are_as_many_time_series_for_many_channels_as_for_one(node: Node):
    """27: 21 metrics, of which 4 have a label, `kind`, of at most 4 values."""
    collector = MailCollector(node.orchestrator)
    few = list(collector.collect())
    for number in range(50):
        node.live(number).add_packet(add(number))
        node.deliver(1000 + number, add(number))
    many = list(collector.collect())

    assert samples(few).keys() == samples(many).keys()
    assert (21, 27) == (len(many), len(samples(many)))
    labels = [[tuple(sample.labels) for sample in metric.samples] for metric in many]
    assert {(), ("kind",)} == {label for metric in labels for label in metric}
    assert [4, 2, 2, 2] == sorted((len(m) for m in labels if m[0]), reverse=True)


def test_names_types_and_units_are_as_prometheus_wants_them(node: Node):
    """Counters end in `_total` and nothing else does; seconds and bytes; each has its help."""
    for metric in MailCollector(node.orchestrator).collect():
        assert metric.documentation
        for sample in metric.samples:
            assert ("counter" == metric.type) is sample.name.endswith("_total")
            assert ("_age_" in sample.name) is sample.name.endswith("_seconds")
            assert ("bytes" in sample.name) is sample.name.endswith("_bytes")


def test_the_names_may_begin_with_something_else(node: Node):
    """Two orchestrators in one process."""
    registry = CollectorRegistry()
    registry.register(MailCollector(node.orchestrator))
    registry.register(MailCollector(node.orchestrator, namespace="other"))
    node.get(1)

    assert 1 == registry.get_sample_value("lnmailbox_mailboxes")
    assert 1 == registry.get_sample_value("other_mailboxes")


def test_registering_asks_for_no_statistics(node: Node, monkeypatch: Any):
    """It may happen long before there is anything to count."""
    monkeypatch.setattr(node.orchestrator, "statistics", lambda: 1 // 0)

    CollectorRegistry().register(MailCollector(node.orchestrator))
