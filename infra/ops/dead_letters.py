"""How many dead letters wait for a decision, for the metrics."""

from infra.postgres import trails
from infra.postgres.database import Database
from infra.telemetry import metrics


async def count_parked(database: Database) -> int:
    """All that are parked; exported by consumer and reason. Raises: Unavailable."""
    async with database.transaction() as tx:
        counts = await trails.count_parked(tx)
    metrics.DEAD_LETTERS.clear()
    for (consumer, reason), count in counts.items():
        metrics.DEAD_LETTERS.labels(consumer, reason).set(count)
    return sum(counts.values())
