"""Every unsafe route either takes an Idempotency-Key or is idempotent by nature, and the list says why."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from api.app import create_app
from api.core.idempotency import KEPT_FOR
from api.core.openapi import build
from api.core.resource import register
from api.events.openapi import SCHEMAS
from contracts.rules.access import SELF
from infra.postgres.tables.idempotency import idempotency_keys
from tests.api.conftest import Api, World

BY_NATURE = {
    "/v1/auth/register": "again is another code for the same account",
    "/v1/auth/verify": "a code is good once",
    "/v1/auth/verify/resend": "again is another code; three an hour",
    "/v1/auth/login": "its answer is secret; again is another session",
    "/v1/auth/refresh": "a refresh token is good once: a repetition is a theft, by intent",
    "/v1/auth/logout": "logging out again changes nothing",
    "/v1/auth/password/forgot": "again is another mail; three an hour",
    "/v1/auth/password/reset": "a token is good once",
    "/v1/auth/password/change": "the old password is the old one only once",
    "/v1/auth/email/change": "again is another code; three an hour",
    "/v1/auth/organization": "acting for it again changes nothing",
    "/v1/auth/sessions/revoke-others": "revoking again changes nothing",
    "/v1/auth/sessions/revoke-all": "revoking again changes nothing",
    "/v1/admin/signing-keys/rotate": "again is one more fresh key",
    "/v1/access/check": "asks",
    "/v1/access/checks": "asks",
    "/v1/invitations/accept": "an invitation is good once",
    "/v1/users/me/membership/transfer": "who handed the organization on is no owner, and refused",
    "/v1/keys/{key_id}/revoke": "revoking again changes nothing",
    "/v1/admin/dead-letters/{letter_id}/drop": "dropping again changes nothing",
    "/v1/audit/verify": "reads",
    "/v1/users/me/data/erase": "who was erased can ask for nothing more",
    "/v1/audit/verify-all": "reads",
    "/v1/auth/mfa/totp": "its answer is a secret, which is kept nowhere in clear; again is a fresh one",
    "/v1/auth/mfa/totp/confirm": "a code is good once",
    "/v1/auth/mfa/passkeys/options": "a fresh challenge each time",
    "/v1/auth/mfa/passkeys": "a challenge is good once",
    "/v1/auth/login/second-factor": "a challenge is good once; the answer is secret",
    "/v1/auth/login/second-factor/options": "reads",
    "/v1/auth/login/passkey/options": "a fresh challenge each time",
    "/v1/auth/login/passkey": "a challenge is good once; the answer is secret",
    "/v1/auth/oauth/tokens": "a code is good once; the answer is secret",
    "/v1/auth/oauth/{provider}/link": "begins; linking again changes nothing",
    "/v1/auth/verified-code": "a code is good once; the answer is secret",
    "/v1/auth/verified-code/new": "its answer is secret; again makes a fresh one",
    "/v1/auth/step-up/options": "a fresh challenge each time",
    "/v1/auth/step-up": "a proof is good once",
    "/v1/auth/mfa/recovery-codes": "its answer is secret; again makes fresh ones",
    "/v1/admin/reconcile": "compares; what it sends again keeps its identity",
}
"""Posts without an Idempotency-Key, with the reason. PUT, PATCH and DELETE are idempotent by definition (RFC 9110)."""

Operation = dict[str, Any]


def posts(world: World) -> dict[str, Operation]:
    """Every POST of the document."""
    document = build(create_app(world.deps), SCHEMAS)
    return {path: item["post"] for path, item in document["paths"].items() if "post" in item}


def takes_key(operation: Operation) -> bool:
    return any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])


async def test_every_post_takes_an_idempotency_key_or_stands_in_the_list(world: World) -> None:
    declared = posts(world)
    assert {path for path, operation in declared.items() if not takes_key(operation)} == set(BY_NATURE)
    assert set(declared) == {path for method, path, _ in register(create_app(world.deps)) if method == "POST"}
    assert KEPT_FOR.total_seconds() >= 24 * 3600


async def test_every_route_that_says_so_heeds_the_key(api: Api, world: World) -> None:
    key = api.bearer(await api.make_key(["*", "system:*"]))
    person = await api.make_user("superadmin", elevated_until=api.clock.now() + timedelta(hours=1))
    for path, operation in posts(world).items():
        if takes_key(operation):
            everything = person.headers if operation["x-permission"] == SELF else key
            body = next(iter(operation.get("requestBody", {"content": {"": {}}})["content"].values())).get("example")
            answer = await api.post(
                re.sub(r"\{[^}]+\}", "thing_1", path), json=body, headers=everything | {"idempotency-key": "a b"}
            )
            assert answer.status_code == 422, (path, answer.text)
            assert answer.json()["error"]["details"][0]["pointer"] == "/header/Idempotency-Key", path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/organizations", {"name": "Once"}),
        ("/v1/keys", {"name": "once", "scopes": ["events:write"]}),
        ("/v1/webhooks/endpoints", {"url": "https://example.com/hook", "event_types": ["*"]}),
    ],
)
async def test_what_is_made_under_a_key_is_made_once(api: Api, path: str, body: dict[str, Any]) -> None:
    everything = api.bearer(await api.make_key(["*", "system:*"])) | {"idempotency-key": "once" + path}
    first, again = [await api.post(path, json=body, headers=everything) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    other = await api.post(path, json=body | {"name": "other", "description": "x"}, headers=everything)
    assert other.status_code in (409, 422)


async def test_what_is_kept_of_an_answer_cannot_be_read_in_the_database(api: Api) -> None:
    headers = {"idempotency-key": "sealed"}
    made = await api.post("/v1/keys", json={"name": "secret", "scopes": ["events:write"]}, headers=headers)
    async with api.deps.database.transaction() as tx:
        mine = (idempotency_keys.c.organization_id == api.organization, idempotency_keys.c.key.endswith(" sealed"))
        kept = await tx.scalar(select(idempotency_keys.c.body).where(*mine))
    assert kept is not None
    assert made.json()["data"]["key"].encode() not in kept
    assert b"aihub" not in kept


async def test_who_else_sends_the_same_key_never_sees_the_first_answer(api: Api) -> None:
    until = api.clock.now() + timedelta(hours=1)
    first, second = [await api.make_user("admin", elevated_until=until) for _ in range(2)]
    body, key = {"name": "mine", "scopes": ["events:write"]}, {"idempotency-key": "shared"}
    made, other, again = [
        await api.post("/v1/keys", json=body, headers=who.headers | key) for who in (first, second, first)
    ]
    assert (made.status_code, other.status_code) == (201, 201), other.text
    assert other.json()["data"]["key"] != made.json()["data"]["key"]
    assert "idempotency-replayed" not in other.headers
    assert again.content == made.content


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/usage", {"service": "chat", "model": "gpt-4o", "input_tokens": 1}),
        ("/v1/credits/grants", {"credits": "1", "reason": "test"}),
    ],
)
async def test_two_principals_with_one_key_send_two_events(api: Api, path: str, body: dict[str, Any]) -> None:
    ids = []
    for _ in range(2):
        headers = api.bearer(await api.make_key(["*", "system:*"])) | {"idempotency-key": "shared"}
        answer = await api.post(path, json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        data = answer.json()["data"]
        ids.append(data["results"][0]["id"] if "results" in data else data["event_id"])
    assert len(set(ids)) == 2
