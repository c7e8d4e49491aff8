"""Nobody reaches another organization's things: not by their ids, and not where the application forgets to check."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

from api.core.admission import Gate, Needs
from api.core.principal import Principal
from api.core.request_ids import Context
from infra.ids import new_id, new_uuid
from infra.postgres import tenancy
from tests.api.conftest import USAGE, Api, Person
from tests.api.matrix import ROUTES
from tests.api.test_roles import fresh

NOT_POSTGRES = {"GET /v1/events/{event_id:path}": "reads Kafka and ClickHouse, which have no row-level security (0008)"}
UNSCOPED = ("/v1/events", "/v1/usage", "/v1/admin/reconcile")
"""Write to Kafka, or need platform staff. What is about a person (`self`) is no organization's: unscoped on purpose."""
TEST_EVENT = {"event_type": "credits.charged"}
NAMES = {"provider": "google, github ...: the same for everybody"}
"""What stands in paths and is no id; any other name needs an id in the fixture below, or the sweep fails."""
HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OWNED = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname = 'organization_id' ORDER BY 1
"""
LETTER = """
    INSERT INTO dead_letters (id, consumer, topic, partition_no, offset_no, organization_id, reason, message, headers,
        parked_at, state) VALUES ($1, 'credits', $1::uuid::text, 0, 1, $2, 'invalid', 'x', '{}', now(), 'parked')
"""
MAIL = "INSERT INTO mails (id, recipient, subject, body, created_at, next_at) VALUES ($1, 'x', 'x', '', now(), now())"
PASSKEY = """
    INSERT INTO passkeys (credential_id, id, user_id, public_key, sign_count, backed_up, name, created_at)
    VALUES ($1, $2, $3, '', 0, false, 'x', now())
"""
DEVICE = "INSERT INTO devices (hash, user_id, created_at, last_used_at) VALUES ($1, $2, now(), now())"

Ids = dict[str, str]


async def run(api: Api, sql: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(api.deps.database.dsn)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


async def make(api: Api, by: Person, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made = await api.post(path, json=body, headers=by.headers)
    assert made.is_success, made.text
    return made.json()["data"]


@pytest.fixture
async def victim(api: Api) -> Person:
    """The admin of another organization."""
    return await fresh(api, "superadmin", organization=await api.make_organization())


@pytest.fixture
async def ids(api: Api, victim: Person) -> Ids:
    """Things that the other organization has, by the names that paths give them."""
    by = victim
    role = await make(api, by, "/v1/roles", {"name": "R", "permissions": ["credits:read"]})
    key = await make(api, by, "/v1/keys", {"name": "K", "scopes": ["credits:read"]})
    team = await make(api, by, "/v1/teams", {"name": "T"})
    invitation = await make(api, by, "/v1/invitations", {"email": "x@example.com"})
    endpoint = await make(api, by, "/v1/webhooks/endpoints", {"url": "https://example.com/x", "event_types": ["*"]})
    sent = await make(api, by, f"/v1/webhooks/endpoints/{endpoint['id']}/test", TEST_EVENT)
    event = {"specversion": "1.0", "id": new_id("evt"), "source": "urn:v", "type": "usage.recorded.v1", "data": USAGE}
    cloud = {"content-type": "application/cloudevents+json"}
    assert (await api.post("/v1/events", json=event, headers=by.headers | cloud)).status_code == 202
    organization = (await api.get("/v1/users/me/organizations", headers=by.headers)).json()["data"][0]
    letter, mail, passkey, device = new_uuid(), new_id("mail"), new_id("pk"), new_uuid().bytes
    await run(api, LETTER, letter, organization["organization_id"])
    await run(api, MAIL, mail)
    await run(api, PASSKEY, new_uuid().bytes, passkey, victim.id)
    await run(api, DEVICE, device, victim.id)
    return {
        "device_id": device.hex(),
        "delivery_id": sent["delivery_id"],
        "endpoint_id": endpoint["id"],
        "event_id:path": event["id"],
        "invitation_id": invitation["id"],
        "key_id": key["id"],
        "letter_id": str(letter),
        "mail_id": mail,
        "organization_id": organization["organization_id"],
        "passkey_id": passkey,
        "role_id": role["id"],
        "session_id": victim.session_id,
        "team_id": team["id"],
        "user_id": victim.id,
    }


class Attacker:
    """An organization's owner, and a key of theirs that may do everything within the organization."""

    def __init__(self, api: Api, examples: dict[str, Any]) -> None:
        self._api = api
        self._examples = examples

    async def ask(self, route: str, ids: Ids) -> httpx.Response:
        """The route with these ids in its path, and the example of its body."""
        method, path = route.split(" ")
        filled = re.sub(r"\{([^}]+)\}", lambda found: ids[found.group(1)], path)
        if ROUTES[route].split()[0] in ("self", "owner"):
            headers = (await fresh(self._api, owner=True)).headers
        else:
            headers = self._api.bearer(self._api.key)
        return await self._api.client.request(method, filled, json=self._examples.get(route), headers=headers)


