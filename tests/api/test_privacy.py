"""A person's data: handed out whole, erased everywhere, sums unchanged."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from contracts import topics
from infra.postgres import members
from tests.api.conftest import Api, Person
from tests.api.test_audit import told

SURE = {"confirm": "erase my data"}


async def elevated(api: Api, *roles: str) -> Person:
    """Somebody who has just proved who they are."""
    return await api.make_user(*roles, elevated_until=api.clock.now() + timedelta(minutes=5))


async def texts_of_every_row(api: Api) -> dict[str, str]:
    """Every table's content as one text."""
    async with api.deps.database.unscoped() as tx:
        names = list(await tx.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))
        return {
            name: (await tx.scalar(text(f"SELECT coalesce(string_agg(t::text, '|'), '') FROM {name} t"))) or ""
            for name in names
        }


async def test_a_person_gets_everything_that_is_kept_about_them_with_addresses_opened(api: Api) -> None:
    person = await elevated(api, "user")
    await told(api, person)
    data = (await api.get("/v1/users/me/data", headers=person.headers)).json()["data"]
    assert data["user"]["email"] == person.email
    assert [row["organization_id"] for row in data["organizations"]] == [api.organization]
    assert [row["id"] for row in data["sessions"]] == [person.session_id]
    assert {row["address"] for row in data["events"]} == {"192.0.2.7", "198.51.100.1"}
    assert "password_hash" not in str(data)
    assert "sealed:" not in str(data)


async def test_it_is_asked_again_who_it_is_and_keys_have_no_data_of_their_own(api: Api) -> None:
    person = await api.make_user("user")
    refused = await api.get("/v1/users/me/data", headers=person.headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "step_up_required")
    assert "insufficient_user_authentication" in refused.headers["www-authenticate"]
    assert (await api.get("/v1/users/me/data")).status_code == 401


async def test_after_erasure_no_table_names_the_person_and_their_sessions_are_over(own_api: Api) -> None:
    api = own_api
    person = await elevated(api, "user")
    await told(api, person)
    answer = await api.post("/v1/users/me/data/erase", json=SURE, headers=person.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["left"] == [api.organization]
    content = await texts_of_every_row(api)
    assert [name for name, rows in content.items() if person.email in rows] == []
    assert person.id in content["users"]
    api.clock.advance(1)
    assert (await api.get("/v1/credits/balance", headers=person.headers)).status_code == 401
    admin = await api.make_user("admin")
    events = (await api.get("/v1/audit/events", headers=admin.headers)).json()["data"]
    assert [row["address"] for row in events if row["actor"] == person.id] == ["erased"]


async def test_erasure_has_to_be_meant_and_comes_once(own_api: Api) -> None:
    person = await elevated(own_api, "user")
    for body in ({}, {"confirm": "yes"}):
        answer = await own_api.post("/v1/users/me/data/erase", json=body, headers=person.headers)
        assert answer.status_code == 422
    assert (await own_api.post("/v1/users/me/data/erase", json=SURE, headers=person.headers)).status_code == 200
    again = await own_api.post("/v1/users/me/data/erase", json=SURE, headers=person.headers)
    assert again.status_code == 401


async def test_the_last_owner_of_an_organization_with_members_hands_it_over_first(api: Api) -> None:
    owner, heir = await elevated(api, "admin"), await api.make_user("user")
    change: Any = "UPDATE memberships SET owner = true WHERE user_id = :user"
    async with api.deps.database.unscoped() as tx:
        await tx.execute(text(change), {"user": owner.id})
    refused = await api.post("/v1/users/me/data/erase", json=SURE, headers=owner.headers)
    assert refused.status_code == 409
    assert api.organization in refused.text
    async with api.deps.database.unscoped() as tx:
        await tx.execute(text(change), {"user": heir.id})
    assert (await api.post("/v1/users/me/data/erase", json=SURE, headers=owner.headers)).status_code == 200


async def test_what_was_erased_is_told_without_an_address(own_api: Api) -> None:
    person = await elevated(own_api, "user")
    await own_api.post("/v1/users/me/data/erase", json=SURE, headers=person.headers)
    async with own_api.deps.database.unscoped() as tx:
        rows = await tx.scalars(
            text("SELECT unnest(payloads) FROM outbox WHERE topic = :topic"), {"topic": topics.AUTH.name}
        )
        stated = [bytes(row).decode() for row in rows]
    assert [one for one in stated if "auth.user.erased.v1" in one]
    assert not [one for one in stated if "address" in one]


async def test_a_membership_is_given_up_with_its_roles(own_api: Api) -> None:
    person = await elevated(own_api, "user")
    now = own_api.clock.now()
    async with own_api.deps.database.unscoped() as tx:
        await members.assign(tx, own_api.organization, person.id, "manager", by="test", now=now)
    await own_api.post("/v1/users/me/data/erase", json=SURE, headers=person.headers)
    async with own_api.deps.database.unscoped() as tx:
        count = await tx.scalar(
            text("SELECT count(*) FROM role_assignments WHERE user_id = :user"), {"user": person.id}
        )
    assert count == 0
