"""What every way of logging in shares: sessions, first tokens, devices, the second step."""

import json

from sqlalchemy import text

from api.core.login_schemas import SecondStep, TokenPair
from api.core.logins import SECOND_STEP, Started, answer, first_step_done
from api.core.persons import SEALED
from api.core.request_ids import Context
from api.core.visits import Visit
from infra.passwords import Passwords
from infra.postgres import challenges, factors, users
from tests.api.conftest import Api, Person


def visit(api: Api, **headers: str) -> Visit:
    """A request as the edge would note it."""
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    context = Context("req_1", named, address="192.0.2.7")
    return Visit(api.deps, api.tokens, Passwords(), context, api.clock.now())


async def log_in(api: Api, person: Person, one: Visit, *methods: str) -> TokenPair | SecondStep:
    async with api.deps.database.unscoped() as tx:
        user = await users.find_user(tx, person.id)
        assert user is not None
        done = await first_step_done(tx, one, user, methods=methods or ("pwd",), via="password")
    return await answer(one, done)


async def policy(api: Api, **values: object) -> None:
    async with api.deps.database.unscoped() as tx:
        await tx.execute(
            text("UPDATE organizations SET policy = CAST(:policy AS jsonb) WHERE id = :id"),
            {"policy": json.dumps(values), "id": api.organization},
        )


async def test_a_log_in_makes_a_session_whose_tokens_work_and_whose_device_is_sealed(api: Api) -> None:
    person = await api.make_user("user")
    pair = await log_in(api, person, visit(api, user_agent="Firefox"))
    assert isinstance(pair, TokenPair)
    assert (pair.expires_in, pair.refresh_expires_in) == (900, 7 * 24 * 3600)
    assert (pair.user.email, pair.organization.id) == (person.email, api.organization)
    assert (await api.get("/v1/credits/balance", headers=api.bearer(pair.access_token))).status_code == 200
    async with api.deps.database.unscoped() as tx:
        row = (await tx.execute(text("SELECT * FROM sessions WHERE id = :id"), {"id": pair.session_id})).one()
    assert row.device.startswith(SEALED)
    assert row.address.startswith(SEALED)
    assert row.elevated_until > api.clock.now()


async def test_a_device_that_is_known_gets_no_second_token(api: Api) -> None:
    person = await api.make_user("user")
    first = await log_in(api, person, visit(api))
    assert isinstance(first, TokenPair)
    assert first.device_token
    again = await log_in(api, person, visit(api, x_device_token=first.device_token))
    assert isinstance(again, TokenPair)
    assert again.device_token is None
    stranger = await api.make_user("user")
    other = await log_in(api, stranger, visit(api, x_device_token=first.device_token))
    assert isinstance(other, TokenPair)
    assert other.device_token, "a device is known to one person only"


async def test_who_has_a_second_factor_gets_a_challenge_instead_of_tokens(api: Api) -> None:
    person, now = await api.make_user("user"), api.clock.now()
    async with api.deps.database.unscoped() as tx:
        assert await factors.begin_totp(tx, person.id, b"sealed", now)
        waiting = await factors.find_totp(tx, person.id)
        assert waiting is not None
        assert await factors.confirm_totp(tx, waiting, 1, now)
    step = await log_in(api, person, visit(api))
    assert isinstance(step, SecondStep)
    async with api.deps.database.unscoped() as tx:
        digest = visit(api).hash(SECOND_STEP, step.second_factor.challenge)
        row = await challenges.consume_by_hash(tx, SECOND_STEP, digest, api.clock.now())
    assert row is not None
    assert (row.user_id, row.data) == (person.id, {"methods": ["pwd"], "via": "password"})
    assert isinstance(await log_in(api, person, visit(api), "hwk"), TokenPair)


async def test_the_oldest_session_ends_when_the_organization_allows_so_many_only(api: Api) -> None:
    person = await api.make_user("user")  # has one session already
    await policy(api, max_sessions=2)
    for _ in range(3):
        assert isinstance(await log_in(api, person, visit(api)), TokenPair)
    async with api.deps.database.unscoped() as tx:
        rows = (
            await tx.execute(text("SELECT * FROM sessions WHERE user_id = :id ORDER BY id"), {"id": person.id})
        ).all()
    assert [row.end_reason for row in rows] == ["too many sessions", "too many sessions", None, None]


async def test_what_rolls_back_leaves_no_session(api: Api) -> None:
    person = await api.make_user("user")
    one = visit(api)
    try:
        async with api.deps.database.unscoped() as tx:
            user = await users.find_user(tx, person.id)
            assert user is not None
            done = await first_step_done(tx, one, user, methods=("pwd",), via="password")
            assert isinstance(done, Started)
            raise RuntimeError
    except RuntimeError:
        pass
    token = await api.tokens.issue(person.id, done.session.id, api.organization, done.session.expires_at)
    assert (await api.get("/v1/credits/balance", headers=api.bearer(token))).status_code == 401
