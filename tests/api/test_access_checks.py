"""Access checks say yes or no, and why."""

import time
from typing import Any

from tests.api.conftest import Api
from tests.api.test_roles import code, fresh, make_role


async def ask(api: Api, by: dict[str, str], **question: Any) -> Any:
    return await api.post("/v1/access/check", json=question, headers=by)


async def test_the_reason_names_the_role_the_way_and_what_stands_against_it(own_api: Api) -> None:
    api = own_api
    admin, member = await fresh(api, "admin"), await api.make_user("manager")
    asked = (await ask(api, member.headers, permission="credits:read")).json()["data"]
    assert asked == {"allowed": True, "reason": "held by the role User through Manager"}
    missing = (await ask(api, admin.headers, permission="credits:grant", user_id=member.id)).json()["data"]
    assert missing == {"allowed": False, "reason": "missing: no role of theirs (Manager) gives credits:grant"}
    unknown = (await ask(api, admin.headers, permission="credits:read", user_id="user_none")).json()["data"]
    assert unknown == {"allowed": False, "reason": "not a member of this organization"}
    policy, path = {"policy": {"mfa_required": True}}, f"/v1/organizations/{api.organization}"
    assert (await api.client.patch(path, json=policy, headers=admin.headers)).status_code == 200
    staff = api.bearer(await api.make_key(["users:read", "system:users"]))
    api.clock.advance(1)
    demanded = (await ask(api, staff, permission="credits:read", user_id=member.id)).json()["data"]
    assert not demanded["allowed"]
    assert demanded["reason"].startswith("mfa required")
    assert (await api.client.put(f"/v1/users/{member.id}/disabled", headers=staff)).status_code == 200
    api.clock.advance(1)
    suspended = (await ask(api, staff, permission="credits:read", user_id=member.id)).json()["data"]
    assert suspended["reason"].startswith("suspended")


async def test_a_team_and_a_resource_narrow_the_question(api: Api) -> None:
    admin, lead = await fresh(api, "admin"), await api.make_user()
    team = (await api.post("/v1/teams", json={"name": "T"}, headers=admin.headers)).json()["data"]["id"]
    await api.client.put(f"/v1/members/{lead.id}/roles/manager?team_id={team}", headers=admin.headers)
    for question, allowed in (
        ({}, False),
        ({"team": team}, True),
        ({"resource": team}, True),
        ({"team": "team_none"}, False),
        ({"resource": "team_none"}, False),
        ({"resource": admin.id, "team": team}, True),
    ):
        answer = await ask(api, lead.headers, permission="teams:write", **question)
        assert answer.json()["data"]["allowed"] is allowed, question
    assert code(await ask(api, lead.headers, permission="teams:write", resource="thing")) == (422, "invalid")
    assert code(await ask(api, lead.headers, permission="teams:steal")) == (422, "invalid")


async def test_many_questions_are_answered_in_their_order(api: Api) -> None:
    member = await api.make_user("user")
    checks = [{"permission": "credits:read"}, {"permission": "credits:grant"}, {"permission": "services:use"}]
    answer = await api.post("/v1/access/checks", json={"checks": checks}, headers=member.headers)
    assert [one["allowed"] for one in answer.json()["data"]] == [True, False, True]
    wrong = {"checks": [{"permission": "credits:read"}, {"permission": "credits:read", "resource": "x"}]}
    refused = await api.post("/v1/access/checks", json=wrong, headers=member.headers)
    assert refused.json()["error"]["details"][0]["pointer"] == "/checks/1/resource"


async def test_who_asks_about_others_may_read_users(api: Api) -> None:
    member, other = await api.make_user("user"), await api.make_user("user")
    assert code(await ask(api, member.headers, permission="credits:read", user_id=other.id))[0] == 403
    assert code(await api.get(f"/v1/users/{other.id}/permissions", headers=member.headers))[0] == 403
    assert (await api.get("/v1/users/me/permissions", headers=member.headers)).status_code == 200


async def test_every_permission_of_a_member_names_where_it_comes_from(api: Api) -> None:
    admin, owner = await fresh(api, "admin"), await api.make_user(owner=True)
    role = await make_role(api, admin, ["payments:write"], ["user"])
    member = await api.make_user("guest", role)
    shown = (await api.get(f"/v1/users/{member.id}/permissions", headers=admin.headers)).json()["data"]
    by_name = {one["permission"]: one["sources"] for one in shown["permissions"]}
    assert by_name["payments:write"] == [{"role": role, "through": role, "scope": "payments:write", "team_id": None}]
    assert [(one["role"], one["through"]) for one in by_name["prices:read"]] == [("guest", "guest"), ("guest", role)]
    assert "credits:grant" not in by_name
    mine = (await api.get("/v1/users/me/permissions", headers=owner.headers)).json()["data"]
    assert mine["owner"] is True
    assert {source["through"] for one in mine["permissions"] for source in one["sources"]} == {"admin"}
    assert code(await api.get("/v1/users/user_none/permissions", headers=admin.headers)) == (404, "not_found")


async def test_a_check_that_is_remembered_takes_less_than_a_millisecond(api: Api) -> None:
    from api.access import service
    from api.access.schemas import CheckIn
    from api.core.principal import Kind, Principal
    from api.core.standings import Standings

    member = await api.make_user("manager")
    standings = Standings(api.deps.database, api.clock, 5.0)
    who = Principal(member.id, api.organization, frozenset(), kind=Kind.USER)
    question = [CheckIn(permission="credits:read")]
    assert (await service.check(api.deps, standings, who, question))[0].allowed
    began = time.process_time()
    for _ in range(200):
        await service.check(api.deps, standings, who, question)
    assert (time.process_time() - began) / 200 < 0.001