@pytest.fixture
async def attacker(api: Api) -> Attacker:
    """With the examples of the OpenAPI document."""
    document = (await api.get("/v1/openapi.json")).json()
    examples = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for media in operation.get("requestBody", {"content": {}})["content"].values():
                examples.setdefault(f"{method.upper()} {path}", media.get("example"))
    return Attacker(api, examples)


def guarded(*, with_ids: bool) -> Iterator[str]:
    """Routes that need somebody, with ids in their path or without."""
    for route, row in ROUTES.items():
        names = set(re.findall(r"\{([^}]+)\}", route))
        if row != "public" and bool(names) == with_ids and not names & NAMES.keys():
            yield route


def told(answer: httpx.Response) -> tuple[int, str]:
    """What the answer tells, ids and times left out."""
    error = answer.json()["error"]
    return answer.status_code, error["code"] + ": " + HEX.sub("ID", error["message"])


async def owned(api: Api, organization: str) -> dict[str, str]:
    """A digest of what the organization has, by table."""
    tables = [row["relname"] for row in await run(api, OWNED)]
    sql = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t WHERE organization_id = $1"
    return {table: (await run(api, sql.format(table), organization))[0][0] for table in tables}


def unknown(ids: Ids) -> Ids:
    """Ids of the same form that nobody has."""
    return {name: HEX.sub(lambda found: _like(found.group()), value) for name, value in ids.items()}


def _like(text: str) -> str:
    fresh_one = new_uuid()
    return str(fresh_one) if "-" in text else fresh_one.hex


@pytest.mark.timeout(240)
async def test_another_organizations_ids_are_answered_like_ids_that_nobody_has(
    api: Api, attacker: Attacker, ids: Ids
) -> None:
    before, tried = await owned(api, ids["organization_id"]), 0
    for route in guarded(with_ids=True):
        found, nothing = await attacker.ask(route, ids), await attacker.ask(route, unknown(ids))
        if "superadmin" in ROUTES[route] and "dead-letters" not in route:
            assert found.status_code == 403, route  # whether there is such a thing or not
        else:
            assert found.status_code == 404, (route, found.text)
        assert told(found) == told(nothing), route
        tried += 1
    assert tried >= 40
    for route in guarded(with_ids=False):
        if route.startswith("GET"):
            shown = (await attacker.ask(route, {})).text
            assert not [value for value in ids.values() if value in shown], route
    assert await owned(api, ids["organization_id"]) == before


