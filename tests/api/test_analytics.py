"""`/v1/analytics`: what was posted comes back as sums, through Kafka, the consumer and ClickHouse."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from consumers.analytics.app import AnalyticsConsumer, build
from consumers.analytics.handlers import Sink
from infra.kafka.subscriber import Tuning
from tests.api.conftest import USAGE, Api, World, event
from tests.support.eventually import eventually
from tests.support.usage import batch, charge, usage


@pytest.fixture
async def consumer(world: World) -> AsyncIterator[AnalyticsConsumer]:
    """The analytics consumer of the shared API's topics."""
    deps = world.deps
    built = build(deps.clickhouse, kafka=world.kafka, producer=deps.producer, clock=world.clock, tuning=Tuning())
    stop = asyncio.Event()
    running = asyncio.create_task(built.run(stop))
    yield built
    stop.set()
    await running


async def points(api: Api, **params: Any) -> list[dict[str, Any]]:
    answer = await api.get("/v1/analytics/usage", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_posted_usage_comes_back_counted_once(api: Api, consumer: AnalyticsConsumer) -> None:
    now = api.clock.now()
    sent = [event(time=(now - timedelta(minutes=i)).isoformat(), data={**USAGE, "user": f"u{i % 2}"}) for i in range(6)]
    for _ in range(2):
        assert (await api.send(sent)).status_code == 202

    async def arrived() -> bool:
        return sum(point["events"] for point in await points(api, to=(now + timedelta(minutes=1)).isoformat())) == 6

    await eventually(arrived, within_s=20)
    grouped = await points(api, to=(now + timedelta(minutes=1)).isoformat(), group_by=["user", "model"], window="all")
    assert [(point["group"], point["events"], point["input_tokens"]) for point in grouped] == [
        ({"user": "u0", "model": "gpt-4o"}, 3, 3 * 374),
        ({"user": "u1", "model": "gpt-4o"}, 3, 3 * 374),
    ]

    async def complete() -> bool:
        meta = (await api.get("/v1/analytics/summary")).json()["meta"]
        return bool(meta["complete_through"] >= (api.clock.now() - timedelta(seconds=1)).isoformat())

    await eventually(complete, within_s=10)


async def test_a_summary_has_totals_top_models_and_the_span(api: Api) -> None:
    records = [usage(f"e{i}", i, organization=api.organization, model=f"m{i % 3}") for i in range(9)]
    booked = [charge(record, i, 10**i) for i, record in enumerate(records)]
    await Sink(api.deps.clickhouse).write(batch(*records, *booked))
    answer = await api.get("/v1/analytics/summary", params={"to": "2026-11-24T00:00:00Z", "limit": 2})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["totals"]["events"] == 9
    assert data["totals"]["credits_micros"] == 111_111_111
    assert [model["model"] for model in data["top_models"]] == ["m2", "m1"]
    assert (data["first_event_at"], data["last_event_at"]) == ("2026-11-23T12:00:00Z", "2026-11-23T12:00:08Z")


async def test_windows_are_labelled_in_the_zone_that_was_asked_for(api: Api) -> None:
    await Sink(api.deps.clickhouse).write(batch(usage("e", 0, organization=api.organization)))
    found = await points(api, to="2026-11-24T00:00:00Z", zone="Asia/Kolkata", window="day")
    assert [point["start"] for point in found] == ["2026-11-23T00:00:00+05:30"]
    assert found[0]["group"] == {}


async def test_nobody_sees_another_organizations_usage(api: Api) -> None:
    await Sink(api.deps.clickhouse).write(batch(usage("e", 0, organization="org_somebody_else")))
    assert await points(api, to="2026-11-24T00:00:00Z") == []
    answer = await api.get("/v1/analytics/usage", params={"organization_id": "org_somebody_else"})
    assert answer.status_code == 422


async def test_a_key_without_the_permission_is_refused(api: Api) -> None:
    key = await api.make_key(["events:write"])
    for path in ("/v1/analytics/usage", "/v1/analytics/summary"):
        assert (await api.get(path, headers=api.bearer(key))).status_code == 403


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"zone": "Mars/Olympus"}, "/query/zone"),
        ({"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T00:00:00Z"}, "/query/from"),
        ({"from": "1900-01-01T00:00:00Z"}, "/query/from"),
        ({"from": "2026-11-23"}, "/query/from"),
        ({"from": "2026-01-01T00:00:00Z", "window": "minute"}, "/query/window"),
        ({"window": "fortnight"}, "/query/window"),
        ({"group_by": "event_id"}, "/query/group_by/0"),
        ({"limit": "5"}, "/query/limit"),
        ({"model": "x" * 300}, "/query/model/0"),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_a_pointer(
    api: Api, params: dict[str, str], pointer: str
) -> None:
    answer = await api.get("/v1/analytics/usage", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["0", "0.5", "1700000000"])
async def test_a_number_is_not_a_time(api: Api, number: str) -> None:
    for query in (f"/v1/analytics/summary?to={number}", f"/v1/audit/events?until={number}"):
        answer = await api.get(query)
        assert answer.status_code == 422, query
        assert answer.json()["error"]["details"][0]["pointer"].startswith("/query/")
