"""PostgreSQL's clock is the one that counts: leases, due times and expiries stand there, for all machines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from contracts.errors import DatabaseUnavailable
from infra.clock import SharedClock
from infra.postgres.database import Database
from infra.telemetry import metrics

EVERY_S: Final = 10.0
PATIENCE_S: Final = 2.0
"""An answer that takes longer says too little."""

_log = structlog.get_logger(__name__)


async def ask(clock: SharedClock, database: Database) -> bool:
    """Sets the clock right; False, and nothing changed, when the server does not answer at once."""
    before, asked = clock.ahead, clock.own.now()
    try:
        async with asyncio.timeout(PATIENCE_S):
            row = await database.fetch_one("SELECT clock_timestamp()")
    except (DatabaseUnavailable, TimeoutError):
        return False
    assert row is not None
    clock.set_right(asked, row[0], clock.own.now())
    metrics.CLOCK_AHEAD_SECONDS.set(clock.ahead.total_seconds())
    if clock.ahead and not before:
        _log.warning("clock.set_right", ahead_s=clock.ahead.total_seconds(), by="PostgreSQL's clock")
    return True


@asynccontextmanager
async def kept_right(clock: SharedClock, database: Database) -> AsyncIterator[None]:
    """The clock is right, as far as the server answers, until the block ends."""
    await ask(clock, database)
    asking = asyncio.create_task(_ask_again(clock, database))
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def _ask_again(clock: SharedClock, database: Database) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        await ask(clock, database)
