"""`/v1/webhooks`: endpoints, secrets, deliveries."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from api.deps import Deps
from contracts.rules import webhooks as rules
from infra.ids import new_id
from infra.postgres.webhooks_endpoints import find_endpoint, header_purpose, secret_purpose
from tests.api.conftest import Api, an_api
from tests.consumers.webhooks.world import dispatching, rows
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd, status

ENDPOINTS = "/v1/webhooks/endpoints"
DELIVERIES = "/v1/webhooks/deliveries"
WANTED: dict[str, Any] = {"url": "https://example.com/hook", "event_types": ["credits.*"], "description": "Billing"}


@pytest.fixture
async def hooks(deps: Deps, clock: FakeClock) -> AsyncIterator[Api]:
    """An API of the test's own, where loopback receivers are allowed."""
    allowing = replace(deps, options=replace(deps.options, webhook_allow=("127.0.0.0/8",)))
    async with an_api(allowing, clock) as opened:
        yield opened


def _opened(api: Api, made: dict[str, Any], stored: dict[str, Any]) -> str:
    """A stored secret in clear; it never stands in clear in the database."""
    assert stored["secret"].startswith("sealed:")
    return api.deps.sealer.open_text(stored["secret"], secret_purpose(made["id"]))


async def _made(api: Api, **changes: Any) -> dict[str, Any]:
    answer = await api.post(ENDPOINTS, json=WANTED | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def test_an_endpoint_is_made_and_its_secret_is_shown_once(api: Api) -> None:
    made = await _made(api, headers={"Authorization": "Bearer s3cret"})
    assert re.fullmatch(r"we_[0-9a-f]{32}", made["id"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", made["secret"])
    one = (await api.get(f"{ENDPOINTS}/{made['id']}")).json()["data"]
    listed = (await api.get(ENDPOINTS)).json()["data"]
    assert listed == [one]
    assert "secret" not in one
    assert one["headers"] == {"Authorization": "********"}
    assert {name: one[name] for name in WANTED} == WANTED


async def test_the_values_of_headers_are_sealed_at_rest_made_or_changed(api: Api) -> None:
    made = await _made(api, headers={"Authorization": "Bearer s3cret"})
    assert await _stored_header(api, made["id"], "Authorization") == "Bearer s3cret"
    change = {"headers": {"X-Token": "t0ken"}}
    assert (await api.client.patch(f"{ENDPOINTS}/{made['id']}", json=change)).status_code == 200
    assert await _stored_header(api, made["id"], "X-Token") == "t0ken"


async def _stored_header(api: Api, endpoint_id: str, name: str) -> str:
    async with api.deps.database.transaction() as tx:
        row = await find_endpoint(tx, api.organization, endpoint_id)
    assert row is not None
    assert list(row.headers) == [name]
    assert row.headers[name].startswith("sealed:")
    return api.deps.sealer.open_text(row.headers[name], header_purpose(endpoint_id, name))


async def test_the_same_request_with_the_same_idempotency_key_makes_one_endpoint(api: Api) -> None:
    headers = {"Idempotency-Key": "k1"}
    first, second = [await api.post(ENDPOINTS, json=WANTED, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert len((await api.get(ENDPOINTS)).json()["data"]) == 1


@pytest.mark.parametrize(
    "change, pointer",
    [
        ({"url": "http://example.com/hook"}, "/url"),
        ({"url": "ftp://example.com/hook"}, "/url"),
        ({"url": "https://user:pass@example.com/"}, "/url"),
        ({"url": "https://example.com/#fragment"}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "https://[::1]/"}, "/url"),
        ({"url": "https://localhost/"}, "/url"),
        ({"url": "https://2130706433/"}, "/url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "/url"),
        ({"url": "https://10.0.0.1:8443/"}, "/url"),
        ({"url": "https://example.com:99999/"}, "/url"),
        ({"url": "https://ex\u00e4mple.com/"}, "/url"),
        ({"url": "https://example.com\\@127.0.0.1/"}, "/url"),
        ({"url": "https://example.com/\r\nX: y"}, "/url"),
        ({"url": ""}, "/url"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["credits.*", "nothing.here"]}, "/event_types/1"),
        ({"headers": {"Host": "example.org"}}, "/headers/Host"),
        ({"headers": {"webhook-signature": "v1,x"}}, "/headers/webhook-signature"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "/headers/Transfer-Encoding"),
        ({"headers": {"Proxy-Authorization": "x"}}, "/headers/Proxy-Authorization"),
        ({"headers": {"X-A": "line\r\nbreak"}}, "/headers/X-A"),
        ({"headers": {"X A": "1"}}, "/headers/X A"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_what_an_endpoint_may_not_be_is_refused_with_its_place(
    api: Api, change: dict[str, Any], pointer: str
) -> None:
    answer = await api.post(ENDPOINTS, json=WANTED | change)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["pointer"] == pointer


async def test_http_is_let_through_for_loopback_and_only_where_it_is_allowed(api: Api, hooks: Api) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000"):
        assert (await hooks.post(ENDPOINTS, json=WANTED | {"url": f"http://{host}/"})).status_code == 201
        assert (await api.post(ENDPOINTS, json=WANTED | {"url": f"http://{host}/"})).status_code == 422
    assert (await hooks.post(ENDPOINTS, json=WANTED | {"url": "http://example.com/"})).status_code == 422


async def test_a_change_changes_what_it_names_and_nothing_else(api: Api) -> None:
    made = await _made(api, headers={"X-A": "1"})
    changed = await api.client.patch(f"{ENDPOINTS}/{made['id']}", json={"event_types": ["*"], "enabled": False})
    assert changed.status_code == 200
    data = changed.json()["data"]
    assert (data["event_types"], data["enabled"], data["disabled_reason"]) == (["*"], False, "switched off")
    assert (data["url"], data["description"], data["headers"]) == (made["url"], "Billing", {"X-A": "********"})
    again = (await api.client.patch(f"{ENDPOINTS}/{made['id']}", json={"enabled": True, "description": None})).json()
    assert (again["data"]["enabled"], again["data"]["disabled_at"], again["data"]["description"]) == (True, None, None)


@pytest.mark.parametrize("change", [{"url": None}, {"event_types": ["x.y"]}, {"enabled": "yes"}, {"unknown": 1}])
async def test_a_change_that_makes_no_sense_is_refused(api: Api, change: dict[str, Any]) -> None:
    made = await _made(api)
    assert (await api.client.patch(f"{ENDPOINTS}/{made['id']}", json=change)).status_code == 422


async def test_another_organizations_endpoint_is_not_there(api: Api) -> None:
    made = await _made(api)
    stranger = api.bearer(await api.make_key(["*"], organization=await api.make_organization()))
    path = f"{ENDPOINTS}/{made['id']}"
    answers = [
        await api.client.get(path, headers=stranger),
        await api.client.patch(path, json={"enabled": False}, headers=stranger),
        await api.client.post(f"{path}/rotate-secret", json={}, headers=stranger),
        await api.client.post(f"{path}/test", json={}, headers=stranger),
        await api.client.delete(path, headers=stranger),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await api.client.get(ENDPOINTS, headers=stranger)).json()["data"] == []
    assert (await api.get(path)).json()["data"]["enabled"] is True


async def test_a_deleted_endpoint_is_gone_and_its_secret_with_it(api: Api) -> None:
    made = await _made(api)
    path = f"{ENDPOINTS}/{made['id']}"
    assert (await api.client.delete(path)).status_code == 204
    assert [(await api.get(path)).status_code, (await api.client.delete(path)).status_code] == [404, 404]
    assert (await api.get(ENDPOINTS)).json()["data"] == []
    (row,) = await rows(api.deps.database, "SELECT secrets FROM webhook_endpoints WHERE id = :id", id=made["id"])
    assert row.secrets == []


async def test_reading_needs_a_permission_and_writing_another(api: Api) -> None:
    made = await _made(api)
    reader = api.bearer(await api.make_key(["webhooks:read"]))
    writer = api.bearer(await api.make_key(["webhooks:write"]))
    assert (await api.client.get(ENDPOINTS, headers=reader)).status_code == 200
    assert (await api.client.get(ENDPOINTS, headers=writer)).status_code == 403
    assert (await api.client.delete(f"{ENDPOINTS}/{made['id']}", headers=reader)).status_code == 403
    assert (await api.client.delete(f"{ENDPOINTS}/{made['id']}", headers=writer)).status_code == 204


async def test_endpoints_and_deliveries_are_paged_without_gap_or_repeat(hooks: Api, clock: FakeClock) -> None:
    made = []
    for _ in range(5):
        made.append((await _made(hooks))["id"])
        clock.advance(1)
    endpoint = made[-1]
    sent = [(await hooks.post(f"{ENDPOINTS}/{endpoint}/test", json={})).json()["data"] for _ in range(5)]
    for path, expected in ((ENDPOINTS, made), (DELIVERIES, [one["delivery_id"] for one in sent])):
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await hooks.get(path, params={"limit": "2", **cursor})).json()
            found += [one["id"] for one in page["data"]]
            if not page["pagination"]["has_more"]:
                break
            cursor = {"cursor": page["pagination"]["next_cursor"]}
        assert found == expected[::-1]


async def test_a_rotated_secret_is_new_and_the_old_one_signs_until_the_overlap_is_over(
    hooks: Api, clock: FakeClock
) -> None:
    made = await _made(hooks)
    rotated = (await hooks.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", json={"overlap_hours": 24})).json()["data"]
    assert rotated["secret"] != made["secret"]
    (row,) = await rows(hooks.deps.database, "SELECT secrets FROM webhook_endpoints")
    assert [(_opened(hooks, made, one), one["until"]) for one in row.secrets] == [
        (rotated["secret"], None),
        (made["secret"], "2026-11-24T12:00:00+00:00"),
    ]
    clock.advance(25 * 3600)
    last = (await hooks.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", json={"overlap_hours": 0})).json()["data"]
    (row,) = await rows(hooks.deps.database, "SELECT secrets FROM webhook_endpoints")
    assert [_opened(hooks, made, one) for one in row.secrets] == [last["secret"], rotated["secret"]]


async def test_deliveries_are_listed_filtered_and_shown_with_every_attempt(hooks: Api, clock: FakeClock) -> None:
    async with FarEnd.running() as far_end:
        far_end.answer = status(500, {"X-A": "1"}, b"oops")
        made = await _made(hooks, url=far_end.url + "/hook")
        sent = (await hooks.post(f"{ENDPOINTS}/{made['id']}/test", json={"event_type": "credits.low"})).json()["data"]
        async with dispatching(hooks.deps.database, clock, sealer=hooks.deps.sealer):

            async def tried() -> Any:
                return (await hooks.get(DELIVERIES)).json()["data"][0]["attempts"] == 1

            await eventually(tried)
            (listed,) = (await hooks.get(DELIVERIES)).json()["data"]
            assert (listed["id"], listed["message_id"]) == (sent["delivery_id"], sent["message_id"])
            assert (listed["state"], listed["last_status"], listed["event_type"]) == ("pending", 500, "credits.low")
            one = (await hooks.get(f"{DELIVERIES}/{listed['id']}")).json()["data"]
            (attempt,) = one["attempts_log"]
            assert (attempt["status"], attempt["body"], attempt["headers"]["x-a"]) == (500, "oops", "1")
            far_end.answer = None
            assert (await hooks.post(f"{DELIVERIES}/{listed['id']}/retry")).status_code == 202

            async def done() -> Any:
                return (await hooks.get(DELIVERIES, params={"state": "succeeded"})).json()["data"]

            await eventually(done)
        assert far_end.ids() == [sent["message_id"]] * 2
    event = listed["event"]["id"]
    for params, count in (
        ({"event_id": event}, 1),
        ({"event_id": "other"}, 0),
        ({"endpoint_id": made["id"]}, 1),
        ({"endpoint_id": new_id("we")}, 0),
        ({"state": "dead"}, 0),
    ):
        assert len((await hooks.get(DELIVERIES, params=params)).json()["data"]) == count, params
    assert (await hooks.get(DELIVERIES, params={"state": "nonsense"})).status_code == 422


async def test_a_delivery_of_a_disabled_endpoint_or_of_nobody_is_not_sent_again(hooks: Api) -> None:
    made = await _made(hooks)
    sent = (await hooks.post(f"{ENDPOINTS}/{made['id']}/test", json={})).json()["data"]
    await hooks.client.patch(f"{ENDPOINTS}/{made['id']}", json={"enabled": False})
    assert (await hooks.post(f"{DELIVERIES}/{sent['delivery_id']}/retry")).status_code == 409
    assert (await hooks.post(f"{ENDPOINTS}/{made['id']}/test", json={})).status_code == 409
    for unknown in ("whd_" + "0" * 32, "nonsense", "whd_"):
        assert (await hooks.post(f"{DELIVERIES}/{unknown}/retry")).status_code == 404
        assert (await hooks.get(f"{DELIVERIES}/{unknown}")).status_code == 404


async def test_event_types_come_with_schema_and_example(api: Api) -> None:
    found = (await api.get("/v1/webhooks/event-types")).json()["data"]
    assert [one["name"] for one in found] == list(rules.NAMES)
    low = next(one for one in found if one["name"] == "credits.low")
    assert low["example"]["type"] == "credits.low"
    assert set(low["json_schema"]["required"]) <= set(low["example"]["data"])


async def test_a_test_of_an_unknown_type_is_refused(api: Api) -> None:
    made = await _made(api)
    answer = await api.post(f"{ENDPOINTS}/{made['id']}/test", json={"event_type": "no.such"})
    assert answer.status_code == 422
