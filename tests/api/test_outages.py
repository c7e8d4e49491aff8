"""With an engine away the API says so in time, keeps what it can, and recovers by itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from consumers.credits import app as credits
from infra.clickhouse.client import ClickHouse
from infra.crypto import new_api_key
from infra.embedded.engines import EmbeddedOptions, Engines, start_engines
from infra.kafka.admin import ensure_topics
from infra.kafka.options import KafkaOptions
from infra.ops.seed_prices import seed_prices
from infra.postgres.database import Database
from infra.postgres.migrate import migrate
from infra.telemetry.progress import Progress
from tests.api.conftest import USAGE, Api, client_of, event, serving, stack
from tests.support.clock import FakeClock
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
async def frail(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    """Engines that may be stopped."""
    options = EmbeddedOptions(home=tmp_path_factory.mktemp("frail"), clickhouse=False)
    async with start_engines(options) as running:
        yield running


@pytest.fixture
async def frail_api(frail: Engines, clock: FakeClock) -> AsyncIterator[Api]:
    """An API on engines that may be stopped."""
    kafka = KafkaOptions(frail.kafka_bootstrap, partitions=1)
    await ensure_topics(kafka)
    database = Database.open(frail.postgres_dsn)
    await migrate(database)
    away = ClickHouse.open_http("http://127.0.0.1:9/none")
    async with stack(kafka, database, away, clock) as deps, serving(deps) as url, client_of(url, deps, clock) as api:
        yield api
    await database.close()
    await away.close()


async def test_without_its_broker_it_answers_503_within_5_s_and_recovers(frail: Engines, frail_api: Api) -> None:
    assert (await frail_api.send(event())).status_code == 202
    await frail.kafka.kill()
    for body in (event(), [event() for _ in range(100)]):
        began = time.monotonic()
        answer = await frail_api.send(body)
        assert time.monotonic() - began < 5
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broker_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert (await frail_api.get("/v1/credits/balance")).status_code == 200
    ready = await eventually(lambda: _not_ready(frail_api))
    assert ready["dependencies"]["kafka"] == "down"
    await frail.kafka.start()
    again = event(id="after")
    await eventually(lambda: _accepted(frail_api, again), within_s=30)


async def _not_ready(api: Api) -> dict[str, Any] | None:
    answer = await api.get("/health/ready")
    return answer.json() if answer.status_code == 503 else None


async def _accepted(api: Api, body: dict[str, Any]) -> bool:
    return (await api.send(body)).status_code == 202


async def test_without_its_database_known_keys_go_on_and_unknown_ones_wait(frail: Engines, frail_api: Api) -> None:
    assert (await frail_api.send(event())).status_code == 202
    await frail.postgres.kill()
    frail_api.clock.advance(2)
    assert (await frail_api.send(event())).status_code == 202
    keyed = [await frail_api.post("/v1/usage", json=USAGE, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in keyed] == [202, 202]
    ids = {answer.json()["data"]["results"][0]["id"] for answer in keyed}
    assert len(ids) == 1, "the same request makes the same event, with or without a memory"
    unknown = await frail_api.send(event(), headers=frail_api.bearer(new_api_key()))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "database_unavailable")
    reads = await frail_api.get("/v1/credits/balance")
    assert (reads.status_code, reads.json()["error"]["code"]) == (503, "database_unavailable")
    frail_api.clock.advance(601)
    assert (await frail_api.send(event())).status_code == 503
    await frail.postgres.start()
    await eventually(lambda: _accepted(frail_api, event()), within_s=30)


async def test_without_analytics_the_journey_shows_the_rest(frail: Engines, frail_api: Api) -> None:
    deps, sent, stop = frail_api.deps, event(), asyncio.Event()
    await seed_prices(deps.database, frail_api.clock)
    kafka = KafkaOptions(frail.kafka_bootstrap, partitions=1)
    consumer = credits.build(deps.database, kafka=kafka, producer=deps.producer, clock=frail_api.clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(consumer.run(stop))
        await frail_api.send(sent)
        found = await eventually(lambda: _charged(frail_api, sent["id"]), within_s=30)
        stop.set()
    assert (found["state"], found["analysed"]["state"]) == ("unknown", "unknown")


async def _charged(api: Api, event_id: str) -> dict[str, Any] | None:
    found = (await api.get(f"/v1/events/{event_id}")).json().get("data", {})
    return found if found.get("charged", {}).get("state") == "done" else None


async def test_it_is_ready_without_analytics_but_not_with_a_dead_consumer(
    frail_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumers: dict[str, Progress] = {}
    monkeypatch.setattr("api.health.routes.PROGRESS", consumers)
    ready = await frail_api.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["dependencies"] == {"kafka": "up", "postgres": "up", "clickhouse": "down"}
    consumers["x"] = Progress("x")
    assert (await frail_api.get("/health/ready")).status_code == 200
    consumers["x"].stopped("a bug")
    dead = await frail_api.get("/health/ready")
    assert (dead.status_code, dead.json()["consumers"]["x"]["failed"]) == (503, "a bug")


async def test_a_bug_is_a_500_without_a_trace(frail_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def bug(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("api.credits.service.balance", bug)
    monkeypatch.setattr("api.events.routes.take", bug)
    for method, path in (("GET", "/v1/credits/balance"), ("POST", "/v1/usage")):
        answer = await frail_api.client.request(method, path, json=USAGE, headers={"x-request-id": "find-me"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
        assert answer.headers.get_list("x-request-id") == ["find-me"] == [answer.json()["error"]["request_id"]]
        assert "secret" not in answer.text
