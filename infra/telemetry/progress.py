"""How far each consumer is: health by progress, not by an open socket."""

import time
from datetime import datetime
from typing import Any, Final

from infra.telemetry import metrics

STALLED_AFTER_S: Final = 30.0


class Progress:
    """One consumer's progress; its runtime feeds it, health and metrics read it."""

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        self.processed = 0
        self.accepted_through: datetime | None = None
        self.waiting_for: str | None = None
        self.failed: str | None = None
        self._lag: dict[tuple[str, int], int] = {}
        self._last = time.monotonic()

    def records(self, count: int, accepted_through: datetime | None) -> None:
        """A batch was handled and committed; `accepted_through` is its newest accepted-at."""
        self.processed += count
        self.waiting_for = None
        if accepted_through is not None:
            self.accepted_through = accepted_through
        metrics.CONSUMER_RECORDS.labels(self.consumer).inc(count)
        self._moved()

    def waiting(self, reason: str) -> None:
        """A dependency is down; the batch was put back."""
        self.waiting_for = reason
        metrics.CONSUMER_WAITS.labels(self.consumer).inc()

    def lag(self, lag: dict[tuple[str, int], int], oldest_s: float) -> None:
        """Records behind, per topic and partition that this consumer owns now; age of the oldest one."""
        for topic, partition in self._lag.keys() - lag.keys():
            metrics.CONSUMER_LAG.remove(self.consumer, topic, str(partition))
        for (topic, partition), behind in lag.items():
            metrics.CONSUMER_LAG.labels(self.consumer, topic, str(partition)).set(behind)
        self._lag = dict(lag)
        metrics.CONSUMER_OLDEST_SECONDS.labels(self.consumer).set(oldest_s if self.total_lag else 0)
        if not self.total_lag:
            self._moved()

    def stopped(self, reason: str) -> None:
        """The consume loop ended for good."""
        self.failed = reason

    @property
    def total_lag(self) -> int:
        """Records behind, all partitions together."""
        return sum(self._lag.values())

    @property
    def idle_s(self) -> float:
        """Seconds since it last finished a batch or saw that nothing was left."""
        return time.monotonic() - self._last

    @property
    def healthy(self) -> bool:
        """False when the loop died, or nothing moved for 30 s (a lag report of 0 counts as moving)."""
        return self.failed is None and self.idle_s < STALLED_AFTER_S

    def report(self) -> dict[str, Any]:
        """What `/health/ready` shows of it."""
        return {
            "healthy": self.healthy,
            "lag": self.total_lag,
            "processed": self.processed,
            "idle_s": round(self.idle_s, 1),
            "waiting_for": self.waiting_for,
            "failed": self.failed,
        }

    def _moved(self) -> None:
        self._last = time.monotonic()
        metrics.CONSUMER_LAST_PROGRESS.labels(self.consumer).set_to_current_time()


PROGRESS: Final[dict[str, Progress]] = {}
"""The consumers of this process, by name."""


def progress_of(consumer: str) -> Progress:
    """The consumer's progress, fresh: a restarted consumer starts healthy."""
    PROGRESS[consumer] = Progress(consumer)
    return PROGRESS[consumer]
