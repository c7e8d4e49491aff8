"""Passwords forgotten and changed, addresses changed, mail as staff sees it."""

import asyncio
import re

from tests.api.accounts import PASSWORD, Account, an_account, letters
from tests.api.conftest import Api
from tests.api.test_auth_register import outbox

OTHER = "eight blue boats at dusk"


async def forgot(account: Account) -> tuple[int, object]:
    answer = await account.post("/v1/auth/password/forgot", {"email": account.email})
    return answer.status_code, answer.json()["data"]


async def token_of(account: Account) -> str:
    """The token of the newest mail about a password."""
    for occasion, _subject, body in await letters(account.api, account.email):
        if occasion == "reset":
            return re.findall(r"^[\w-]{43}$", body, re.MULTILINE)[0]
    raise AssertionError("no token came")


async def reset(account: Account, token: str, password: str = OTHER) -> int:
    return (await account.post("/v1/auth/password/reset", {"token": token, "password": password})).status_code


async def test_a_forgotten_password_is_set_anew_by_mail_and_all_sessions_end(api: Api) -> None:
    ada = await an_account(api)
    assert await forgot(ada) == await forgot(Account(api)) == (202, {"done": True})
    token = await token_of(ada)
    assert (await ada.post("/v1/auth/password/reset", {"token": token, "password": "short"})).status_code == 422
    statuses = await asyncio.gather(*(reset(ada, token) for _ in range(4)))
    assert sorted(statuses) == [200, 422, 422, 422]
    assert (await ada.post("/v1/auth/refresh", {"refresh_token": ada.tokens["refresh_token"]})).status_code == 401
    assert (await ada.log_in(PASSWORD)).status_code == 401
    assert (await ada.log_in(OTHER)).status_code == 200
    assert (await letters(api, ada.email))[0][0] == "password_changed"
    stated = [kind for kind, _, _ in await outbox(api, ada.tokens["organization"]["id"])]
    assert "auth.user.updated.v1" in stated
    assert "auth.session.revoked.v1" in stated


async def test_a_token_is_good_for_an_hour_and_three_are_sent_in_one(own_api: Api) -> None:
    ada = await an_account(own_api)
    for _ in range(5):
        assert (await forgot(ada))[0] == 202
        own_api.clock.advance(1)
    tokens = [one for one in await letters(own_api, ada.email) if one[0] == "reset"]
    assert len(tokens) == 3
    own_api.clock.advance(3600)
    assert await reset(ada, await token_of(ada)) == 422
    await forgot(ada)
    assert await reset(ada, await token_of(ada)) == 200


async def test_a_token_that_came_by_mail_proves_the_address_too_and_brings_the_welcome_once(own_api: Api) -> None:
    ada = Account(own_api)
    verification = (await ada.register()).json()["data"]["verification"]
    await forgot(ada)
    assert await reset(ada, await token_of(ada)) == 200
    assert (await ada.log_in(OTHER)).status_code == 200
    assert (await ada.verify(verification)).status_code == 422, "the code brought another password: it is void"
    stated = [kind for kind, _, _ in await outbox(own_api, ada.tokens["organization"]["id"])]
    assert stated.count("credits.granted.v1") == stated.count("auth.user.verified.v1") == 1


async def test_a_password_is_changed_by_who_knows_it_and_others_are_logged_out(api: Api) -> None:
    ada = await an_account(api)
    mine = ada.tokens
    other = (await ada.log_in()).json()["data"]
    ada.tokens = mine
    wrong = await ada.ask("POST", "/v1/auth/password/change", json={"current_password": "x", "password": OTHER})
    assert wrong.status_code == 401
    none = await ada.ask("POST", "/v1/auth/password/change", json={"password": OTHER})
    assert none.status_code == 401
    change = {"current_password": PASSWORD, "password": OTHER}
    assert (await ada.ask("POST", "/v1/auth/password/change", json=change)).status_code == 200
    assert (await ada.ask("GET", "/v1/users/me")).status_code == 200
    assert (await ada.post("/v1/auth/refresh", {"refresh_token": other["refresh_token"]})).status_code == 401
    assert (await ada.log_in(OTHER)).status_code == 200


async def test_guessing_the_current_password_with_a_stolen_token_is_slowed_down(api: Api) -> None:
    ada = await an_account(api)
    guesses = [
        await ada.ask("POST", "/v1/auth/password/change", json={"current_password": "x", "password": OTHER})
        for _ in range(4)
    ]
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]
    assert (await ada.log_in()).status_code == 200, "its owner is not locked out by it"


async def test_another_address_is_in_force_once_its_code_came_back(own_api: Api) -> None:
    ada = await an_account(own_api)
    new = Account(own_api)
    sent = await ada.ask("POST", "/v1/auth/email/change", json={"email": new.email})
    assert sent.status_code == 202, sent.text
    assert (await letters(own_api, ada.email))[0][0] == "email_changing"
    assert (await new.log_in()).status_code == 401
    assert (await new.verify(sent.json()["data"]["verification"])).status_code == 200
    assert (await new.log_in()).status_code == 200
    assert (await ada.log_in()).status_code == 401
    ada.tokens = new.tokens
    own_api.clock.advance(6 * 60)
    late = await ada.ask("POST", "/v1/auth/email/change", json={"email": Account(own_api).email})
    assert (late.status_code, late.json()["error"]["code"]) == (401, "step_up_required")


async def test_an_address_of_somebody_else_is_not_taken_and_not_told(api: Api) -> None:
    ada, eve = await an_account(api), await an_account(api)
    sent = await eve.ask("POST", "/v1/auth/email/change", json={"email": ada.email})
    assert sent.status_code == 202
    assert (await letters(api, ada.email))[0][0] == "taken"
    assert (await eve.verify(sent.json()["data"]["verification"], await ada.code())).status_code == 422


async def test_two_people_who_want_one_new_address_do_not_both_get_it(api: Api) -> None:
    ada, eve, new = await an_account(api), await an_account(api), Account(api)
    wanted = []
    for one in (ada, eve):
        sent = await one.ask("POST", "/v1/auth/email/change", json={"email": new.email})
        wanted.append((sent.json()["data"]["verification"], await new.code()))
    answers = await asyncio.gather(*(new.verify(*one) for one in wanted))
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_staff_sees_mail_that_waits_and_nobody_else_does(api: Api) -> None:
    ada = await an_account(api)
    assert (await ada.ask("GET", "/v1/admin/mails")).status_code == 403
    staff = api.bearer(await api.make_key(["system:mail"]))
    listed = await api.get("/v1/admin/mails", params={"recipient": ada.email}, headers=staff)
    [mail] = listed.json()["data"]
    assert (mail["recipient"], mail["occasion"], mail["body"]) == (ada.email, "verify", None)
    shown = await api.get(f"/v1/admin/mails/{mail['id']}", headers=staff)
    assert await ada.code() in shown.json()["data"]["body"]
    assert (await api.get("/v1/admin/mails/mail_none", headers=staff)).status_code == 404
