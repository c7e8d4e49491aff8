"""The dispatcher: signed, fair, on schedule, and nothing is lost when it dies anywhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError as SvixVerificationError

from consumers.webhooks.handlers import FanOut
from contracts import catalog
from contracts.errors import ConfigError, DatabaseUnavailable
from contracts.rules.deliveries import RETRY_DELAYS_S
from infra.clock import SystemClock
from infra.crypto import Sealer, new_webhook_secret
from infra.postgres import webhooks_endpoints as store
from infra.postgres.database import Database
from tests.consumers.webhooks.world import ORGANIZATION, batch, dispatching, fact, make_endpoint, rows, states
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd, hanging, status


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    async with FarEnd.running() as running:
        yield running


async def _tell(
    database: Database, clock: FakeClock | SystemClock, *events: str, organization: str = ORGANIZATION
) -> None:
    await FanOut(database, clock)(batch(*(fact(event, clock, organization) for event in events)))


async def _one_delivery(database: Database) -> object:
    (row,) = await rows(database, "SELECT state, attempts, due_at, last_status, last_error FROM webhook_deliveries")
    return row


async def test_a_delivery_verifies_with_independent_libraries_and_with_both_secrets_while_they_overlap(
    database: Database, far_end: FarEnd
) -> None:
    clock, old, new = SystemClock(), new_webhook_secret(), new_webhook_secret()
    endpoint = await make_endpoint(database, far_end.url + "/a", secret=old, headers={"X-Own": "1"}, clock=clock)
    until = clock.now() + timedelta(hours=24)
    async with database.transaction() as tx:
        assert await store.rotate_secret(tx, ORGANIZATION, endpoint, new, until, clock.now())
    await _tell(database, clock, "e1")
    async with dispatching(database, clock):
        await eventually(lambda: far_end.received)
    (sent,) = far_end.received
    for secret in (old, new):
        assert Webhook(secret).verify(sent.body, sent.headers)["type"] == "credits.low"
        SvixWebhook(secret).verify(sent.body, sent.headers)
    with pytest.raises(SvixVerificationError):
        SvixWebhook(new_webhook_secret()).verify(sent.body, sent.headers)
    assert json.loads(sent.body)["data"]["event"]["id"] == "e1"
    assert sent.headers["webhook-id"].startswith("msg_")
    assert (sent.headers["x-own"], sent.headers["content-type"]) == ("1", "application/json")


async def test_secrets_that_are_sealed_at_rest_sign_and_open_in_their_own_row_only(
    database: Database, far_end: FarEnd
) -> None:
    clock, secret, sealer = SystemClock(), new_webhook_secret(), Sealer(b"s" * 32)
    endpoint = await make_endpoint(database, far_end.url, secret=secret, clock=clock)
    sealed = sealer.seal_text(secret, store.secret_purpose(endpoint))
    headers = {"X-Token": sealer.seal_text("t0ken", store.header_purpose(endpoint, "X-Token"))}
    async with database.transaction() as tx:
        assert await store.rotate_secret(tx, ORGANIZATION, endpoint, sealed, clock.now(), clock.now())
        assert await store.change_endpoint(tx, ORGANIZATION, endpoint, {"headers": headers}, clock.now())
    await _tell(database, clock, "e1")
    async with dispatching(database, clock, sealer=sealer):
        await eventually(lambda: far_end.received)
    assert far_end.received[0].headers["x-token"] == "t0ken"
    Webhook(secret).verify(far_end.received[0].body, far_end.received[0].headers)
    with pytest.raises(ConfigError):
        sealer.open_text(sealed, store.secret_purpose("we_other"))


async def test_an_old_secret_signs_no_more_when_the_overlap_is_over(database: Database, far_end: FarEnd) -> None:
    clock, old, new = SystemClock(), new_webhook_secret(), new_webhook_secret()
    endpoint = await make_endpoint(database, far_end.url, secret=old, clock=clock)
    async with database.transaction() as tx:
        await store.rotate_secret(tx, ORGANIZATION, endpoint, new, clock.now(), clock.now())
    await _tell(database, clock, "e1")
    async with dispatching(database, clock):
        await eventually(lambda: far_end.received)
    assert len(far_end.received[0].headers["webhook-signature"].split(" ")) == 1
    Webhook(new).verify(far_end.received[0].body, far_end.received[0].headers)


async def test_a_thousand_deliveries_arrive_once_each_and_every_attempt_is_stored(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    for number in range(5):
        await make_endpoint(database, f"{far_end.url}/{number}")
    async with dispatching(database, clock):
        await _tell(database, clock, *(f"e{number}" for number in range(200)))

        async def all_done() -> bool:
            return await states(database) == {"succeeded": 1000}

        await eventually(all_done, within_s=30)
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
        await _tell(database, clock, "warm-up")
        await eventually(lambda: len(far_end.received) == 1, within_s=5)
        await _tell(database, clock, "e1")
        await eventually(lambda: len(far_end.received) == 2, within_s=2)


async def test_failures_are_tried_again_on_the_schedule_with_the_same_id_until_it_is_dead(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500, body=b"oops")
    await make_endpoint(database, far_end.url)
    await _tell(database, clock, "e1")
    waits: list[float] = []
    async with dispatching(database, clock):
        for made in range(1, len(RETRY_DELAYS_S) + 1):

            async def recorded(made: int = made) -> bool:
                return (await _one_delivery(database)).attempts == made  # type: ignore[attr-defined]

            await eventually(recorded)
            due = (await _one_delivery(database)).due_at  # type: ignore[attr-defined]
            waits.append((due - clock.now()).total_seconds())
            clock.set(max(due, clock.now()))
    assert waits[:-1] == list(RETRY_DELAYS_S[1:])
    delivery = await _one_delivery(database)
    assert (delivery.state, delivery.last_status, delivery.last_error) == ("dead", 500, "answered 500")  # type: ignore[attr-defined]
    assert len(set(far_end.ids())) == 1
    assert len(far_end.received) == len(RETRY_DELAYS_S)
    attempts = await rows(database, "SELECT number, body FROM webhook_attempts ORDER BY number")
    assert [tuple(row) for row in attempts] == [(number, "oops") for number in range(1, 11)]


async def test_it_is_not_sent_before_it_is_due(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    far_end.answer = status(503, {"Retry-After": "100"})
    await make_endpoint(database, far_end.url)
    await _tell(database, clock, "e1")
    async with dispatching(database, clock):
        await eventually(lambda: len(far_end.received) == 1)

        async def recorded() -> bool:
            return (await _one_delivery(database)).due_at == clock.now() + timedelta(seconds=100)  # type: ignore[attr-defined]

        await eventually(recorded)
        clock.advance(99)
        with pytest.raises(AssertionError):
            await eventually(lambda: len(far_end.received) > 1, within_s=0.5)
        clock.advance(1)
        await eventually(lambda: len(far_end.received) == 2)


async def test_the_first_retry_after_a_timeout_waits_a_minute(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = hanging()
    await make_endpoint(database, far_end.url)
    await _tell(database, clock, "e1")
    async with dispatching(database, clock, deadline_s=0.2):

        async def recorded() -> bool:
            return (await _one_delivery(database)).due_at == clock.now() + timedelta(seconds=60)  # type: ignore[attr-defined]

        await eventually(recorded)
    (attempt,) = await rows(database, "SELECT outcome, error FROM webhook_attempts")
    assert tuple(attempt) == ("timed_out", "timeout: no answer in time")


async def test_gone_disables_the_endpoint_holds_its_rows_and_says_so_in_the_same_transaction(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(410)
    endpoint = await make_endpoint(database, far_end.url)
    await _tell(database, clock, *(f"e{number}" for number in range(30)))
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
    await _tell(database, clock, "e1")
    async with dispatching(database, clock):

        async def disabled() -> bool:
            (row,) = await rows(database, "SELECT enabled, disabled_reason FROM webhook_endpoints")
            return tuple(row) == (False, "failed for 5 days")

        await eventually(disabled)

        async def held() -> bool:
            return await states(database) == {"held": 1}

        await eventually(held)


async def test_an_endpoint_that_is_enabled_again_gets_what_was_held(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    endpoint = await make_endpoint(database, far_end.url)
    await _tell(database, clock, "e1")
    async with database.transaction() as tx:
        await store.change_endpoint(tx, ORGANIZATION, endpoint, {"enabled": False}, clock.now())
    async with dispatching(database, clock):

        async def held() -> bool:
            return await states(database) == {"held": 1}

        await eventually(held)
        assert far_end.received == []
        async with database.transaction() as tx:
            await store.change_endpoint(tx, ORGANIZATION, endpoint, {"enabled": True}, clock.now())
            assert await store.resume_held(tx, endpoint, clock.now()) == 1
        await eventually(lambda: len(far_end.received) == 1)


async def test_deliveries_of_a_deleted_endpoint_end(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    endpoint = await make_endpoint(database, far_end.url)
    await _tell(database, clock, "e1")
    async with database.transaction() as tx:
        assert await store.delete_endpoint(tx, ORGANIZATION, endpoint, clock.now())
    async with dispatching(database, clock):

        async def dead() -> bool:
            return await states(database) == {"dead": 1}

        await eventually(dead)
    assert far_end.received == []


async def test_the_breaker_leaves_a_failing_endpoint_alone_and_its_refusals_cost_no_attempt(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500)
    await make_endpoint(database, far_end.url)
    await _tell(database, clock, *(f"e{number:02}" for number in range(60)))
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

        async def all_done() -> bool:
            return await states(database) == {"succeeded": 60}

        await eventually(all_done)
    (stated,) = await rows(database, "SELECT * FROM outbox")
    assert catalog.decode(stated.payloads[0])[0].type == "webhook.endpoint.recovered.v1"


async def test_hanging_endpoints_do_not_delay_the_healthy_ones(database: Database, clock: FakeClock) -> None:
    async with FarEnd.running() as bad, FarEnd.running() as good:
        bad.answer = hanging()
        for number in range(30):
            await make_endpoint(database, f"{bad.url}/{number}", organization="org_bad")
        await make_endpoint(database, good.url, organization="org_good")
        await _tell(database, clock, *(f"b{number}" for number in range(20)), organization="org_bad")
        async with dispatching(database, clock, deadline_s=30.0, drain_s=0.1):
            await eventually(lambda: bad.connections >= 10)
            await _tell(database, clock, *(f"g{number}" for number in range(300)), organization="org_good")
            await eventually(lambda: len(good.received) == 300, within_s=5)
    assert bad.connections <= 16


async def test_a_backlog_of_one_endpoint_does_not_hide_the_others(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    await make_endpoint(database, far_end.url + "/busy", organization="org_busy")
    await make_endpoint(database, far_end.url + "/calm", organization="org_calm")
    await _tell(database, clock, *(f"b{number}" for number in range(3000)), organization="org_busy")
    await _tell(database, clock, "c1", organization="org_calm")
    async with dispatching(database, clock):
        await eventually(lambda: far_end.ids("/calm"))
        assert len(far_end.ids("/busy")) < 1500


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
    await _tell(database, clock, "e1")
    async with dispatching(database, clock, name="killed") as task:
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    far_end.answer = None
    clock.advance(7)
    async with dispatching(database, clock, name="heir"):

        async def done() -> bool:
            return await states(database) == {"succeeded": 1}

        await eventually(done)
    assert len(far_end.received) == 2
    assert len(set(far_end.ids())) == 1
    (attempt,) = await rows(database, "SELECT number FROM webhook_attempts")
    assert attempt.number == 1


async def test_two_dispatchers_send_every_delivery_once(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    for number in range(4):
        await make_endpoint(database, f"{far_end.url}/{number}")
    await _tell(database, clock, *(f"e{number}" for number in range(250)))
    async with dispatching(database, clock, name="one"), dispatching(database, clock, name="two"):

        async def all_done() -> bool:
            return await states(database) == {"succeeded": 1000}

        await eventually(all_done, within_s=30)
    assert len(far_end.received) == 1000


async def test_killed_at_random_instants_nothing_is_lost(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    for number in range(4):
        await make_endpoint(database, f"{far_end.url}/{number}")
    await _tell(database, clock, *(f"e{number}" for number in range(250)))
    for number in range(5):
        async with dispatching(database, clock, name=f"killed-{number}") as task:
            already = len(far_end.received)
            await eventually(lambda already=already: len(far_end.received) > already + 37 * number)  # noqa: B023
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        clock.advance(7)
    async with dispatching(database, clock):

        async def all_done() -> bool:
            return await states(database) == {"succeeded": 1000}

        await eventually(all_done, within_s=30)
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
    await _tell(database, clock, *(f"e{number}" for number in range(20)))
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
        await _tell(database, clock, "e1")
        await eventually(lambda: len(far_end.received) == 1)
        with pytest.raises(DatabaseUnavailable):
            await rows(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " ORDER BY pid = pg_backend_pid()",
            )

        async def told() -> bool:
            try:
                await _tell(database, clock, "e2")
            except DatabaseUnavailable:
                return False
            return True

        await eventually(told)
        await eventually(lambda: len(set(far_end.ids())) == 2)


async def test_bodies_and_headers_that_postgres_cannot_keep_are_stored_without_what_it_cannot(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500, {"X-Odd": "caf\u00e9"}, b"\x00\xff nul")
    await make_endpoint(database, far_end.url)
    await _tell(database, clock, "e1")
    async with dispatching(database, clock):

        async def stored() -> list[object]:
            return await rows(database, "SELECT headers, body FROM webhook_attempts")

        (attempt,) = await eventually(stored)
    assert attempt.body == "\ufffd nul"
    assert json.dumps(attempt.headers)
