"""Challenges: whatever is handed out once comes back once."""

import asyncio
from datetime import UTC, datetime, timedelta

from infra.postgres import challenges
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Database

NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def made(database: Database, **changes: object) -> ChallengeRow:
    row = ChallengeRow("chl_1", "verify", None, b"hash", {"a": 1}, 5, NOW, NOW + timedelta(minutes=15))
    row = row._replace(**changes)
    async with database.transaction() as tx:
        await challenges.create(tx, row)
    return row


async def test_of_many_callers_at_once_one_consumes_a_challenge(database: Database) -> None:
    await made(database)

    async def consume(index: int) -> bool:
        async with database.transaction() as tx:
            if index % 2:
                return await challenges.consume(tx, "verify", "chl_1", NOW) is not None
            return await challenges.consume_by_hash(tx, "verify", b"hash", NOW) is not None

    assert sum(await asyncio.gather(*(consume(index) for index in range(40)))) == 1


async def test_of_many_guesses_at_once_as_many_are_taken_as_there_are_tries(database: Database) -> None:
    await made(database)

    async def guess() -> bool:
        async with database.transaction() as tx:
            return await challenges.take_try(tx, "verify", "chl_1", NOW) is not None

    assert sum(await asyncio.gather(*(guess() for _ in range(30)))) == 5
    async with database.transaction() as tx:
        assert await challenges.consume(tx, "verify", "chl_1", NOW)  # the last try may be the right one


async def test_what_is_used_expired_voided_or_of_another_purpose_is_not_found(database: Database) -> None:
    row = await made(database)
    async with database.transaction() as tx:
        assert await challenges.find(tx, "verify", row.id, NOW) == row
        assert await challenges.find_by_hash(tx, "verify", row.hash, NOW) == row
        assert await challenges.find(tx, "reset", row.id, NOW) is None
        assert await challenges.consume_by_hash(tx, "reset", row.hash, NOW) is None
        assert await challenges.take_try(tx, "verify", row.id, row.expires_at) is None
        assert await challenges.consume(tx, "verify", row.id, row.expires_at) is None
        assert await challenges.consume(tx, "verify", row.id, NOW)
        assert await challenges.find(tx, "verify", row.id, NOW) is None
        assert await challenges.take_try(tx, "verify", row.id, NOW) is None


async def test_what_has_expired_is_forgotten(database: Database) -> None:
    row = await made(database)
    async with database.transaction() as tx:
        assert await challenges.purge(tx, row.expires_at) == 0
        assert await challenges.purge(tx, row.expires_at + timedelta(seconds=1)) == 1
