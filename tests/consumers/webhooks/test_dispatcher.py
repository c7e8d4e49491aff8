"""The dispatcher: everything is sent once, at once, and fairly."""

from infra.postgres.database import Database
from tests.consumers.webhooks.world import become, dispatching, make_endpoint, rows, tell
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd, hanging


async def test_a_thousand_deliveries_arrive_once_each_and_every_attempt_is_stored(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    for number in range(5):
        await make_endpoint(database, f"{far_end.url}/{number}")
    async with dispatching(database, clock):
        await tell(database, clock, *(f"e{number}" for number in range(200)))
        await become(database, succeeded=1000)
    assert len(far_end.received) == 1000
    assert len({(one.path, one.headers["webhook-id"]) for one in far_end.received}) == 1000
    attempts = await rows(database, "SELECT number, outcome, status FROM webhook_attempts")
    assert {tuple(row) for row in attempts} == {(1, "succeeded", 204)}
    assert len(attempts) == 1000


async def test_a_new_event_is_sent_at_once_and_not_at_the_next_poll(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    await make_endpoint(database, far_end.url)
    async with dispatching(database, clock, poll_s=60.0):
        await tell(database, clock, "warm-up")
        await eventually(lambda: len(far_end.received) == 1, within_s=5)
        await tell(database, clock, "e1")
        await eventually(lambda: len(far_end.received) == 2, within_s=2)


async def test_hanging_endpoints_do_not_delay_the_healthy_ones(database: Database, clock: FakeClock) -> None:
    async with FarEnd.running() as bad, FarEnd.running() as good:
        bad.answer = hanging()
        for number in range(30):
            await make_endpoint(database, f"{bad.url}/{number}", organization="org_bad")
        await make_endpoint(database, good.url, organization="org_good")
        await tell(database, clock, *(f"b{number}" for number in range(20)), organization="org_bad")
        async with dispatching(database, clock, deadline_s=30.0, drain_s=0.1):
            await eventually(lambda: bad.connections >= 10)
            await tell(database, clock, *(f"g{number}" for number in range(300)), organization="org_good")
            await eventually(lambda: len(good.received) == 300, within_s=5)
    assert bad.connections <= 16


async def test_a_backlog_of_one_endpoint_does_not_hide_the_others(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    await make_endpoint(database, far_end.url + "/busy", organization="org_busy")
    await make_endpoint(database, far_end.url + "/calm", organization="org_calm")
    await tell(database, clock, *(f"b{number}" for number in range(3000)), organization="org_busy")
    await tell(database, clock, "c1", organization="org_calm")
    async with dispatching(database, clock):
        await eventually(lambda: far_end.ids("/calm"))
        assert len(far_end.ids("/busy")) < 1500


async def test_two_dispatchers_send_every_delivery_once(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    for number in range(4):
        await make_endpoint(database, f"{far_end.url}/{number}")
    await tell(database, clock, *(f"e{number}" for number in range(250)))
    async with dispatching(database, clock, name="one"), dispatching(database, clock, name="two"):
        await become(database, succeeded=1000)
    assert len(far_end.received) == 1000
