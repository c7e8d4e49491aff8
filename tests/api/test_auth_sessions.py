"""Sessions: refreshed, seen, ended, turned to another organization; oneself."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pyotp
import pytest
from sqlalchemy import text

from api.auth import refreshing
from api.core.login_schemas import TokenPair
from contracts.errors import DatabaseUnavailable, Unauthenticated
from infra.postgres import members
from tests.api.accounts import Account, an_account
from tests.api.conftest import Api
from tests.api.test_auth_logins import visit
from tests.api.test_auth_register import outbox


async def refresh(account: Account, token: str | None = None) -> Any:
    return await account.post("/v1/auth/refresh", {"refresh_token": token or account.tokens["refresh_token"]})


async def whoami(account: Account) -> int:
    return (await account.ask("GET", "/v1/users/me")).status_code


async def test_a_refresh_token_gives_the_next_pair_and_the_session_goes_on(own_api: Api) -> None:
    ada = await an_account(own_api)
    first = ada.tokens
    for _ in range(3):
        own_api.clock.advance(20 * 60)
        assert await whoami(ada) == 401, "the access token has expired"
        answer = await refresh(ada)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["refresh_token"] != ada.tokens["refresh_token"]
        ada.tokens = answer.json()["data"]
        assert await whoami(ada) == 200
    assert ada.tokens["session_id"] == first["session_id"]


async def test_of_a_thousand_refreshes_of_one_token_at_once_one_succeeds_and_the_family_ends(api: Api) -> None:
    ada, here = await an_account(api), visit(api)
    gate = asyncio.Semaphore(64)  # six times the pool of connections

    async def attempt() -> TokenPair | None:
        async with gate:
            for _ in range(10):
                with suppress(DatabaseUnavailable):  # a busy machine: nothing was decided
                    return await refreshing.refresh(here, ada.tokens["refresh_token"])
        raise AssertionError("PostgreSQL is away")

    answers = await asyncio.gather(*(attempt() for _ in range(1000)), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {TokenPair: 1, Unauthenticated: 999}
    won = next(answer for answer in answers if isinstance(answer, TokenPair))
    assert (await refresh(ada, won.refresh_token)).status_code == 401
    ada.tokens = won.model_dump()
    assert await whoami(ada) == 401
    stated = [kind for kind, _, _ in await outbox(api, won.organization.id)]
    assert stated.count("auth.refresh.reused.v1") == 1
    assert stated.count("auth.session.revoked.v1") == 1


async def test_refreshes_at_once_over_http_are_one_too(api: Api) -> None:
    ada = await an_account(api)
    answers = await asyncio.gather(*(refresh(ada) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_an_old_token_ends_the_session_of_whoever_has_the_newer_one(api: Api) -> None:
    ada = await an_account(api)
    old = ada.tokens["refresh_token"]
    ada.tokens = (await refresh(ada)).json()["data"]
    assert (await refresh(ada, old)).status_code == 401
    assert (await refresh(ada)).status_code == 401


@pytest.mark.parametrize("token", ["unknown", "x" * 255, "eyJ.eyJ.x"])
async def test_a_token_that_never_was_is_refused(api: Api, token: str) -> None:
    answer = await Account(api).post("/v1/auth/refresh", {"refresh_token": token})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


async def test_an_access_token_is_no_refresh_token_and_the_other_way_round(api: Api) -> None:
    ada = await an_account(api)
    assert (await refresh(ada, ada.tokens["access_token"][:255])).status_code == 401
    swapped = api.bearer(ada.tokens["refresh_token"])
    assert (await api.get("/v1/users/me", headers=swapped)).status_code == 401


async def test_refresh_tokens_end_after_seven_days_and_sessions_after_thirty(own_api: Api) -> None:
    ada = await an_account(own_api)
    own_api.clock.advance(7 * 86_400)
    assert (await refresh(ada)).status_code == 401
    await ada.log_in()
    for day in range(6, 31, 6):
        own_api.clock.advance(6 * 86_400)
        answer = await refresh(ada)
        assert answer.status_code == (200 if day < 30 else 401)
        ada.tokens = answer.json()["data"] if day < 30 else ada.tokens
        if day == 24:
            assert ada.tokens["refresh_expires_in"] == 6 * 86_400


async def test_logging_out_ends_the_session_at_once(api: Api) -> None:
    ada = await an_account(api)
    assert (await ada.ask("POST", "/v1/auth/logout")).status_code == 200
    assert await whoami(ada) == 401
    assert (await refresh(ada)).status_code == 401
    assert (await outbox(api, ada.tokens["organization"]["id"]))[-1][0] == "auth.user.logged_out.v1"


async def test_sessions_are_listed_with_device_address_and_last_use(own_api: Api) -> None:
    ada = await an_account(own_api)
    own_api.clock.advance(1)
    await ada.post("/v1/auth/login", {"email": ada.email, "password": ada.password}, **{"user-agent": "Phone"})
    listed = (await ada.ask("GET", "/v1/auth/sessions")).json()["data"]
    assert (listed[0]["device"], listed[0]["current"]) == ("Phone", False)
    assert listed[1]["current"]
    assert listed[1]["address"] == ada.address
    assert listed[1]["methods"] == ["pwd"]
    own_api.clock.advance(61)
    assert await whoami(ada) == 200
    used = (await ada.ask("GET", "/v1/auth/sessions")).json()["data"][1]["last_used_at"]
    own_api.clock.advance(30)
    assert await whoami(ada) == 200
    again = (await ada.ask("GET", "/v1/auth/sessions")).json()["data"][1]["last_used_at"]
    assert listed[1]["last_used_at"] < used == again, "kept at most once a minute"
    pages = await ada.ask("GET", "/v1/auth/sessions?limit=1")
    assert pages.json()["pagination"]["has_more"]


async def test_one_ends_one_session_all_others_or_all_and_never_somebody_elses(own_api: Api) -> None:
    ada, eve = await an_account(own_api), await an_account(own_api)
    mine = ada.tokens
    others = [(await ada.log_in()).json()["data"] for _ in range(3)]
    ada.tokens = mine
    stolen = await eve.ask("DELETE", f"/v1/auth/sessions/{mine['session_id']}")
    assert stolen.status_code == 404
    gone = await ada.ask("DELETE", f"/v1/auth/sessions/{others[0]['session_id']}")
    assert gone.status_code == 204
    assert (await ada.ask("DELETE", f"/v1/auth/sessions/{others[0]['session_id']}")).status_code == 404
    revoked = await ada.ask("POST", "/v1/auth/sessions/revoke-others")
    assert revoked.json()["data"] == {"revoked": 2}
    assert await whoami(ada) == 200
    for other in others:
        assert (await refresh(ada, other["refresh_token"])).status_code == 401
    await ada.log_in()
    assert (await ada.ask("POST", "/v1/auth/sessions/revoke-all")).json()["data"] == {"revoked": 2}
    assert await whoami(ada) == 401
    assert await whoami(eve) == 200


async def test_a_session_is_turned_to_another_organization_of_ones_own_only(own_api: Api) -> None:
    ada = await an_account(own_api)
    other = await own_api.make_organization()
    refused = await ada.ask("POST", "/v1/auth/organization", json={"organization_id": other})
    assert refused.status_code == 404
    async with own_api.deps.database.unscoped() as tx:
        user_id = ada.tokens["user"]["id"]
        await members.save_member(tx, other, user_id, owner=False, now=own_api.clock.now())
        await members.assign(tx, other, user_id, "guest", by="test", now=own_api.clock.now())
    turned = await ada.ask("POST", "/v1/auth/organization", json={"organization_id": other})
    assert turned.json()["data"]["organization"]["id"] == other
    there = own_api.bearer(turned.json()["data"]["access_token"])
    assert (await own_api.get("/v1/keys", headers=there)).status_code == 403, "a guest there"
    refreshed = (await refresh(ada)).json()["data"]
    assert refreshed["organization"]["id"] == other
    async with own_api.deps.database.unscoped() as tx:
        await tx.execute(
            text("DELETE FROM memberships WHERE organization_id = :other AND user_id = :user"),
            {"other": other, "user": user_id},
        )
    back = (await refresh(ada, refreshed["refresh_token"])).json()["data"]
    assert back["organization"]["id"] == ada.tokens["organization"]["id"], "who was removed goes home"


async def test_an_organization_that_demands_a_second_factor_is_not_entered_by_password(own_api: Api) -> None:
    ada = await an_account(own_api)
    other = await own_api.make_organization()
    async with own_api.deps.database.unscoped() as tx:
        await members.save_member(tx, other, ada.tokens["user"]["id"], owner=False, now=own_api.clock.now())
        await tx.execute(
            text("UPDATE organizations SET policy = CAST(:policy AS jsonb) WHERE id = :id"),
            {"policy": json.dumps({"mfa_required": True}), "id": other},
        )
    refused = await ada.ask("POST", "/v1/auth/organization", json={"organization_id": other})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "step_up_required")


async def test_staff_is_logged_out_after_an_idle_hour_and_after_twelve(own_api: Api) -> None:
    staff, busy = await own_api.make_user("superadmin"), await own_api.make_user("superadmin")
    for person in (staff, busy):
        assert (await own_api.get("/v1/users/me", headers=person.headers)).status_code == 200
    ada = await an_account(own_api)
    for _ in range(13):
        own_api.clock.advance(59 * 60)
        busy.token = await own_api.tokens.issue(
            busy.id, busy.session_id, own_api.organization, own_api.clock.now().replace(year=2030)
        )
        answer = await own_api.get("/v1/users/me", headers=busy.headers)
        ada.tokens = (await refresh(ada)).json()["data"]
        hours = (own_api.clock.now() - own_api.clock.now().replace(hour=12, minute=0, second=0, day=23)).total_seconds()
        assert answer.status_code == (200 if hours <= 12 * 3600 else 401)
    assert answer.status_code == 401
    staff.token = await own_api.tokens.issue(
        staff.id, staff.session_id, own_api.organization, own_api.clock.now().replace(year=2030)
    )
    assert (await own_api.get("/v1/users/me", headers=staff.headers)).status_code == 401
    assert await whoami(ada) == 200


async def test_oneself_is_read_and_changed_with_an_etag(api: Api) -> None:
    ada = await an_account(api)
    read = await ada.ask("GET", "/v1/users/me")
    assert read.json()["data"]["email"] == ada.email
    tag = read.headers["etag"]
    changed = await ada.ask("PATCH", "/v1/users/me", json={"name": "Ada", "locale": "th"}, headers={"if-match": tag})
    assert (changed.status_code, changed.json()["data"]["name"]) == (200, "Ada")
    lost = await ada.ask("PATCH", "/v1/users/me", json={"name": "Eve"}, headers={"if-match": tag})
    assert lost.status_code == 412
    for more in ({"email": "eve@example.com"}, {"status": "active"}, {"email_verified": True}, {"id": "user_1"}):
        assert (await ada.ask("PATCH", "/v1/users/me", json=more)).status_code == 422
    kind, _, data = (await outbox(api, ada.tokens["organization"]["id"]))[-1]
    assert (kind, data["changed"]) == ("auth.user.updated.v1", ["locale", "name"])


async def test_signing_keys_are_public_and_rotate_while_tokens_stay_good(own_api: Api) -> None:
    ada = await an_account(own_api)
    before = (await own_api.get("/.well-known/jwks.json")).json()["keys"]
    assert all("d" not in key and key["crv"] == "Ed25519" for key in before)
    refused = await ada.ask("POST", "/v1/admin/signing-keys/rotate")
    assert refused.status_code == 403
    staff = own_api.bearer(await own_api.make_key(["system:security"]))
    rotated = await own_api.post("/v1/admin/signing-keys/rotate", headers=staff)
    kid = rotated.json()["data"]["id"]
    answer = await own_api.get("/v1/auth/jwks")
    assert {key["kid"] for key in answer.json()["keys"]} == {key["kid"] for key in before} | {kid}
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert await whoami(ada) == 200
    ada.tokens = (await refresh(ada)).json()["data"]
    assert await whoami(ada) == 200


async def test_whoever_proves_a_second_factor_may_enter_such_an_organization(own_api: Api) -> None:
    ada = await an_account(own_api)
    other = await own_api.make_organization()
    async with own_api.deps.database.unscoped() as tx:
        await members.save_member(tx, other, ada.tokens["user"]["id"], owner=False, now=own_api.clock.now())
        await tx.execute(
            text("UPDATE organizations SET policy = CAST(:policy AS jsonb) WHERE id = :id"),
            {"policy": json.dumps({"mfa_required": True}), "id": other},
        )
    secret = (await ada.ask("POST", "/v1/auth/mfa/totp")).json()["data"]["secret"]
    now = own_api.clock.now()
    confirmed = await ada.ask("POST", "/v1/auth/mfa/totp/confirm", json={"code": pyotp.TOTP(secret).at(now)})
    assert confirmed.status_code == 200, confirmed.text
    own_api.clock.advance(30)
    code = pyotp.TOTP(secret).at(own_api.clock.now())
    proved = await ada.ask("POST", "/v1/auth/step-up", json={"totp": code})
    assert proved.status_code == 200, proved.text
    turned = await ada.ask("POST", "/v1/auth/organization", json={"organization_id": other})
    assert turned.status_code == 200, turned.text
