"""Registering: neutral answers, codes that prove an address, the welcome grant."""

import asyncio

import pytest
from sqlalchemy import text

from contracts import catalog
from tests.api.accounts import PASSWORD, Account, an_account, letters
from tests.api.conftest import Api


async def outbox(api: Api, organization: str) -> list[tuple[str, str, dict]]:
    """Type, id and data of what was stated for the organization; nobody relays here."""
    async with api.deps.database.unscoped() as tx:
        rows = await tx.execute(
            text("SELECT payloads FROM outbox WHERE organization_id = :id ORDER BY id"), {"id": organization}
        )
        stated = [catalog.decode(payload) for row in rows for payload in row.payloads]
    return [(envelope.type, envelope.id, envelope.data) for envelope, _ in stated]


async def test_from_registering_to_the_first_api_key_by_the_api_alone(api: Api) -> None:
    ada = await an_account(api)
    made = await ada.ask("POST", "/v1/keys", json={"name": "first", "scopes": ["events:write", "credits:read"]})
    assert made.status_code == 201, made.text
    key = api.bearer(made.json()["data"]["key"])
    assert (await api.get("/v1/credits/balance", headers=key)).status_code == 200
    assert made.json()["data"]["organization_id"] == ada.tokens["organization"]["id"]


async def test_every_step_is_stated_and_the_welcome_grant_has_one_identity(api: Api) -> None:
    ada = await an_account(api)
    stated = await outbox(api, ada.tokens["organization"]["id"])
    assert [kind for kind, _, _ in stated] == [
        "auth.user.registered.v1",
        "auth.organization.created.v1",
        "auth.role.assigned.v1",
        "auth.user.verified.v1",
        "credits.granted.v1",
        "auth.user.logged_in.v1",
        "auth.session.started.v1",
    ]
    _, identity, data = stated[4]
    assert identity == f"welcome-{ada.tokens['user']['id']}"
    assert data["amount_micros"] == 10_000_000
    addresses = [data["address"] for kind, _, data in stated if kind.startswith("auth.")]
    assert all(address.startswith("sealed:") for address in addresses)


async def test_the_answer_does_not_say_whether_an_address_has_an_account(api: Api) -> None:
    ada = await an_account(api)
    known = await Account(api, email=ada.email, password="another long password").register()
    unknown = await Account(api).register()
    for answer in (known, unknown):
        assert answer.status_code == 201
        assert set(answer.json()["data"]) == {"verification", "expires_in"}
    assert known.headers.keys() == unknown.headers.keys()
    occasion, subject, _ = (await letters(api, ada.email))[0]
    assert (occasion, subject) == ("taken", "You have an account at Smart AI Hub already")
    for code in (await ada.code(), "000000"):
        wrong = await ada.verify(known.json()["data"]["verification"], code)
        assert wrong.status_code == 422, "nothing fits: the account stays its owner's"
    assert (await ada.log_in()).status_code == 200


async def test_an_address_that_is_not_proved_does_not_log_in_and_only_the_right_password_hears_why(api: Api) -> None:
    ada = Account(api)
    await ada.register()
    refused = await ada.log_in()
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "email_unverified")
    wrong = await ada.log_in("some other password")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "unauthenticated")


async def test_a_password_set_in_advance_by_somebody_else_is_not_the_one_that_counts(api: Api) -> None:
    thief = Account(api, password="the thief's own password")
    owner = Account(api, email=thief.email)
    prepared = await thief.register()
    mine = await owner.register()
    await thief.register()  # and once more, to be the last
    codes = [body[:6] for occasion, _, body in await letters(api, owner.email) if occasion == "verify"]
    assert (await owner.verify(mine.json()["data"]["verification"], codes[1])).status_code == 200
    assert (await owner.log_in()).status_code == 200
    assert (await thief.log_in()).status_code == 401
    assert (await thief.verify(prepared.json()["data"]["verification"], codes[2])).status_code == 422


async def test_a_code_has_five_tries_whoever_guesses(api: Api) -> None:
    ada = Account(api)
    verification = (await ada.register()).json()["data"]["verification"]
    right = await ada.code()
    wrong = "000000" if right != "000000" else "111111"
    answers = await asyncio.gather(*(ada.verify(verification, wrong) for _ in range(5)))
    refusals = {(answer.status_code, answer.json()["error"]["message"]) for answer in answers}
    assert len(refusals) == 1
    late = await ada.verify(verification, right)
    assert (late.status_code, late.json()["error"]["message"]) == refusals.pop()
    unknown = await ada.verify("chl_none", right)
    assert unknown.json()["error"]["message"] == late.json()["error"]["message"]


