"""How far each consumer is: health by progress, not by an open socket."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from infra.telemetry import metrics

STALLED_AFTER_S: Final = 30.0


@dataclass(slots=True)
class _Share:
    """One member's: records behind in its partitions, the age of the oldest one, when it last moved (monotonic)."""

    lag: dict[tuple[str, int], int] = field(default_factory=dict)
    oldest_s: float = 0.0
    moved_s: float = field(default_factory=time.monotonic)


class Progress:
    """One consumer's progress; its runtime feeds it, health and metrics read it.

    Its members in this process are told apart by number; each of them must move for the consumer to be healthy.
    """

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        self.processed = 0
        self.accepted_through: datetime | None = None
        self.waiting_for: str | None = None
        self.failed: str | None = None
        self._lag: dict[tuple[str, int], int] = {}
        self._shares = [_Share()]

    def enlist(self) -> int:
        """The number of one more member beside the first, which is 0."""
        self._shares.append(_Share())
        return len(self._shares) - 1

    def records(self, count: int, accepted_through: datetime | None, member: int = 0) -> None:
        """A batch was handled and committed; `accepted_through` is its newest accepted-at."""
        self.processed += count
        self.waiting_for = None
        if accepted_through is not None:
            self.accepted_through = accepted_through
        metrics.CONSUMER_RECORDS.labels(self.consumer).inc(count)
        self._moved(member)

    def waiting(self, reason: str) -> None:
        """A dependency is down; the batch was put back."""
        self.waiting_for = reason
        metrics.CONSUMER_WAITS.labels(self.consumer).inc()

    def lag(self, lag: dict[tuple[str, int], int], oldest_s: float, member: int = 0) -> None:
        """Records behind, per topic and partition that this member owns now; age of the oldest one."""
        self._shares[member].lag, self._shares[member].oldest_s = dict(lag), oldest_s
        before, self._lag = self._lag, {place: behind for one in self._shares for place, behind in one.lag.items()}
        for topic, partition in before.keys() - self._lag.keys():
            metrics.CONSUMER_LAG.remove(self.consumer, topic, str(partition))
        for (topic, partition), behind in self._lag.items():
            metrics.CONSUMER_LAG.labels(self.consumer, topic, str(partition)).set(behind)
        oldest_s = max(one.oldest_s for one in self._shares)
        metrics.CONSUMER_OLDEST_SECONDS.labels(self.consumer).set(oldest_s if self.total_lag else 0)
        if not any(lag.values()):
            self._moved(member)

    def stopped(self, reason: str) -> None:
        """The consume loop ended for good; the first reason counts, members that are stopped for it come after."""
        self.failed = self.failed or reason

    @property
    def total_lag(self) -> int:
        """Records behind, all partitions together."""
        return sum(self._lag.values())

    @property
    def idle_s(self) -> float:
        """Seconds since it last finished a batch or saw that nothing was left; of its members the longest."""
        return time.monotonic() - min(one.moved_s for one in self._shares)

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

    def _moved(self, member: int) -> None:
        self._shares[member].moved_s = time.monotonic()
        metrics.CONSUMER_LAST_PROGRESS.labels(self.consumer).set_to_current_time()


PROGRESS: Final[dict[str, Progress]] = {}
"""The consumers of this process, by name."""


def progress_of(consumer: str) -> Progress:
    """The consumer's progress, fresh: a restarted consumer starts healthy."""
    PROGRESS[consumer] = Progress(consumer)
    return PROGRESS[consumer]
