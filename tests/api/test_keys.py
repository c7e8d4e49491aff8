"""Keys: scoped, rotated with an overlap, bound to networks, noted when used; services that speak for members."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg

from infra.crypto import SERVICE_PREFIX
from tests.api.conftest import Api
from tests.api.test_roles import code, fresh
from tests.support.eventually import eventually
from tests.support.facts import facts_of


async def make(api: Api, **body: Any) -> dict[str, Any]:
    """A new key, as it is shown this once."""
    made = await api.post("/v1/keys", json={"name": "k", "scopes": ["keys:*", "events:read"], **body})
    assert made.status_code == 201, made.text
    return made.json()["data"]


async def rows(api: Api, sql: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(api.deps.database.dsn)
    found = await connection.fetch(sql, *arguments)
    await connection.close()
    return found


async def test_a_rotated_key_works_beside_the_new_one_for_the_overlap_and_then_not(own_api: Api) -> None:
    api = own_api
    key = await make(api)
    rotated = (await api.post(f"/v1/keys/{key['id']}/rotate", json={"overlap_hours": 1})).json()["data"]
    assert rotated["id"] == key["id"]
    assert rotated["key"] != key["key"]
    for secret in (key["key"], rotated["key"]):
        assert (await api.get("/v1/keys", headers=api.bearer(secret))).status_code == 200
    api.clock.advance(3_601)
    assert code(await api.get("/v1/keys", headers=api.bearer(key["key"])))[0] == 401
    assert (await api.get("/v1/keys", headers=api.bearer(rotated["key"]))).status_code == 200
    now = (await api.post(f"/v1/keys/{key['id']}/rotate", json={"overlap_hours": 0})).json()["data"]
    api.clock.advance(1)
    assert code(await api.get("/v1/keys", headers=api.bearer(rotated["key"])))[0] == 401
    assert (await api.get("/v1/keys", headers=api.bearer(now["key"]))).status_code == 200
    default = (await api.post(f"/v1/keys/{key['id']}/rotate", json={})).json()["data"]
    assert default["previous_until"] == (api.clock.now() + timedelta(hours=24)).isoformat().replace("+00:00", "Z")
    assert code(await api.post(f"/v1/keys/{key['id']}/rotate", json={"overlap_hours": 169})) == (422, "invalid")
    told = [kind for kind, _ in await facts_of(api.deps.database, api.organization) if "used_first" not in kind]
    assert told == ["auth.key.created.v1"] + ["auth.key.rotated.v1"] * 3


async def test_who_rotates_a_key_or_widens_it_holds_what_it_may_do(api: Api) -> None:
    strong, weak = await make(api, scopes=["credits:grant"]), api.bearer(await api.make_key(["keys:*"]))
    path = f"/v1/keys/{strong['id']}"
    assert code(await api.post(f"{path}/rotate", json={}, headers=weak)) == (403, "permission_denied")
    assert code(await api.client.patch(path, json={"allowed_networks": []}, headers=weak))[0] == 403
    assert code(await api.client.patch(path, json={"expires_at": None}, headers=weak))[0] == 403
    assert (await api.client.patch(path, json={"name": "renamed"}, headers=weak)).json()["data"]["name"] == "renamed"
    assert (await api.post(f"{path}/revoke", json={}, headers=weak)).status_code == 200
    assert code(await api.post(f"{path}/rotate", json={})) == (409, "conflict")
    assert code(await api.client.patch(path, json={"name": "x"})) == (409, "conflict")


async def test_a_key_is_changed_under_its_etag_and_revoked_once(own_api: Api) -> None:
    api = own_api
    key = await make(api)
    path = f"/v1/keys/{key['id']}"
    tag = {"if-match": (await api.get(path)).headers["etag"]}
    later = (api.clock.now() + timedelta(days=1)).isoformat()
    changed = await api.client.patch(path, json={"name": "b", "expires_at": later}, headers=tag)
    assert changed.json()["data"]["name"] == "b"
    assert code(await api.client.patch(path, json={"name": "c"}, headers=tag)) == (412, "precondition_failed")
    answers = await asyncio.gather(*(api.post(f"{path}/revoke", json={}) for _ in range(4)))
    assert len({answer.json()["data"]["revoked_at"] for answer in answers}) == 1
    told = [kind for kind, _ in await facts_of(api.deps.database, api.organization) if "used_first" not in kind]
    assert told == ["auth.key.created.v1", "auth.key.changed.v1", "auth.key.revoked.v1"]
    past = (api.clock.now() - timedelta(days=1)).isoformat()
    refused = await api.post("/v1/keys", json={"name": "k", "scopes": ["*"], "expires_at": past})
    assert refused.json()["error"]["details"][0]["pointer"] == "/expires_at"


async def test_a_key_is_refused_from_outside_its_networks(api: Api) -> None:
    key = await make(api, allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
    headers = api.bearer(key["key"])
    for address, status in (("192.0.2.7", 200), ("2001:db8::1", 200), ("198.51.100.1", 403), ("192.0.3.1", 403)):
        answer = await api.get("/v1/keys", headers=headers | {"x-forwarded-for": address})
        assert answer.status_code == status, address
    wrong = await api.post("/v1/keys", json={"name": "k", "scopes": ["*"], "allowed_networks": ["10.0.0.1/8"]})
    assert wrong.json()["error"]["details"][0]["pointer"] == "/allowed_networks/0"


async def test_the_last_use_of_a_key_is_noted_and_each_new_address_told_once(own_api: Api) -> None:
    api = own_api
    key = await make(api)
    headers = api.bearer(key["key"])

    async def use(*addresses: str) -> None:
        for address in addresses:
            assert (await api.get("/v1/keys", headers=headers | {"x-forwarded-for": address})).status_code == 200

    async def told() -> list[str]:
        facts = await facts_of(api.deps.database, api.organization)
        return [
            data["address"] for kind, data in facts if kind.endswith("used_first.v1") and data["key_id"] == key["id"]
        ]

    await use("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2")
    first = await eventually(told)
    assert sorted(first) == ["192.0.2.1", "2001:db8::1"] or sorted(first) == ["192.0.2.1", "2001:db8::2"]
    api.clock.advance(61)
    await use("192.0.2.1")
    noted = "SELECT last_used_at, last_used_from FROM api_keys WHERE id = $1 AND last_used_at = $2"
    seen = await eventually(lambda: rows(api, noted, key["id"], api.clock.now()))
    assert seen[0]["last_used_from"] == "192.0.2.1"
    assert len(await told()) == 2
    listed = (await api.get("/v1/keys")).json()["data"]
    assert next(row for row in listed if row["id"] == key["id"])["last_used_from"] == "192.0.2.1"


async def test_two_processes_that_see_a_new_address_at_once_tell_it_once(own_api: Api) -> None:
    from infra.postgres import key_use

    api = own_api
    key = await make(api)
    use = key_use.Use(key["id"], api.organization, "192.0.2.9", "192.0.2.9", api.clock.now())

    async def note() -> int:
        async with api.deps.database.unscoped() as tx:
            await key_use.note_used(tx, [use, use])
            return len(await key_use.note_places(tx, [use, use]))

    assert sorted(await asyncio.gather(*(note() for _ in range(6)))) == [0, 0, 0, 0, 0, 1]


async def test_only_a_service_credential_speaks_for_a_member_and_only_of_its_organization(api: Api) -> None:
    member, stranger = (
        await api.make_user("user"),
        await api.make_user("user", organization=await api.make_organization()),
    )
    service = api.bearer(await api.make_key(["credits:read"], kind="service", prefix=SERVICE_PREFIX))
    question = {"permission": "events:write"}

    async def ask(headers: dict[str, str], subject: str) -> Any:
        return await api.post("/v1/access/check", json=question, headers=headers | {"x-user-id": subject})

    spoken = await ask(service, member.id)
    assert spoken.json()["data"] == {"allowed": True, "reason": "held by the role User"}
    for subject in (stranger.id, "user_none", "a' OR 1=1"):
        assert (await ask(service, subject)).status_code == 404, subject
    plain = await ask(api.bearer(await api.make_key(["credits:read"])), member.id)
    assert plain.json()["data"]["reason"].startswith("missing: none of the key's scopes")
    other = await ask(stranger.headers, member.id)
    assert other.json()["data"]["allowed"] is True  # about themselves: the header counts for nobody else


async def test_service_credentials_are_made_by_platform_staff_only(api: Api) -> None:
    body = {"name": "s", "scopes": ["credits:read"], "kind": "service"}
    assert code(await api.post("/v1/keys", json=body)) == (403, "permission_denied")
    chief = await fresh(api, "superadmin")
    made = await api.post("/v1/keys", json=body, headers=chief.headers)
    assert made.json()["data"]["key"].startswith(SERVICE_PREFIX)
    assert made.json()["data"]["created_by"] == chief.id
    asked = await api.get("/v1/credits/balance", headers=api.bearer(made.json()["data"]["key"]))
    assert asked.status_code == 200


async def test_keys_are_changed_by_people_who_have_just_proved_who_they_are(api: Api) -> None:
    admin = await api.make_user("admin")
    assert code(await api.post("/v1/keys", json={"name": "k", "scopes": ["keys:read"]}, headers=admin.headers)) == (
        401,
        "step_up_required",
    )
