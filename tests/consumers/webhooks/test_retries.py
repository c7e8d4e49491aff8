"""Failures are tried again on the schedule, with one id, and every attempt is stored."""

from datetime import timedelta

import pytest

from contracts.rules.deliveries import RETRY_DELAYS_S
from infra.postgres.database import Database
from tests.consumers.webhooks.world import dispatching, make_endpoint, one_delivery, rows, tell
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd, hanging, status


async def test_failures_are_tried_again_on_the_schedule_with_the_same_id_until_it_is_dead(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500, body=b"oops")
    await make_endpoint(database, far_end.url)
    await tell(database, clock, "e1")
    waits: list[float] = []
    async with dispatching(database, clock):
        for made in range(1, len(RETRY_DELAYS_S) + 1):

            async def recorded(made: int = made) -> bool:
                return (await one_delivery(database)).attempts == made

            await eventually(recorded)
            due = (await one_delivery(database)).due_at
            waits.append((due - clock.now()).total_seconds())
            clock.set(max(due, clock.now()))
    assert waits[:-1] == list(RETRY_DELAYS_S[1:])
    delivery = await one_delivery(database)
    assert (delivery.state, delivery.last_status, delivery.last_error) == ("dead", 500, "answered 500")
    assert len(set(far_end.ids())) == 1
    assert len(far_end.received) == len(RETRY_DELAYS_S)
    attempts = await rows(database, "SELECT number, body FROM webhook_attempts ORDER BY number")
    assert [tuple(row) for row in attempts] == [(number, "oops") for number in range(1, 11)]


async def test_it_is_not_sent_before_it_is_due(database: Database, far_end: FarEnd, clock: FakeClock) -> None:
    far_end.answer = status(503, {"Retry-After": "100"})
    await make_endpoint(database, far_end.url)
    await tell(database, clock, "e1")
    async with dispatching(database, clock):
        await eventually(lambda: len(far_end.received) == 1)

        async def recorded() -> bool:
            return (await one_delivery(database)).due_at == clock.now() + timedelta(seconds=100)

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
    await tell(database, clock, "e1")
    async with dispatching(database, clock, deadline_s=0.2):

        async def recorded() -> bool:
            return (await one_delivery(database)).due_at == clock.now() + timedelta(seconds=60)

        await eventually(recorded)
    (attempt,) = await rows(database, "SELECT outcome, error FROM webhook_attempts")
    assert tuple(attempt) == ("timed_out", "timeout: no answer in time")


async def test_bodies_and_headers_that_postgres_cannot_keep_are_stored_without_what_it_cannot(
    database: Database, far_end: FarEnd, clock: FakeClock
) -> None:
    far_end.answer = status(500, {"X-Odd": "caf\u00e9", "X-Escape": "\\u0000"}, b"\x00\xff nul")
    await make_endpoint(database, far_end.url)
    await tell(database, clock, "e1")
    async with dispatching(database, clock):

        async def stored() -> list[object]:
            return await rows(database, "SELECT headers, body FROM webhook_attempts")

        (attempt,) = await eventually(stored)
    assert attempt.body == "\ufffd nul"
    assert {name.lower(): value for name, value in attempt.headers.items()}["x-escape"] == "\\u0000"
