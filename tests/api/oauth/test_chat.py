"""The flow of a custom GPT: a person logs in with Google, copies a code, and the GPT has a session."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.oauth.page import POLICY
from tests.api.conftest import Api, Person, World, an_api
from tests.api.oauth.google import api_with_google, google
from tests.api.oauth.providers import Browser
from tests.api.test_factors_totp import code_at, with_totp
from tests.support.clock import FakeClock
from tests.support.issuer import Issuer
from tests.support.outbox import told

CODE = re.compile(r'<output id="code">(VERIFIED-[A-Z2-7]{32})</output>')
VERIFIED = "/v1/auth/verified-code"
VERIFY = "/v1/auth/verify-session"


@pytest.fixture
async def issuer(world: World) -> AsyncIterator[Issuer]:
    async with google(world) as running:
        yield running


@pytest.fixture
async def api(world: World, issuer: Issuer) -> AsyncIterator[Api]:
    async with api_with_google(world, issuer) as opened:
        yield opened


async def page(api: Api, session: str | None = "conversation-1") -> httpx.Response:
    """What the browser shows in the end."""
    browser, query = Browser(api), "" if session is None else f"&session={session}"
    begun = await browser.ask("GET", f"/v1/auth/google?return_to=chatgpt{query}")
    assert begun.status_code == 303, begun.text
    return await browser.ask("GET", await browser.consent(begun.headers["location"]))


async def code_of(api: Api, session: str | None = "conversation-1") -> str:
    found = CODE.search((shown := await page(api, session)).text)
    assert found is not None, shown.text
    return found[1]


async def redeem(api: Api, code: str, **more: Any) -> httpx.Response:
    return await api.post(VERIFIED, json={"code": code, **more})


async def test_the_page_shows_a_code_in_two_languages_under_a_strict_policy(api: Api) -> None:
    shown = await page(api)
    assert shown.status_code == 200
    assert shown.headers["content-type"].startswith("text/html")
    assert shown.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert shown.headers["cache-control"] == "no-store"
    assert CODE.search(shown.text)
    assert 'lang="en"' in shown.text
    assert "คัดลอกรหัส" in shown.text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=", shown.text), "nothing inline"
    for name in re.findall(r'(?:src|href)="\.\./\.\./assets/([\w.]+)"', shown.text):
        asset = await api.get(f"/v1/auth/assets/{name}")
        assert asset.status_code == 200
    assert (await api.get("/v1/auth/assets/routes.py")).status_code == 404


async def test_a_code_brings_a_session_of_seven_days_once(api: Api) -> None:
    code = await code_of(api)
    answers = await asyncio.gather(*(redeem(api, code, session="conversation-1") for _ in range(20)))
    assert sorted(one.status_code for one in answers) == [201] + [401] * 19
    made = next(one for one in answers if one.status_code == 201).json()["data"]
    shown = await api.get(VERIFY, headers={"x-session-token": made["session_token"]})
    assert shown.status_code == 200, shown.text
    assert shown.json()["data"]["user"]["id"] == made["user"]["id"]
    assert "session_token" not in shown.json()["data"]
    assert (await api.get(VERIFY, headers={"x-session-token": "unknown"})).status_code == 404
    assert (await api.get(VERIFY)).status_code == 422
    kinds = [kind for kind, _ in await told(api.deps.database, made["user"]["id"])]
    assert "auth.user.logged_in.v1" in kinds
    assert "auth.session.started.v1" in kinds
    token = await api.get("/v1/credits/balance", headers=api.bearer(made["session_token"]))
    assert token.status_code == 401, "it is no access token"


async def test_a_code_is_for_its_conversation(api: Api) -> None:
    assert (await redeem(api, await code_of(api, "one"), session="two")).status_code == 401
    assert (await redeem(api, await code_of(api, None), session="two")).status_code == 201
    lower = (await code_of(api, "one")).lower()
    assert (await redeem(api, f" {lower} ", session="one")).status_code == 201, "chats change the case"
    assert (await redeem(api, "VERIFIED-" + "A" * 32)).status_code == 401


async def test_codes_and_sessions_expire_and_sessions_can_be_ended(own_api: Api) -> None:
    api = own_api
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")

    async def fresh() -> str:
        made = await api.post(f"{VERIFIED}/new", headers=person.headers, json={})
        assert made.status_code == 201, made.text
        return made.json()["data"]["code"]

    late = await fresh()
    api.clock.advance(600)
    assert (await redeem(api, late)).status_code == 401
    kept = (await redeem(api, await fresh())).json()["data"]
    gone = (await redeem(api, await fresh())).json()["data"]
    assert (await api.get(VERIFY, headers={"x-session-token": gone["session_token"]})).status_code == 200
    ended = await api.client.delete(f"/v1/auth/sessions/{gone['session_id']}", headers=person.headers)
    assert ended.status_code == 204, ended.text
    api.clock.advance(0.95)
    assert (await api.get(VERIFY, headers={"x-session-token": gone["session_token"]})).status_code == 401
    api.clock.advance(7 * 24 * 3600 - 1)
    assert (await api.get(VERIFY, headers={"x-session-token": kept["session_token"]})).status_code == 200
    api.clock.advance(1)
    assert (await api.get(VERIFY, headers={"x-session-token": kept["session_token"]})).status_code == 401


async def test_who_has_a_second_factor_is_asked_for_it_before_there_is_a_code(api: Api) -> None:
    first = (await redeem(api, await code_of(api))).json()["data"]
    session = await api.tokens.issue(first["user"]["id"], first["session_id"], first["organization"]["id"],
                                     api.clock.now().replace(year=2027))  # fmt: skip
    person = Person(first["user"]["id"], "", first["session_id"], session)
    secret, _ = await with_totp(api, person)
    shown = await page(api, 'a"><script>')
    assert CODE.search(shown.text) is None
    assert "<script>" not in shown.text
    challenge = re.search(r'data-challenge="([\w-]+)"', shown.text)
    assert challenge is not None
    body = {"challenge": challenge[1], "totp": code_at(secret, api.clock.now(), 1)}
    pair = (await api.post("/v1/auth/login/second-factor", json=body)).json()["data"]
    made = await api.post(f"{VERIFIED}/new", headers=api.bearer(pair["access_token"]), json={"session": "c"})
    assert (await redeem(api, made.json()["data"]["code"], session="c")).status_code == 201


async def test_what_goes_wrong_is_a_page_too(api: Api, issuer: Issuer) -> None:
    issuer.claims["email_verified"] = False
    shown = await page(api)
    assert (shown.status_code, shown.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert "โปรดกลับไปที่แชต" in shown.text
    assert "VERIFIED-" not in shown.text


async def test_without_google_there_is_no_such_flow(world: World) -> None:
    async with an_api(world.deps, world.clock) as api:
        assert (await api.get("/v1/auth/google?return_to=chatgpt")).status_code == 404


async def test_a_verified_session_is_asked_for_in_the_database_once_a_second(own_api: Api) -> None:
    api = own_api
    person = await api.make_user("user")
    code = (await api.post(f"{VERIFIED}/new", headers=person.headers, json={})).json()["data"]["code"]
    token = (await redeem(api, code)).json()["data"]["session_token"]
    headers = {"x-session-token": token}
    assert (await api.get(VERIFY, headers=headers)).status_code == 200
    async with api.deps.database.unscoped() as tx:
        await tx.exec_driver_sql("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        began = time.perf_counter()
        answers = [await api.get(VERIFY, headers=headers) for _ in range(20)]
        assert time.perf_counter() - began < 5
    assert {one.status_code for one in answers} == {200}