async def test_a_code_is_good_once_also_for_many_at_once(api: Api) -> None:
    ada = Account(api)
    verification = (await ada.register()).json()["data"]["verification"]
    code = await ada.code()
    answers = await asyncio.gather(*(ada.verify(verification, code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422, 422]


async def test_a_code_expires_after_fifteen_minutes(own_api: Api) -> None:
    ada = Account(own_api)
    verification = (await ada.register()).json()["data"]["verification"]
    own_api.clock.advance(15 * 60)
    assert (await ada.verify(verification)).status_code == 422


async def test_three_codes_an_hour_and_only_the_last_is_good(own_api: Api) -> None:
    ada = Account(own_api)
    first = (await ada.register()).json()["data"]["verification"]
    old = await ada.code()
    own_api.clock.advance(1)
    again = await ada.post("/v1/auth/verify/resend", {"verification": first})
    assert again.status_code == 200
    second = again.json()["data"]["verification"]
    assert (await ada.verify(first, old)).status_code == 422
    assert (await ada.post("/v1/auth/verify/resend", {"verification": first})).status_code == 422
    own_api.clock.advance(1)
    third = (await ada.register()).json()["data"]["verification"]
    own_api.clock.advance(1)
    refused = await ada.post("/v1/auth/verify/resend", {"verification": second})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 0
    assert (await ada.register()).status_code == 429
    assert (await ada.verify(third)).status_code == 200


async def test_many_registrations_of_one_address_at_once_make_one_account(api: Api) -> None:
    ada = Account(api)
    answers = await asyncio.gather(*(ada.register() for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 3
    async with api.deps.database.unscoped() as tx:
        found = await tx.scalar(text("SELECT count(*) FROM users WHERE email = :email"), {"email": ada.email})
        owned = await tx.scalar(
            text("SELECT count(*) FROM organizations o JOIN users u ON o.personal_of = u.id WHERE email = :email"),
            {"email": ada.email},
        )
    assert (found, owned) == (1, 1)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"password": "short"}, "/password", "too_short"),
        ({"password": "only fourteen!"}, "/password", "too_short"),
        ({"password": "passwordpassword"}, "/password", "common"),
        ({"password": "lovelace-example", "email": "ada.lovelace@example.com"}, "/password", "personal"),
        ({"email": "nobody"}, "/email", "email"),
        ({"email": "a@b@c.example"}, "/email", "email"),
        ({"locale": "xx"}, "/locale", "literal_error"),
        ({"role": "superadmin"}, "/role", "extra_forbidden"),
        ({"organization_id": "org_acme"}, "/organization_id", "extra_forbidden"),
    ],
)
async def test_what_is_not_taken_is_told_with_its_place(api: Api, body: dict, pointer: str, code: str) -> None:
    answer = await Account(api).register(**body)
    assert answer.status_code == 422, answer.text
    assert (answer.json()["error"]["details"][0]["pointer"], answer.json()["error"]["details"][0]["code"]) == (
        pointer,
        code,
    )


async def test_mail_comes_in_the_language_that_was_asked_for(api: Api) -> None:
    ada = Account(api)
    await ada.register(locale="th")
    _, subject, body = (await letters(api, ada.email))[0]
    assert subject.startswith("รหัส Smart AI Hub")
    assert await ada.code() in body


async def test_neither_code_nor_password_stands_anywhere_in_clear(api: Api) -> None:
    ada = await an_account(api)
    code = await ada.code()
    async with api.deps.database.unscoped() as tx:
        for table in ("users", "challenges", "mails", "outbox", "sessions", "devices", "login_failures"):
            rows = await tx.scalars(text(f"SELECT row_to_json(t)::text FROM {table} t"))
            stored = "\n".join(rows)
            assert PASSWORD not in stored, table
            assert f'"{code}' not in stored, table
            for secret in (ada.tokens["refresh_token"], ada.tokens["device_token"]):
                assert secret not in stored, table
