"""Which failures are worth a retry, and which are bugs."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from contracts.errors import DatabaseUnavailable
from infra.postgres.database import Database, raw
from tests.support.eventually import eventually


async def end_sessions(dsn: str) -> None:
    """Ends every other session of the database, as a restart does."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


@pytest.mark.parametrize("through_asyncpg", [True, False])
async def test_sessions_that_the_server_ended_are_replaced_at_once(
    database: Database, database_dsn: str, through_asyncpg: bool
) -> None:
    async def ask() -> object:
        async with database.transaction() as tx:
            await asyncio.sleep(0.05)  # so that each has a session of its own
            if through_asyncpg:
                return await (await raw(tx)).fetchval("SELECT 1")
            return await tx.scalar(text("SELECT 1"))

    async def all_answer() -> bool:
        return await asyncio.gather(*(ask() for _ in range(8)), return_exceptions=True) == [1] * 8

    assert await all_answer()
    await end_sessions(database_dsn)
    await eventually(all_answer, within_s=2)


async def test_a_session_that_ends_under_asyncpg_is_unavailable_and_its_successor_works(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction() as tx:
                await (await raw(tx)).execute("SELECT pg_terminate_backend(pg_backend_pid())")
        async with database.transaction() as tx:
            assert await (await raw(tx)).fetchval("SELECT 1") == 1


async def test_a_value_that_does_not_fit_is_a_bug_and_not_waited_for(database: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        async with database.transaction() as tx:
            await (await raw(tx)).fetchval("SELECT $1::bigint", 2**70)
