"""Second steps of log-ins, remembered devices, step-ups, and what an organization demands."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import text

from api.core.login_schemas import SecondStep, TokenPair
from api.core.logins import answer, first_step_done
from api.core.request_ids import Context
from api.core.visits import Visit
from infra.passwords import HashOptions, Passwords
from infra.postgres import users
from tests.api.conftest import Api, Person
from tests.api.test_factors_passkeys import enrol
from tests.api.test_factors_totp import code_at, with_totp
from tests.support.authenticator import Authenticator
from tests.support.clock import FakeClock
from tests.support.outbox import stated, told

SECOND = "/v1/auth/login/second-factor"
STEP_UP = "/v1/auth/step-up"
CHEAP = Passwords(HashOptions(memory_kib=1024, rounds=1))


async def first_step(api: Api, person: Person, device_token: str | None = None) -> TokenPair | SecondStep:
    """What a log-in answers whose password was right."""
    headers = {} if device_token is None else {b"x-device-token": device_token.encode()}
    visit = Visit(api.deps, api.tokens, CHEAP, Context("req_1", headers, "192.0.2.7"), api.clock.now())
    async with api.deps.database.unscoped() as tx:
        user = await users.find_user(tx, person.id)
        assert user is not None
        done = await first_step_done(tx, visit, user, methods=("pwd",), via="password")
    return await answer(visit, done)


async def challenge_of(api: Api, person: Person) -> str:
    """The challenge of a fresh log-in."""
    step = await first_step(api, person)
    assert isinstance(step, SecondStep)
    return step.second_factor.challenge


async def second_step(api: Api, challenge: str, headers: dict[str, str] | None = None, **proof: Any) -> httpx.Response:
    return await api.post(SECOND, json={"challenge": challenge, **proof}, headers=headers or {})


async def methods_of(api: Api, session_id: str) -> list[str]:
    async with api.deps.database.unscoped() as tx:
        found = await tx.exec_driver_sql("SELECT methods FROM sessions WHERE id = $1", (session_id,))
        return list(found.scalar_one())


async def test_each_factor_finishes_a_log_in(api: Api) -> None:
    person = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    device = Authenticator()
    secret, codes = await with_totp(api, person)
    assert (await enrol(api, person, device)).status_code == 201
    step = await first_step(api, person)
    assert isinstance(step, SecondStep)
    assert step.second_factor.methods == ["totp", "passkey", "recovery_code"]
    options = (await api.post(f"{SECOND}/options", json={"challenge": step.second_factor.challenge})).json()["data"]
    assert len(options["options"]["allowCredentials"]) == 1
    by_passkey = await second_step(api, step.second_factor.challenge, passkey=device.get(options["options"]))
    by_totp = await second_step(api, await challenge_of(api, person), totp=code_at(secret, api.clock.now(), 1))
    by_code = await second_step(api, await challenge_of(api, person), recovery_code=codes[0])
    for done, methods in ((by_passkey, ["pwd", "hwk"]), (by_totp, ["pwd", "otp"]), (by_code, ["pwd", "otp"])):
        assert done.status_code == 200, done.text
        pair = done.json()["data"]
        assert await methods_of(api, pair["session_id"]) == methods
        shown = await api.get("/v1/auth/mfa", headers=api.bearer(pair["access_token"]))
        assert shown.json()["data"]["totp"] is True
    assert ("auth.session.started.v1", None) in await told(api.deps.database, person.id)


async def test_a_challenge_has_five_tries_five_minutes_and_one_success(own_api: Api) -> None:
    api = own_api
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")
    secret, codes = await with_totp(api, person)
    challenge = await challenge_of(api, person)
    for left in (4, 3, 2, 1, 0):
        api.clock.advance(10)
        wrong = await second_step(api, challenge, recovery_code="aaaa-bbbb-cccc-dddd")
        assert wrong.status_code == 401
        assert f" {left} tries" in wrong.json()["error"]["message"]
    assert (await second_step(api, challenge, recovery_code=codes[0])).status_code == 401
    api.clock.advance(60)
    late = await challenge_of(api, person)
    api.clock.advance(301)
    assert (await second_step(api, late, recovery_code=codes[0])).status_code == 401
    once = await challenge_of(api, person)
    assert (await second_step(api, once, recovery_code=codes[0])).status_code == 200
    assert (await second_step(api, once, recovery_code=codes[1])).status_code == 401
    again = await challenge_of(api, person)
    assert (await second_step(api, again, recovery_code=codes[0])).status_code == 401
    reasons = [data["reason"] for kind, data in await stated(api.deps.database, person.id) if "failed" in kind]
    assert reasons == ["wrong"] * 5 + ["replayed"]
    assert (await second_step(api, again, totp=code_at(secret, api.clock.now()))).status_code == 200


async def test_of_fifty_guesses_at_once_at_one_challenge_five_at_most_are_looked_at(api: Api) -> None:
    person = await api.make_user("user")
    _, codes = await with_totp(api, person)
    challenge = await challenge_of(api, person)
    guesses = [f"aaaa-bbbb-cccc-{number:04}".translate(str.maketrans("0189", "yzxw")) for number in range(50)]
    answers = await asyncio.gather(*(second_step(api, challenge, recovery_code=guess) for guess in guesses))
    assert {one.status_code for one in answers} <= {401, 429}
    failed = [kind for kind, _ in await told(api.deps.database, person.id) if kind == "auth.factor.failed.v1"]
    assert 1 <= len(failed) <= 5
    assert (await second_step(api, challenge, recovery_code=codes[0])).status_code in (401, 429)


async def test_of_a_hundred_log_ins_at_once_with_one_code_one_succeeds(own_api: Api) -> None:
    api = own_api
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")
    secret, _ = await with_totp(api, person)
    api.clock.advance(60)
    challenges = [await challenge_of(api, person) for _ in range(100)]
    code = code_at(secret, api.clock.now())
    answers = await asyncio.gather(*(second_step(api, one, totp=code) for one in challenges))
    statuses = [one.status_code for one in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 429}
    assert statuses.count(429) > 80, "few wrong tries are answered at once, however many challenges there are"


async def test_whoever_has_the_password_may_guess_ten_times_an_hour_and_locks_out_no_known_device(own_api: Api) -> None:
    api = own_api
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")
    _, codes = await with_totp(api, person)
    mine = await second_step(api, await challenge_of(api, person), recovery_code=codes[0])
    known = {"x-device-token": mine.json()["data"]["device_token"]}
    for number in range(10):
        assert (await second_step(api, await challenge_of(api, person), totp=f"{number:06}")).status_code == 401
        api.clock.advance(60)
    refused = await second_step(api, await challenge_of(api, person), recovery_code=codes[1])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) == 3600 - 600
    assert (await second_step(api, await challenge_of(api, person), known, recovery_code=codes[1])).status_code == 200
    api.clock.advance(3601)
    assert (await second_step(api, await challenge_of(api, person), recovery_code=codes[2])).status_code == 200


async def test_a_remembered_device_skips_the_second_factor_for_thirty_days_unless_it_is_forgotten(
    own_api: Api,
) -> None:
    api = own_api
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")
    _, codes = await with_totp(api, person)

    async def remembered(code: str) -> tuple[str, dict[str, str]]:
        done = await second_step(
            api, await challenge_of(api, person), {"user-agent": "Firefox"}, recovery_code=code, remember_device=True
        )
        pair = done.json()["data"]
        return pair["device_token"], api.bearer(pair["access_token"])

    token, headers = await remembered(codes[0])
    assert isinstance(await first_step(api, person, token), TokenPair)
    assert isinstance(await first_step(api, person, "another"), SecondStep)
    listed = (await api.get("/v1/auth/mfa/devices", headers=headers)).json()["data"]
    assert [row["name"] for row in listed] == ["Firefox"]
    gone = await api.client.delete(f"/v1/auth/mfa/devices/{listed[0]['id']}", headers=headers)
    assert gone.status_code == 204
    assert (await api.client.delete(f"/v1/auth/mfa/devices/{listed[0]['id']}", headers=headers)).status_code == 404
    assert isinstance(await first_step(api, person, token), SecondStep)
    token, headers = await remembered(codes[1])
    assert (await api.client.delete("/v1/auth/mfa/devices", headers=headers)).status_code == 204
    assert isinstance(await first_step(api, person, token), SecondStep)
    token, _ = await remembered(codes[2])
    api.clock.advance(30 * 24 * 3600 - 1)
    assert isinstance(await first_step(api, person, token), TokenPair)
    api.clock.advance(2)
    assert isinstance(await first_step(api, person, token), SecondStep)


async def test_a_step_up_wants_the_factor_and_is_effective_at_once_for_five_minutes(own_api: Api) -> None:
    api, device = own_api, Authenticator()
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")
    secret, codes = await with_totp(api, person)
    refused = await api.post("/v1/auth/mfa/recovery-codes", headers=person.headers)
    assert refused.json()["error"]["code"] == "step_up_required"
    password = await api.post(STEP_UP, headers=person.headers, json={"password": "whatever it is"})
    assert (password.status_code, password.json()["error"]["details"][0]["code"]) == (422, "factor_needed")
    wrong = await api.post(STEP_UP, headers=person.headers, json={"totp": code_at(secret, api.clock.now(), 5)})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "unauthenticated")
    done = await api.post(STEP_UP, headers=person.headers, json={"totp": code_at(secret, api.clock.now(), 1)})
    assert done.status_code == 200, done.text
    assert (await enrol(api, person, device)).status_code == 201, "no clock has moved: the cache forgot the session"
    assert (await methods_of(api, person.session_id)) == ["pwd", "otp"]
    api.clock.advance(301)
    assert (await api.post("/v1/auth/mfa/recovery-codes", headers=person.headers)).status_code == 401
    asked = (await api.post(f"{STEP_UP}/options", headers=person.headers)).json()["data"]
    body = {"challenge": asked["challenge"], "passkey": device.get(asked["options"])}
    assert (await api.post(STEP_UP, headers=person.headers, json=body)).status_code == 200
    assert (await api.post(STEP_UP, headers=person.headers, json=body)).status_code == 401
    assert (await api.post(STEP_UP, headers=person.headers, json={"recovery_code": codes[0]})).status_code == 200
    facts = [data for kind, data in await stated(api.deps.database, person.id) if kind == "auth.session.elevated.v1"]
    assert [(one["session_id"], one["method"]) for one in facts] == [
        (person.session_id, "otp"), (person.session_id, "hwk"), (person.session_id, "otp"),
    ]  # fmt: skip


async def test_without_a_factor_the_password_steps_up_ten_wrong_ones_an_hour(own_api: Api) -> None:
    api = own_api
    assert isinstance(api.clock, FakeClock)
    person = await api.make_user("user")
    stored = await CHEAP.hash("correct horse battery staple")
    async with api.deps.database.unscoped() as tx:
        await tx.exec_driver_sql("UPDATE users SET password_hash = $1 WHERE id = $2", (stored, person.id))
    wrong = await api.post(STEP_UP, headers=person.headers, json={"password": "wrong horse"})
    assert wrong.status_code == 401
    right = {"password": "correct horse battery staple"}
    done = await api.post(STEP_UP, headers=person.headers, json=right)
    assert done.status_code == 200, done.text
    for _ in range(10):
        api.clock.advance(60)
        assert (await api.post(STEP_UP, headers=person.headers, json={"password": "wrong"})).status_code == 401
    assert (await api.post(STEP_UP, headers=person.headers, json=right)).status_code == 429
    kinds = [kind for kind, _ in await told(api.deps.database, person.id)]
    assert kinds.count("auth.login.failed.v1") == 11
    both = await api.post(STEP_UP, headers=person.headers, json=right | {"totp": "123456"})
    assert both.status_code == 422


async def test_an_organization_may_demand_a_factor_and_nothing_else_works_until_there_is_one(own_api: Api) -> None:
    api = own_api
    person = await api.make_user("admin")
    async with api.deps.database.unscoped() as tx:
        values = {"policy": json.dumps({"mfa_required": True}), "id": api.organization}
        await tx.execute(text("UPDATE organizations SET policy = CAST(:policy AS jsonb) WHERE id = :id"), values)
    assert isinstance(await first_step(api, person), TokenPair), "who has none logs in to set one up"
    for path in ("/v1/credits/balance", "/v1/keys", "/v1/organizations"):
        refused = await api.get(path, headers=person.headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "mfa_required")
        assert "/v1/auth/mfa/totp" in refused.json()["error"]["message"]
    sent = await api.post("/v1/usage", headers=person.headers, json={"service": "chat", "model": "m"})
    assert sent.json()["error"]["code"] == "mfa_required"
    assert (await api.get("/v1/credits/balance")).status_code == 200, "keys are no people"
    await with_totp(api, person)
    assert (await api.get("/v1/credits/balance", headers=person.headers)).status_code == 200, "at once"
    assert isinstance(await first_step(api, person), SecondStep)
