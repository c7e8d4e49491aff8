"""The queue: nobody leases what another holds, and an old lease changes nothing."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from consumers.webhooks.handlers import FanOut
from infra.ids import new_uuid
from infra.postgres import webhooks_queue as queue
from infra.postgres.database import Database
from infra.postgres.webhooks_queue import Leased
from infra.postgres.webhooks_results import Result, record
from tests.consumers.webhooks.world import batch, fact, make_endpoint, rows, states
from tests.support.clock import FakeClock

URL = "https://example.com/"


async def _dispatcher(database: Database, clock: FakeClock, name: str = "d") -> UUID:
    dispatcher = new_uuid()
    async with database.transaction() as tx:
        await queue.register(tx, dispatcher, name, clock.now())
    return dispatcher


async def _lease(database: Database, dispatcher: UUID, endpoint: str, room: int, clock: FakeClock) -> list[Leased]:
    async with database.transaction() as tx:
        return await queue.lease(tx, dispatcher, [(endpoint, room)], clock.now())


def _result(leased: Leased, clock: FakeClock, state: str = "succeeded") -> Result:
    return Result(
        leased.id, leased.owner, leased.fencing, state, clock.now(), clock.now(), 5, state, 204, None, "{}", ""
    )


async def _record(database: Database, *results: Result) -> set[UUID]:
    async with database.transaction() as tx:
        return await record(tx, results)


@pytest.fixture
async def endpoint(database: Database, clock: FakeClock) -> str:
    made = await make_endpoint(database, URL)
    await FanOut(database, clock)(batch(*(fact(f"e{number:03}", clock) for number in range(100))))
    return made


async def test_dispatchers_that_lease_at_once_never_get_the_same_row(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    dispatchers = [await _dispatcher(database, clock, f"d{number}") for number in range(8)]
    leased = await asyncio.gather(*(_lease(database, one, endpoint, 30, clock) for one in dispatchers))
    rest = await _lease(database, dispatchers[0], endpoint, 200, clock)
    ids = [row.id for some in (*leased, rest) for row in some]
    assert len(ids) == len(set(ids)) == 100


async def test_a_result_counts_while_its_lease_holds_and_only_once(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    dispatcher = await _dispatcher(database, clock)
    (leased,) = await _lease(database, dispatcher, endpoint, 1, clock)
    assert await _record(database, _result(leased, clock)) == {leased.id}
    assert await _record(database, _result(leased, clock)) == set()
    assert await states(database) == {"pending": 99, "succeeded": 1}
    assert len(await rows(database, "SELECT 1 FROM webhook_attempts")) == 1


async def test_a_result_of_an_older_lease_changes_nothing(database: Database, endpoint: str, clock: FakeClock) -> None:
    first, second = await _dispatcher(database, clock, "one"), await _dispatcher(database, clock, "two")
    (stale,) = await _lease(database, first, endpoint, 1, clock)
    clock.advance(7)
    async with database.transaction() as tx:
        assert await queue.heartbeat(tx, second, clock.now())
        assert await queue.bury_dead(tx, second, clock.now()) == 1
    (fresh,) = await _lease(database, second, endpoint, 1, clock)
    assert (fresh.id, fresh.fencing) == (stale.id, stale.fencing + 1)
    assert await _record(database, _result(stale, clock, "dead")) == set()
    assert await _record(database, _result(stale._replace(fencing=fresh.fencing), clock, "dead")) == set()
    assert await _record(database, _result(fresh, clock)) == {fresh.id}
    assert await states(database) == {"pending": 99, "succeeded": 1}


async def test_leases_hold_while_the_heartbeat_is_fresh_and_are_free_six_seconds_after_the_last(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    first, second = await _dispatcher(database, clock, "one"), await _dispatcher(database, clock, "two")
    await _lease(database, first, endpoint, 100, clock)
    for _ in range(10):
        clock.advance(5)
        async with database.transaction() as tx:
            assert await queue.heartbeat(tx, first, clock.now())
        assert await _lease(database, second, endpoint, 100, clock) == []
    clock.advance(6.001)
    assert len(await _lease(database, second, endpoint, 100, clock)) == 100


async def test_a_dispatcher_that_starts_frees_what_its_dead_incarnation_held(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    await _lease(database, await _dispatcher(database, clock, "same"), endpoint, 100, clock)
    clock.advance(2.5)
    again = await _dispatcher(database, clock, "same")
    assert len(await _lease(database, again, endpoint, 100, clock)) == 100


async def test_a_dispatcher_that_was_declared_dead_is_told_so(database: Database, clock: FakeClock) -> None:
    first = await _dispatcher(database, clock, "one")
    clock.advance(10)
    await _dispatcher(database, clock, "two")
    async with database.transaction() as tx:
        assert not await queue.heartbeat(tx, first, clock.now())


async def test_rows_are_leased_oldest_first_and_not_before_they_are_due(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    dispatcher = await _dispatcher(database, clock)
    await rows_later(database, clock)
    leased = await _lease(database, dispatcher, endpoint, 100, clock)
    assert len(leased) == 50
    assert [row.due_at for row in leased] == sorted(row.due_at for row in leased)


async def rows_later(database: Database, clock: FakeClock) -> None:
    """Half of the rows become due in a second."""
    async with database.transaction() as tx:
        await tx.execute(
            text("""UPDATE webhook_deliveries SET due_at = :later WHERE message_id IN
                    (SELECT id FROM webhook_messages WHERE event_id >= 'e050')"""),
            {"later": clock.now() + timedelta(seconds=1)},
        )


async def test_what_is_given_back_keeps_its_attempts_and_can_be_leased_again(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    dispatcher = await _dispatcher(database, clock)
    leased = await _lease(database, dispatcher, endpoint, 10, clock)
    async with database.transaction() as tx:
        await queue.release(tx, leased)
    again = await _lease(database, dispatcher, endpoint, 10, clock)
    assert [(row.id, row.attempts) for row in again] == [(row.id, 0) for row in leased]


async def test_leases_whose_answer_was_lost_are_found_by_what_is_known(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    dispatcher = await _dispatcher(database, clock)
    known = await _lease(database, dispatcher, endpoint, 10, clock)
    await _lease(database, dispatcher, endpoint, 5, clock)
    async with database.transaction() as tx:
        await queue.release_unknown(tx, dispatcher, [row.id for row in known])
    assert len(await _lease(database, dispatcher, endpoint, 100, clock)) == 90


async def test_endpoints_with_work_are_found_however_many_rows_they_have(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    later = await make_endpoint(database, URL, organization="org_2")
    await FanOut(database, clock)(batch(fact("x", clock, "org_2")))
    async with database.transaction() as tx:
        await tx.execute(
            text("UPDATE webhook_deliveries SET due_at = :at WHERE endpoint_id = :id"),
            {"at": clock.now() + timedelta(minutes=1), "id": later},
        )
    dispatcher = await _dispatcher(database, clock)
    async with database.transaction() as tx:
        found = {one.endpoint_id: one.due for one in await queue.waiting(tx, dispatcher, clock.now())}
    assert found == {endpoint: True, later: False}


async def test_attempts_cannot_be_edited(database: Database, endpoint: str, clock: FakeClock) -> None:
    (leased,) = await _lease(database, await _dispatcher(database, clock), endpoint, 1, clock)
    await _record(database, _result(leased, clock))
    with pytest.raises(DBAPIError, match="append-only"):
        await rows(database, "UPDATE webhook_attempts SET status = 500")


async def test_giving_back_a_row_whose_lease_has_passed_on_changes_nothing(
    database: Database, endpoint: str, clock: FakeClock
) -> None:
    dispatcher, other = await _dispatcher(database, clock, "one"), await _dispatcher(database, clock, "two")
    stale = await _lease(database, dispatcher, endpoint, 100, clock)
    async with database.transaction() as tx:
        await queue.release(tx, stale)
    fresh = await _lease(database, dispatcher, endpoint, 100, clock)
    async with database.transaction() as tx:
        await queue.release(tx, stale)
    assert await _lease(database, other, endpoint, 100, clock) == []
    assert await _record(database, _result(fresh[0], clock)) == {fresh[0].id}
