"""What the dispatcher does with endpoints that fail, are gone, are disabled, deleted or enabled again."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from contracts import catalog
from infra.postgres import webhooks_endpoints as store
from infra.postgres.database import Database
from tests.consumers.webhooks.world import ORGANIZATION, become, dispatching, make_endpoint, rows, states, tell
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd, status


async def test_gone_disables_the_endpoint_holds_its_rows_and_says_so_in_the_same_transaction(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(410)
    endpoint = await make_endpoint(database, far_end.url)
    await tell(database, clock, *(f"e{number}" for number in range(30)))
    async with dispatching(database, clock):

        async def all_held() -> bool:
            return (await states(database)).get("held", 0) == 29

        await eventually(all_held)
    assert await states(database) == {"dead": 1, "held": 29}
    assert len(far_end.received) == 1
    (row,) = await rows(database, "SELECT enabled, disabled_reason FROM webhook_endpoints")
    assert tuple(row) == (False, "answered 410 Gone")
    (stated,) = await rows(database, "SELECT * FROM outbox")
    envelope, data = catalog.decode(stated.payloads[0])
    assert (envelope.type, envelope.organization) == ("webhook.endpoint.disabled.v1", ORGANIZATION)
    assert data.endpoint_id == endpoint  # type: ignore[attr-defined]


async def test_five_days_and_fifty_failures_disable_an_endpoint(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500)
    await make_endpoint(database, far_end.url)
    async with database.transaction() as tx:
        since = clock.now() - timedelta(days=5)
        await tx.execute(text("UPDATE webhook_endpoints SET failures = 49, failing_since = :since"), {"since": since})
    await tell(database, clock, "e1")
    async with dispatching(database, clock):

        async def disabled() -> bool:
            (row,) = await rows(database, "SELECT enabled, disabled_reason FROM webhook_endpoints")
            return tuple(row) == (False, "failed for 5 days")

        await eventually(disabled)
        await become(database, held=1)


async def test_an_endpoint_that_is_enabled_again_gets_what_was_held(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    endpoint = await make_endpoint(database, far_end.url)
    await tell(database, clock, "e1")
    async with database.transaction() as tx:
        await store.change_endpoint(tx, ORGANIZATION, endpoint, {"enabled": False}, clock.now())
    async with dispatching(database, clock):
        await become(database, held=1)
        assert far_end.received == []
        async with database.transaction() as tx:
            await store.change_endpoint(tx, ORGANIZATION, endpoint, {"enabled": True}, clock.now())
            assert await store.resume_held(tx, endpoint, clock.now()) == 1
        await eventually(lambda: len(far_end.received) == 1)


async def test_deliveries_of_a_deleted_endpoint_end(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    endpoint = await make_endpoint(database, far_end.url)
    await tell(database, clock, "e1")
    async with database.transaction() as tx:
        assert await store.delete_endpoint(tx, ORGANIZATION, endpoint, clock.now())
    async with dispatching(database, clock):
        await become(database, dead=1)
    assert far_end.received == []


async def test_the_breaker_leaves_a_failing_endpoint_alone_and_its_refusals_cost_no_attempt(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500)
    await make_endpoint(database, far_end.url)
    await tell(database, clock, *(f"e{number:02}" for number in range(60)))
    async with dispatching(database, clock):

        async def paused() -> bool:
            (row,) = await rows(database, "SELECT breaker_until FROM webhook_endpoints")
            return row.breaker_until == clock.now() + timedelta(seconds=30)

        await eventually(paused)
        sent = len(far_end.received)
        assert 10 <= sent <= 18
        with pytest.raises(AssertionError):
            await eventually(lambda: len(far_end.received) > sent, within_s=0.5)
        (counts,) = await rows(database, "SELECT sum(attempts) AS made FROM webhook_deliveries")
        assert counts.made == sent
        far_end.answer = status(200)
        clock.advance(30)
        await become(database, succeeded=60)
    (stated,) = await rows(database, "SELECT * FROM outbox")
    assert catalog.decode(stated.payloads[0])[0].type == "webhook.endpoint.recovered.v1"
