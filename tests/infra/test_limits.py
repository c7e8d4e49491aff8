"""One UPSERT takes from a quota: exactly, however many ask at once."""

import asyncio
from datetime import UTC, datetime, timedelta

from infra.postgres import limits
from infra.postgres.database import Database
from infra.postgres.limits import Taken

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WINDOW = timedelta(seconds=60)


async def take(database: Database, now: datetime = NOW, *, quota: int = 5, amount: int = 1) -> Taken:
    return await limits.take(database, "someone", now, WINDOW, quota=quota, amount=amount)


async def test_a_window_grants_its_quota_and_no_more(database: Database) -> None:
    taken = [await take(database, NOW + timedelta(seconds=number)) for number in range(7)]
    assert [one.granted for one in taken] == [1, 1, 1, 1, 1, 0, 0]
    assert [one.used for one in taken] == [1, 2, 3, 4, 5, 5, 5]
    assert {one.began_at for one in taken} == {NOW}


async def test_a_window_begins_with_the_first_request_after_the_one_before(database: Database) -> None:
    await take(database, amount=5)
    assert (await take(database, NOW + timedelta(seconds=59.999))).granted == 0
    later = NOW + timedelta(seconds=60)
    assert await take(database, later) == Taken(later, 1, 1)


async def test_of_a_block_what_is_left_is_granted(database: Database) -> None:
    assert [(await take(database, amount=3)).granted for _ in range(3)] == [3, 2, 0]
    assert (await take(database, quota=4)).granted == 0
    assert (await take(database, quota=7, amount=9)).granted == 2


async def test_a_clock_that_was_set_back_does_not_shut_anybody_out(database: Database) -> None:
    await take(database, NOW + timedelta(days=1), amount=5)
    assert (await take(database)).granted == 1


async def test_many_at_once_get_the_quota_together(database: Database) -> None:
    taken = await asyncio.gather(*(take(database, quota=37, amount=2) for _ in range(60)))
    assert sum(one.granted for one in taken) == 37
    assert max(one.used for one in taken) == 37


async def test_windows_that_are_long_over_are_forgotten(database: Database) -> None:
    await take(database)
    async with database.transaction() as tx:
        assert await limits.purge(tx, NOW) == 0
        assert await limits.purge(tx, NOW + timedelta(seconds=1)) == 1
