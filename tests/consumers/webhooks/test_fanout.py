"""Fan-out: a batch of facts becomes messages and delivery rows, each event once."""

import asyncio
import json
from datetime import timedelta

from consumers.webhooks.handlers import FanOut
from contracts import catalog
from contracts.events.auth import KeyCreatedV1
from contracts.events.usage import UsageRecordedV1
from infra.postgres.database import Database
from infra.postgres.webhooks_fanout import CHANNEL
from tests.consumers.webhooks.world import ORGANIZATION, batch, fact, make_endpoint, record, rows, states
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

URL = "https://example.com/"


async def test_each_matching_endpoint_gets_a_delivery_and_others_none(database: Database, clock: FakeClock) -> None:
    wanted = {await make_endpoint(database, URL, event_types=[p]) for p in ("*", "credits.*", "credits.low")}
    for pattern in ("credits.depleted", "user.*"):
        await make_endpoint(database, URL, event_types=[pattern])
    await make_endpoint(database, URL, organization="org_2")
    await FanOut(database, clock)(batch(fact("e1", clock)))
    found = await rows(database, "SELECT endpoint_id, state, attempts, due_at FROM webhook_deliveries")
    assert {row.endpoint_id for row in found} == wanted
    assert {(row.state, row.attempts, row.due_at) for row in found} == {("pending", 0, clock.now())}


async def test_the_same_batch_again_creates_nothing_new(database: Database, clock: FakeClock) -> None:
    await make_endpoint(database, URL)
    facts = batch(*(fact(f"e{number}", clock) for number in range(50)))
    handler = FanOut(database, clock)
    await handler(facts)
    await make_endpoint(database, URL)
    clock.advance(60)
    await handler(facts)
    assert await states(database) == {"pending": 50}


async def test_the_same_event_twice_in_a_batch_is_one_delivery_with_the_first_body(
    database: Database, clock: FakeClock
) -> None:
    await make_endpoint(database, URL)
    data = [UsageRecordedV1(service=name) for name in ("first", "second")]
    await FanOut(database, clock)(batch(*(fact("e1", clock, data=one) for one in data)))
    (row,) = await rows(database, "SELECT payload FROM webhook_messages")
    assert json.loads(row.payload)["data"]["service"] == "first"
    assert await states(database) == {"pending": 1}


async def test_the_same_batch_from_eight_connections_at_once_creates_each_row_once(
    database: Database, clock: FakeClock
) -> None:
    await make_endpoint(database, URL)
    facts = [fact(f"e{number}", clock) for number in range(200)]
    handler = FanOut(database, clock)
    await asyncio.gather(*(handler(batch(*facts[::order])) for order in (1, -1) * 4))
    assert await states(database) == {"pending": 200}


async def test_an_event_from_before_the_endpoint_existed_is_not_delivered_by_a_replay(
    database: Database, clock: FakeClock
) -> None:
    old = fact("e1", clock)
    later = FakeClock(clock.now() + timedelta(seconds=1))
    await make_endpoint(database, URL, clock=later)
    await FanOut(database, clock)(batch(old, fact("e2", later)))
    assert [row.event_id for row in await rows(database, "SELECT event_id FROM webhook_messages")] == ["e2"]


async def test_events_for_a_disabled_endpoint_are_kept_without_a_delivery(database: Database, clock: FakeClock) -> None:
    await make_endpoint(database, URL, enabled=False)
    await FanOut(database, clock)(batch(fact("e1", clock)))
    assert len(await rows(database, "SELECT 1 FROM webhook_messages")) == 1
    assert await states(database) == {}


async def test_an_organization_without_endpoints_leaves_no_trace(database: Database, clock: FakeClock) -> None:
    await FanOut(database, clock)(batch(fact("e1", clock)))
    assert await rows(database, "SELECT 1 FROM webhook_messages") == []


async def test_events_without_a_public_name_are_passed_over(database: Database, clock: FakeClock) -> None:
    await make_endpoint(database, URL)
    data = KeyCreatedV1.model_validate(KeyCreatedV1.EXAMPLE)
    await FanOut(database, clock)(batch(fact("e1", clock, data=data)))
    assert await states(database) == {}


async def test_cause_and_trace_are_kept_with_the_message(database: Database, clock: FakeClock) -> None:
    await make_endpoint(database, URL)
    data = UsageRecordedV1(service="chat")
    cause = catalog.state(data, event_id="c1", source="urn:app", organization=ORGANIZATION, now=clock.now())
    caused = catalog.state(data, event_id="e1", source="urn:x", organization=ORGANIZATION, now=clock.now(), cause=cause)
    traced = record(caused, data, (("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),))
    await FanOut(database, clock)(batch(traced))
    (row,) = await rows(database, "SELECT cause_source, cause_id, traceparent, type FROM webhook_messages")
    assert tuple(row) == ("urn:app", "c1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "service.completed")


async def test_dispatchers_are_told_when_the_batch_is_committed(database: Database, clock: FakeClock) -> None:
    endpoints = {await make_endpoint(database, f"{URL}{number}") for number in range(200)}
    heard: set[str] = set()
    async with database.listen(CHANNEL, lambda names: heard.update(names.split(","))):
        await FanOut(database, clock)(batch(fact("e1", clock)))
        await eventually(lambda: heard == endpoints)
