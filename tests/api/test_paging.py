"""Numbered pages: totals, links to all sides, and an error for what is out of range."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.datastructures import URL

from api.core.paging import Pagination, link_header
from tests.api.conftest import Api, Person
from tests.api.test_roles import fresh

PATH = "/v1/webhooks/endpoints"


async def with_endpoints(api: Api, count: int) -> list[str]:
    """Their ids, the newest first."""
    hook = {"url": "https://example.com/hook", "event_types": ["*"]}
    made = [(await api.post(PATH, json=hook)).json()["data"]["id"] for _ in range(count)]
    return sorted(made, reverse=True)


def pages_of(answer: httpx.Response) -> dict[str, int]:
    return {rel: int(parse_qs(urlsplit(link["url"]).query)["page"][0]) for rel, link in answer.links.items()}


async def test_numbered_pages_carry_totals_and_lead_to_all_sides(api: Api) -> None:
    ids = await with_endpoints(api, 5)
    middle = await api.get(f"{PATH}?page=2&per_page=2")
    assert [row["id"] for row in middle.json()["data"]] == ids[2:4]
    shown = middle.json()["pagination"]
    assert (shown["page"], shown["limit"], shown["total"], shown["total_pages"]) == (2, 2, 5, 3)
    assert pages_of(middle) == {"first": 1, "prev": 1, "next": 3, "last": 3}
    assert "per_page=2" in middle.links["next"]["url"]
    last = await api.get(middle.links["next"]["url"])
    assert [row["id"] for row in last.json()["data"]] == ids[4:]
    assert pages_of(last) == {"first": 1, "prev": 2, "last": 3}
    onwards = await api.get(PATH, params={"cursor": shown["next_cursor"]})
    assert [row["id"] for row in onwards.json()["data"]] == ids[4:]


async def test_a_list_is_paged_by_number_or_by_cursor_and_not_by_both(api: Api) -> None:
    await with_endpoints(api, 2)
    cursor = (await api.get(f"{PATH}?page=1&limit=1")).json()["pagination"]["next_cursor"]
    refused = await api.get(PATH, params={"cursor": cursor, "page": 1})
    assert (refused.status_code, refused.json()["error"]["details"][0]["pointer"]) == (422, "/query/cursor")


async def test_without_numbers_a_list_has_a_cursor_and_no_totals(api: Api) -> None:
    await with_endpoints(api, 2)
    answer = await api.get(f"{PATH}?limit=1")
    shown = answer.json()["pagination"]
    assert (shown["page"], shown["total"], shown["total_pages"]) == (None, None, None)
    assert set(answer.links) == {"next"}


async def test_an_empty_list_has_one_empty_page(api: Api) -> None:
    answer = await api.get(f"{PATH}?page=1")
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert pages_of(answer) == {"first": 1, "last": 1}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("page=2", "/query/page"),
        ("page=0", "/query/page"),
        ("page=1000001", "/query/page"),
        ("page=x", "/query/page"),
        ("per_page=101", "/query/per_page"),
        ("per_page=0", "/query/per_page"),
    ],
)
async def test_out_of_range_is_an_error_and_not_a_guess(api: Api, query: str, pointer: str) -> None:
    await with_endpoints(api, 1)
    answer = await api.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert answer.json()["error"]["details"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "path",
    ["/v1/members", "/v1/invitations", "/v1/teams", "/v1/teams/{team}/members", "/v1/keys", "/v1/organizations", PATH],
)
async def test_every_list_whose_total_is_cheap_has_numbered_pages(api: Api, path: str) -> None:
    owner = await fresh(api, owner=True)
    team = await _with_three_of_everything(api, owner)
    path = path.format(team=team)
    by_cursor = _ids(await api.get(path, params={"limit": 100}, headers=owner.headers))
    total = len(by_cursor)
    assert total >= (1 if path == "/v1/organizations" else 3)
    walked: list[str] = []
    for number in range(1, total + 1):
        answer = await api.get(path, params={"page": number, "per_page": 1}, headers=owner.headers)
        shown = answer.json()["pagination"]
        assert (shown["page"], shown["total"], shown["total_pages"]) == (number, total, total)
        walked += _ids(answer)
    assert walked == by_cursor
    behind = await api.get(path, params={"page": total + 1, "per_page": 1}, headers=owner.headers)
    assert (behind.status_code, behind.json()["error"]["details"][0]["pointer"]) == (422, "/query/page")


def _ids(answer: httpx.Response) -> list[str]:
    return [row["id"] if "id" in row else row["user_id"] for row in answer.json()["data"]]


async def _with_three_of_everything(api: Api, owner: Person) -> str:
    """The organization's team, in which all three members are."""
    await with_endpoints(api, 3)
    people = [owner, await api.make_user(), await api.make_user()]
    teams = [
        (await api.post("/v1/teams", json={"name": name}, headers=owner.headers)).json()["data"]["id"]
        for name in ("red", "green", "blue")
    ]
    for number, person in enumerate(people):
        joined = await api.client.put(f"/v1/teams/{teams[0]}/members/{person.id}", headers=owner.headers)
        assert joined.status_code == 204
        wanted = {"email": f"guest-{number}@example.com", "role_id": "user"}
        assert (await api.post("/v1/invitations", json=wanted, headers=owner.headers)).status_code == 201
        key = {"name": f"key {number}", "scopes": ["webhooks:read"]}
        assert (await api.post("/v1/keys", json=key, headers=owner.headers)).status_code == 201
    return str(teams[0])


def test_a_single_page_by_cursor_has_no_links() -> None:
    assert link_header(httpx.URL("http://x/"), Pagination(limit=20, has_more=False, next_cursor=None)) == ""


def test_links_name_no_scheme_and_no_host_which_a_proxy_may_have_changed() -> None:
    pagination = Pagination(limit=20, has_more=True, next_cursor="abc")
    assert link_header(URL("http://inside:8000/v1/keys?limit=20"), pagination) == (
        '</v1/keys?limit=20&cursor=abc>; rel="next"'
    )
