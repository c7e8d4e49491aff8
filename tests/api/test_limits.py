"""How often somebody may ask: exact for each role, whichever of two servers is asked."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text, update

from api.app import create_app
from api.core.request_ids import Context
from api.core.resource import GuardedRoute
from api.deps import Deps
from contracts.errors import DatabaseUnavailable
from contracts.rules.limits import EXEMPT, Limits
from infra.postgres.database import Database, Tx
from infra.postgres.tables.identity import organizations
from infra.telemetry.metrics import LIMITED_REQUESTS, LIMITER_FAILURES
from tests.api.conftest import USAGE, Api, client_of, serving
from tests.support.clock import FakeClock

DENIED = "/v1/admin/dead-letters"
"""None of these roles may: that is answered without a database, after the limit was counted."""
TABLES = Limits(plans={"unlimited": None, "free": 40})


@pytest.fixture
async def limited(deps: Deps) -> Deps:
    """Deps with the limits of production, and a plan that limits ingest."""
    return replace(deps, options=replace(deps.options, limits=TABLES, database_deadline_s=20.0))


@asynccontextmanager
async def two_servers(deps: Deps, clock: FakeClock) -> AsyncIterator[tuple[Api, Sequence[str]]]:
    """A client, and the addresses of two servers on one database, with nothing else in common."""
    other = Database.open(deps.database.dsn, pool_size=10)
    async with (
        serving(deps) as first,
        serving(replace(deps, database=other)) as second,
        client_of(first, deps, clock) as api,
    ):
        yield api, (first, second)
    await other.close()


async def ask(api: Api, urls: Sequence[str], path: str, token: str | None, times: int) -> list[httpx.Response]:
    """So many requests, eight at a time, by turns to each server."""
    headers = api.bearer(token) if token else {}
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=8)) as client:
        return await asyncio.gather(
            *(client.get(urls[number % len(urls)] + path, headers=headers) for number in range(times))
        )


def statuses(answers: Sequence[httpx.Response]) -> dict[int, int]:
    found = [answer.status_code for answer in answers]
    return {status: found.count(status) for status in set(found)}


@pytest.mark.parametrize(("role", "quota"), [("guest", 10), ("user", 60), ("manager", 120)])
async def test_each_role_gets_its_quota_exactly_over_two_servers(
    limited: Deps, clock: FakeClock, role: str, quota: int
) -> None:
    async with two_servers(limited, clock) as (api, urls):
        token = (await api.make_user(role)).token
        answers = await ask(api, urls, DENIED, token, quota + 7)
        assert statuses(answers) == {403: quota, 429: 7}
        left = [int(one.headers["x-ratelimit-remaining"]) for one in answers if one.status_code == 403]
        assert (min(left), max(left)) == (0, quota - 1)
        clock.advance(59)
        assert statuses(await ask(api, urls, DENIED, token, 4)) == {429: 4}
        clock.advance(1)
        assert statuses(await ask(api, urls, DENIED, token, quota + 2)) == {403: quota, 429: 2}


async def test_an_admin_is_not_limited_and_has_no_headers(limited: Deps, clock: FakeClock) -> None:
    async with two_servers(limited, clock) as (api, urls):
        answers = await ask(api, urls, DENIED, (await api.make_user("admin")).token, 150)
    assert statuses(answers) == {403: 150}
    assert not any("ratelimit" in name for name in answers[0].headers)


async def test_the_headers_say_what_is_left_and_for_how_long(limited: Deps, clock: FakeClock) -> None:
    async with serving(limited) as url, client_of(url, limited, clock, ["keys:read"]) as api:
        first = await api.get("/v1/keys")
        assert first.headers["ratelimit-policy"] == '"default";q=60;w=60'
        assert first.headers["ratelimit"] == '"default";r=59;t=60'
        reset = str(int(clock.now().timestamp()) + 60)
        old = [first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
        assert old == ["60", "59", reset]
        clock.advance(10.5)
        assert (await api.get("/v1/keys")).headers["ratelimit"] == '"default";r=58;t=50'
        await ask(api, [url], "/v1/keys", api.key, 58)
        refused = await api.get("/v1/keys", headers={"accept": "application/problem+json"})
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "50"
        assert refused.headers["ratelimit"] == '"default";r=0;t=50'


async def test_who_was_refused_is_refused_from_memory_until_the_window_ends(limited: Deps, clock: FakeClock) -> None:
    async with serving(limited) as url, client_of(url, limited, clock, ["keys:read"]) as api:
        await ask(api, [url], "/v1/keys", api.key, 60)
        async with api.deps.database.transaction() as tx:
            await tx.execute(text("LOCK TABLE rate_limits"))  # whoever asks waits, and is let in then
            assert statuses(await ask(api, [url], "/v1/keys", api.key, 20)) == {429: 20}


async def test_public_routes_count_by_address_and_health_is_exempt(limited: Deps, clock: FakeClock) -> None:
    trusting = replace(limited, options=replace(limited.options, trusted_proxies=("127.0.0.0/8",)))
    async with serving(trusting) as url, client_of(url, trusting, clock) as api, httpx.AsyncClient() as nobody:

        async def from_address(address: str, path: str, times: int) -> dict[int, int]:
            headers = {"x-forwarded-for": address}
            return statuses([await nobody.get(url + path, headers=headers) for _ in range(times)])

        assert await from_address("192.0.2.1", "/v1/openapi.json", 22) == {200: 20, 429: 2}
        assert await from_address("192.0.2.2", "/v1/openapi.json", 1) == {200: 1}
        assert await from_address("2001:db8::1", "/v1/openapi.json", 20) == {200: 20}
        assert await from_address("2001:db8::2", "/v1/openapi.json", 1) == {429: 1}
        for path in ("/health/live", "/metrics", "/v1/docs/assets/pages.css"):
            assert await from_address("192.0.2.1", path, 30) == {200: 30}
        assert api.key


async def test_ingest_is_limited_by_the_organizations_plan_in_blocks(limited: Deps, clock: FakeClock) -> None:
    async with two_servers(limited, clock) as (api, urls):
        free = (await api.post("/v1/usage", json=USAGE)).headers
        assert "ratelimit" not in free
        async with api.deps.database.transaction() as tx:
            await set_plan(tx, api.organization, "free")
        clock.advance(1)
        async with httpx.AsyncClient(headers=api.bearer(api.key), timeout=20) as client:

            async def send(number: int) -> httpx.Response:
                return await client.post(urls[number % 2] + "/v1/usage", json=USAGE)

            answers = await asyncio.gather(*(send(number) for number in range(60)))
        assert statuses(answers) == {202: 40, 429: 20}
        assert answers[0].headers["ratelimit-policy"] == '"ingest";q=40;w=60'


async def set_plan(tx: Tx, organization: str, plan: str) -> None:
    await tx.execute(update(organizations).where(organizations.c.id == organization).values(plan=plan))


async def test_while_the_database_is_away_reads_go_through_uncounted_and_the_strict_class_does_not(
    limited: Deps, clock: FakeClock
) -> None:
    away = Database.open("postgresql://nobody@127.0.0.1:9/none")
    app = create_app(replace(limited, database=away))
    limiter = app.state.limiter
    failures = LIMITER_FAILURES.labels("default")._value.get()
    context = Context("req_1", {}, "192.0.2.1")
    for _ in range(20):
        await limiter.admit(context, None)
    assert LIMITER_FAILURES.labels("default")._value.get() == failures + 20
    assert context.limit_headers == []
    with pytest.raises(DatabaseUnavailable):
        await limiter.admit(context, None, "strict")
    await away.close()


async def test_a_clock_that_was_set_back_shuts_nobody_out(limited: Deps, clock: FakeClock) -> None:
    async with serving(limited) as url, client_of(url, limited, clock, ["keys:read"]) as api:
        await ask(api, [url], DENIED, api.key, 60)
        assert statuses(await ask(api, [url], DENIED, api.key, 1)) == {429: 1}
        clock.advance(-3600)
        assert statuses(await ask(api, [url], DENIED, api.key, 2)) == {403: 2}


async def test_refusals_are_counted_and_errors_count_against_the_limit(limited: Deps, clock: FakeClock) -> None:
    refused = LIMITED_REQUESTS.labels("default")._value.get()
    async with serving(limited) as url, client_of(url, limited, clock, ["keys:read"]) as api:
        answers = await ask(api, [url], "/v1/credits/balance", api.key, 65)
    assert statuses(answers) == {403: 60, 429: 5}
    assert LIMITED_REQUESTS.labels("default")._value.get() == refused + 5


async def test_the_document_says_429_where_there_is_a_limit(limited: Deps) -> None:
    app = create_app(limited)
    for route in app.routes:
        if isinstance(route, GuardedRoute):
            limit = (route.openapi_extra or {})["x-limit"]
            exempt = (
                re.match(r"/(health/|metrics|v1/docs/assets|v1/auth/(assets|verify-session))", route.path) is not None
            )
            assert (limit == EXEMPT) == exempt, route.path


async def test_who_presents_what_proves_nothing_is_a_guest_by_address(limited: Deps, clock: FakeClock) -> None:
    async with two_servers(limited, clock) as (api, urls):
        guesses = await ask(api, urls, DENIED, "aihub_live_" + "x" * 43, 12)
        assert statuses(guesses) == {401: 10, 429: 2}
        token = (await api.make_user("user")).token
        assert statuses(await ask(api, urls, DENIED, token, 1)) == {403: 1}
        clock.advance(60)
        assert statuses(await ask(api, urls, "/v1/users/me", None, 1)) == {401: 1}
