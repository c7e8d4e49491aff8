"""Passkeys against an authenticator that follows the specification, and against some that do not."""

import asyncio
import copy
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.factors import webauthn
from api.factors.webauthn import RelyingParty
from infra.postgres import users
from infra.postgres.passkeys import PasskeyRow
from tests.api.conftest import Api, Person
from tests.support.authenticator import Authenticator, b64, unb64
from tests.support.clock import FakeClock
from tests.support.outbox import told

PASSKEYS = "/v1/auth/mfa/passkeys"
LOGIN = "/v1/auth/login/passkey"


async def asked(api: Api, path: str, person: Person | None = None) -> dict[str, Any]:
    """The challenge and the options for the browser."""
    answer = await api.post(f"{path}/options", headers=person.headers if person else {})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def enrol(api: Api, person: Person, device: Authenticator, name: str = "Laptop") -> httpx.Response:
    """Makes a passkey on the device."""
    one = await asked(api, PASSKEYS, person)
    body = {"challenge": one["challenge"], "credential": device.create(one["options"]), "name": name}
    return await api.post(PASSKEYS, headers=person.headers, json=body)


async def log_in(api: Api, device: Authenticator) -> httpx.Response:
    """Logs in with whatever the device offers."""
    one = await asked(api, LOGIN)
    return await api.post(LOGIN, json={"challenge": one["challenge"], "passkey": device.get(one["options"])})


@pytest.mark.parametrize(
    ("device", "method"),
    [
        (Authenticator(), "hwk"),
        (Authenticator(ed25519=True), "hwk"),
        (Authenticator(synced=True, counts=False), "swk"),
    ],
)
async def test_a_passkey_logs_in_alone(api: Api, device: Authenticator, method: str) -> None:
    person = await api.make_user("user")
    made = await enrol(api, person, device)
    assert made.status_code == 201, made.text
    assert len(made.json()["data"]["recovery_codes"]) == 10
    assert made.json()["data"]["backed_up"] is device.synced
    done = await log_in(api, device)
    assert done.status_code == 200, done.text
    pair = done.json()["data"]
    assert pair["user"]["id"] == person.id
    who = await api.get("/v1/auth/mfa", headers=api.bearer(pair["access_token"]))
    assert who.json()["data"]["passkeys"] == 1
    facts = await told(api.deps.database, person.id)
    assert facts[:2] == [("auth.factor.enrolled.v1", "passkey"), ("auth.factor.enrolled.v1", "recovery_codes")]
    assert ("auth.user.logged_in.v1", None) in facts
    async with api.deps.database.unscoped() as tx:
        sessions = await tx.exec_driver_sql("SELECT methods FROM sessions WHERE id = $1", (pair["session_id"],))
        assert sessions.scalar_one() == [method, "mfa"]


async def test_passkeys_are_listed_renamed_and_deleted(api: Api) -> None:
    person = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    stranger = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    first, second = Authenticator(), Authenticator()
    one = (await enrol(api, person, first, "Laptop")).json()["data"]
    await set_password(api, person)
    two = (await enrol(api, person, second, "Phone")).json()["data"]
    assert two["recovery_codes"] is None
    listed = (await api.get(PASSKEYS, headers=person.headers)).json()["data"]
    assert [row["name"] for row in listed] == ["Laptop", "Phone"]
    renamed = await api.client.patch(f"{PASSKEYS}/{one['id']}", headers=person.headers, json={"name": "Old laptop"})
    assert renamed.json()["data"]["name"] == "Old laptop"
    for method in ("PATCH", "DELETE"):
        other = await api.client.request(
            method, f"{PASSKEYS}/{one['id']}", headers=stranger.headers, json={"name": "mine now"}
        )
        assert other.status_code == 404
    assert (await api.client.delete(f"{PASSKEYS}/{one['id']}", headers=person.headers)).status_code == 204
    assert (await log_in(api, first)).status_code == 401
    assert (await log_in(api, second)).status_code == 200


