"""Authenticator apps and recovery codes: set up, confirmed, changed; what each of that states."""

import asyncio
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pyotp

from api.factors import recovery, totp
from infra.postgres import factors as store
from tests.api.conftest import Api, Person
from tests.support.outbox import told

MFA = "/v1/auth/mfa"


def code_at(secret: str, now: datetime, steps: int = 0) -> str:
    """What the app shows then."""
    return pyotp.TOTP(secret).at(now, counter_offset=steps)


async def with_totp(api: Api, person: Person) -> tuple[str, list[str]]:
    """The secret of a confirmed app and the recovery codes that came with it."""
    begun = await api.post(f"{MFA}/totp", headers=person.headers)
    assert begun.status_code == 201, begun.text
    secret = begun.json()["data"]["secret"]
    body = {"code": code_at(secret, api.clock.now())}
    done = await api.post(f"{MFA}/totp/confirm", headers=person.headers, json=body)
    assert done.status_code == 200, done.text
    return secret, done.json()["data"]["recovery_codes"]


async def test_an_app_is_set_up_by_a_secret_a_uri_and_a_picture_and_counts_once_its_first_code_was_right(
    api: Api,
) -> None:
    person = await api.make_user("user")
    begun = (await api.post(f"{MFA}/totp", headers=person.headers)).json()["data"]
    address = urlsplit(begun["uri"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query) == {"secret": [begun["secret"]], "issuer": ["Smart AI Hub"]}
    assert begun["qr_svg"].startswith("data:image/svg+xml")
    assert not (await api.get(MFA, headers=person.headers)).json()["data"]["totp"]
    wrong = await api.post(f"{MFA}/totp/confirm", headers=person.headers, json={"code": "000000"})
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["pointer"]) == (422, "/code")
    body = {"code": code_at(begun["secret"], api.clock.now())}
    done = (await api.post(f"{MFA}/totp/confirm", headers=person.headers, json=body)).json()["data"]
    assert len(set(done["recovery_codes"])) == recovery.COUNT
    shown = (await api.get(MFA, headers=person.headers)).json()["data"]
    assert (shown["totp"], shown["passkeys"], shown["recovery_codes_left"]) == (True, 0, 10)
    assert await told(api.deps.database, person.id) == [
        ("auth.factor.enrolled.v1", "totp"),
        ("auth.factor.enrolled.v1", "recovery_codes"),
    ]


async def test_neither_the_secret_nor_a_recovery_code_stands_in_the_database_in_clear(api: Api) -> None:
    person = await api.make_user("user")
    secret, codes = await with_totp(api, person)
    connection = await asyncpg.connect(api.deps.database.dsn)
    rows = await connection.fetch("SELECT t::text FROM totp_secrets t UNION ALL SELECT c::text FROM recovery_codes c")
    await connection.close()
    everything = " ".join(row[0] for row in rows)
    assert len(rows) > recovery.COUNT
    for clear in (secret, *codes, *(code.replace("-", "") for code in codes)):
        assert clear not in everything
        assert clear.encode().hex() not in everything


async def test_a_factor_is_changed_only_by_who_has_just_proved_who_they_are(api: Api) -> None:
    person = await api.make_user("user")
    await with_totp(api, person)
    for method, path in (("DELETE", "/totp"), ("POST", "/recovery-codes"), ("POST", "/totp")):
        answer = await api.client.request(method, MFA + path, headers=person.headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "step_up_required"), path
        assert "max_age" in answer.headers["www-authenticate"]


async def test_the_first_factor_wants_a_log_in_of_the_last_half_hour(api: Api) -> None:
    long_ago = api.clock.now() - timedelta(minutes=31)
    person = await api.make_user("user", authenticated_at=long_ago)
    answer = await api.post(f"{MFA}/totp", headers=person.headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "step_up_required")


async def test_with_the_last_factor_its_recovery_codes_go_too(api: Api) -> None:
    person = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    _, codes = await with_totp(api, person)
    again = await api.post(f"{MFA}/totp", headers=person.headers)
    assert again.status_code == 409
    fresh = (await api.post(f"{MFA}/recovery-codes", headers=person.headers)).json()["data"]["recovery_codes"]
    assert not set(fresh) & set(codes)
    assert (await api.client.delete(f"{MFA}/totp", headers=person.headers)).status_code == 204
    assert (await api.client.delete(f"{MFA}/totp", headers=person.headers)).status_code == 404
    assert (await api.post(f"{MFA}/recovery-codes", headers=person.headers)).status_code == 409
    shown = (await api.get(MFA, headers=person.headers)).json()["data"]
    assert (shown["totp"], shown["recovery_codes_left"]) == (False, 0)
    assert ("auth.factor.removed.v1", "totp") in await told(api.deps.database, person.id)


async def test_a_code_is_good_one_step_early_or_late_and_never_twice(api: Api) -> None:
    for steps in (-1, 0, 1):
        person = await api.make_user("user")
        secret, _ = await with_totp(api, person)
        now = api.clock.now() + timedelta(minutes=5)
        for wrong in (-2, 2):
            async with api.deps.database.unscoped() as tx:
                assert await totp.use(tx, api.deps, person.id, code_at(secret, now, wrong), now) == "wrong"
        async with api.deps.database.unscoped() as tx:
            assert await totp.use(tx, api.deps, person.id, code_at(secret, now, steps), now) is None
        async with api.deps.database.unscoped() as tx:
            assert await totp.use(tx, api.deps, person.id, code_at(secret, now, steps), now) == "replayed"


async def test_of_a_hundred_uses_of_one_code_at_once_one_succeeds(api: Api) -> None:
    person = await api.make_user("user")
    secret, codes = await with_totp(api, person)
    now = api.clock.now() + timedelta(minutes=1)
    code = code_at(secret, now)

    async def use_totp() -> str | None:
        async with api.deps.database.unscoped() as tx:
            return await totp.use(tx, api.deps, person.id, code, now)

    async def use_recovery() -> str | None:
        async with api.deps.database.unscoped() as tx:
            return await recovery.use(tx, api.deps, person.id, codes[3], now)

    for use in (use_totp, use_recovery):
        outcomes = await asyncio.gather(*(use() for _ in range(100)))
        assert (outcomes.count(None), outcomes.count("replayed")) == (1, 99)


async def test_a_recovery_code_may_be_typed_in_capitals_and_without_dashes(api: Api) -> None:
    person, now = await api.make_user("user"), api.clock.now()
    _, codes = await with_totp(api, person)
    async with api.deps.database.unscoped() as tx:
        assert await recovery.use(tx, api.deps, person.id, f" {codes[0].upper().replace('-', ' ')}", now) is None
        assert await recovery.use(tx, api.deps, person.id, codes[0], now) == "replayed"
        assert await recovery.use(tx, api.deps, person.id, "aaaa-bbbb-cccc-dddd", now) == "wrong"
        assert (await store.factors_of(tx, person.id)).recovery_codes == recovery.COUNT - 1


async def test_somebody_elses_code_is_wrong(api: Api) -> None:
    one, other, now = await api.make_user("user"), await api.make_user("user"), api.clock.now()
    secret, codes = await with_totp(api, one)
    await with_totp(api, other)
    async with api.deps.database.unscoped() as tx:
        assert await totp.use(tx, api.deps, other.id, code_at(secret, now, 1), now) == "wrong"
        assert await recovery.use(tx, api.deps, other.id, codes[0], now) == "wrong"


async def test_a_key_has_no_factors(api: Api) -> None:
    answer = await api.get(MFA)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
