"""Puts the first price book into a database that has none."""

from contracts.rules.price_seeds import SEED_PRICES
from infra.clock import Clock
from infra.postgres import ledger_prices
from infra.postgres.database import Database


async def seed_prices(database: Database, clock: Clock) -> bool:
    """Whether the seed version was added now; a second run, also at the same time, adds nothing."""
    async with database.transaction() as tx:
        return await ledger_prices.publish(tx, SEED_PRICES, clock.now())
