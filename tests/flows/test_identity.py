"""The same identity again changes nothing, however it comes; with another body it is refused and visible."""

import asyncio
from typing import Any

from contracts.topics import USAGE
from infra.app.roles import run_api
from infra.app.server import bind
from infra.embedded.engines import Engines
from infra.http.hub_client import HubClient
from infra.kafka.options import KafkaOptions
from infra.ops.reconcile import reconcile
from tests.conftest import unique
from tests.support.eventually import eventually
from tests.support.hub import RunningHub, running_hub, settings_of

GPT4_MICROS_PER_TOKEN = 10_000


def use(event_id: str, tokens: int = 100, **changes: Any) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "type": "usage.recorded.v1",
        "source": "urn:test:flow",
        "id": event_id,
        "data": {"service": "chat", "model": "gpt-4o", "input_tokens": tokens},
    }
    return event | changes


async def charges(hub: RunningHub) -> list[dict[str, Any]]:
    lines = (await hub.acme.get("/v1/credits/transactions?limit=100"))["data"]
    return [line for line in lines if line["kind"] == "charge"]


async def analysed(hub: RunningHub) -> dict[str, Any]:
    return (await hub.acme.get("/v1/analytics/summary"))["data"]["totals"]


async def expect_once(hub: RunningHub, events: int, tokens: int) -> None:
    """Everything is booked and analysed once, the sums fit, and the books balance."""
    await hub.settled()
    booked = await charges(hub)
    assert len(booked) == events
    assert sum(line["amount_micros"] for line in booked) == tokens * GPT4_MICROS_PER_TOKEN

    async def complete() -> bool:
        totals = await analysed(hub)
        assert totals["events"] <= events
        return totals["events"] == events and totals["credits_micros"] == tokens * GPT4_MICROS_PER_TOKEN

    await eventually(complete, within_s=20)
    assert (await analysed(hub))["total_tokens"] == tokens
    books = await reconcile(hub.hub.reconcile_deps())
    assert books.clean, books.lines()


async def test_again_with_another_time_and_twice_in_a_request_and_in_parallel(hub: RunningHub) -> None:
    first = use("e-1", time="2026-11-22T10:00:00Z")
    again = use("e-1", time="2026-11-23T01:02:03Z")
    answer = await hub.acme.send([first, use("e-2"), dict(first)])
    assert [result["status"] for result in answer.results] == ["accepted", "accepted", "duplicate"]
    await hub.settled()
    await hub.acme.send([again])
    await asyncio.gather(*(hub.acme.send([again, use("e-3", time="2026-11-22T10:00:00Z")]) for _ in range(8)))
    await expect_once(hub, 3, 300)


async def test_to_two_api_processes_at_once(hub: RunningHub) -> None:
    listener = bind("127.0.0.1", None, 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_api(hub.hub, listener, hub.stop))
        async with HubClient(url, hub.keys["org_acme"]) as other:
            batch = [use(f"e-{n}", n) for n in range(1, 51)]
            await asyncio.gather(*(client.send(batch) for client in (hub.acme, other) * 3))
            await expect_once(hub, 50, sum(range(1, 51)))
        hub.stop.set()


async def test_after_a_replay_from_offset_0(engines: Engines, kafka: KafkaOptions, database_dsn: str) -> None:
    settings = settings_of(engines, kafka, database_dsn, unique("flow"))
    async with running_hub(engines, settings) as hub:
        await hub.acme.send([use(f"e-{n}", n) for n in range(1, 91)])
        await expect_once(hub, 90, sum(range(1, 91)))
        again = hub.hub.log_reader
        records = [
            record
            for partition in range(await again.partitions(USAGE))
            async for record in again.scan(USAGE, partition)
        ]
        for record in reversed(records):
            await hub.hub.producer.send(USAGE, record.key, [record.value], record.headers)
        await expect_once(hub, 90, sum(range(1, 91)))


async def test_with_another_body_it_is_refused_and_visible(hub: RunningHub) -> None:
    await hub.acme.send([use("e-1", 100)])
    await hub.settled()
    await hub.acme.send([use("e-1", 999)])

    async def letter() -> dict[str, Any] | None:
        found = (await hub.admin.get("/v1/admin/dead-letters?reason=identity_conflict"))["data"]
        return found[0] if found else None

    refused = await eventually(letter, within_s=20)
    assert (refused["consumer"], refused["event_id"]) == ("aihub.credits", "e-1")
    journey = (await hub.acme.get("/v1/events/e-1"))["data"]
    assert [note["reason"] for note in journey["dead_letters"]] == ["identity_conflict"]
    await expect_once(hub, 1, 100)


async def test_the_journey_of_an_event_is_told_step_by_step(hub: RunningHub) -> None:
    await hub.acme.send([use("e-1", 100)])
    await hub.settled()

    async def complete() -> dict[str, Any] | None:
        journey = (await hub.acme.get("/v1/events/e-1"))["data"]
        return journey if journey["state"] == "done" else None

    journey = await eventually(complete, within_s=20)
    assert journey["accepted"]["topic"] == "aihub.usage.v1"
    assert journey["priced"]["amount_micros"] == 100 * GPT4_MICROS_PER_TOKEN
    assert journey["charged"]["transaction_id"].startswith("txn_")
    times = [journey[step]["at"] for step in ("accepted", "charged", "analysed")]
    assert all(times)
    assert times[0] < min(times[1:])
