"""Log-in with a provider: a local issuer that follows the specifications, on real sockets."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from infra.ids import new_id
from tests.api.conftest import Api, Person, World
from tests.api.oauth.providers import OAUTH, Browser
from tests.api.test_factors_totp import code_at, with_totp
from tests.support.issuer import (
    Issuer,
)
from tests.support.outbox import told


async def test_somebody_new_registers_and_logs_in_with_a_provider_and_is_known_the_next_time(
    api: Api, issuer: Issuer
) -> None:
    listed = (await api.get(f"{OAUTH}/providers")).json()["data"]
    assert [one["name"] for one in listed] == ["issuer", "google", "github"]
    first = await Browser(api).tokens()
    assert first["user"]["email"] == issuer.claims["email"]
    assert first["user"]["email_verified"] is True
    sent = issuer.asked[-1]
    assert sent["redirect_uri"] == "http://localhost:8080/v1/auth/oauth/issuer/callback"
    assert sent["scope"] == "openid email profile"
    assert len(sent["state"]) >= 43
    again = await Browser(api).tokens()
    assert again["user"]["id"] == first["user"]["id"]
    issuer.claims["email"] = "renamed@example.com"
    assert (await Browser(api).tokens())["user"]["id"] == first["user"]["id"], "the subject counts, not the address"
    mine = await api.get(f"{OAUTH}/identities", headers=api.bearer(again["access_token"]))
    assert [row["provider"] for row in mine.json()["data"]] == ["issuer"]
    assert (await api.get("/v1/credits/balance", headers=api.bearer(again["access_token"]))).status_code == 200
    facts = await told(api.deps.database, first["user"]["id"])
    assert ("auth.user.registered.v1", None) in facts
    assert ("auth.identity.linked.v1", "issuer") in facts
    assert [kind for kind, _ in facts].count("auth.user.logged_in.v1") == 3


async def test_a_second_factor_is_asked_for_after_a_provider_too(api: Api) -> None:
    first = await Browser(api).tokens()
    person = Person(first["user"]["id"], "", first["session_id"], first["access_token"])
    secret, _ = await with_totp(api, person)
    step = (await Browser(api).tokens())["second_factor"]
    body = {"challenge": step["challenge"], "totp": code_at(secret, api.clock.now(), 1)}
    assert (await api.post("/v1/auth/login/second-factor", json=body)).status_code == 200


async def test_an_address_that_somebody_has_links_nothing_by_itself(api: Api, issuer: Issuer) -> None:
    person = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    issuer.claims["email"] = person.email
    refused = await Browser(api).log_in()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    browser = Browser(api)
    begun = await browser.ask("POST", f"{OAUTH}/issuer/link", headers=person.headers, json={})
    assert begun.status_code == 200, begun.text
    done = await browser.ask("GET", await browser.consent(begun.json()["data"]["authorization_url"]))
    assert done.json()["data"]["linked"] == "issuer"
    assert (await Browser(api).tokens())["user"]["id"] == person.id
    other = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    begun = await browser.ask("POST", f"{OAUTH}/issuer/link", headers=other.headers, json={})
    taken = await browser.ask("GET", await browser.consent(begun.json()["data"]["authorization_url"]))
    assert taken.status_code == 409


async def test_an_address_that_was_registered_and_never_proved_is_whose_the_provider_says(
    api: Api, issuer: Issuer
) -> None:
    body = {"email": issuer.claims["email"], "password": "seven green boats at dawn"}
    assert (await api.post("/v1/auth/register", json=body)).status_code == 201
    first = await Browser(api).tokens()
    assert first["user"]["email_verified"] is True
    prepared = await api.post("/v1/auth/login", json=body)
    assert prepared.status_code == 401, "the password of whoever registered the address before is worth nothing"


async def test_an_address_that_the_provider_does_not_vouch_for_is_none(api: Api, issuer: Issuer) -> None:
    for claims in ({"email_verified": False}, {"email_verified": None}, {"email": None}, {"email": "no address"}):
        issuer.claims = {"sub": new_id("sub"), "email": f"{new_id('p')}@example.com"} | claims
        refused = await Browser(api).log_in()
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid"), claims


async def test_github_says_who_somebody_is_by_its_api_and_only_its_verified_primary_address_counts(
    api: Api, issuer: Issuer
) -> None:
    issuer.github_id, email = int(api.clock.now().timestamp()), f"{new_id('p')}@example.com"
    issuer.emails = [
        {"email": "other@example.com", "primary": False, "verified": True},
        {"email": email, "primary": True, "verified": False},
    ]
    assert (await Browser(api).log_in("github")).status_code == 422
    issuer.emails[1]["verified"] = True
    done = await Browser(api).tokens("github")
    assert (done["user"]["email"], done["user"]["name"]) == (email, "octo")
    issuer.github_id = "583231"
    assert (await Browser(api).log_in("github")).status_code == 401


async def test_accounts_are_unlinked_but_never_the_last_way_to_log_in(api: Api) -> None:
    done = await Browser(api).tokens()
    headers = api.bearer(done["access_token"])
    last = await api.client.delete(f"{OAUTH}/identities/issuer", headers=headers)
    assert (last.status_code, last.json()["error"]["code"]) == (409, "conflict")
    assert (await api.client.delete(f"{OAUTH}/identities/github", headers=headers)).status_code == 404
    async with api.deps.database.unscoped() as tx:
        await tx.exec_driver_sql("UPDATE users SET password_hash = 'x' WHERE id = $1", (done["user"]["id"],))
    assert (await api.client.delete(f"{OAUTH}/identities/issuer", headers=headers)).status_code == 204
    assert ("auth.identity.unlinked.v1", "issuer") in await told(api.deps.database, done["user"]["id"])
    assert (await Browser(api).log_in()).status_code == 409


async def test_of_two_accounts_unlinked_at_once_one_stays(api: Api, issuer: Issuer) -> None:
    browser = Browser(api)
    done = await browser.tokens()
    headers = api.bearer(done["access_token"])
    begun = await browser.ask("POST", f"{OAUTH}/github/link", headers=headers, json={"return_to": "/console?tab=me#x"})
    issuer.github_id = int(new_id("n")[-12:], 16)
    linked = await browser.ask("GET", await browser.consent(begun.json()["data"]["authorization_url"]))
    assert (linked.status_code, linked.headers["location"]) == (303, "/console?tab=me#x")
    paths = [f"{OAUTH}/identities/{name}" for name in ("issuer", "github")]
    answers = await asyncio.gather(*(api.client.delete(path, headers=headers) for path in paths))
    assert sorted(one.status_code for one in answers) == [204, 409]


async def test_a_state_is_good_once_in_its_browser_for_its_provider_and_for_ten_minutes(api: Api, world: World) -> None:
    browser, thief = Browser(api), Browser(api)
    back = await browser.consent(await browser.start())
    assert (await thief.ask("GET", back)).status_code == 401, "no cookie"
    assert (await browser.ask("GET", back)).status_code == 401, "it was tried, and is over"
    back = await browser.consent(await browser.start())
    await thief.start()
    assert (await thief.ask("GET", back)).status_code == 401, "another browser's cookie"
    back = await browser.consent(await browser.start())
    assert (await browser.ask("GET", back.replace("/issuer/", "/google/"))).status_code == 401
    back = await browser.consent(await browser.start())
    came = await browser.ask("GET", back)
    assert came.status_code == 200
    assert (await browser.ask("GET", back)).status_code == 401, "replayed"
    for query in ("?code=x", "?code=x&state=unknown", ""):
        assert (await browser.ask("GET", f"{OAUTH}/issuer/callback{query}")).status_code in (400, 401)
    denied = parse_qs(urlsplit(await browser.start()).query)["state"][0]
    no = await browser.ask("GET", f"{OAUTH}/issuer/callback?error=access_denied&state={denied}")
    assert no.status_code == 401
    code = {"login_code": came.json()["data"]["login_code"]}
    assert (await thief.ask("POST", f"{OAUTH}/tokens", json=code)).status_code == 401
    assert (await browser.ask("POST", f"{OAUTH}/tokens", json=code)).status_code == 401, "it was tried, and is over"


async def test_the_cookie_is_bound_to_the_host_and_no_script_reads_it(api: Api) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        answer = await client.get(f"{OAUTH}/issuer/start")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    for attribute in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert attribute in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "where",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil",
     "/a\r\nSet-Cookie: x=y", "/%0d%0a\n", "\\\\evil.example", "/\t/evil.example", "http:/evil.example"],
)  # fmt: skip
async def test_nobody_is_sent_to_another_host(api: Api, where: str) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        for path in (f"{OAUTH}/issuer/start", "/v1/auth/google"):
            answer = await client.get(path, params={"return_to": where})
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid"), answer.headers


async def test_a_path_of_this_hub_gets_the_log_in_code(api: Api) -> None:
    browser = Browser(api)
    came = await browser.ask("GET", await browser.consent(await browser.start(query="?return_to=/console?tab=1")))
    assert came.status_code == 303
    assert came.headers["location"].startswith("/console?tab=1&login_code=")
    assert came.headers["referrer-policy"] == "no-referrer"
