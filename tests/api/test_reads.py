"""What was sent can be followed: journey, balance, statement, dead letters, health."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consumers.analytics import app as analytics
from consumers.audit import app as audit
from consumers.credits import app as credits
from consumers.deadletters import app as deadletters
from contracts import topics
from infra.ops.seed_prices import seed_prices
from tests.api.conftest import USAGE, Api, World, event
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
async def consuming(world: World) -> AsyncIterator[None]:
    """Credits, analytics, audit and dead letters at work for this module's tests."""
    deps = world.deps
    await seed_prices(deps.database, world.clock)
    common: dict[str, Any] = {"kafka": world.kafka, "producer": deps.producer, "clock": world.clock}
    roles = [
        credits.build(deps.database, **common),
        deadletters.build(deps.database, **common),
        audit.build(deps.database, **common),
        analytics.build(deps.clickhouse, **common),
    ]
    async with running(roles):
        yield


@asynccontextmanager
async def running(roles: list[Any]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for role in roles:
            group.create_task(role.run(stop))
        yield
        stop.set()


async def journey(api: Api, event_id: str, **params: str) -> dict[str, Any]:
    answer = await api.get(f"/v1/events/{event_id}", params=params)
    return answer.json().get("data", {}) | {"status": answer.status_code}


async def test_an_event_is_found_before_any_consumer_has_seen_it(own_api: Api) -> None:
    sent = event(id="a/b c")
    receipt = (await own_api.send(sent)).json()["data"]["results"][0]["receipt"]
    found = await eventually(lambda: _when(own_api, "a%2Fb%20c", "accepted"))
    assert found["accepted"]["offset"] == receipt["offset"]
    assert [found[step]["state"] for step in ("priced", "charged", "analysed", "audited")] == [
        "pending", "pending", "pending", "not_applicable",
    ]  # fmt: skip
    assert (await journey(own_api, "nothing"))["status"] == 404
    other = own_api.bearer(await own_api.make_key(["*"], await own_api.make_organization()))
    assert (await own_api.get("/v1/events/a%2Fb%20c", headers=other)).status_code == 404


async def _when(api: Api, event_id: str, state: str) -> dict[str, Any] | None:
    found = await journey(api, event_id)
    return found if found.get("state") == state else None


async def test_usage_is_followed_to_its_charge_and_the_balance_shows_it(api: Api, consuming: None) -> None:
    grant = await api.post("/v1/credits/grants", json={"credits": "100.5", "source": "promo", "reason": "Hello"})
    assert grant.status_code == 202, grant.text
    await eventually(lambda: _when(api, grant.json()["data"]["event_id"], "done"), within_s=30)
    sent = event(data=USAGE | {"provider": "openai"})
    await api.send(sent)
    found = await eventually(lambda: _when(api, sent["id"], "done"), within_s=30)
    assert found["source"] == "urn:test"
    assert found["priced"]["state"] == found["charged"]["state"] == found["analysed"]["state"] == "done"
    assert found["charged"]["amount_micros"] == found["priced"]["amount_micros"] > 0
    balance = (await api.get("/v1/credits/balance")).json()
    assert balance["data"]["available_micros"] == 100_500_000 - found["charged"]["amount_micros"]
    assert balance["data"]["debt_micros"] == 0
    assert [lot["reason"] for lot in balance["data"]["grants"]] == ["Hello"]
    assert await eventually(lambda: _complete(api))
    statement = (await api.get("/v1/credits/transactions?limit=1")).json()
    assert [row["id"] for row in statement["data"]] == [found["charged"]["transaction_id"]]
    assert statement["data"][0]["event"] == {"source": "urn:test", "id": sent["id"]}
    cursor = statement["pagination"]["next_cursor"]
    second = (await api.get("/v1/credits/transactions", params={"limit": 1, "cursor": cursor})).json()
    assert [row["kind"] for row in second["data"]] == ["grant"]
    assert not second["pagination"]["has_more"]
    granted = await journey(api, grant.json()["data"]["event_id"])
    assert (granted["charged"]["kind"], granted["analysed"]["state"]) == ("grant", "not_applicable")


async def _complete(api: Api) -> bool:
    meta = (await api.get("/v1/credits/balance")).json()["meta"]
    return bool(meta.get("complete_through", "") >= "2026-11-23T11:59:59")


async def test_the_same_id_with_another_body_is_a_dead_letter_that_can_be_decided_on(api: Api, consuming: None) -> None:
    first, second = event(id="twice"), event(id="twice", data=USAGE | {"input_tokens": 1})
    await api.send(first)
    await eventually(lambda: _when(api, "twice", "done"), within_s=30)
    assert (await api.send(second)).status_code == 202
    (letter,) = await eventually(lambda: _letters(api), within_s=30)
    assert (letter["reason"], letter["event_id"], letter["state"]) == ("identity_conflict", "twice", "parked")
    full = (await api.get(f"/v1/admin/dead-letters/{letter['id']}")).json()["data"]
    assert '"id":"twice"' in full["value"]
    noted = await journey(api, "twice")
    assert [note["id"] for note in noted["dead_letters"]] == [letter["id"]]
    assert noted["charged"]["state"] == "done"
    other = api.bearer(await api.make_key(["*"], await api.make_organization()))
    for path in ("", "/redrive", "/drop"):
        url = f"/v1/admin/dead-letters/{letter['id']}{path}"
        answer = await api.client.request("POST" if path else "GET", url, headers=other)
        assert answer.status_code == 404
    assert (await api.post(f"/v1/admin/dead-letters/{letter['id']}/redrive")).json()["data"]["state"] == "redriven"
    (again,) = await eventually(lambda: _letters(api), within_s=30)
    assert again["id"] != letter["id"]
    assert (await api.post(f"/v1/admin/dead-letters/{again['id']}/drop")).json()["data"]["state"] == "dropped"
    assert (await api.post(f"/v1/admin/dead-letters/{again['id']}/redrive")).status_code == 409
    assert await _letters(api) == []
    assert (await api.get("/v1/admin/dead-letters/dl_nothing")).status_code == 404


async def _letters(api: Api) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await api.get("/v1/admin/dead-letters?state=parked")).json()["data"]
    return rows


