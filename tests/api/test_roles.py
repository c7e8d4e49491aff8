"""Roles: made of what one holds, given to others, effective within a second."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.ids import new_id
from infra.postgres import teams
from infra.postgres.teams import TeamRow
from tests.api.conftest import Api, Person
from tests.support.facts import facts_of


async def fresh(api: Api, *roles: str, **changes: Any) -> Person:
    """Somebody who has just proved who they are."""
    return await api.make_user(*roles, elevated_until=api.clock.now() + timedelta(hours=1), **changes)


async def make_role(api: Api, by: Person, permissions: Sequence[str] = (), inherits: Sequence[str] = ()) -> str:
    """The id of a new role."""
    body = {"name": new_id("name"), "permissions": list(permissions), "inherits": list(inherits)}
    made = await api.post("/v1/roles", json=body, headers=by.headers)
    assert made.status_code == 201, made.text
    return made.json()["data"]["id"]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_role_is_made_changed_given_and_deleted_and_each_step_is_told(own_api: Api) -> None:
    api = own_api
    admin, member = await fresh(api, "admin"), await api.make_user()
    role = await make_role(api, admin, ["credits:read"], ["guest"])
    read = await api.get(f"/v1/roles/{role}", headers=admin.headers)
    assert read.json()["data"]["effective"] == sorted(
        ("credits:read", "organizations:read", "prices:read", "services:read")
    )
    given = await api.client.put(f"/v1/members/{member.id}/roles/{role}", headers=admin.headers)
    assert given.status_code == 200
    assert (await api.client.put(f"/v1/members/{member.id}/roles/{role}", headers=admin.headers)).status_code == 200
    assert (await api.get("/v1/credits/balance", headers=member.headers)).status_code == 200
    changed = await api.client.patch(
        f"/v1/roles/{role}",
        json={"permissions": ["events:read"]},
        headers=admin.headers | {"if-match": read.headers["etag"]},
    )
    assert changed.status_code == 200, changed.text
    api.clock.advance(1)
    assert (await api.get("/v1/credits/balance", headers=member.headers)).status_code == 403
    assert code(await api.client.delete(f"/v1/roles/{role}", headers=admin.headers)) == (409, "conflict")
    taken = await api.client.delete(f"/v1/members/{member.id}/roles/{role}", headers=admin.headers)
    assert taken.status_code == 204
    assert (await api.client.delete(f"/v1/roles/{role}", headers=admin.headers)).status_code == 204
    assert code(await api.get(f"/v1/roles/{role}", headers=admin.headers)) == (404, "not_found")
    told = [kind for kind, data in await facts_of(api.deps.database, api.organization)]
    assert told == [
        "auth.role.created.v1",
        "auth.role.assigned.v1",
        "auth.role.changed.v1",
        "auth.role.unassigned.v1",
        "auth.role.deleted.v1",
    ]


async def test_a_stale_etag_changes_no_role(api: Api) -> None:
    admin = await fresh(api, "admin")
    role = await make_role(api, admin, ["credits:read"])
    for method in ("PATCH", "DELETE"):
        answer = await api.client.request(
            method, f"/v1/roles/{role}", json={"name": "x"}, headers=admin.headers | {"if-match": '"old"'}
        )
        assert code(answer) == (412, "precondition_failed")


async def test_nobody_grants_what_they_do_not_hold(api: Api) -> None:
    admin, other = await fresh(api, "admin"), await api.make_user()
    refused = [
        await api.post(
            "/v1/roles", json={"name": "a", "permissions": ["credits:read", "credits:grant"]}, headers=admin.headers
        ),
        await api.post("/v1/roles", json={"name": "b", "permissions": ["*"]}, headers=admin.headers),
        await api.post("/v1/roles", json={"name": "c", "inherits": ["superadmin"]}, headers=admin.headers),
        await api.client.put(f"/v1/members/{other.id}/roles/superadmin", headers=admin.headers),
        await api.post("/v1/keys", json={"name": "d", "scopes": ["system:mail"]}, headers=admin.headers),
    ]
    assert [code(answer) for answer in refused] == [(403, "permission_denied")] * 5
    pointers = [answer.json()["error"]["details"][0]["pointer"] for answer in refused]
    assert pointers == ["/permissions/1", "/permissions/0", "/inherits/0", "/path/role_id", "/scopes/0"]
    role = await make_role(api, admin, ["credits:read"])
    for change in ({"permissions": ["credits:grant"]}, {"inherits": ["superadmin"]}):
        assert code(await api.client.patch(f"/v1/roles/{role}", json=change, headers=admin.headers))[0] == 403


async def test_who_renames_a_role_need_not_hold_it_but_may_not_give_it(api: Api) -> None:
    chief, admin, other = await fresh(api, "superadmin"), await fresh(api, "admin"), await api.make_user()
    role = await make_role(api, chief, ["credits:grant"])
    assert (await api.client.patch(f"/v1/roles/{role}", json={"name": "n"}, headers=admin.headers)).status_code == 200
    same = {"permissions": ["credits:grant", "credits:read"]}
    assert (await api.client.patch(f"/v1/roles/{role}", json=same, headers=admin.headers)).status_code == 200
    assert code(await api.client.put(f"/v1/members/{other.id}/roles/{role}", headers=admin.headers))[0] == 403


async def test_who_takes_from_a_role_must_hold_what_they_take(api: Api) -> None:
    chief, admin = await fresh(api, "superadmin"), await fresh(api, "admin")
    role = await make_role(api, chief, ["credits:grant", "credits:read"])
    path = f"/v1/roles/{role}"
    for less in ({"permissions": ["credits:read"]}, {"permissions": []}):
        assert code(await api.client.patch(path, json=less, headers=admin.headers)) == (403, "permission_denied")
    kept = await api.client.patch(path, json={"permissions": ["credits:grant"]}, headers=admin.headers)
    assert kept.status_code == 200


async def test_nobody_assigns_to_themselves_not_by_their_key_either(api: Api) -> None:
    admin = await fresh(api, "admin")
    assert code(await api.client.put(f"/v1/members/{admin.id}/roles/user", headers=admin.headers)) == (
        403,
        "permission_denied",
    )
    made = await api.post(
        "/v1/keys", json={"name": "k", "scopes": ["roles:*", "organizations:read"]}, headers=admin.headers
    )
    key = api.bearer(made.json()["data"]["key"])
    assert code(await api.client.put(f"/v1/members/{admin.id}/roles/guest", headers=key))[0] == 403


async def test_system_roles_are_changed_and_deleted_by_nobody(api: Api) -> None:
    chief = await fresh(api, "superadmin")
    for role in ("guest", "admin", "superadmin"):
        assert code(await api.client.patch(f"/v1/roles/{role}", json={"name": "x"}, headers=chief.headers)) == (
            409,
            "conflict",
        )
        assert code(await api.client.delete(f"/v1/roles/{role}", headers=chief.headers)) == (409, "conflict")


async def test_unknown_permissions_and_roles_and_nulls_are_refused_with_pointers(api: Api) -> None:
    admin = await fresh(api, "admin")
    role = await make_role(api, admin)
    for body, pointer in (
        ({"permissions": ["credits:read", "credits:steal"]}, "/permissions/1"),
        ({"inherits": ["guest", "role_none"]}, "/inherits/1"),
        ({"inherits": [role]}, "/inherits/0"),
        ({"name": None}, "/name"),
    ):
        answer = await api.client.patch(f"/v1/roles/{role}", json=body, headers=admin.headers)
        assert code(answer) == (422, "invalid")
        assert answer.json()["error"]["details"][0]["pointer"] == pointer


async def test_a_role_in_use_is_not_deleted_whether_assigned_or_inherited(api: Api) -> None:
    admin = await fresh(api, "admin")
    role = await make_role(api, admin, ["credits:read"])
    heir = await make_role(api, admin, [], [role])
    refused = await api.client.delete(f"/v1/roles/{role}", headers=admin.headers)
    assert heir in refused.json()["error"]["message"]
    assert (await api.client.delete(f"/v1/roles/{heir}", headers=admin.headers)).status_code == 204
    assert (await api.client.delete(f"/v1/roles/{role}", headers=admin.headers)).status_code == 204


async def test_two_patches_at_once_make_no_cycle(api: Api) -> None:
    admin = await fresh(api, "admin")
    for _ in range(3):
        one, other = await make_role(api, admin), await make_role(api, admin)
        answers = await asyncio.gather(
            api.client.patch(f"/v1/roles/{one}", json={"inherits": [other]}, headers=admin.headers),
            api.client.patch(f"/v1/roles/{other}", json={"inherits": [one]}, headers=admin.headers),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_a_role_that_is_given_while_it_is_deleted_is_either_given_or_gone(api: Api) -> None:
    admin, member = await fresh(api, "admin"), await api.make_user()
    for _ in range(3):
        role = await make_role(api, admin, ["credits:read"])
        given, gone = await asyncio.gather(
            api.client.put(f"/v1/members/{member.id}/roles/{role}", headers=admin.headers),
            api.client.delete(f"/v1/roles/{role}", headers=admin.headers),
        )
        assert (given.status_code, gone.status_code) in ((200, 409), (404, 204))


async def test_a_name_is_taken_once(api: Api) -> None:
    admin = await fresh(api, "admin")
    body = {"name": "Same", "permissions": ["credits:read"]}
    answers = await asyncio.gather(*(api.post("/v1/roles", json=body, headers=admin.headers) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    other = await make_role(api, admin)
    assert code(await api.client.patch(f"/v1/roles/{other}", json={"name": "Same"}, headers=admin.headers))[0] == 409


async def test_who_disarms_another_must_hold_what_they_take_away(api: Api) -> None:
    chief, admin = await fresh(api, "superadmin"), await fresh(api, "admin")
    assert code(await api.client.delete(f"/v1/members/{chief.id}/roles/superadmin", headers=admin.headers))[0] == 403
    assert code(await api.client.delete(f"/v1/members/{chief.id}", headers=admin.headers))[0] == 403
    own = await api.client.delete(f"/v1/members/{chief.id}/roles/superadmin", headers=chief.headers)
    assert own.status_code == 204


@pytest.fixture
async def team(api: Api) -> str:
    """The id of a team."""
    row = TeamRow(new_id("team"), api.organization, "Research", api.clock.now(), api.clock.now())
    async with api.deps.database.transaction() as tx:
        assert await teams.save_team(tx, row)
    return row.id


async def test_a_role_in_a_team_is_valid_in_that_team_only(api: Api, team: str) -> None:
    admin, lead, member = await fresh(api, "admin"), await fresh(api), await api.make_user()
    elsewhere = (await api.post("/v1/teams", json={"name": "Sales"}, headers=admin.headers)).json()["data"]["id"]
    given = await api.client.put(f"/v1/members/{lead.id}/roles/manager?team_id={team}", headers=admin.headers)
    assert given.json()["data"]["team_id"] == team
    listed = await api.get("/v1/teams", headers=lead.headers)
    assert [row["id"] for row in listed.json()["data"]] == [team]
    assert (await api.client.put(f"/v1/teams/{team}/members/{member.id}", headers=lead.headers)).status_code == 204
    seen = await api.get("/v1/members", headers=lead.headers)
    assert [row["user_id"] for row in seen.json()["data"]] == [member.id]
    assert (await api.get(f"/v1/members/{member.id}", headers=lead.headers)).status_code == 200
    for method, path in (
        ("GET", f"/v1/teams/{elsewhere}"),
        ("PATCH", f"/v1/teams/{elsewhere}"),
        ("PUT", f"/v1/teams/{elsewhere}/members/{member.id}"),
        ("GET", f"/v1/members/{admin.id}"),
    ):
        answer = await api.client.request(method, path, json={"name": "x"}, headers=lead.headers)
        assert code(answer) == (404, "not_found"), path
    for method, path in (("DELETE", f"/v1/teams/{team}"), ("POST", "/v1/teams"), ("GET", "/v1/roles")):
        assert code(await api.client.request(method, path, headers=lead.headers)) == (403, "permission_denied"), path
    assert (
        code(await api.client.put(f"/v1/members/{member.id}/roles/user?team_id=team_none", headers=admin.headers))[0]
        == 404
    )


async def test_who_may_assign_in_a_team_gives_there_what_they_hold_there(api: Api, team: str) -> None:
    admin, lead, member = await fresh(api, "admin"), await fresh(api), await api.make_user()
    role = await make_role(api, admin, ["roles:assign", "teams:read"])
    await api.client.put(f"/v1/members/{lead.id}/roles/{role}?team_id={team}", headers=admin.headers)
    path = f"/v1/members/{member.id}/roles"
    assert (await api.client.put(f"{path}/{role}?team_id={team}", headers=lead.headers)).status_code == 200
    assert code(await api.client.put(f"{path}/manager?team_id={team}", headers=lead.headers))[0] == 403
    assert code(await api.client.put(f"{path}/{role}", headers=lead.headers))[0] == 403


async def test_the_matrix_and_the_templates_are_shown(api: Api) -> None:
    admin = await fresh(api, "admin")
    role = await make_role(api, admin, ["events:*"])
    matrix = await api.get("/v1/roles/matrix", headers=admin.headers)
    rows = {row["permission"]: row["roles"] for row in matrix.json()["data"]}
    assert rows["events:write"] == ["user", "manager", "admin", "superadmin", role]
    assert rows["credits:grant"] == ["superadmin"]
    shown = (await api.get("/v1/roles", headers=admin.headers)).json()["data"]
    assert [row["id"] for row in shown][:5] == ["guest", "user", "manager", "admin", "superadmin"]
    names = [row["name"] for row in (await api.get("/v1/roles/templates", headers=admin.headers)).json()["data"]]
    assert names == ["analyst", "auditor", "billing", "developer"]
