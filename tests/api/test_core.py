"""Who may ask, and the shape of every answer."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from sqlalchemy import select

from api.app import create_app
from api.core.resource import register
from contracts import catalog
from contracts.rules.access import ANYBODY, PERMISSIONS, PUBLIC, SELF, allows, covers, is_scope
from infra.postgres.tables.trails import outbox
from tests.api.conftest import USAGE, Api, World, event
from tests.api.matrix import ROUTES
from tests.support.eventually import eventually

Route = tuple[str, str, str]


def routes(world: World) -> Iterator[Route]:
    """Every route with its permission; the path filled in."""
    for method, path, permission in register(create_app(world.deps)):
        assert permission is not None, f"{method} {path} names no permission"
        yield method, re.sub(r"\{[^}]+\}", "thing_1", path), permission


async def ask(api: Api, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=api.url, timeout=20) as client:
        return await client.request(method, path, headers=headers)


async def test_every_route_is_guarded_by_a_known_permission(world: World) -> None:
    permissions = {permission for _, _, permission in routes(world)}
    assert permissions <= PERMISSIONS.keys() | {PUBLIC, SELF, ANYBODY}


async def test_nobody_passes_a_guard_without_its_permission(api: Api, world: World) -> None:
    """Whoever did not prove who they are: tests/api/test_matrix.py."""
    everything_else = list(PERMISSIONS)
    for method, path, permission in routes(world):
        if permission == PUBLIC:
            assert (await ask(api, method, path, {})).status_code < 500 or path == "/health/ready"
            continue
        if permission == ANYBODY:
            continue
        if permission == SELF:
            answer = await ask(api, method, path, api.bearer(api.key))
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated"), path
            continue
        lacking = api.bearer(await api.make_key([one for one in everything_else if one != permission]))
        answer = await ask(api, method, path, lacking)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied"), path
        assert permission in answer.json()["error"]["message"]
        holding = api.bearer(await api.make_key([permission]))
        assert (await ask(api, method, path, holding)).status_code not in (401, 403), path


async def test_ids_that_nothing_can_have_are_not_found_and_odd_queries_refused(api: Api) -> None:
    owner = await api.make_user("superadmin", owner=True, elevated_until=api.clock.now() + timedelta(hours=1))
    for route in ROUTES:
        method, path = route.split(" ")
        for text in ("a%00b", "%F0%9F%98%80", "x" * 3_000) if "{" in path else ():
            odd = re.sub(r"\{[^}]+\}", text, path)
            answer = await api.client.request(method, odd, headers=owner.headers, json={"name": "x"})
            assert answer.status_code < 500, (route, text[:5], answer.text)
    for path in ("/v1/webhooks/deliveries?endpoint_id=%00", "/v1/members?cursor=%00", "/v1/webhooks/deliveries?a%00=1"):
        answer = await api.get(path)
        assert answer.status_code in (200, 422), (path, answer.text)


def test_a_wildcard_over_everything_does_not_cross_organizations() -> None:
    assert allows(frozenset(("*",)), "credits:grant")
    assert not allows(frozenset(("*",)), "system:any_organization")
    assert allows(frozenset(("credits:*",)), "credits:grant")
    assert not allows(frozenset(("credits:*",)), "events:write")
    assert is_scope("credits:*")
    assert not is_scope("nothing:*")
    assert covers(frozenset(("*",)), "credits:*")
    assert not covers(frozenset(("*",)), "system:*")
    assert not covers(frozenset(("credits:read",)), "credits:*")


async def test_a_key_may_come_in_either_header_and_its_typing_errors_are_told(api: Api) -> None:
    for headers in ({"x-api-key": api.key}, {"authorization": f"bearer {api.key}"}):
        assert (await ask(api, "GET", "/v1/keys", headers)).status_code == 200
    for wrong in (f"Bearer {api.key[:-1]}x", "Basic abc", "Bearer", "Bearer hello"):
        assert (await ask(api, "GET", "/v1/keys", {"authorization": wrong})).status_code == 401


async def test_a_revoked_key_is_refused_within_a_second(own_api: Api) -> None:
    made = await own_api.post("/v1/keys", json={"name": "x", "scopes": ["keys:read"]})
    secret, key_id = made.json()["data"]["key"], made.json()["data"]["id"]
    headers = own_api.bearer(secret)
    assert (await ask(own_api, "GET", "/v1/keys", headers)).status_code == 200
    revoked = await own_api.post(f"/v1/keys/{key_id}/revoke", json={"reason": "leaked"})
    assert revoked.json()["data"]["revoked_at"] is not None
    own_api.clock.advance(1.0)
    assert (await ask(own_api, "GET", "/v1/keys", headers)).status_code == 401


async def test_nobody_makes_a_key_that_may_more_than_they_may(api: Api) -> None:
    weak = api.bearer(await api.make_key(["keys:*", "events:write"]))
    refused = await api.post("/v1/keys", json={"name": "x", "scopes": ["events:write", "credits:grant"]}, headers=weak)
    assert refused.status_code == 403
    allowed = await api.post("/v1/keys", json={"name": "x", "scopes": ["events:write"]}, headers=weak)
    assert allowed.status_code == 201
    unknown = await api.post("/v1/keys", json={"name": "x", "scopes": ["all"]})
    assert unknown.json()["error"]["details"][0]["pointer"] == "/scopes"
    assert (await api.post("/v1/organizations", json={"name": "x"})).status_code == 403
    system = api.bearer(await api.make_key(["system:*", "*"]))
    made = await api.post("/v1/organizations", json={"name": "Other"}, headers=system)
    other = made.json()["data"]["id"]
    key = await api.post("/v1/keys", json={"name": "x", "scopes": ["*"], "organization_id": other}, headers=system)
    assert key.json()["data"]["organization_id"] == other
    seen = await ask(api, "GET", "/v1/keys", api.bearer(key.json()["data"]["key"]))
    assert [row["name"] for row in seen.json()["data"]] == ["x"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/events", 405, "method_not_allowed"),
        ("DELETE", "/v1/keys", 405, "method_not_allowed"),
        ("GET", "/v1/keys?limit=0", 422, "invalid"),
        ("GET", "/v1/keys?limit=101", 422, "invalid"),
        ("GET", "/v1/keys?cursor=abc", 422, "invalid"),
        ("POST", "/v1/keys", 415, "unsupported_media_type"),
    ],
)
async def test_every_error_has_the_one_shape(api: Api, method: str, path: str, status: int, code: str) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details", "timestamp", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = await api.client.request(method, path, headers={"accept": "application/problem+json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == status
    assert problem.json()["type"] == f"urn:aihub:error:{code}"


async def test_a_request_id_is_taken_when_sane_and_made_when_not(api: Api) -> None:
    kept = await api.get("/v1/keys", headers={"x-request-id": "abc-1.2:3"})
    assert kept.headers["x-request-id"] == "abc-1.2:3" == kept.json()["meta"]["request_id"]
    for wrong in ("a b", "x" * 129, "a\tb"):
        made = await api.get("/v1/keys", headers={"x-request-id": wrong})
        assert re.fullmatch(r"req_[0-9a-f]{32}", made.headers["x-request-id"])


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b'{"name":"x","scopes":["*"],"name":"y"}', 400, "/name"),
        (b'{"name":NaN,"scopes":["*"]}', 400, "/name"),
        (b"{", 400, ""),
        (b"", 422, ""),
        (b'{"name":"x","scopes":["*"],"admin":true}', 422, "/admin"),
        (b'{"name":"x","scopes":[]}', 422, "/scopes"),
        (b'{"name":"x","scopes":["*"],"expires_at":"tomorrow"}', 422, "/expires_at"),
    ],
)
async def test_bodies_of_other_routes_are_read_as_strictly(api: Api, body: bytes, status: int, pointer: str) -> None:
    answer = await api.post("/v1/keys", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["details"][0]["pointer"] == pointer


async def test_pages_follow_one_another_without_gap_or_repetition(api: Api) -> None:
    for number in range(7):
        await api.post("/v1/keys", json={"name": f"k{number}", "scopes": ["events:write"]})
    seen: list[str] = []
    url: str | None = "/v1/keys?limit=3"
    while url:
        answer = await api.get(url)
        seen += [row["id"] for row in answer.json()["data"]]
        url = answer.links.get("next", {}).get("url")
        assert answer.json()["pagination"]["has_more"] == (url is not None)
    assert len(seen) == len(set(seen)) == 8
    cursor = (await api.get("/v1/keys?limit=3")).json()["pagination"]["next_cursor"]
    assert (await api.get("/v1/organizations", params={"cursor": cursor})).status_code == 422
    other = api.bearer(await api.make_key(["*"], await api.make_organization()))
    assert (await api.get("/v1/keys", params={"cursor": cursor}, headers=other)).status_code == 422


async def test_the_first_answer_to_an_idempotency_key_is_replayed(api: Api) -> None:
    headers = {"idempotency-key": "k-1"}
    body = json.dumps(USAGE).encode()
    options = {"content": body, "headers": headers | {"content-type": "application/json"}}
    first = await api.post("/v1/usage", **options)
    again = await api.post("/v1/usage", **options)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    other = await api.post("/v1/usage", json=USAGE | {"input_tokens": 1}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert len(await api.published()) == 1
    bad = event(type="x")
    refused = [await api.send(bad, headers={"idempotency-key": "k-2"}) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [422, 422]
    assert refused[1].headers["idempotency-replayed"] == "true"
    assert (await api.send(event(), headers={"idempotency-key": "a b"})).status_code == 422


async def test_an_idempotency_key_is_free_again_after_a_day(own_api: Api) -> None:
    async def send(tokens: int) -> httpx.Response:
        return await own_api.post("/v1/usage", json=USAGE | {"input_tokens": tokens}, headers={"idempotency-key": "k"})

    assert (await send(1)).status_code == 202
    assert (await send(2)).status_code == 409
    own_api.clock.advance(24 * 3600 + 1)
    assert (await send(2)).status_code == 202


async def test_two_requests_with_one_key_at_once_have_one_effect(api: Api) -> None:
    import asyncio

    answers = await asyncio.gather(
        *(api.post("/v1/usage", json=USAGE, headers={"idempotency-key": "race"}) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409} <= {"conflict"}
    assert len({found.id for found in await api.published()}) == 1


async def test_pipelined_requests_of_two_organizations_are_each_answered_as_their_own(api: Api) -> None:
    other = await api.make_organization()
    keys = [await api.make_key(["credits:read"]), await api.make_key(["credits:read"], other)]
    requests = [
        f"GET /v1/credits/balance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{end}\r\n"
        for key, end in zip(keys, ("", "Connection: close\r\n"), strict=True)
    ]
    url = httpx.URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write("".join(requests).encode())
    async with asyncio.timeout(20):
        answers = await reader.read()
    writer.close()
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200"], answers


async def test_the_request_id_stands_in_every_log_line_and_beside_a_bug(world: World) -> None:
    app = create_app(world.deps)

    async def broken() -> None:
        assert structlog.contextvars.get_contextvars()["request_id"] == "mine-1"
        raise RuntimeError("a bug")

    app.add_api_route("/broken", broken)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with structlog.testing.capture_logs() as lines:
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            answer = await client.get("/broken", headers={"x-request-id": "mine-1"})
    assert answer.status_code == 500
    (line,) = lines
    assert (line["event"], line["request_id"], line["error"]) == ("request.failed", "mine-1", "RuntimeError")


async def test_the_request_id_stands_on_the_span(api: Api) -> None:
    transport = httpx.ASGITransport(create_app(api.deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=api.bearer(api.key)) as client:
        with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
            answer = await client.get("/v1/credits/balance")
    assert answer.status_code == 200, answer.text
    assert isinstance(span, ReadableSpan)
    assert (span.attributes or {})["aihub.request_id"] == answer.headers["x-request-id"]


async def test_that_a_key_is_used_from_a_new_place_is_told_with_the_request_that_used_it(api: Api) -> None:
    answer = await api.get("/v1/credits/balance", headers={"x-forwarded-for": "192.0.2.77"})
    assert answer.status_code == 200, answer.text

    async def told() -> list[str | None]:
        async with api.deps.database.unscoped() as tx:
            mine = select(outbox.c.payloads).where(outbox.c.organization_id == api.organization)
            rows = list(await tx.scalars(mine))
        facts = [catalog.decode(payload)[0] for payloads in rows for payload in payloads]
        return [one.requestid for one in facts if one.data.get("address") == "192.0.2.77"]

    assert await eventually(told) == [answer.headers["x-request-id"]]
