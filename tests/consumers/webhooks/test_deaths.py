"""Dispatchers that die, stop or lose the database anywhere lose nothing."""

import asyncio

import pytest

from contracts.errors import DatabaseUnavailable
from infra.postgres.database import Database
from tests.consumers.webhooks.world import (
    become,
    dispatching,
    make_endpoint,
    rows,
    states,
    tell,
)
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd, hanging


async def test_a_dispatcher_that_dies_between_sending_and_recording_sends_again_with_the_same_id(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    arrived = asyncio.Event()
    answer = hanging()

    async def note(request: object) -> object:
        arrived.set()
        return await answer(request)  # type: ignore[arg-type]

    far_end.answer = note  # type: ignore[assignment]
    await make_endpoint(database, far_end.url)
    await tell(database, clock, "e1")
    async with dispatching(database, clock, name="killed") as task:
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    far_end.answer = None
    clock.advance(7)
    async with dispatching(database, clock, name="heir"):
        await become(database, succeeded=1)
    assert len(far_end.received) == 2
    assert len(set(far_end.ids())) == 1
    (attempt,) = await rows(database, "SELECT number FROM webhook_attempts")
    assert attempt.number == 1


async def test_killed_at_random_instants_nothing_is_lost(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    for number in range(4):
        await make_endpoint(database, f"{far_end.url}/{number}")
    await tell(database, clock, *(f"e{number}" for number in range(250)))
    for number in range(5):
        async with dispatching(database, clock, name=f"killed-{number}") as task:
            already = len(far_end.received)
            await eventually(lambda already=already: len(far_end.received) > already + 37 * number)  # noqa: B023
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        clock.advance(7)
    async with dispatching(database, clock):
        await become(database, succeeded=1000)
    assert len({(one.path, one.headers["webhook-id"]) for one in far_end.received}) == 1000
    assert len(await rows(database, "SELECT 1 FROM webhook_attempts")) == 1000


async def test_a_stop_lets_what_is_in_flight_finish_and_frees_the_rest(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    go_on = asyncio.Event()

    async def slow(_request: object) -> object:
        from aiohttp import web

        await go_on.wait()
        return web.Response(status=200)

    far_end.answer = slow  # type: ignore[assignment]
    await make_endpoint(database, far_end.url)
    await tell(database, clock, *(f"e{number}" for number in range(20)))
    async with dispatching(database, clock):
        await eventually(lambda: len(far_end.received) == 1)
        asyncio.get_running_loop().call_later(0.2, go_on.set)
    assert await states(database) == {"succeeded": 1, "pending": 19}
    assert await rows(database, "SELECT 1 FROM webhook_dispatchers") == []


async def test_a_dispatcher_outlives_the_loss_of_every_connection_to_the_database(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    await make_endpoint(database, far_end.url)
    async with dispatching(database, clock):
        await tell(database, clock, "e1")
        await eventually(lambda: len(far_end.received) == 1)
        with pytest.raises(DatabaseUnavailable):
            await rows(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " ORDER BY pid = pg_backend_pid()",
            )

        async def told() -> bool:
            try:
                await tell(database, clock, "e2")
            except DatabaseUnavailable:
                return False
            return True

        await eventually(told)
        await eventually(lambda: len(set(far_end.ids())) == 2)
