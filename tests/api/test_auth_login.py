"""Logging in: growing delays, known devices, and nothing that tells whether there is an account."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from api.app import create_app
from api.core.resource import GuardedRoute
from contracts.rules.limits import STRICT
from contracts.rules.throttle import MAX_FAILURES
from infra.passwords import HashOptions, Passwords
from tests.api.accounts import Account, an_account
from tests.api.conftest import Api, World, an_api
from tests.api.test_auth_register import outbox


@contextmanager
def statements(api: Api) -> Iterator[list[str]]:
    """Every SQL statement that is executed meanwhile, COPY and asyncpg's own excepted."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(" ".join(statement.split()))

    engine = api.deps.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def told(answer: httpx.Response) -> tuple[int, dict, list[str]]:
    """All of an answer but what differs in every one."""
    error = {key: value for key, value in answer.json()["error"].items() if key not in ("timestamp", "request_id")}
    return answer.status_code, error, sorted(answer.headers)


async def test_known_and_unknown_names_get_the_same_answer_for_the_same_work(
    own_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await an_account(own_api)
    hashes: list[object] = []
    hash_once = Passwords._work

    async def noting(self: Passwords, job: Any) -> Any:
        hashes.append(job)
        return await hash_once(self, job)

    monkeypatch.setattr(Passwords, "_work", noting)
    work = []
    for account in (replace(ada, address="198.51.100.1"), Account(own_api, address="198.51.100.2")):
        hashes.clear()
        with statements(own_api) as seen:
            answers = [await account.log_in("wrong in any case") for _ in range(3)]
        work.append((len(hashes), seen, [told(answer) for answer in answers]))
    assert work[0] == work[1]
    assert work[0][0] == 3


async def test_ten_failures_an_hour_with_growing_delays_then_the_account_waits(own_api: Api) -> None:
    ada = await an_account(own_api)
    ada.device = None
    delays = []
    for number in range(MAX_FAILURES):
        account = replace(ada, address=f"198.51.100.{number}")
        assert (await account.log_in("wrong in any case")).status_code == 401
        refused = await replace(ada, address=f"203.0.113.{number}").log_in("wrong in any case")
        delay = int(refused.headers.get("retry-after", 0)) if refused.status_code == 429 else 0
        if refused.status_code == 401:  # there was no delay: this was one more failure
            delays.append(0)
        delays.append(delay)
        own_api.clock.advance(delay)
        if delay > 60:
            break
    assert delays[:2] == [0, 0]
    assert delays == sorted(delays)
    assert len(delays) == MAX_FAILURES
    stated = [kind for kind, _, _ in await outbox(own_api, ada.tokens["organization"]["id"])]
    assert stated.count("auth.login.failed.v1") == MAX_FAILURES
    assert stated.count("auth.user.locked.v1") == 1
    assert (await ada.log_in()).status_code == 200, "an hour later"


async def test_a_known_device_is_not_locked_out_by_others(api: Api) -> None:
    ada = await an_account(api, address="192.0.2.50")
    thief = replace(ada, address="203.0.113.66", device=None)
    for _ in range(3):
        await thief.log_in("wrong in any case")
    assert (await thief.log_in()).status_code == 429, "even the right password"
    stranger = replace(ada, address="203.0.113.67", device=None)
    assert (await stranger.log_in()).status_code == 429
    ada.device = ada.tokens["device_token"]
    assert (await ada.log_in()).status_code == 200
    stolen = replace(Account(api), device=ada.device)
    assert (await stolen.log_in("wrong in any case")).status_code == 401, "it is known to its own person only"


async def test_an_address_that_tries_many_names_waits_too(api: Api) -> None:
    refusals = [await Account(api, address="203.0.113.99").log_in("wrong in any case") for _ in range(4)]
    assert [answer.status_code for answer in refusals] == [401, 401, 401, 429]
    assert (await Account(api, address="203.0.113.98").log_in("wrong in any case")).status_code == 401


async def test_of_many_guesses_at_once_only_so_many_are_answered_right_or_wrong(api: Api) -> None:
    ada = await an_account(api)
    ada.device = None
    guesses = ["wrong in any case"] * 30 + [ada.password] * 5
    answers = await asyncio.gather(
        *(replace(ada, address=f"198.18.{number}.1").log_in(guess) for number, guess in enumerate(guesses))
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses[:30].count(401) <= MAX_FAILURES + statuses.count(200) * 3, "a success forgets what was before it"
    assert statuses.count(429) >= 10
    assert set(statuses) <= {200, 401, 429}


async def test_a_hash_of_other_costs_is_made_anew_at_the_next_log_in(own_api: Api) -> None:
    ada = await an_account(own_api)
    dear = await Passwords(HashOptions(memory_kib=128, rounds=2)).hash(ada.password)
    async with own_api.deps.database.unscoped() as tx:
        await tx.execute(
            text("UPDATE users SET password_hash = :hash WHERE email = :email"), {"hash": dear, "email": ada.email}
        )
    assert (await ada.log_in()).status_code == 200
    async with own_api.deps.database.unscoped() as tx:
        stored = await tx.scalar(text("SELECT password_hash FROM users WHERE email = :email"), {"email": ada.email})
    assert "m=64,t=1,p=1" in stored
    assert (await ada.log_in()).status_code == 200


async def test_the_real_costs_are_those_of_rfc_9106(own_api: Api) -> None:
    deps = replace(own_api.deps, options=replace(own_api.deps.options, password_hash=HashOptions()))
    async with an_api(deps, own_api.clock) as api:
        ada = await an_account(api)
        async with api.deps.database.unscoped() as tx:
            stored = await tx.scalar(text("SELECT password_hash FROM users WHERE email = :email"), {"email": ada.email})
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_a_disabled_person_is_refused_as_if_the_password_were_wrong(api: Api) -> None:
    ada = await an_account(api)
    async with api.deps.database.unscoped() as tx:
        await tx.execute(text("UPDATE users SET status = 'disabled' WHERE email = :email"), {"email": ada.email})
    unknown = await Account(api, address="192.0.2.77").log_in()
    assert told(await ada.log_in()) == told(unknown)


def test_where_secrets_are_guessed_the_strict_limit_holds(world: World) -> None:
    found = {
        route.path: route.openapi_extra["x-limit"] for route in create_app(world.deps).routes if _is_guarded(route)
    }
    guessed = ("register", "verify", "verify/resend", "login", "password/forgot", "password/reset", "password/change")
    assert {found[f"/v1/auth/{path}"] for path in guessed} == {STRICT}


def _is_guarded(route: Any) -> bool:
    return isinstance(route, GuardedRoute)
