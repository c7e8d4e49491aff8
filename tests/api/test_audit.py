"""The audit trail over HTTP: who did what from where, and proof that nobody changed it."""

import json

from api.core.persons import person_sealers
from consumers.audit.handlers import Append
from consumers.batch import Batch
from contracts import catalog
from contracts.events.auth import UserLoggedInV1
from contracts.events.members import RoleAssignedV1
from infra.ops.trail_copy import copy_trail
from tests.api.conftest import Api, Person
from tests.consumers.audit.test_audit import records


async def told(api: Api, person: Person, organization: str | None = None) -> None:
    """A log-in and a role of the person, in the organization's trail."""
    where, now = organization or api.organization, api.clock.now()
    async with api.deps.database.transaction() as tx:
        sealer = (await person_sealers(tx, api.deps.sealer, {person.id}))[person.id]
    facts = [
        UserLoggedInV1(user_id=person.id, actor=person.id, address=sealer.seal("192.0.2.7")),
        RoleAssignedV1(user_id=person.id, role_id="user", actor="user_boss", address="198.51.100.1"),
    ]
    envelopes = [
        catalog.state(fact, event_id=f"{person.id}-{number}", source="/hub/auth", organization=where, now=now)
        for number, fact in enumerate(facts)
    ]
    await Append(api.deps.database)(Batch(records(envelopes)))


async def test_an_admin_reads_what_happened_the_newest_first_with_addresses_opened(api: Api) -> None:
    admin, person = await api.make_user("admin"), await api.make_user("user")
    await told(api, person)
    rows = (await api.get("/v1/audit/events", headers=admin.headers)).json()["data"]
    assert [(row["seq"], row["type"], row["address"]) for row in rows] == [
        (2, "auth.role.assigned.v1", "198.51.100.1"),
        (1, "auth.user.logged_in.v1", "192.0.2.7"),
    ]
    only = await api.get("/v1/audit/events?type=auth.role.*&limit=1", headers=admin.headers)
    assert [row["seq"] for row in only.json()["data"]] == [2]
    mine = await api.get(f"/v1/audit/events?actor={person.id}", headers=admin.headers)
    assert [row["seq"] for row in mine.json()["data"]] == [1]


async def test_pages_follow_each_other_and_end(api: Api) -> None:
    admin = await api.make_user("admin")
    for _ in range(3):
        await told(api, await api.make_user("user"))
    seen: list[int] = []
    path = "/v1/audit/events?limit=4"
    while path:
        page = (await api.get(path, headers=admin.headers)).json()
        seen += [row["seq"] for row in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        path = f"/v1/audit/events?limit=4&cursor={cursor}" if cursor else ""
    assert seen == [6, 5, 4, 3, 2, 1]


async def test_the_address_of_somebody_who_was_erased_is_gone_and_the_chain_still_holds(api: Api) -> None:
    admin, person = await api.make_user("admin"), await api.make_user("user")
    await told(api, person)
    async with api.deps.database.unscoped() as tx:
        await tx.exec_driver_sql(f"DELETE FROM person_keys WHERE user_id = '{person.id}'")
    rows = (await api.get("/v1/audit/events", headers=admin.headers)).json()["data"]
    assert [row["address"] for row in rows] == ["198.51.100.1", "erased"]
    verdict = (await api.post("/v1/audit/verify", json={}, headers=admin.headers)).json()["data"]
    assert (verdict["intact"], verdict["events"]) == (True, 2)


async def test_a_trail_is_proved_against_its_copy_and_a_noted_head(api: Api) -> None:
    admin = await api.make_user("admin")
    await told(api, await api.make_user("user"))
    await copy_trail(api.deps.database, api.deps.clickhouse)
    head = (await api.get("/v1/audit/head", headers=admin.headers)).json()["data"]
    noted = {"seq": head["seq"], "hash": head["hash"]}
    verdict = (await api.post("/v1/audit/verify", json={"noted": noted}, headers=admin.headers)).json()["data"]
    assert (verdict["intact"], verdict["witnessed"], verdict["head"]) == (True, True, head)
    other = {"seq": 1, "hash": "0" * 64}
    verdict = (await api.post("/v1/audit/verify", json={"noted": other}, headers=admin.headers)).json()["data"]
    assert (verdict["intact"], verdict["broken_at"]) == (False, 1)


async def test_the_whole_trail_is_exported_line_by_line(api: Api) -> None:
    admin = await api.make_user("admin")
    await told(api, await api.make_user("user"))
    answer = await api.get("/v1/audit/export", headers=admin.headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["seq"] for line in answer.text.splitlines()] == [1, 2]


async def test_another_organizations_trail_is_empty_and_a_manager_sees_none(api: Api) -> None:
    await told(api, await api.make_user("user"))
    elsewhere = await api.make_organization()
    stranger = await api.make_user("admin", organization=elsewhere)
    assert (await api.get("/v1/audit/events", headers=stranger.headers)).json()["data"] == []
    manager = await api.make_user("manager")
    assert (await api.get("/v1/audit/events", headers=manager.headers)).status_code == 403


async def test_platform_staff_prove_all_trails(api: Api) -> None:
    await told(api, await api.make_user("user"))
    staff = await api.make_key(["*", "system:*"])
    verdict = (await api.post("/v1/audit/verify-all", headers=api.bearer(staff))).json()["data"]
    assert verdict["intact"]
    assert verdict["organizations"] >= 1
