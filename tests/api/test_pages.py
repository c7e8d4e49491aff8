"""The documents as pages: nothing comes from elsewhere, nothing runs inline."""

import hashlib
import json
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from api.documents.html import FOLDER, POLICY
from contracts import catalog
from tests.api.conftest import Api

OURS = {"icon.svg", "pages.css", "reference.js"}
PAGES = ("/v1/docs", "/v1/docs/events")


class Parts(HTMLParser):
    """What a page loads and links to, and what it would run inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.inline += [name for name in named if name.startswith("on") or name == "style"]
        self.anchors.add(named.get("id") or "")
        if tag in ("script", "link"):
            self.loaded.append(named.get("src") or named.get("href") or "inline")
        if tag == "style":
            self.inline.append(tag)
        if tag == "a":
            self.links.append(named["href"] or "")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_only_what_is_served_beside_it_under_a_strict_policy(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    parts = Parts(answer.text)
    assert parts.inline == []
    assert parts.loaded
    for address in parts.loaded + [link for link in parts.links if not link.startswith("#")]:
        assert "//" not in address
        found = await api.get(urljoin(path, address))
        assert found.status_code == 200, address


async def test_assets_may_be_kept_for_an_hour_and_are_not_sent_again_when_unchanged(api: Api) -> None:
    first = await api.get("/v1/docs/assets/pages.css")
    assert first.headers["content-type"] == "text/css; charset=utf-8"
    assert first.headers.get_list("cache-control") == ["public, max-age=3600"]
    again = await api.get("/v1/docs/assets/pages.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for missing in ("nothing.css", "manifest.json", "..%2Froutes.py", "%2e%2e/routes.py"):
        assert (await api.get(f"/v1/docs/assets/{missing}")).status_code == 404


async def test_the_events_page_shows_every_event_with_its_example(api: Api) -> None:
    page = (await api.get("/v1/docs/events")).text
    parts = Parts(page)
    assert set(catalog.EVENTS) <= parts.anchors
    assert {f"#{name}" for name in catalog.EVENTS} <= set(parts.links)
    assert page.count("<details>") == len(catalog.EVENTS)


def test_every_foreign_asset_is_listed_with_its_licence_and_is_what_it_was_when_listed() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    texts = {entry["licence_file"] for entry in manifest.values()}
    assert {path.name for path in FOLDER.iterdir()} == set(manifest) | texts | OURS | {"manifest.json"}
    for name, entry in manifest.items():
        body = (FOLDER / name).read_bytes()
        assert hashlib.sha256(body).hexdigest() == entry["sha256"]
        assert len(body) < 2_000_000
        assert entry["licence"] in ("Apache-2.0", "MIT", "BSD-3-Clause", "ISC")
        assert re.fullmatch(r"(npm|PyPI) \S+ \d+\.\d+\.\d+", entry["package"])
        assert "Apache License" in (FOLDER / entry["licence_file"]).read_text()