async def test_several_sources_with_one_id_must_be_told_apart(api: Api, consuming: None) -> None:
    await api.send([event(id="shared"), event(id="shared", source="urn:second")])
    answer = await eventually(lambda: _conflict(api), within_s=30)
    assert "urn:second" in answer["error"]["details"][0]["message"]
    assert (await journey(api, "shared", source="urn:second"))["source"] == "urn:second"


async def _conflict(api: Api) -> Any:
    answer = await api.get("/v1/events/shared")
    return answer.json() if answer.status_code == 409 else None


async def test_an_auth_event_is_followed_into_the_audit_trail(api: Api, consuming: None) -> None:
    sent = event(type="auth.user.logged_in.v1", data={"user_id": "user_1"})
    await api.send(sent)
    found = await eventually(lambda: _audited(api, sent["id"]), within_s=30)
    assert found["audited"]["seq"] == 1


async def _audited(api: Api, event_id: str) -> dict[str, Any] | None:
    found = await journey(api, event_id)
    return found if found.get("audited", {}).get("state") == "done" else None


async def test_a_grant_is_published_once_per_idempotency_key(api: Api) -> None:
    wanted = {"amount_micros": 5_000_000, "expires_at": "2027-01-01T00:00:00Z"}
    headers = {"idempotency-key": "grant-1"}
    answers = [await api.post("/v1/credits/grants", json=wanted, headers=headers) for _ in range(2)]
    assert answers[0].content == answers[1].content
    (stored,) = await api.published(topics.CREDITS)
    assert (stored.type, stored.data["amount_micros"], stored.source) == (
        "credits.granted.v1",
        5_000_000,
        "/credits/grants",
    )
    assert stored.requestid == answers[0].headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"amount_micros": 1, "credits": "1"}, ""),
        ({"amount_micros": 0}, "/amount_micros"),
        ({"amount_micros": 1.5}, "/amount_micros"),
        ({"credits": "0.0000001"}, "/credits"),
        ({"credits": "-1"}, "/credits"),
        ({"credits": "1", "source": "theft"}, "/source"),
        ({"credits": "1", "expires_at": "2026-11-23T00:00:00"}, "/expires_at"),
        ({"credits": "1", "nonsense": 1}, "/nonsense"),
    ],
)
async def test_a_wrong_grant_is_refused_at_its_place(api: Api, body: dict[str, Any], pointer: str) -> None:
    answer = await api.post("/v1/credits/grants", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"][0]["pointer"] == pointer
    assert await api.published(topics.CREDITS) == []


async def test_only_a_system_key_grants_to_another_organization(api: Api) -> None:
    other = await api.make_organization()
    wanted = {"credits": "1", "organization_id": other}
    assert (await api.post("/v1/credits/grants", json=wanted)).status_code == 403
    system = api.bearer(await api.make_key(["credits:grant", "system:any_organization"]))
    assert (await api.post("/v1/credits/grants", json=wanted, headers=system)).status_code == 202
    assert len(await api.published(topics.CREDITS, other)) == 1
    nobody = wanted | {"organization_id": "org_nobody"}
    refused = await api.post("/v1/credits/grants", json=nobody, headers=system)
    assert refused.json()["error"]["details"][0]["pointer"] == "/organization_id"


async def test_health_and_metrics_need_no_key(api: Api) -> None:
    nobody = {"authorization": ""}
    assert (await api.get("/health/live", headers=nobody)).json() == {"status": "live"}
    ready = (await api.get("/health/ready", headers=nobody)).json()
    assert ready["dependencies"] == {"kafka": "up", "postgres": "up", "clickhouse": "up"}
    await api.send([event(), event(type="x")])
    figures = (await api.get("/metrics", headers=nobody)).text
    assert 'aihub_events_accepted_total{family="usage"}' in figures
    assert 'aihub_http_requests_total{method="POST",route="/v1/events",status="202"}' in figures
