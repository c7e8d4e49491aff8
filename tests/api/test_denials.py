"""Somebody was refused: that is a fact, at most one a second, and never in the answer's way."""

from contracts import topics
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from producers.publisher import Publisher
from tests.api.conftest import Api, an_api
from tests.api.test_roles import code, fresh
from tests.support.eventually import eventually


async def denied(api: Api) -> list[dict]:
    return [dict(one.data) for one in await api.published(topics.AUTH) if one.type == "auth.permission.denied.v1"]


async def test_a_refusal_is_published_once_a_second_for_each_who_and_what(own_api: Api) -> None:
    api = own_api
    guest, key = await api.make_user("guest"), await api.make_key(["events:read"])
    for _ in range(5):
        assert code(await api.get("/v1/credits/balance", headers=guest.headers))[0] == 403
        assert code(await api.get("/v1/credits/balance", headers=api.bearer(key)))[0] == 403
    found = await eventually(lambda: _of(api, 2))
    assert {one["permission"] for one in found} == {"credits:read"}
    assert {one["route"] for one in found} == {"/v1/credits/balance"}
    person = next(one for one in found if one["actor"] == guest.id)
    assert person["address"].startswith("sealed:")
    assert next(one for one in found if one["actor"] != guest.id)["address"] == "127.0.0.1"
    api.clock.advance(1.1)
    assert code(await api.get("/v1/credits/balance", headers=guest.headers))[0] == 403
    assert code(await api.get("/v1/keys", headers=guest.headers))[0] == 403
    await eventually(lambda: _of(api, 4))


async def _of(api: Api, count: int) -> list[dict]:
    found = await denied(api)
    assert len(found) <= count
    return found if len(found) == count else []


async def test_who_tries_to_grant_what_they_do_not_hold_is_told_of(own_api: Api) -> None:
    admin = await fresh(own_api, "admin")
    body = {"name": "x", "permissions": ["credits:grant"]}
    assert code(await own_api.post("/v1/roles", json=body, headers=admin.headers))[0] == 403
    found = await eventually(lambda: _of(own_api, 1))
    assert (found[0]["permission"], found[0]["actor"], found[0]["route"]) == ("credits:grant", admin.id, "/v1/roles")


async def test_the_refusal_comes_while_the_broker_is_away(own_api: Api) -> None:
    from dataclasses import replace

    nowhere = Producer(KafkaOptions(bootstrap="127.0.0.1:9"))
    deps = replace(own_api.deps, publisher=Publisher(nowhere))
    async with an_api(deps, own_api.clock, ["events:read"]) as api:
        assert code(await api.get("/v1/credits/balance")) == (403, "permission_denied")
        assert code(await api.get("/v1/keys")) == (403, "permission_denied")
