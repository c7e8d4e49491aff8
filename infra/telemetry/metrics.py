"""Every metric the hub exports, declared in one place (Prometheus naming: base units, `_total` for counters)."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
REGISTRY: Final = CollectorRegistry()

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

HTTP_REQUESTS: Final = Counter(
    "aihub_http_requests_total", "Requests answered", ["method", "route", "status"], registry=REGISTRY
)
HTTP_SECONDS: Final = Histogram(
    "aihub_http_request_seconds",
    "Time from request to answer",
    ["method", "route"],
    buckets=_FAST,
    registry=REGISTRY,
)
CLOCK_AHEAD_SECONDS: Final = Gauge(
    "aihub_clock_ahead_seconds",
    "How far this machine's clock is ahead of PostgreSQL's; 0: tolerable",
    registry=REGISTRY,
)
LIMITED_REQUESTS: Final = Counter(
    "aihub_rate_limited_requests_total", "Requests refused by a rate limit", ["class"], registry=REGISTRY
)
LIMITER_FAILURES: Final = Counter(
    "aihub_rate_limiter_failures_total", "Requests whose rate limit could not be checked", ["class"], registry=REGISTRY
)
EVENTS_ACCEPTED: Final = Counter(
    "aihub_events_accepted_total", "Events acknowledged by the broker", ["family"], registry=REGISTRY
)
EVENTS_REJECTED: Final = Counter(
    "aihub_events_rejected_total", "Events refused at the door", ["code"], registry=REGISTRY
)
CONSUMER_RECORDS: Final = Counter(
    "aihub_consumer_records_total", "Records handled and committed", ["consumer"], registry=REGISTRY
)
CONSUMER_BATCH_SECONDS: Final = Histogram(
    "aihub_consumer_batch_seconds",
    "Time to handle one batch, commit included",
    ["consumer"],
    buckets=_FAST,
    registry=REGISTRY,
)
CONSUMER_DEAD_LETTERS: Final = Counter(
    "aihub_consumer_dead_letters_total", "Records parked", ["consumer", "reason"], registry=REGISTRY
)
CONSUMER_WAITS: Final = Counter(
    "aihub_consumer_waits_total", "Batches put back because a dependency was down", ["consumer"], registry=REGISTRY
)
CONSUMER_LAG: Final = Gauge(
    "aihub_consumer_lag_records",
    "Records behind the end of the partition",
    ["consumer", "topic", "partition"],
    registry=REGISTRY,
)
CONSUMER_OLDEST_SECONDS: Final = Gauge(
    "aihub_consumer_oldest_unprocessed_seconds",
    "Age of the oldest event that is not processed yet",
    ["consumer"],
    registry=REGISTRY,
)
CONSUMER_LAST_PROGRESS: Final = Gauge(
    "aihub_consumer_last_progress_timestamp_seconds",
    "When the consumer last finished a batch or saw that nothing is left",
    ["consumer"],
    registry=REGISTRY,
)
OUTBOX_SHIPPED: Final = Counter(
    "aihub_outbox_events_total", "Events shipped from the outbox to Kafka", registry=REGISTRY
)
OUTBOX_PENDING: Final = Gauge("aihub_outbox_pending_rows", "Rows waiting in the outbox", registry=REGISTRY)
DELIVERIES: Final = Counter(
    "aihub_webhook_attempts_total", "Webhook attempts by outcome", ["outcome"], registry=REGISTRY
)
DELIVERY_SECONDS: Final = Histogram(
    "aihub_webhook_attempt_seconds", "Time of one webhook attempt", buckets=_FAST, registry=REGISTRY
)
DELIVERIES_DUE: Final = Gauge("aihub_webhook_due_deliveries", "Deliveries that are due", registry=REGISTRY)
DEAD_LETTERS: Final = Gauge(
    "aihub_dead_letters_parked", "Dead letters that wait for a decision", ["consumer", "reason"], registry=REGISTRY
)
RECONCILE_DIFFERENCES: Final = Gauge(
    "aihub_reconcile_differences", "Differences found by the last reconcile", ["check"], registry=REGISTRY
)
RECONCILE_CLEAN: Final = Gauge("aihub_reconcile_clean", "1 when the last reconcile found nothing", registry=REGISTRY)
RECONCILE_LAST: Final = Gauge(
    "aihub_reconcile_last_timestamp_seconds", "When the last reconcile ended", registry=REGISTRY
)
RECONCILE_EVENTS: Final = Gauge(
    "aihub_reconcile_events", "Events compared by the last reconcile", ["store"], registry=REGISTRY
)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
