"""Through when analytics are complete, for one organization."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from api.deps import Deps
from contracts import topics
from contracts.errors import BrokerUnavailable
from contracts.topics import Topic
from infra.clickhouse.facts import Progress, progress
from infra.kafka.log import CACHE_S

GROUP: Final = "aihub.analytics"
LEDGER_GROUP: Final = "aihub.credits"


class Freshness(NamedTuple):
    """All that was accepted up to `usage` is counted, all up to `credits` is charged and summed; None: not known."""

    usage: datetime | None
    credits: datetime | None


class _Log(NamedTuple):
    """Where one partition ends, and where the groups have got to in it."""

    end: int
    analytics: int
    ledger: int


async def freshness(deps: Deps, organization: str) -> Freshness:
    """How fresh an answer is that is read after this. Raises: AnalyticsUnavailable."""
    now = deps.clock.now() - timedelta(seconds=CACHE_S)
    used, booked = await _log(deps, topics.USAGE, organization), await _log(deps, topics.LEDGER, organization)
    written = await progress(deps.clickhouse)
    usage = _through(written, topics.USAGE, deps.log_reader.partition_of(organization, topics.USAGE), used, now)
    credits = _through(written, topics.LEDGER, deps.log_reader.partition_of(organization, topics.LEDGER), booked, now)
    if used is None or used.ledger < used.end:
        # The ledger still has usage to book: only what it has stated is known to be charged.
        place = (topics.LEDGER.name, deps.log_reader.partition_of(organization, topics.LEDGER))
        credits = written[place].accepted_at if place in written else None
    return Freshness(usage, min(usage, credits) if usage and credits else None)


def _through(
    written: dict[tuple[str, int], Progress], topic: Topic, partition: int, log: _Log | None, now: datetime
) -> datetime | None:
    reached = written.get((topic.name, partition))
    # Unreadable records leave no row: there Kafka's own offset has got further.
    if log is not None and max(reached.next_offset if reached else 0, log.analytics) >= log.end:
        return now
    return reached.accepted_at if reached else None


async def _log(deps: Deps, topic: Topic, organization: str) -> _Log | None:
    """None while the broker is away."""
    reader = deps.log_reader
    try:
        end = await reader.end_offset(topic, reader.partition_of(organization, topic))
        partition = reader.partition_of(organization, topic)
        done = await reader.committed(GROUP, topic, partition) or 0
        return _Log(end, done, await reader.committed(LEDGER_GROUP, topic, partition) or 0)
    except BrokerUnavailable:
        return None