async def test_ids_in_bodies_and_queries_are_answered_like_ids_that_nobody_has(api: Api, ids: Ids) -> None:
    owner, member = await fresh(api, owner=True), await api.make_user()
    own = await make(api, owner, "/v1/roles", {"name": "own"})

    async def answers(these: Ids) -> list[tuple[int, str]]:
        question, key = {"permission": "credits:read"}, {"name": "k", "scopes": ["credits:read"]}
        requests: list[tuple[str, str, Any]] = [
            ("PATCH", f"/v1/roles/{own['id']}", {"inherits": [these["role_id"]]}),
            ("POST", "/v1/invitations", {"email": "a@example.com", "role_id": these["role_id"]}),
            ("PUT", f"/v1/members/{member.id}/roles/{these['role_id']}", None),
            ("PUT", f"/v1/members/{member.id}/roles/user?team_id={these['team_id']}", None),
            ("POST", "/v1/users/me/membership/transfer", {"user_id": these["user_id"]}),
            ("POST", "/v1/keys", key | {"organization_id": these["organization_id"]}),
            ("POST", "/v1/access/check", question | {"user_id": these["user_id"]}),
            *(("POST", "/v1/access/check", question | {"resource": these[name]}) for name in RESOURCES),
            ("GET", f"/v1/webhooks/deliveries?endpoint_id={these['endpoint_id']}", None),
        ]
        found = []
        for method, path, body in requests:
            answer = await api.client.request(method, path, json=body, headers=owner.headers)
            shown = answer.json().get("error") or answer.json()
            shown = {name: value for name, value in shown.items() if name not in ("meta", "timestamp", "request_id")}
            assert answer.status_code >= 400 or not shown["data"] or shown["data"]["allowed"] is False, (path, body)
            found.append((answer.status_code, HEX.sub("ID", str(shown))))
        return found

    assert await answers(ids) == await answers(unknown(ids))


RESOURCES = ("endpoint_id", "invitation_id", "key_id", "organization_id", "role_id", "team_id", "user_id")

Admit = Callable[[Gate, Context, Needs], Awaitable[Principal | None]]


@pytest.mark.timeout(240)
async def test_where_the_application_forgets_to_check_row_level_security_shows_nothing(
    api: Api, attacker: Attacker, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every query asks for the victim's rows; the transactions are still the attacker's."""
    admit: Admit = Gate.admit

    async def mistaken(gate: Gate, context: Context, needs: Needs) -> Principal | None:
        who = await admit(gate, context, needs)
        if who is not None and who.organization_id == api.organization:
            context.found["principal"] = replace(who, organization_id=ids["organization_id"])
        return who

    things = {name: value for name, value in ids.items() if name != "organization_id"}  # that one is echoed
    before = await owned(api, ids["organization_id"])
    monkeypatch.setattr(Gate, "admit", mistaken)
    for route in guarded(with_ids=True):
        answer = await attacker.ask(route, ids)
        if route not in NOT_POSTGRES:
            assert answer.status_code in (403, 404), (route, answer.text)
            assert not answer.is_success, route
    for route in guarded(with_ids=False):
        method, path = route.split(" ")
        if method == "GET":
            shown = (await attacker.ask(route, {})).text
            assert not [value for value in things.values() if value in shown], route
        elif path not in UNSCOPED and not ROUTES[route].startswith("self"):
            await attacker.ask(route, {})  # whatever it answers, it changes nothing of the victim's
    monkeypatch.undo()
    assert await owned(api, ids["organization_id"]) == before


async def test_the_same_mistake_without_row_level_security_would_show_everything(
    api: Api, attacker: Attacker, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes the test above worth something."""
    admit: Admit = Gate.admit

    async def mistaken(gate: Gate, context: Context, needs: Needs) -> Principal | None:
        who = await admit(gate, context, needs)
        if who is not None and who.organization_id == api.organization:
            context.found["principal"] = replace(who, organization_id=ids["organization_id"])
            tenancy.act_for(None)
        return who

    monkeypatch.setattr(Gate, "admit", mistaken)
    reads = [route for route in guarded(with_ids=True) if route.startswith("GET") and "admin/mails" not in route]
    shown = [route for route in reads if (await attacker.ask(route, ids)).is_success]
    assert len(shown) >= 10
    assert set(reads) - set(shown) <= set(NOT_POSTGRES)
