"""How many deliveries are due, as a metric."""

import asyncio
from typing import Final

import structlog

from contracts.errors import DatabaseUnavailable
from infra.clock import Clock
from infra.postgres.database import Database
from infra.postgres.webhooks_queue import count_due
from infra.telemetry import metrics

MEASURE_S: Final = 5.0

log = structlog.get_logger()


async def measure_due(database: Database, clock: Clock) -> None:
    """Keeps the gauge until cancelled; while the database is away it stays as it was."""
    while True:
        try:
            async with database.transaction() as tx:
                metrics.DELIVERIES_DUE.set(await count_due(tx, clock.now()))
        except DatabaseUnavailable as error:
            log.debug("webhooks.due_unknown", reason=error.message)
        await asyncio.sleep(MEASURE_S)
