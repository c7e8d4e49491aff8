"""How long a request waits for PostgreSQL where it can do without, or must answer soon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from contracts.errors import DatabaseUnavailable
from infra.postgres.database import Database, Tx

ANSWERS_AFTER_S: Final = 0.05
"""What is done for somebody, hashing aside, takes less; so it does not show whether there is an account."""


@asynccontextmanager
async def brief_transaction(database: Database, deadline_s: float) -> AsyncIterator[Tx]:
    """A transaction that is given up after so many seconds. Raises: DatabaseUnavailable, then too."""
    try:
        async with asyncio.timeout(deadline_s), database.transaction() as tx:
            yield tx
    except TimeoutError:
        raise DatabaseUnavailable("PostgreSQL does not answer in time; try again.") from None


@asynccontextmanager
async def no_sooner_than(seconds: float) -> AsyncIterator[None]:
    """Ends after at least so many seconds, also when the body raises: how much was done for whom does not show."""
    begun = asyncio.get_running_loop().time()
    try:
        yield
    finally:
        await asyncio.sleep(begun + seconds - asyncio.get_running_loop().time())
