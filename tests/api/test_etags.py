"""Entity tags: what is unchanged is not sent again, what was changed meanwhile is not overwritten."""

import asyncio

import pytest

from api.core.etags import etag_of
from tests.api.conftest import Api

HOOK = {"url": "https://example.com/hook", "event_types": ["*"]}


async def made(api: Api) -> str:
    """The path of a new endpoint."""
    answer = await api.post("/v1/webhooks/endpoints", json=HOOK)
    return f"/v1/webhooks/endpoints/{answer.json()['data']['id']}"


async def test_an_unchanged_thing_is_not_sent_again(api: Api) -> None:
    path = await made(api)
    first = await api.get(path)
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await api.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers
    assert (await api.get(path, headers={"if-none-match": '"other"'})).status_code == 200
    changed = await api.client.patch(path, json={"description": "new"})
    assert changed.headers["etag"] != tag
    after = await api.get(path, headers={"if-none-match": tag})
    assert (after.status_code, after.headers["etag"]) == (200, changed.headers["etag"])


async def test_a_change_of_another_version_is_refused_and_changes_nothing(api: Api) -> None:
    path = await made(api)
    old = (await api.get(path)).headers["etag"]
    new = (await api.client.patch(path, json={"description": "new"}, headers={"if-match": old})).headers["etag"]
    attempts = [
        await api.client.patch(path, json={"description": "lost"}, headers={"if-match": old}),
        await api.client.patch(path, json={"description": "weak"}, headers={"if-match": f"W/{new}"}),
        await api.post(f"{path}/rotate-secret", json={}, headers={"if-match": old}),
        await api.client.delete(path, headers={"if-match": old}),
    ]
    for refused in attempts:
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (412, "precondition_failed")
        assert error["details"][0]["pointer"] == "/header/If-Match"
    now = await api.get(path)
    assert (now.json()["data"]["description"], now.headers["etag"]) == ("new", new)
    assert (await api.client.delete(path, headers={"if-match": f'"x", {new}'})).status_code == 204
    assert (await api.client.delete(path, headers={"if-match": new})).status_code == 404


async def test_of_many_changes_of_one_version_at_once_one_wins(api: Api) -> None:
    path = await made(api)
    tag = (await api.get(path)).headers["etag"]
    answers = await asyncio.gather(
        *(
            api.client.patch(path, json={"description": f"by {number}"}, headers={"if-match": tag})
            for number in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
@pytest.mark.parametrize("value", ["abc", '"a" "b"', '"a', "", "*, *"])
async def test_a_broken_list_of_tags_is_refused(api: Api, header: str, value: str) -> None:
    path = await made(api)
    if header == "if-match":
        answer = await api.client.patch(path, json={"description": "x"}, headers={header: value})
    else:
        answer = await api.get(path, headers={header: value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed")


def test_a_tag_is_of_everything_that_is_shown() -> None:
    assert etag_of({"a": 1}) == etag_of({"a": 1})
    assert len({etag_of(shown) for shown in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, [])}) == 5
