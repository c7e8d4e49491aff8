"""Members and owners: who belongs to an organization, who is removed by whom, and the last owner stays."""

import asyncio

from infra.postgres import members
from tests.api.conftest import Api
from tests.api.test_roles import code, fresh
from tests.support.facts import facts_of


async def owners(api: Api) -> int:
    async with api.deps.database.transaction() as tx:
        return await members.count_owners(tx, api.organization)


async def test_an_owner_holds_what_admins_hold_whatever_their_roles(api: Api) -> None:
    owner = await fresh(api, owner=True)
    assert (await api.get("/v1/audit/head", headers=owner.headers)).status_code == 200
    assert code(await api.post("/v1/organizations", json={"name": "x"}, headers=owner.headers))[0] == 403


async def test_of_two_owners_who_leave_at_once_one_stays(api: Api) -> None:
    one, other = await fresh(api, owner=True), await fresh(api, owner=True)
    answers = await asyncio.gather(
        *(api.client.delete("/v1/users/me/membership", headers=person.headers) for person in (one, other))
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert await owners(api) == 1


async def test_of_two_owners_of_whom_one_is_erased_while_the_other_leaves_one_stays(api: Api) -> None:
    for _ in range(3):
        where = await api.make_organization()
        one, other = [await fresh(api, owner=True, organization=where) for _ in range(2)]
        await api.make_user(organization=where)
        erased, left = await asyncio.gather(
            api.post("/v1/users/me/data/erase", json={"confirm": "erase my data"}, headers=one.headers),
            api.client.delete("/v1/users/me/membership", headers=other.headers),
        )
        assert sorted((erased.status_code, left.status_code)) in ([200, 409], [204, 409])
        async with api.deps.database.transaction() as tx:
            assert await members.count_owners(tx, where) == 1


async def test_the_last_owner_is_neither_unmade_nor_removed(api: Api) -> None:
    owner, chief = await fresh(api, owner=True), await fresh(api, "superadmin")
    for answer in (
        await api.client.delete(f"/v1/members/{owner.id}/owner", headers=owner.headers),
        await api.client.delete("/v1/users/me/membership", headers=owner.headers),
        await api.client.delete(f"/v1/members/{owner.id}", headers=chief.headers),
        await api.client.delete(f"/v1/members/{owner.id}/owner", headers=chief.headers),
    ):
        assert code(answer) == (409, "conflict")
    assert await owners(api) == 1


async def test_two_owners_who_unmake_each_other_at_once_leave_one(api: Api) -> None:
    one, other = await fresh(api, owner=True), await fresh(api, owner=True)
    answers = await asyncio.gather(
        api.client.delete(f"/v1/members/{other.id}/owner", headers=one.headers),
        api.client.delete(f"/v1/members/{one.id}/owner", headers=other.headers),
    )
    assert 200 in {answer.status_code for answer in answers}
    assert await owners(api) == 1


async def test_an_organization_is_handed_on(own_api: Api) -> None:
    api = own_api
    owner, heir = await fresh(api, owner=True), await fresh(api)
    answer = await api.post("/v1/users/me/membership/transfer", json={"user_id": heir.id}, headers=owner.headers)
    assert answer.json()["data"]["owner"] is True
    again = await api.post("/v1/users/me/membership/transfer", json={"user_id": heir.id}, headers=owner.headers)
    assert code(again) == (403, "permission_denied")
    assert await owners(api) == 1
    told = [data for kind, data in await facts_of(api.deps.database, api.organization) if "owner" in kind]
    assert [(one["user_id"], one["owner"]) for one in told] == [(heir.id, True), (owner.id, False)]
    assert all(one["address"].startswith("sealed:") for one in told)
    unknown = await api.post("/v1/users/me/membership/transfer", json={"user_id": "user_none"}, headers=heir.headers)
    assert code(unknown) == (422, "invalid")


async def test_only_owners_make_owners_and_nobody_makes_themselves_one(api: Api) -> None:
    owner, admin, member = await fresh(api, owner=True), await fresh(api, "admin"), await fresh(api)
    path = f"/v1/members/{member.id}/owner"
    assert code(await api.client.put(path, headers=admin.headers))[0] == 403
    assert (await api.client.put(path, headers=owner.headers)).json()["data"]["owner"] is True
    assert code(await api.client.put(f"/v1/members/{owner.id}/owner", headers=owner.headers))[0] == 403
    assert code(await api.client.delete(f"/v1/members/{owner.id}", headers=admin.headers))[0] == 403


async def test_a_removed_member_is_refused_within_a_second_and_can_be_told_of_no_more(own_api: Api) -> None:
    api = own_api
    admin, member = await fresh(api, "admin"), await api.make_user("user")
    assert (await api.get("/v1/credits/balance", headers=member.headers)).status_code == 200
    assert (await api.client.delete(f"/v1/members/{member.id}", headers=admin.headers)).status_code == 204
    assert code(await api.client.delete(f"/v1/members/{member.id}", headers=admin.headers))[0] == 404
    api.clock.advance(0.95)
    assert code(await api.get("/v1/credits/balance", headers=member.headers))[0] == 401
    listed = await api.get("/v1/members", headers=admin.headers)
    assert [row["user_id"] for row in listed.json()["data"]] == [admin.id]
    assert [kind for kind, _ in await facts_of(api.deps.database, api.organization)] == ["auth.member.removed.v1"]


async def test_members_are_listed_with_their_roles_page_by_page(api: Api) -> None:
    admin = await fresh(api, "admin")
    people = [await api.make_user("user", "guest") for _ in range(4)]
    seen, url = [], "/v1/members?limit=2"
    while url:
        answer = await api.get(url, headers=admin.headers)
        seen += answer.json()["data"]
        url = answer.links.get("next", {}).get("url")
    assert {row["user_id"] for row in seen} == {admin.id, *(person.id for person in people)}
    assert len(seen) == 5
    member = next(row for row in seen if row["user_id"] == people[0].id)
    assert [one["role_id"] for one in member["roles"]] == ["guest", "user"]


async def test_platform_staff_disable_an_account_everywhere_and_enable_it_again(own_api: Api) -> None:
    api = own_api
    chief, member = await fresh(api, "superadmin"), await api.make_user("user")
    path = f"/v1/users/{member.id}/disabled"
    assert (await api.get("/v1/credits/balance", headers=member.headers)).status_code == 200
    assert (await api.client.put(path, headers=chief.headers)).json()["data"]["status"] == "disabled"
    assert (await api.client.put(path, headers=chief.headers)).status_code == 200
    api.clock.advance(0.95)
    assert code(await api.get("/v1/credits/balance", headers=member.headers))[0] == 401
    assert (await api.client.delete(path, headers=chief.headers)).json()["data"]["status"] == "active"
    api.clock.advance(0.95)
    assert (await api.get("/v1/credits/balance", headers=member.headers)).status_code == 200
    assert code(await api.client.put(f"/v1/users/{chief.id}/disabled", headers=chief.headers))[0] == 409
    assert [kind for kind, _ in await facts_of(api.deps.database, api.organization)] == ["auth.user.updated.v1"] * 2


async def test_a_person_makes_an_organization_of_their_own_and_belongs_to_both(api: Api) -> None:
    person = await fresh(api, "user")
    made = await api.post("/v1/users/me/organizations", json={"name": "Mine"}, headers=person.headers)
    assert made.status_code == 201, made.text
    own = made.json()["data"]["id"]
    listed = (await api.get("/v1/users/me/organizations", headers=person.headers)).json()["data"]
    assert {(row["organization_id"], row["owner"]) for row in listed} == {(api.organization, False), (own, True)}
    facts = [kind for kind, _ in await facts_of(api.deps.database, own)]
    assert facts == ["auth.organization.created.v1", "auth.member.joined.v1"]


async def test_an_organization_is_changed_under_its_etag_and_its_policy_is_checked(api: Api) -> None:
    admin = await fresh(api, "admin")
    path = f"/v1/organizations/{api.organization}"
    read = await api.get(path, headers=admin.headers)
    tag = {"if-match": read.headers["etag"]}
    body = {"name": "New", "policy": {"password_min": 15, "max_sessions": 3}}
    changed = await api.client.patch(path, json=body, headers=admin.headers | tag)
    assert changed.json()["data"]["policy"]["max_sessions"] == 3
    assert code(await api.client.patch(path, json=body, headers=admin.headers | tag)) == (412, "precondition_failed")
    for policy, pointer in (
        ({"max_sessions": 0}, "/policy/max_sessions"),
        ({"password_min": 8}, "/policy/password_min"),
        ({"mfa": True}, "/policy/mfa"),
    ):
        answer = await api.client.patch(path, json={"policy": policy}, headers=admin.headers)
        assert answer.json()["error"]["details"][0]["pointer"] == pointer
    assert code(await api.client.patch(path, json={"plan": "gold"}, headers=admin.headers))[0] == 403
    chief = await fresh(api, "superadmin")
    staff = await api.client.patch(path, json={"plan": "gold"}, headers=chief.headers)
    assert staff.json()["data"]["plan"] == "gold"
