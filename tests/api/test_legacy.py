"""Old paths answer as their successors do, and say that they will go."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.api.conftest import USAGE, Api, event

SENT = {"content-type": "application/cloudevents+json"}


@pytest.mark.parametrize("old", ["/api/v1", "/api"])
async def test_an_old_path_answers_as_its_successor_and_names_it(api: Api, old: str) -> None:
    await api.post("/v1/keys", json={"name": "x", "scopes": ["events:write"]})
    answer, successor = await api.get(f"{old}/keys?limit=1"), await api.get("/v1/keys?limit=1")
    assert answer.status_code == 200
    assert answer.json()["data"] == successor.json()["data"]
    assert answer.links["successor-version"]["url"] == "/v1/keys"
    assert answer.links["next"]["url"].startswith("/v1/keys?")
    since = datetime.fromtimestamp(int(answer.headers["deprecation"].removeprefix("@")), UTC)
    until = parsedate_to_datetime(answer.headers["sunset"])
    assert since == datetime(2026, 11, 25, tzinfo=UTC)
    assert (until - since).days >= 365
    for header in ("deprecation", "sunset"):
        assert header not in successor.headers


async def test_events_come_in_by_old_paths_too(api: Api) -> None:
    for path, body, headers in (
        ("/api/v1/events", event(), SENT),
        ("/api/v1/usage", USAGE, {}),
        ("/api/usage", USAGE, {}),
    ):
        answer = await api.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["data"]["accepted"]) == (202, 1), path
        assert answer.links["successor-version"]["url"] == path.replace("/api/v1", "/v1").replace("/api", "/v1")


async def test_one_idempotency_key_counts_for_both_paths(api: Api) -> None:
    body, headers = {"name": "x", "scopes": ["events:write"]}, {"idempotency-key": "both"}
    first = await api.post("/api/v1/keys", json=body, headers=headers)
    again = await api.post("/v1/keys", json=body, headers=headers)
    assert (first.status_code, again.content) == (201, first.content)


async def test_old_paths_are_guarded_and_their_errors_name_the_successor(api: Api) -> None:
    refused = await api.get("/api/v1/keys", headers=api.bearer("nothing"))
    assert refused.status_code == 401
    assert refused.links["successor-version"]["url"] == "/v1/keys"
    encoded = await api.get("/api/v1/webhooks/endpoints/a%20b")
    assert encoded.status_code == 404
    assert encoded.links["successor-version"]["url"] == "/v1/webhooks/endpoints/a%20b"


async def test_what_has_no_successor_is_just_not_there(api: Api) -> None:
    for path in ("/api/v1/nothing", "/api/", "/api", "/apiary/v1/keys"):
        answer = await api.get(path)
        assert answer.status_code == 404, path
        assert "deprecation" not in answer.headers
