"""People on the API: access tokens, roles, and what ends both."""

from datetime import timedelta

from infra.postgres import members
from tests.api.conftest import Api


async def test_a_person_asks_with_an_access_token_and_sees_their_organization_only(api: Api) -> None:
    person = await api.make_user("user")
    answer = await api.get("/v1/credits/balance", headers=person.headers)
    assert answer.status_code == 200, answer.text
    listed = await api.get("/v1/organizations", headers=person.headers)
    assert [row["id"] for row in listed.json()["data"]] == [api.organization]


async def test_a_guest_may_not_read_the_balance_and_is_told_what_is_missing(api: Api) -> None:
    guest = await api.make_user("guest")
    answer = await api.get("/v1/credits/balance", headers=guest.headers)
    assert answer.status_code == 403
    assert "credits:read" in answer.json()["error"]["message"]


async def test_a_role_that_is_given_is_effective_within_a_second(own_api: Api) -> None:
    guest = await own_api.make_user("guest")
    assert (await own_api.get("/v1/credits/balance", headers=guest.headers)).status_code == 403
    now = own_api.clock.now()
    async with own_api.deps.database.transaction() as tx:
        assert await members.assign(tx, own_api.organization, guest.id, "user", by="test", now=now)
    own_api.clock.advance(0.95)
    assert (await own_api.get("/v1/credits/balance", headers=guest.headers)).status_code == 200


async def test_a_token_is_refused_once_it_or_its_session_has_ended(own_api: Api) -> None:
    person = await own_api.make_user("user")
    short = await own_api.make_user("user", expires_at=own_api.clock.now() + timedelta(minutes=1))
    for who in (person, short):
        assert (await own_api.get("/v1/credits/balance", headers=who.headers)).status_code == 200
    own_api.clock.advance(61)
    assert (await own_api.get("/v1/credits/balance", headers=short.headers)).status_code == 401
    assert (await own_api.get("/v1/credits/balance", headers=person.headers)).status_code == 200
    own_api.clock.advance(15 * 60)
    refused = await own_api.get("/v1/credits/balance", headers=person.headers)
    assert refused.status_code == 401
    assert "expired" in refused.json()["error"]["message"]