async def set_password(api: Api, person: Person) -> None:
    async with api.deps.database.unscoped() as tx:
        await tx.exec_driver_sql("UPDATE users SET password_hash = 'x' WHERE id = $1", (person.id,))


async def test_the_last_way_to_log_in_is_not_deleted(api: Api) -> None:
    person = await api.make_user("user", elevated_until=api.clock.now() + timedelta(minutes=5))
    one = (await enrol(api, person, Authenticator())).json()["data"]
    refused = await api.client.delete(f"{PASSKEYS}/{one['id']}", headers=person.headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    await set_password(api, person)
    assert (await api.client.delete(f"{PASSKEYS}/{one['id']}", headers=person.headers)).status_code == 204


async def test_what_is_not_what_was_asked_for_makes_no_passkey(api: Api) -> None:
    person, other = await api.make_user("user"), await api.make_user("user")
    for device in (
        Authenticator(origin="https://evil.example"),
        Authenticator(rp_id="evil.example"),
        Authenticator(verifies=False),
    ):
        refused = await enrol(api, person, device)
        assert (refused.status_code, refused.json()["error"]["details"][0]["pointer"]) == (422, "/credential")
    one, device = await asked(api, PASSKEYS, person), Authenticator()
    body = {"challenge": one["challenge"], "credential": device.create(one["options"])}
    assert (await api.post(PASSKEYS, headers=other.headers, json=body)).status_code == 422
    one = await asked(api, PASSKEYS, person)
    body = {"challenge": one["challenge"], "credential": device.create(one["options"] | {"challenge": b64(b"x" * 32)})}
    assert (await api.post(PASSKEYS, headers=person.headers, json=body)).status_code == 422
    one = await asked(api, PASSKEYS, person)
    body = {"challenge": one["challenge"], "credential": device.create(one["options"])}
    assert (await api.post(PASSKEYS, headers=person.headers, json=body)).status_code == 201
    assert (await api.post(PASSKEYS, headers=person.headers, json=body)).status_code == 401, "a second one is a change"


async def test_a_passkey_that_is_known_is_nobody_elses(api: Api) -> None:
    person, other = await api.make_user("user"), await api.make_user("user")
    device = Authenticator()
    assert (await enrol(api, person, device)).status_code == 201
    one = await asked(api, PASSKEYS, other)
    copied = copy.deepcopy(device.credentials[0])
    stolen = Authenticator()
    body = {"challenge": one["challenge"], "credential": stolen.create(one["options"])}
    stolen.credentials[0].id = copied.id
    raw = unb64(body["credential"]["response"]["attestationObject"])
    forged = raw.replace(unb64(body["credential"]["id"]), copied.id)
    body["credential"] |= {"id": b64(copied.id), "rawId": b64(copied.id)}
    body["credential"]["response"]["attestationObject"] = b64(forged)
    assert (await api.post(PASSKEYS, headers=other.headers, json=body)).status_code == 409
    assert (await log_in(api, stolen)).status_code == 401


async def test_a_log_in_is_refused_for_another_origin_host_challenge_key_or_nobody_verified(api: Api) -> None:
    person, device = await api.make_user("user"), Authenticator()
    assert (await enrol(api, person, device)).status_code == 201
    for changes in ({"origin": "http://localhost:8081"}, {"rp_id": "evil.example"}, {"verifies": False}):
        dishonest = Authenticator(**{"credentials": device.credentials, **changes})
        assert (await log_in(api, dishonest)).status_code == 401, changes
    one = await asked(api, LOGIN)
    passkey = device.get(one["options"])
    other = await asked(api, LOGIN)
    assert (await api.post(LOGIN, json={"challenge": other["challenge"], "passkey": passkey})).status_code == 401
    forged = copy.deepcopy(passkey)
    forged["response"]["signature"] = b64(unb64(forged["response"]["signature"])[:-1] + b"\x00")
    again = await asked(api, LOGIN)
    assert (await api.post(LOGIN, json={"challenge": again["challenge"], "passkey": forged})).status_code == 401
    handle = device.get((another := await asked(api, LOGIN))["options"])
    handle["response"]["userHandle"] = b64(b"user_somebody_else")
    assert (await api.post(LOGIN, json={"challenge": another["challenge"], "passkey": handle})).status_code == 401
    assert (await api.post(LOGIN, json={"challenge": one["challenge"], "passkey": passkey})).status_code == 200
    assert (await api.post(LOGIN, json={"challenge": one["challenge"], "passkey": passkey})).status_code == 401


async def test_a_challenge_logs_in_once_and_for_five_minutes(own_api: Api) -> None:
    api, device = own_api, Authenticator()
    person = await api.make_user("user")
    assert (await enrol(api, person, device)).status_code == 201
    one = await asked(api, LOGIN)
    body = {"challenge": one["challenge"], "passkey": device.get(one["options"])}
    answers = await asyncio.gather(*(api.post(LOGIN, json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
    late = await asked(api, LOGIN)
    assert isinstance(api.clock, FakeClock)
    api.clock.advance(301)
    body = {"challenge": late["challenge"], "passkey": device.get(late["options"])}
    assert (await api.post(LOGIN, json=body)).status_code == 401


async def test_a_counter_that_goes_back_betrays_a_copy(api: Api) -> None:
    person, device = await api.make_user("user"), Authenticator()
    assert (await enrol(api, person, device)).status_code == 201
    copied = copy.deepcopy(device)
    for _ in range(2):
        assert (await log_in(api, device)).status_code == 200
    assert (await log_in(api, copied)).status_code == 401
    assert ("auth.factor.failed.v1", "passkey") in await told(api.deps.database, person.id)
    assert (await log_in(api, device)).status_code == 200


async def test_somebody_who_is_disabled_does_not_log_in(api: Api) -> None:
    person, device = await api.make_user("user"), Authenticator()
    assert (await enrol(api, person, device)).status_code == 201
    async with api.deps.database.unscoped() as tx:
        await tx.exec_driver_sql("UPDATE users SET status = 'disabled' WHERE id = $1", (person.id,))
        assert (await users.find_user(tx, person.id)) is not None
    assert (await log_in(api, device)).status_code == 401


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=80).map(b64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_bytes_that_are_no_credential_are_refused_and_break_nothing(data: st.DataObject) -> None:
    device, party = Authenticator(), RelyingParty.of("http://localhost:8080/hub")
    options = {"rp": {"id": party.id}, "user": {"id": b64(b"user_1")}, "challenge": b64(b"c" * 32),
               "pubKeyCredParams": [{"type": "public-key", "alg": -7}]}  # fmt: skip
    made = device.create(options)
    registered = webauthn.registered(party, copy.deepcopy(made), b"c" * 32)
    assert registered is not None
    row = PasskeyRow(registered.credential_id, "pk_1", "user_1", registered.public_key, 0, [], False, "", None)  # type: ignore[arg-type]
    used = device.get({"challenge": b64(b"c" * 32)})
    assert webauthn.asserted(party, copy.deepcopy(used), b"c" * 32, row) is not None
    for credential, check in ((made, webauthn.registered), (used, webauthn.asserted)):
        broken = copy.deepcopy(credential)
        name = data.draw(st.sampled_from(sorted(broken["response"].keys() - {"transports", "userHandle"})))
        raw = bytearray(unb64(broken["response"][name]))
        place = data.draw(st.integers(0, 100_000)) % len(raw)
        cut, flipped = (
            raw[:place],
            raw[:place] + bytes((raw[place] ^ data.draw(st.integers(1, 255)),)) + raw[place + 1 :],
        )
        junk = data.draw(JUNK)
        broken["response"][name] = data.draw(st.sampled_from((b64(bytes(cut)), b64(bytes(flipped)), junk)))
        found = check(party, broken, b"c" * 32, *([row] if check is webauthn.asserted else []))
        assert found is None or check is webauthn.registered
