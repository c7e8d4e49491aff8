"""Invitations: by mail, for whoever proved the address, once, for seven days."""

import asyncio
import re

from infra.mail.sealing import open_text
from infra.postgres import mails
from tests.api.conftest import Api, Person
from tests.api.test_roles import code, fresh
from tests.support.facts import facts_of


async def token_for(api: Api, email: str) -> str:
    """The token of the newest mail to the address."""
    async with api.deps.database.unscoped() as tx:
        newest = (await mails.list_mails(tx, recipient=email, after=None, limit=1))[0]
    _, body = open_text(api.deps.sealer, newest.id, newest.body)
    found = re.search(r"^\S{43}$", body, re.MULTILINE)
    assert found, body
    return found.group()


async def outsider(api: Api) -> Person:
    """Somebody of another organization."""
    return await fresh(api, "user", organization=await api.make_organization())


async def invite(api: Api, by: Person, email: str, role: str = "user") -> str:
    made = await api.post("/v1/invitations", json={"email": email.upper(), "role_id": role}, headers=by.headers)
    assert made.status_code == 201, made.text
    assert "token" not in made.json()["data"]
    return made.json()["data"]["id"]


async def test_an_invitation_is_used_by_its_address_once_however_many_try(own_api: Api) -> None:
    api = own_api
    admin, guest, thief = await fresh(api, "admin"), await outsider(api), await outsider(api)
    invitation = await invite(api, admin, guest.email)
    token = {"token": await token_for(api, guest.email)}
    assert code(await api.post("/v1/invitations/accept", json=token, headers=thief.headers)) == (404, "not_found")
    answers = await asyncio.gather(
        *(api.post("/v1/invitations/accept", json=token, headers=guest.headers) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    member = (await api.get(f"/v1/members/{guest.id}", headers=admin.headers)).json()["data"]
    assert [one["role_id"] for one in member["roles"]] == ["user"]
    told = [kind for kind, _ in await facts_of(api.deps.database, api.organization)]
    assert told == ["auth.member.invited.v1", "auth.member.joined.v1", "auth.role.assigned.v1"]
    assert code(await api.client.delete(f"/v1/invitations/{invitation}", headers=admin.headers)) == (409, "conflict")
    again = await api.post("/v1/invitations", json={"email": guest.email}, headers=admin.headers)
    assert code(again) == (409, "conflict")


async def test_an_invitation_that_is_over_revoked_or_replaced_is_good_for_nothing(own_api: Api) -> None:
    api = own_api
    admin, guest = await fresh(api, "admin"), await outsider(api)
    first = await invite(api, admin, guest.email)
    old = {"token": await token_for(api, guest.email)}
    second = await invite(api, admin, guest.email)
    assert code(await api.post("/v1/invitations/accept", json=old, headers=guest.headers)) == (409, "conflict")
    for _ in range(2):
        assert (await api.client.delete(f"/v1/invitations/{second}", headers=admin.headers)).status_code == 204
    revoked = {"token": await token_for(api, guest.email)}
    assert code(await api.post("/v1/invitations/accept", json=revoked, headers=guest.headers))[0] == 409
    assert code(await api.client.delete("/v1/invitations/inv_none", headers=admin.headers))[0] == 404
    listed = (await api.get("/v1/invitations", headers=admin.headers)).json()["data"]
    assert {row["id"]: row["revoked_at"] is not None for row in listed} == {first: True, second: True}


async def test_nobody_invites_with_a_role_that_they_do_not_hold(api: Api) -> None:
    admin = await fresh(api, "admin")
    refused = await api.post(
        "/v1/invitations", json={"email": "a@example.com", "role_id": "superadmin"}, headers=admin.headers
    )
    assert code(refused) == (403, "permission_denied")
    assert refused.json()["error"]["details"][0]["pointer"] == "/role_id"
    unknown = await api.post(
        "/v1/invitations", json={"email": "a@example.com", "role_id": "none"}, headers=admin.headers
    )
    assert code(unknown) == (422, "invalid")
    wrong = await api.post("/v1/invitations", json={"email": "nobody"}, headers=admin.headers)
    assert code(wrong) == (422, "invalid")


async def test_a_role_of_an_open_invitation_is_in_use_and_a_removed_inviter_invites_nobody(api: Api) -> None:
    admin, chief, guest = await fresh(api, "admin"), await fresh(api, "superadmin"), await outsider(api)
    made = await api.post("/v1/roles", json={"name": "R", "permissions": ["credits:read"]}, headers=admin.headers)
    role = made.json()["data"]["id"]
    await invite(api, admin, guest.email, role)
    assert code(await api.client.delete(f"/v1/roles/{role}", headers=chief.headers)) == (409, "conflict")
    assert (await api.client.delete(f"/v1/members/{admin.id}", headers=chief.headers)).status_code == 204
    token = {"token": await token_for(api, guest.email)}
    assert code(await api.post("/v1/invitations/accept", json=token, headers=guest.headers)) == (409, "conflict")
    assert (await api.client.delete(f"/v1/roles/{role}", headers=chief.headers)).status_code == 204
